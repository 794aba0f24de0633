//! The ledger: what each request on the wire may cost, and what it did cost.
//!
//! Owns: the rows of `charges`: held, settled, released; sums over them; breaches.
//! Refuses: deciding whether something may be spent (that is `budget`); changing a charge that is closed; deleting one.
//! Invariant: a charge that was sent counts at its reservation until its cost is known, also when its process dies;
//! there is no mark "sent" because the hold itself is written before the first byte leaves.

use rusqlite::{OptionalExtension, Params, named_params, params};

use super::cells::{json, kind_name, parse, pico, usage_cells, usd};
use super::{Db, StoreError};
use crate::chat::id::{AttemptId, ExchangeId};
use crate::chat::{Cost, CostKind, ModelId, SessionId, Timestamp, Usage, Usd};

/// The day and the month that a charge belongs to, as instants. An end is the first instant that is not inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub day_start: Timestamp,
    pub day_end: Timestamp,
    pub month_start: Timestamp,
    pub month_end: Timestamp,
}

/// Money to be set aside for one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    pub attempt: AttemptId,
    pub exchange: ExchangeId,
    pub session: SessionId,
    /// One run of the program: what `--max-usd` caps.
    pub run: String,
    pub model: ModelId,
    pub provider: String,
    /// Empty when no key is needed.
    pub key_last4: String,
    /// The most it can cost; zero when it is free; `None` when no price is known.
    pub amount: Option<Usd>,
    /// The price row as it is now.
    pub price: serde_json::Value,
    pub at: Timestamp,
}

/// What an attempt did cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// [`Cost::UNKNOWN`] (no usage came, the stream was cut before it): the whole reservation is booked, as an estimate.
    pub cost: Cost,
    pub usage: Option<Usage>,
    /// `ok`, or what went wrong in a few words.
    pub outcome: String,
    pub at: Timestamp,
}

/// What was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booked {
    pub cost: Cost,
    /// What was billed above the reservation; zero when nothing was.
    pub breach: Usd,
}

/// Over which charges a sum runs.
#[derive(Debug, Clone, Copy)]
pub enum Over<'a> {
    Exchange(&'a ExchangeId),
    Run(&'a str),
    Session(&'a SessionId),
    /// Charges whose own day has not ended at this instant.
    Day(Timestamp),
    /// Charges whose own month has not ended at this instant.
    Month(Timestamp),
}

/// A sum of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub settled: Usd,
    pub reserved: Usd,
    /// Some of `settled` is an estimate.
    pub estimated: bool,
    /// Something of unknown price is not in the sum.
    pub unknown: bool,
}

impl Sum {
    /// All that counts against a limit.
    pub fn total(&self) -> Usd {
        self.settled + self.reserved
    }
}

/// A charge that is still held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenItem {
    pub id: AttemptId,
    pub session: SessionId,
    pub model: ModelId,
    /// `None`: no price is known.
    pub usd: Option<Usd>,
    pub since: Timestamp,
}

const OF_PLACE: &str = "SELECT coalesce(sum(settled), 0), coalesce(sum(reserved), 0),
    coalesce(sum(estimated), 0) > 0, coalesce(sum(unknown), 0) > 0 FROM totals WHERE scope = ?1 AND place = ?2";

const OF_WINDOW: &str = "SELECT coalesce(sum(settled), 0), coalesce(sum(reserved), 0),
    coalesce(sum(estimated), 0) > 0, coalesce(sum(unknown), 0) > 0 FROM totals WHERE scope = ?1 AND place > ?2";

/// Exchanges have few attempts and need no running total.
const OF_EXCHANGE: &str = "SELECT coalesce(sum(settled) FILTER (WHERE state = 'settled'), 0),
    coalesce(sum(reserved) FILTER (WHERE state = 'held'), 0),
    coalesce(max(state = 'settled' AND kind = 'estimated'), 0),
    coalesce(max(state = 'settled' AND settled IS NULL OR state = 'held' AND reserved IS NULL), 0)
    FROM charges WHERE exchange = ?1";

const TOTALS_APART: &str = "WITH places (scope, place, settled, reserved, estimated, unknown) AS (
      SELECT scope, CASE scope WHEN 'run' THEN run WHEN 'session' THEN session WHEN 'day' THEN day_end ELSE month_end END,
        iif(state = 'settled', coalesce(settled, 0), 0), iif(state = 'held', coalesce(reserved, 0), 0),
        state = 'settled' AND kind = 'estimated',
        state = 'settled' AND settled IS NULL OR state = 'held' AND reserved IS NULL
      FROM charges, (SELECT 'run' AS scope UNION ALL SELECT 'session' UNION ALL SELECT 'day' UNION ALL SELECT 'month')
    ), sums AS (
      SELECT scope, place, sum(settled), sum(reserved), sum(estimated), sum(unknown) FROM places GROUP BY scope, place
    )
    SELECT (SELECT count(*) FROM (SELECT * FROM totals EXCEPT SELECT * FROM sums))
         + (SELECT count(*) FROM (SELECT * FROM sums EXCEPT SELECT * FROM totals))";

