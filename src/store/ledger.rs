//! The ledger: what each request on the wire may cost, and what it did cost.
//!
//! Owns: the rows of `charges`: held, settled, released; breaches.
//! Refuses: deciding whether something may be spent (that is `budget`); deleting a charge, or changing one that is closed
//! (`corrections` puts right what was booked).
//! Invariant: a charge counts at its reservation until its cost is known, also when its process dies. There is no mark
//! "sent", because the reservation is written before the first byte is sent.

use rusqlite::{OptionalExtension, named_params, params};

use super::cells::{json, kind_name, parse, pico, usage_cells, usd};
use super::owner::{self, Life};
use super::{Db, StoreError};
use crate::chat::id::{AttemptId, ExchangeId};
use crate::chat::{Cost, CostKind, ModelId, SessionId, Timestamp, Uptime, Usage, Usd};
use crate::protocol::Raise;

/// The day and the month that a charge belongs to, as instants. An end is the first instant that is not inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub(crate) day_start: Timestamp,
    pub(crate) day_end: Timestamp,
    pub(crate) month_start: Timestamp,
    pub(crate) month_end: Timestamp,
}

/// Money to be set aside for one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation {
    /// The attempt that it is for.
    pub attempt: AttemptId,
    /// Its exchange.
    pub exchange: ExchangeId,
    /// Its chat.
    pub session: SessionId,
    /// One run of the program: what `--max-usd` caps.
    pub run: String,
    /// The model that is asked.
    pub model: ModelId,
    /// The provider that is asked.
    pub provider: String,
    /// Empty when no key is needed.
    pub key_last4: String,
    /// The most it can cost; zero when it is free; `None` when no price is known.
    pub amount: Option<Usd>,
    /// The price row as it is now.
    pub price: serde_json::Value,
    /// A limit that the user raises for this question; recorded together with the reservation.
    pub raise: Option<Raise>,
    /// When it is made.
    pub at: Timestamp,
    /// What the machine's own clock said at `at`; `None` where it does not tell.
    pub uptime: Option<Uptime>,
}

/// What an attempt did cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// [`Cost::UNKNOWN`] (no usage came, the stream was cut before it): the whole reservation is booked, as an estimate.
    pub(crate) cost: Cost,
    pub(crate) usage: Option<Usage>,
    /// The server has said what it used, or the user what it cost: no bound of ours is needed.
    pub(crate) last_word: bool,
    /// The service tier that the server says it used.
    pub(crate) tier: Option<String>,
    /// `ok`, or what went wrong in a few words.
    pub(crate) outcome: String,
    pub(crate) at: Timestamp,
}

impl Settlement {
    /// Whether the booked amount is our upper bound, which the server or the user may still correct.
    pub(super) fn is_uncertain(&self, booked: &Booked) -> bool {
        booked.cost.kind == CostKind::Estimated && !self.last_word
    }
}

/// What was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Booked {
    pub(crate) cost: Cost,
    /// What was billed above the reservation; zero when nothing was.
    pub(crate) breach: Usd,
}

/// A charge that is still held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenItem {
    pub(crate) id: AttemptId,
    pub(crate) session: SessionId,
    pub(crate) model: ModelId,
    /// `None`: no price is known.
    pub(crate) usd: Option<Usd>,
    pub(crate) since: Timestamp,
    /// The program that asks still runs and will settle it. Where that cannot be seen from here, it counts as ended.
    pub(crate) under_way: bool,
}

/// The rows of `charges`.
pub struct Ledger<'a>(pub &'a Db);

