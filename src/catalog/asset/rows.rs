//! What the rows of models and the rows of prices have in common.
//!
//! Owns: a day as it is written, the source of a price, what is wrong with a row.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::chat::Timestamp;

/// What is wrong with a row, and in which of its keys. The caller knows which row it is.
pub(super) struct Misfit {
    pub(super) key: &'static str,
    pub(super) cause: String,
}

impl Misfit {
    pub(super) fn new(key: &'static str, cause: impl Into<String>) -> Self {
        Self {
            key,
            cause: cause.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceRow {
    pub(super) name: String,
    pub(super) as_of: Option<Day>,
}

impl SourceRow {
    /// Its day as `YYYY-MM-DD`; empty when it has none.
    pub(super) fn day(&self) -> String {
        self.as_of.map_or_else(String::new, |day| day.0.to_string())
    }
}

/// A day as `YYYY-MM-DD`.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
pub(super) struct Day(pub(super) Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let day: Option<Date> = text.parse().ok();
        day.filter(|day| day.to_string() == text)
            .map(Self)
            .ok_or_else(|| "a day is written YYYY-MM-DD".into())
    }
}

impl Day {
    /// The first instant after this day, in UTC.
    pub(super) fn end(self) -> Result<Timestamp, jiff::Error> {
        let next = self.0.tomorrow()?.to_zoned(TimeZone::UTC)?;
        Ok(Timestamp(next.timestamp().as_millisecond()))
    }
}