impl Db {
    /// The time by which windows are chosen: now, but never earlier than the newest charge, so that a clock that is
    /// set back gives no day a second time.
    pub fn ledger_time(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let newest: Option<i64> =
            self.conn.prepare_cached("SELECT max(taken_at) FROM charges")?.query_row([], |row| row.get(0))?;
        Ok(newest.map_or(now, |newest| now.max(Timestamp(newest))))
    }

    /// Sums the charges of a scope. A held one counts with its reservation, a settled one with what it cost.
    pub fn sum(&self, over: Over<'_>) -> Result<Sum, StoreError> {
        match over {
            Over::Exchange(id) => self.sum_by(OF_EXCHANGE, [id.as_str()]),
            Over::Run(id) => self.sum_by(OF_PLACE, params!["run", id]),
            Over::Session(id) => self.sum_by(OF_PLACE, params!["session", id.as_str()]),
            Over::Day(at) => self.sum_by(OF_WINDOW, params!["day", at.0]),
            Over::Month(at) => self.sum_by(OF_WINDOW, params!["month", at.0]),
        }
    }

    fn sum_by(&self, sql: &str, params: impl Params) -> Result<Sum, StoreError> {
        Ok(self.conn.prepare_cached(sql)?.query_row(params, |row| {
            Ok(Sum {
                settled: usd(row.get(0)?),
                reserved: usd(row.get(1)?),
                estimated: row.get(2)?,
                unknown: row.get(3)?,
            })
        })?)
    }

    /// Compares the running totals with the charges they are made of.
    pub(super) fn check_totals(&self) -> Result<(), StoreError> {
        let wrong: i64 = self.conn.query_row(TOTALS_APART, [], |row| row.get(0))?;
        if wrong == 0 {
            Ok(())
        } else {
            Err(StoreError::Damaged("the totals of the ledger are not those of its charges".to_owned()))
        }
    }