impl Ledger<'_> {
    /// Writes a reservation. Whether it may be is decided before, in the same [`Db::write`], by `budget`.
    /// `at` is the [`ledger_time`](super::LedgerClock::ledger_time) that the windows were chosen by.
    pub(crate) fn insert_reservation(
        &self,
        reservation: &Reservation,
        at: Timestamp,
        windows: &Windows,
    ) -> Result<(), StoreError> {
        let kind = match reservation.amount {
            None => CostKind::Unknown,
            Some(Usd::ZERO) => CostKind::Free,
            Some(_) => CostKind::Estimated,
        };
        let (reserved, price) = (
            reservation.amount.map(pico).transpose()?,
            json(&reservation.price)?,
        );
        self.0.write(|db| {
            db.conn
                .prepare_cached(
                    "INSERT INTO charges (attempt, exchange, session, run, model, provider, key_last4, taken_at,
                       day_start, day_end, month_start, month_end, state, reserved, kind, price, owner)
                     VALUES (:attempt, :exchange, :session, :run, :model, :provider, :key, :at,
                       :day_start, :day_end, :month_start, :month_end, 'held', :reserved, :kind, :price, :owner)",
                )?
                .execute(named_params! {
                    ":attempt": reservation.attempt.as_str(),
                    ":exchange": reservation.exchange.as_str(),
                    ":session": reservation.session.as_str(),
                    ":run": reservation.run,
                    ":model": reservation.model.to_string(),
                    ":provider": reservation.provider,
                    ":key": reservation.key_last4,
                    ":at": at.0,
                    ":day_start": windows.day_start.0,
                    ":day_end": windows.day_end.0,
                    ":month_start": windows.month_start.0,
                    ":month_end": windows.month_end.0,
                    ":reserved": reserved,
                    ":kind": kind_name(kind),
                    ":price": price,
                    ":owner": db.owner,
                })?;
            Ok(())
        })
    }

    /// Books what an attempt cost, in full, also when it is more than was reserved.
    pub(crate) fn settle(
        &self,
        attempt: &AttemptId,
        settlement: &Settlement,
    ) -> Result<Booked, StoreError> {
        self.0.write(|db| {
            let reserved = Ledger(db).held(attempt)?;
            let booked = booking(reserved, settlement.cost);
            let settled = booked.cost.usd.map(pico).transpose()?;
            let (uncached, cached, written, output, reasoning, source) = usage_cells(settlement.usage.as_ref());
            db.conn
                .prepare_cached(
                    "UPDATE charges SET state = 'settled', settled = ?2, kind = ?3, breach = ?4, outcome = ?5,
                       closed_at = ?6, uncached_input = ?7, cached_input = ?8, cache_write = ?9, output = ?10,
                       reasoning = ?11, usage_source = ?12, tier = ?13, uncertain = ?14 WHERE attempt = ?1",
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
                    source,
                    settlement.tier,
                    settlement.is_uncertain(&booked)
                ])?;
            Ok(booked)
        })
    }

    /// Gives a reservation back. Only for an attempt that can be shown to be unbilled: nothing of it was sent, or the
    /// server refused it with an error status.
    pub(crate) fn release(
        &self,
        attempt: &AttemptId,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.write(|db| {
            Ledger(db).held(attempt)?;
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
            .0
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
        let mut query = self.0.conn.prepare_cached(
            "SELECT attempt, session, model, reserved, taken_at, owner,
               EXISTS (SELECT 1 FROM exchanges WHERE id = charges.exchange AND ended IS NOT NULL)
             FROM charges WHERE state = 'held' ORDER BY taken_at, attempt",
        )?;
        let items = query.query_and_then([], |row| {
            let (owner, ended): (Option<String>, bool) = (row.get(5)?, row.get(6)?);
            Ok(OpenItem {
                id: AttemptId::from_text(row.get::<_, String>(0)?),
                session: SessionId::from_text(row.get::<_, String>(1)?),
                model: parse(&row.get::<_, String>(2)?, "model")?,
                usd: row.get::<_, Option<i64>>(3)?.map(usd),
                since: Timestamp(row.get(4)?),
                // An exchange that ended without closing it could not write to the ledger, so it will never settle it.
                under_way: !ended && owner.is_some_and(|owner| owner::life(&owner) == Life::Alive),
            })
        })?;
        items.collect()
    }

    /// What this model was billed above its reservations since the user last cleared it; `None` when nothing.
    pub fn breach(&self, model: &ModelId) -> Result<Option<Usd>, StoreError> {
        let sum: Option<i64> = self
            .0
            .conn
            .prepare_cached("SELECT sum(breach) FROM charges WHERE model = ?1 AND breach > 0 AND breach_cleared = 0")?
            .query_row([model.to_string()], |row| row.get(0))?;
        Ok(sum.map(usd))
    }

    /// The chat that a run of the program has spent money in.
    pub(crate) fn session_of_run(&self, run: &str) -> Result<Option<SessionId>, StoreError> {
        let session: Option<String> = self
            .0
            .conn
            .prepare_cached("SELECT max(session) FROM charges WHERE run = ?1")?
            .query_row([run], |row| row.get(0))?;
        Ok(session.map(SessionId::from_text))
    }

    /// The models with a breach that the user has not cleared, and the excess of each.
    pub fn breaches(&self) -> Result<Vec<(ModelId, Usd)>, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT model, sum(breach) FROM charges WHERE breach > 0 AND breach_cleared = 0 GROUP BY model",
        )?;
        let rows = query.query_and_then([], |row| {
            Ok((parse(&row.get::<_, String>(0)?, "model")?, usd(row.get(1)?)))
        })?;
        rows.collect()
    }

    /// The user accepts what this model did; it may be used again. The excess stays booked.
    pub(crate) fn clear_breach(&self, model: &ModelId) -> Result<(), StoreError> {
        self.0.write(|db| {
            db.conn
                .prepare_cached(
                    "UPDATE charges SET breach_cleared = 1 WHERE model = ?1 AND breach > 0",
                )?
                .execute([model.to_string()])?;
            Ok(())
        })
    }
}

/// What is booked for a reservation when this is what the attempt is known to have cost.
pub(super) fn booking(reserved: Option<Usd>, cost: Cost) -> Booked {
    let excess = |usd: Usd| reserved.map_or(Usd::ZERO, |reserved| (usd - reserved).max(Usd::ZERO));
    match (cost.usd, reserved) {
        (Some(usd), _) => {
            let kind = if cost.kind == CostKind::Unknown {
                CostKind::Estimated
            } else {
                cost.kind
            };
            Booked {
                cost: Cost::new(usd, kind),
                breach: excess(usd),
            }
        }
        (None, None) => Booked {
            cost: Cost::UNKNOWN,
            breach: Usd::ZERO,
        },
        (None, Some(Usd::ZERO)) => Booked {
            cost: Cost::FREE,
            breach: Usd::ZERO,
        },
        (None, Some(reserved)) => Booked {
            cost: Cost::new(reserved, CostKind::Estimated),
            breach: Usd::ZERO,
        },
    }
}
