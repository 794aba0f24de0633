//! The calendar: which day and month an instant belongs to.
//!
//! Owns: [`windows`], and the words for a moment in one.
//! Refuses: the clock and the user's time zone, which are handed in.
//! Invariant: start <= now < end, and the end of one window is the start of the next; days may have 23 or 25 hours.

use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use crate::chat::{Scope, Timestamp};
use crate::store::Windows;

/// The day and the month around `now` in this time zone. Beyond the years that calendars hold (9999) everything is one
/// window that does not end.
pub fn windows(now: Timestamp, zone: &TimeZone) -> Windows {
    around(now, zone).unwrap_or(Windows {
        day_start: Timestamp(i64::MIN),
        day_end: Timestamp(i64::MAX),
        month_start: Timestamp(i64::MIN),
        month_end: Timestamp(i64::MAX),
    })
}

/// The day and the month of a group: those of UTC, the same on every machine.
pub(super) fn group_windows(now: Timestamp) -> Windows {
    windows(now, &TimeZone::UTC)
}

fn around(now: Timestamp, zone: &TimeZone) -> Result<Windows, jiff::Error> {
    let at = jiff::Timestamp::from_millisecond(now.0)?.to_zoned(zone.clone());
    let day = at.start_of_day()?;
    let month = at.first_of_month()?.start_of_day()?;
    let instant = |zoned: &Zoned| Timestamp(zoned.timestamp().as_millisecond());
    Ok(Windows {
        day_start: instant(&day),
        day_end: instant(&day.tomorrow()?.start_of_day()?),
        month_start: instant(&month),
        month_end: instant(&month.checked_add(1.month())?.start_of_day()?),
    })
}

/// `now` as it stands in a sentence about a window: `11:00` in a day, `12 Nov` in a month.
pub(crate) fn moment_in_words(now: Timestamp, zone: &TimeZone, scope: Scope) -> String {
    let format = if scope == Scope::Month {
        "%-d %b"
    } else {
        "%H:%M"
    };
    let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime(format).to_string()
}
