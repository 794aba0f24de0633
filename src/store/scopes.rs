//! The scopes that charges count in, and what is known of each: sums, raised limits, alerts told.
//!
//! Owns: [`ChargeScope`]; the rows of `totals`, `raises` and `alerts_told`.
//! Refuses: limits; what a sum may come to is decided in `budget`.
//! Invariant: a total is the sum of the charges in its scope, because triggers in the file keep it.

use std::borrow::Cow;

use rusqlite::{Params, params};

use super::cells::{pico, unsigned, usd};
use super::{Db, StoreError, Windows};
use crate::chat::id::ExchangeId;
use crate::chat::{MessageId, ModelId, Scope, SessionId, Timestamp, Usd};

/// Over which charges a sum runs. A charge counts in the day and the month it was taken in, until that has ended.
#[derive(Debug, Clone, Copy)]
pub enum ChargeScope<'a> {
    /// One question with all its attempts.
    Exchange(&'a ExchangeId),
    /// All the exchanges that this answer took.
    Answer(&'a MessageId),
    /// One run of the program.
    Run(&'a str),
    /// One chat.
    Session(&'a SessionId),
    /// The day that holds this instant.
    Day(Timestamp),
    /// The month that holds this instant.
    Month(Timestamp),
    /// A model on that day.
    ModelDay(&'a ModelId, Timestamp),
    /// A model in that month.
    ModelMonth(&'a ModelId, Timestamp),
    /// A key on that day.
    KeyDay(KeyName<'a>, Timestamp),
    /// A key in that month.
    KeyMonth(KeyName<'a>, Timestamp),
    /// What this machine has spent of a group's money. Its windows are in UTC.
    GroupDay(&'a str, Timestamp),
    /// A group in that month of UTC.
    GroupMonth(&'a str, Timestamp),
}

/// A key as the ledger knows it. Two keys of one provider that end alike are one key here, and share its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyName<'a> {
    pub(crate) provider: &'a str,
    /// As it is shown: `…` and four characters.
    pub(crate) last4: &'a str,
}

impl ChargeScope<'_> {
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Exchange(_) | Self::Answer(_) => Scope::Request,
            Self::Run(_) => Scope::Run,
            Self::Session(_) => Scope::Session,
            Self::Day(_) => Scope::Day,
            Self::Month(_) => Scope::Month,
            Self::ModelDay(..) => Scope::ModelDay,
            Self::ModelMonth(..) => Scope::ModelMonth,
            Self::KeyDay(..) => Scope::KeyDay,
            Self::KeyMonth(..) => Scope::KeyMonth,
            Self::GroupDay(..) => Scope::GroupDay,
            Self::GroupMonth(..) => Scope::GroupMonth,
        }
    }

    /// Whose it is, as the ledger writes it.
    fn place(&self) -> Cow<'_, str> {
        match self {
            Self::Exchange(id) => Cow::Borrowed(id.as_str()),
            Self::Answer(id) => Cow::Borrowed(id.as_str()),
            Self::Run(id) => Cow::Borrowed(id),
            Self::Session(id) => Cow::Borrowed(id.as_str()),
            Self::Day(_) | Self::Month(_) => Cow::Borrowed(""),
            Self::GroupDay(name, _) | Self::GroupMonth(name, _) => Cow::Borrowed(name),
            Self::ModelDay(model, _) | Self::ModelMonth(model, _) => Cow::Owned(model.to_string()),
            Self::KeyDay(key, _) | Self::KeyMonth(key, _) => {
                Cow::Owned(format!("{} {}", key.provider, key.last4))
            }
        }
    }

    /// The model, or the provider and the key's last four; `None` for a place that needs no name.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Self::Exchange(_)
            | Self::Answer(_)
            | Self::Run(_)
            | Self::Session(_)
            | Self::Day(_)
            | Self::Month(_) => None,
            _ => Some(self.place().into_owned()),
        }
    }

    /// The instant that its window is in force at. What has no window has the one from 0 to 1.
    fn at(&self) -> i64 {
        match self {
            Self::Exchange(_) | Self::Answer(_) | Self::Run(_) | Self::Session(_) => 0,
            Self::Day(at)
            | Self::Month(at)
            | Self::ModelDay(_, at)
            | Self::ModelMonth(_, at)
            | Self::KeyDay(_, at)
            | Self::KeyMonth(_, at)
            | Self::GroupDay(_, at)
            | Self::GroupMonth(_, at) => at.0,
        }
    }

    /// Its window, when these are the day and the month; `None` for what has none.
    pub(crate) fn window(&self, windows: &Windows) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Exchange(_) | Self::Answer(_) | Self::Run(_) | Self::Session(_) => None,
            Self::Day(_) | Self::ModelDay(..) | Self::KeyDay(..) | Self::GroupDay(..) => {
                Some((windows.day_start, windows.day_end))
            }
            Self::Month(_) | Self::ModelMonth(..) | Self::KeyMonth(..) | Self::GroupMonth(..) => {
                Some((windows.month_start, windows.month_end))
            }
        }
    }

    /// The same as the file has it.
    fn cells(&self, windows: &Windows) -> (i64, i64) {
        self.window(windows)
            .map_or((0, 1), |(starts, ends)| (starts.0, ends.0))
    }
}

/// A sum of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChargeSum {
    /// Booked.
    pub settled: Usd,
    /// Set aside for requests under way or of unknown end.
    pub reserved: Usd,
    /// Some of `settled` is an estimate.
    pub estimated: bool,
    /// How many charges of unknown price are not in the sum.
    pub(crate) unknown: u64,
}

