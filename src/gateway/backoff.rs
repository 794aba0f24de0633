//! How long to wait before the next attempt.

use std::time::Duration;

/// First step of the ladder.
const FIRST: Duration = Duration::from_millis(500);
/// Highest step of the ladder.
const HIGHEST: Duration = Duration::from_secs(30);
/// A server that asks for more than this is not waited for: the user is told instead.
pub const LONGEST: Duration = Duration::from_mins(1);

/// The wait before attempt `retry` (1 for the first retry): full jitter on a doubling ladder, but never below what the
/// server asked for. `None`: it asked for too long. `dice` is uniform in 0..1.
pub fn wait(retry: u32, retry_after: Option<Duration>, dice: f64) -> Option<Duration> {
    let step = FIRST.saturating_mul(1 << retry.saturating_sub(1).min(10)).min(HIGHEST);
    let jittered = step.mul_f64(dice.clamp(0.0, 1.0));
    match retry_after {
        Some(asked) if asked > LONGEST => None,
        Some(asked) => Some(asked.max(jittered)),
        None => Some(jittered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder() {
        let secs = Duration::from_secs;
        let ms = Duration::from_millis;
        for (retry, asked, dice, expected) in [
            (1, None, 1.0, Some(ms(500))),
            (2, None, 1.0, Some(secs(1))),
            (2, None, 0.25, Some(ms(250))),
            (20, None, 1.0, Some(secs(30))),
            (1, Some(secs(7)), 1.0, Some(secs(7))),
            (6, Some(ms(1)), 1.0, Some(secs(16))),
            (1, Some(secs(61)), 0.0, None),
            (1, Some(secs(60)), 0.0, Some(secs(60))),
        ] {
            assert_eq!(wait(retry, asked, dice), expected, "retry {retry} asked {asked:?} dice {dice}");
        }
    }
}