    /// Writes a hold. Whether it may be is decided before, in the same [`Db::write`], by `budget`.
    /// `at` is the [`Self::ledger_time`] that the windows were chosen by.
    pub fn insert_hold(&self, hold: &Hold, at: Timestamp, windows: &Windows) -> Result<(), StoreError> {
        let kind = match hold.amount {
            None => CostKind::Unknown,
            Some(Usd::ZERO) => CostKind::Free,
            Some(_) => CostKind::Estimated,
        };
        let (reserved, price) = (hold.amount.map(pico).transpose()?, json(&hold.price)?);
        self.write(|db| {
            db.conn
                .prepare_cached(
                    "INSERT INTO charges (attempt, exchange, session, run, model, provider, key_last4, taken_at,
                       day_start, day_end, month_start, month_end, state, reserved, kind, price)
                     VALUES (:attempt, :exchange, :session, :run, :model, :provider, :key, :at,
                       :day_start, :day_end, :month_start, :month_end, 'held', :reserved, :kind, :price)",
                )?
                .execute(named_params! {
                    ":attempt": hold.attempt.as_str(),
                    ":exchange": hold.exchange.as_str(),
                    ":session": hold.session.as_str(),
                    ":run": hold.run,
                    ":model": hold.model.to_string(),
                    ":provider": hold.provider,
                    ":key": hold.key_last4,
                    ":at": at.0,
                    ":day_start": windows.day_start.0,
                    ":day_end": windows.day_end.0,
                    ":month_start": windows.month_start.0,
                    ":month_end": windows.month_end.0,
                    ":reserved": reserved,
                    ":kind": kind_name(kind),
                    ":price": price,
                })?;
            Ok(())
        })
    }

    /// Books what an attempt cost, in full, also when it is more than was reserved.
    pub fn settle(&self, attempt: &AttemptId, settlement: &Settlement) -> Result<Booked, StoreError> {
        self.write(|db| {
            let reserved = db.held(attempt)?;
            let booked = booking(reserved, settlement.cost);
            let settled = booked.cost.usd.map(pico).transpose()?;
            let (uncached, cached, written, output, reasoning, source) = usage_cells(settlement.usage.as_ref());
            db.conn
                .prepare_cached(
                    "UPDATE charges SET state = 'settled', settled = ?2, kind = ?3, breach = ?4, outcome = ?5,
                       closed_at = ?6, uncached_input = ?7, cached_input = ?8, cache_write = ?9, output = ?10,
                       reasoning = ?11, usage_source = ?12 WHERE attempt = ?1",
                )?
                .execute(params![
                    attempt.as_str(),
                    settled,
                    kind_name(booked.cost.kind),
                    pico(booked.breach)?,
                    settlement.outcome,
                    settlement.at.0,
                    uncached,
                    cached,
                    written,
                    output,
                    reasoning,
                    source
                ])?;
            Ok(booked)
        })
    }

    /// Gives a reservation back. Only for an attempt that can be shown to be unbilled: nothing of it was sent, or the
    /// server refused it with an error status.
    pub fn release(&self, attempt: &AttemptId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            db.held(attempt)?;
            db.conn
                .prepare_cached(
                    "UPDATE charges SET state = 'released', outcome = ?2, closed_at = ?3 WHERE attempt = ?1",
                )?
                .execute(params![attempt.as_str(), reason, at.0])?;
            Ok(())
        })
    }

    /// The reservation of a charge that is still held.
    fn held(&self, attempt: &AttemptId) -> Result<Option<Usd>, StoreError> {
        let found: Option<(String, Option<i64>)> = self
            .conn
            .prepare_cached("SELECT state, reserved FROM charges WHERE attempt = ?1")?
            .query_row([attempt.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            None => Err(StoreError::NoCharge(attempt.to_string())),
            Some((state, reserved)) if state == "held" => Ok(reserved.map(usd)),
            Some(_) => Err(StoreError::NotOpen(attempt.to_string())),
        }
    }

    /// Charges that are still held: attempts under way, and those whose process died before it knew their cost.
    pub fn open_items(&self) -> Result<Vec<OpenItem>, StoreError> {
        let mut query = self.conn.prepare_cached(
            "SELECT attempt, session, model, reserved, taken_at FROM charges WHERE state = 'held'
             ORDER BY taken_at, attempt",
        )?;
        let items = query.query_and_then([], |row| {
            Ok(OpenItem {
                id: AttemptId::from_text(row.get::<_, String>(0)?),
                session: SessionId::from_text(row.get::<_, String>(1)?),
                model: parse(&row.get::<_, String>(2)?, "model")?,
                usd: row.get::<_, Option<i64>>(3)?.map(usd),
                since: Timestamp(row.get(4)?),
            })
        })?;
        items.collect()
    }

    /// What this model was billed above its reservations since the user last cleared it; `None` when nothing.
    pub fn breach(&self, model: &ModelId) -> Result<Option<Usd>, StoreError> {
        let sum: Option<i64> = self
            .conn
            .prepare_cached("SELECT sum(breach) FROM charges WHERE model = ?1 AND breach > 0 AND breach_cleared = 0")?
            .query_row([model.to_string()], |row| row.get(0))?;
        Ok(sum.map(usd))
    }

    /// The chat that a run of the program has spent money in.
    pub fn session_of_run(&self, run: &str) -> Result<Option<SessionId>, StoreError> {
        let session: Option<String> = self
            .conn
            .prepare_cached("SELECT max(session) FROM charges WHERE run = ?1")?
            .query_row([run], |row| row.get(0))?;
        Ok(session.map(SessionId::from_text))
    }

    /// The models with a breach that the user has not cleared, and the excess of each.
    pub fn breaches(&self) -> Result<Vec<(ModelId, Usd)>, StoreError> {
        let mut query = self.conn.prepare_cached(
            "SELECT model, sum(breach) FROM charges WHERE breach > 0 AND breach_cleared = 0 GROUP BY model",
        )?;
        let rows =
            query.query_and_then([], |row| Ok((parse(&row.get::<_, String>(0)?, "model")?, usd(row.get(1)?))))?;
        rows.collect()
    }

    /// The user accepts what this model did; it may be used again. The excess stays booked.
    pub fn clear_breach(&self, model: &ModelId) -> Result<(), StoreError> {
        self.write(|db| {
            db.conn
                .prepare_cached("UPDATE charges SET breach_cleared = 1 WHERE model = ?1 AND breach > 0")?
                .execute([model.to_string()])?;
            Ok(())
        })
    }
}

/// What is booked for a reservation when this is what the attempt is known to have cost.
fn booking(reserved: Option<Usd>, cost: Cost) -> Booked {
    let excess = |usd: Usd| reserved.map_or(Usd::ZERO, |reserved| (usd - reserved).max(Usd::ZERO));
    match (cost.usd, reserved) {
        (Some(usd), _) => {
            let kind = if cost.kind == CostKind::Unknown { CostKind::Estimated } else { cost.kind };
            Booked { cost: Cost::new(usd, kind), breach: excess(usd) }
        }
        (None, None) => Booked { cost: Cost::UNKNOWN, breach: Usd::ZERO },
        (None, Some(Usd::ZERO)) => Booked { cost: Cost::FREE, breach: Usd::ZERO },
        (None, Some(reserved)) => Booked { cost: Cost::new(reserved, CostKind::Estimated), breach: Usd::ZERO },
    }
}
