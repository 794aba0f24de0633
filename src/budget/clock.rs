//! Whether the wall clock can be trusted.
//!
//! Owns: [`Moved`], and when a clock has moved too far to go on without asking.
//! Refuses: both clocks; what they say is handed in.
//! Invariant: a clock that was changed begins no window until the user accepts it.

use std::fmt;

use crate::chat::{Timestamp, Uptime};
use crate::store::{ClockReading, Db, LedgerClock, StoreError};

/// Time servers make smaller steps than this.
const STEP: i64 = 10 * 60_000;
/// A clock this far behind the ledger has been set back, or the ledger was written by one ahead of the time.
const BEHIND: i64 = 24 * 3_600_000;

/// By how much the wall clock is off, in milliseconds; negative when it went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved(pub i64);

/// Whether the wall clock has moved so far that it must be accepted first.
pub(crate) fn check_clock(
    db: &Db,
    now: Timestamp,
    uptime: Option<&Uptime>,
) -> Result<Option<Moved>, StoreError> {
    let seen = LedgerClock(db).clock_seen()?;
    let newest = LedgerClock(db).newest_charge()?;
    Ok(moved(now, uptime, seen.as_ref(), newest))
}

/// Judges the wall clock by the machine's own, and by the newest charge. Within one start of the machine both clocks
/// run alike, also while it sleeps; a time zone moves neither. After another start only the ledger can tell.
pub(super) fn moved(
    now: Timestamp,
    uptime: Option<&Uptime>,
    seen: Option<&ClockReading>,
    newest: Option<Timestamp>,
) -> Option<Moved> {
    if let (Some(up), Some(seen)) = (uptime, seen)
        && up.boot == seen.uptime.boot
    {
        let wall = now.0.saturating_sub(seen.wall.0);
        let off = wall.saturating_sub(up.ms.saturating_sub(seen.uptime.ms));
        if off.saturating_abs() > STEP {
            return Some(Moved(off));
        }
    }
    let behind = now.0.saturating_sub(newest?.0);
    (behind < -BEHIND).then_some(Moved(behind))
}

/// `moved forward by 25 h`, `moved back by 11 min`.
impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.0 < 0 { "back" } else { "forward" };
        let nearest = |unit: u64| self.0.unsigned_abs().saturating_add(unit / 2) / unit;
        let (count, unit) = match nearest(60_000) {
            minutes @ 0..120 => (minutes, "min"),
            120..4320 => (nearest(3_600_000), "h"),
            _ => (nearest(86_400_000), "days"),
        };
        write!(f, "moved {way} by {count} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const NOW: i64 = 1_795_348_800_000;

    fn up(boot: &str, ms: i64) -> Uptime {
        Uptime {
            boot: boot.into(),
            ms,
        }
    }

    #[test]
    fn only_a_big_jump_is_one() {
        // The wall clock and the machine's own have gone so far since the last admission.
        for (name, wall, own, boot, expected) in [
            ("both run alike", HOUR, HOUR, "a", None),
            (
                "asleep for a week: the machine's own clock counts it",
                168 * HOUR,
                168 * HOUR,
                "a",
                None,
            ),
            ("a time server sets it right", 9 * MINUTE, 0, "a", None),
            ("the same backwards", -9 * MINUTE, 0, "a", None),
            ("ten minutes are a step", 10 * MINUTE, 0, "a", None),
            (
                "a little more is a jump",
                10 * MINUTE + 1,
                0,
                "a",
                Some(10 * MINUTE + 1),
            ),
            ("a day ahead", 25 * HOUR, HOUR, "a", Some(24 * HOUR)),
            ("an hour back", -HOUR, 0, "a", Some(-HOUR)),
            ("another start of the machine", 25 * HOUR, -HOUR, "b", None),
        ] {
            let seen = ClockReading {
                wall: Timestamp(NOW),
                uptime: up("a", 5 * HOUR),
            };
            let found = moved(
                Timestamp(NOW + wall),
                Some(&up(boot, 5 * HOUR + own)),
                Some(&seen),
                None,
            );
            assert_eq!(found, expected.map(Moved), "{name}");
        }
    }

    #[test]
    fn a_clock_far_behind_the_ledger_is_found_without_the_machines_own() {
        let newest = Some(Timestamp(NOW));
        assert_eq!(moved(Timestamp(NOW - 24 * HOUR), None, None, newest), None);
        assert_eq!(
            moved(Timestamp(NOW - 25 * HOUR), None, None, newest),
            Some(Moved(-25 * HOUR))
        );
        assert_eq!(
            moved(Timestamp(NOW + 999 * HOUR), None, None, newest),
            None,
            "time passes"
        );
        assert_eq!(
            moved(Timestamp(i64::MIN), None, None, newest),
            Some(Moved(i64::MIN))
        );
        assert_eq!(
            moved(Timestamp(0), None, None, None),
            None,
            "an empty ledger"
        );
    }

    #[test]
    fn a_jump_in_words() {
        for (ms, words) in [
            (25 * HOUR, "moved forward by 25 h"),
            (-11 * MINUTE, "moved back by 11 min"),
            (24 * 365 * HOUR, "moved forward by 365 days"),
            (i64::MIN, "moved back by 106751991167 days"),
        ] {
            assert_eq!(Moved(ms).to_string(), words);
        }
    }
}