impl ChargeSum {
    /// All that counts against a limit.
    pub fn total(&self) -> Usd {
        self.settled + self.reserved
    }
}

const OF_PLACE: &str = "SELECT coalesce(sum(settled), 0), coalesce(sum(reserved), 0),
    coalesce(sum(estimated), 0) > 0, coalesce(sum(unknown), 0)
    FROM totals WHERE scope = ?1 AND place = ?2 AND ends > ?3 AND starts <= ?3";

/// Exchanges have few attempts and need no running total.
macro_rules! of_exchanges {
    ($which:literal) => {
        concat!(
            "SELECT coalesce(sum(settled) FILTER (WHERE state = 'settled'), 0),
              coalesce(sum(reserved) FILTER (WHERE state = 'held'), 0),
              coalesce(max(state = 'settled' AND kind = 'estimated'), 0),
              coalesce(sum(state = 'settled' AND settled IS NULL OR state = 'held' AND reserved IS NULL), 0)
              FROM charges WHERE exchange ",
            $which
        )
    };
}
const OF_EXCHANGE: &str = of_exchanges!("= ?1");
const OF_ANSWER: &str = of_exchanges!("IN (SELECT id FROM exchanges WHERE message = ?1)");

const TOTALS_APART: &str =
    "SELECT (SELECT count(*) FROM (SELECT * FROM totals EXCEPT SELECT * FROM charge_sums))
    + (SELECT count(*) FROM (SELECT * FROM charge_sums EXCEPT SELECT * FROM totals))";

/// What is known of each scope: sums, raises, alerts told.
pub struct ScopeSums<'a>(pub &'a Db);

impl ScopeSums<'_> {
    /// Sums the charges of a place. A held one counts with its reservation, a settled one with what it cost.
    pub fn sum(&self, over: ChargeScope<'_>) -> Result<ChargeSum, StoreError> {
        match over {
            ChargeScope::Exchange(id) => self.sum_by(OF_EXCHANGE, [id.as_str()]),
            ChargeScope::Answer(id) => self.sum_by(OF_ANSWER, [id.as_str()]),
            over => self.sum_by(
                OF_PLACE,
                params![over.scope().as_str(), over.place(), over.at()],
            ),
        }
    }

    fn sum_by(&self, sql: &str, params: impl Params) -> Result<ChargeSum, StoreError> {
        Ok(self.0.conn.prepare_cached(sql)?.query_row(params, |row| {
            Ok(ChargeSum {
                settled: usd(row.get(0)?),
                reserved: usd(row.get(1)?),
                estimated: row.get(2)?,
                unknown: unsigned(row.get(3)?),
            })
        })?)
    }

    /// Compares the running totals with the charges they are made of.
    pub(super) fn check_totals(&self) -> Result<(), StoreError> {
        let wrong: i64 = self.0.conn.query_row(TOTALS_APART, [], |row| row.get(0))?;
        if wrong == 0 {
            Ok(())
        } else {
            Err(StoreError::Damaged(
                "the totals of the ledger are not those of its charges".to_owned(),
            ))
        }
    }

    /// What the user has added to the limit of a place.
    pub fn raised(&self, over: ChargeScope<'_>) -> Result<Usd, StoreError> {
        let sum: i64 = self
            .0
            .conn
            .prepare_cached(
                "SELECT coalesce(sum(usd), 0) FROM raises
                 WHERE scope = ?1 AND place = ?2 AND ends > ?3 AND starts <= ?3",
            )?
            .query_row(
                params![over.scope().as_str(), over.place(), over.at()],
                |row| row.get(0),
            )?;
        Ok(usd(sum))
    }

    /// Whether a question's raise of this limit is recorded already.
    pub(crate) fn has_raised(
        &self,
        exchange: &ExchangeId,
        scope: Scope,
    ) -> Result<bool, StoreError> {
        Ok(self
            .0
            .conn
            .prepare_cached("SELECT 1 FROM raises WHERE exchange = ?1 AND scope = ?2")?
            .exists([exchange.as_str(), scope.as_str()])?)
    }

    /// Records that the user has raised the limit of a place for a question; once for each question and scope.
    pub(crate) fn insert_raise(
        &self,
        over: ChargeScope<'_>,
        windows: &Windows,
        exchange: &ExchangeId,
        by: Usd,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (usd, (starts, ends)) = (pico(by)?, over.cells(windows));
        self.0.write(|db| {
            db.conn
                .prepare_cached(
                    "INSERT INTO raises (exchange, scope, place, starts, ends, usd, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    exchange.as_str(),
                    over.scope().as_str(),
                    over.place(),
                    starts,
                    ends,
                    usd,
                    at.0
                ])?;
            Ok(())
        })
    }

    /// Notes that the user is told of this share of the limit of a place. `false`: of this one or a higher one they
    /// were told before.
    pub(crate) fn tell(
        &self,
        over: ChargeScope<'_>,
        windows: &Windows,
        share: f64,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (starts, ends) = over.cells(windows);
        self.0.write(|db| {
            let rows = db
                .conn
                .prepare_cached(
                    "INSERT INTO alerts_told (scope, place, starts, ends, share, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET share = excluded.share, at = excluded.at
                       WHERE excluded.share > share",
                )?
                .execute(params![over.scope().as_str(), over.place(), starts, ends, share, at.0])?;
            Ok(rows > 0)
        })
    }
}
