//! Correcting what was booked: by the user, who has read the provider's page, and by an answer that ends late.
//!
//! Owns: the rows of `corrections`, and the list of charges that were booked without the server's last word.
//! Refuses: charges that are held (those are settled) and those that were given back.
//! Invariant: what was booked before stays on record, the sums follow in the same commit, and nothing is booked below zero.

use rusqlite::{OptionalExtension, params};

use super::cells::{kind_name, parse, parse_kind, pico, usage_cells, usd};
use super::ledger::booking;
use super::{Booked, Db, Ledger, Settlement, StoreError};
use crate::chat::id::AttemptId;
use crate::chat::{Cost, CostKind, ModelId, Timestamp, Usd};

/// A charge that was booked at the most it may have cost, because the server never said what it did cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uncertain {
    pub(crate) id: AttemptId,
    pub(crate) model: ModelId,
    /// What is booked.
    pub(crate) usd: Usd,
    pub(crate) since: Timestamp,
    /// What became of the request.
    pub(crate) outcome: String,
}

/// What a settled charge stands at.
struct SettledCharge {
    reserved: Option<Usd>,
    cost: Cost,
    breach: Usd,
}

const UNCERTAIN: &str =
    "SELECT attempt, model, coalesce(settled, 0), taken_at, coalesce(outcome, '') FROM charges
    WHERE uncertain = 1";

/// The charges that were booked without the last word, and their corrections.
pub(crate) struct Corrections<'a>(pub &'a Db);

impl Corrections<'_> {
    /// The uncertain charges that count in the day or the month of `at`, newest first, so many at most.
    pub(crate) fn uncertain(
        &self,
        at: Timestamp,
        most: usize,
    ) -> Result<Vec<Uncertain>, StoreError> {
        let sql = format!(
            "{UNCERTAIN} AND EXISTS (SELECT 1 FROM charge_windows w
               WHERE w.attempt = charges.attempt AND starts <= ?1 AND ends > ?1)
             ORDER BY taken_at DESC, attempt LIMIT ?2"
        );
        let mut query = self.0.conn.prepare_cached(&sql)?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = query.query_and_then(params![at.0, most], uncertain)?;
        rows.collect()
    }

    /// The uncertain charge of this id, of whatever day; `None`: there is none.
    pub(crate) fn uncertain_charge(&self, id: &str) -> Result<Option<Uncertain>, StoreError> {
        let mut query = self
            .0
            .conn
            .prepare_cached(&format!("{UNCERTAIN} AND attempt = ?1"))?;
        let mut rows = query.query_and_then([id], uncertain)?;
        rows.next().transpose()
    }

    /// The user says what an uncertain charge did cost; `None`: what is booked is right.
    pub(crate) fn correct(
        &self,
        attempt: &AttemptId,
        billed: Option<Usd>,
        at: Timestamp,
    ) -> Result<Booked, StoreError> {
        self.0.write(|db| {
            if Corrections(db)
                .uncertain_charge(attempt.as_str())?
                .is_none()
            {
                return Err(StoreError::NotOpen(attempt.to_string()));
            }
            let old = Corrections(db).settled(attempt)?;
            let cost = billed.map_or(old.cost, |usd| Cost::new(usd, CostKind::Billed));
            Corrections(db).insert_correction(attempt, &old, cost, "said by the user", at)
        })
    }

    /// Books what an attempt cost. Where the user has settled it in the meantime, the difference is booked as a
    /// correction: the server's own word wins, and a bound of ours only where it is higher than what the user took it for.
    pub(crate) fn book(
        &self,
        attempt: &AttemptId,
        settlement: &Settlement,
    ) -> Result<Booked, StoreError> {
        self.0
            .write(|db| match Ledger(db).settle(attempt, settlement) {
                Err(StoreError::NotOpen(_)) => Corrections(db).settle_late(attempt, settlement),
                booked => booked,
            })
    }

    fn settle_late(
        &self,
        attempt: &AttemptId,
        settlement: &Settlement,
    ) -> Result<Booked, StoreError> {
        let old = self.settled(attempt)?;
        let said = booking(old.reserved, settlement.cost);
        let sure = matches!(
            said.cost.kind,
            CostKind::Billed | CostKind::Exact | CostKind::Free
        );
        if said.cost.usd.is_none() || !sure && said.cost.usd <= old.cost.usd {
            return Ok(Booked {
                cost: old.cost,
                breach: old.breach,
            });
        }
        let booked = self.insert_correction(
            attempt,
            &old,
            said.cost,
            "the answer ended after it was settled",
            settlement.at,
        )?;
        let (uncached, cached, written, output, reasoning, source) =
            usage_cells(settlement.usage.as_ref());
        self.0.conn
            .prepare_cached(
                "UPDATE charges SET outcome = ?2, uncached_input = ?3, cached_input = ?4, cache_write = ?5, output = ?6,
                   reasoning = ?7, usage_source = ?8, tier = ?9, uncertain = ?10 WHERE attempt = ?1",
            )?
            .execute(params![
                attempt.as_str(),
                settlement.outcome,
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
    }

    fn settled(&self, attempt: &AttemptId) -> Result<SettledCharge, StoreError> {
        let found: Option<(Option<i64>, Option<i64>, String, i64)> = self
            .0
            .conn
            .prepare_cached(
                "SELECT reserved, settled, kind, breach FROM charges WHERE attempt = ?1 AND state = 'settled'",
            )?
            .query_row([attempt.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let (reserved, settled, kind, breach) =
            found.ok_or_else(|| StoreError::NotOpen(attempt.to_string()))?;
        let cost = Cost {
            usd: settled.map(usd),
            kind: parse_kind(&kind)?,
        };
        Ok(SettledCharge {
            reserved: reserved.map(usd),
            cost,
            breach: usd(breach),
        })
    }

    fn insert_correction(
        &self,
        attempt: &AttemptId,
        old: &SettledCharge,
        cost: Cost,
        reason: &str,
        at: Timestamp,
    ) -> Result<Booked, StoreError> {
        let was = old.cost.usd.map(pico).transpose()?;
        let booked = booking(old.reserved, cost);
        let usd = pico(booked.cost.usd.unwrap_or_default())?;
        let (was_kind, kind) = (kind_name(old.cost.kind), kind_name(booked.cost.kind));
        self.0
            .conn
            .prepare_cached(
                "INSERT INTO corrections (attempt, at, was, was_kind, usd, kind, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                attempt.as_str(),
                at.0,
                was,
                was_kind,
                usd,
                kind,
                reason
            ])?;
        Ok(booked)
    }
}

fn uncertain(row: &rusqlite::Row<'_>) -> Result<Uncertain, StoreError> {
    Ok(Uncertain {
        id: AttemptId::from_text(row.get::<_, String>(0)?),
        model: parse(&row.get::<_, String>(1)?, "model")?,
        usd: usd(row.get(2)?),
        since: Timestamp(row.get(3)?),
        outcome: row.get(4)?,
    })
}
