//! How long to wait before the next attempt.

use std::time::Duration;

use crate::gateway::upstream::rate_limits::LONGEST_WAIT;

/// First step of the ladder, and of the one for limits by the minute.
const FIRST: Duration = Duration::from_millis(500);
const FIRST_OF_MINUTE: Duration = Duration::from_secs(2);
/// Highest step of both.
const HIGHEST: Duration = Duration::from_secs(30);

/// Why to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A fault that may pass at once.
    Trouble,
    /// A limit that is counted by the minute.
    RateLimit,
}

/// The wait before attempt `retry` (1 for the first retry): a doubling ladder with jitter, but never below what the server
/// asked for. `None`: it asked for too long. `dice` is uniform in 0..1.
///
/// Trouble gets full jitter. A rate limit that names no time has a longer ladder and never less than half of its step: a
/// draw of next to nothing would spend the retries inside the same minute.
pub(crate) fn wait(
    cause: Cause,
    retry: u32,
    asked: Option<Duration>,
    dice: f64,
) -> Option<Duration> {
    let dice = dice.clamp(0.0, 1.0);
    let (first, share) = match (cause, asked) {
        (Cause::RateLimit, None) => (FIRST_OF_MINUTE, 0.5 + dice / 2.0),
        _ => (FIRST, dice),
    };
    let step = first
        .saturating_mul(1 << retry.saturating_sub(1).min(10))
        .min(HIGHEST);
    let jittered = step.mul_f64(share);
    match asked {
        Some(asked) if asked > LONGEST_WAIT => None,
        Some(asked) => Some(asked.max(jittered)),
        None => Some(jittered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder() {
        use Cause::{RateLimit, Trouble};
        let secs = Duration::from_secs;
        let ms = Duration::from_millis;
        for (cause, retry, asked, dice, expected) in [
            (Trouble, 1, None, 1.0, Some(ms(500))),
            (Trouble, 2, None, 1.0, Some(secs(1))),
            (Trouble, 2, None, 0.25, Some(ms(250))),
            (Trouble, 1, None, 0.0, Some(secs(0))),
            (Trouble, 20, None, 1.0, Some(secs(30))),
            (Trouble, 1, Some(secs(7)), 1.0, Some(secs(7))),
            (Trouble, 6, Some(ms(1)), 1.0, Some(secs(16))),
            (Trouble, 1, Some(secs(61)), 0.0, None),
            (Trouble, 1, Some(secs(60)), 0.0, Some(secs(60))),
            (RateLimit, 1, None, 1.0, Some(secs(2))),
            (RateLimit, 2, None, 1.0, Some(secs(4))),
            (RateLimit, 3, None, 1.0, Some(secs(8))),
            (RateLimit, 4, None, 1.0, Some(secs(16))),
            (RateLimit, 5, None, 1.0, Some(secs(30))),
            (RateLimit, 3, None, 0.0, Some(secs(4))),
            (RateLimit, 1, Some(ms(20)), 0.0, Some(ms(20))),
            (RateLimit, 3, Some(ms(20)), 1.0, Some(secs(2))),
            (RateLimit, 1, Some(secs(61)), 0.0, None),
        ] {
            assert_eq!(
                wait(cause, retry, asked, dice),
                expected,
                "{cause:?} {retry} asked {asked:?} dice {dice}"
            );
        }
    }
}
