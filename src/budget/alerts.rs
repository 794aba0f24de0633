//! Alerts: which limits are used up so far that the user should know.
//!
//! Owns: when a share is passed, and telling it once.
//! Refuses: the screen.
//! Invariant: a share is told once for a place and its window, by whichever process comes first; of several passed at
//! once the highest is told, and the lower ones never after it. A limit that is changed tells no share anew.

use super::status::status;
use super::{Budget, Status, shared, windows};
use crate::chat::{SessionId, Timestamp, Usd};
use crate::protocol::Alert;
use crate::store::{Db, StoreError};

/// The highest of these shares of a limit that is spent. A limit of zero has none: nothing of it can be used.
#[expect(clippy::cast_possible_truncation, reason = "a share is from 0 to 1")]
fn passed(shares: &[f64], spent: Usd, limit: Usd) -> Option<f64> {
    // By integers, so that 0.8 of $5.00 is $4.00 and nothing beside it.
    let millionths = |share: f64| (share * 1e6).round() as i128;
    let reached = |share: &f64| {
        spent.pico().saturating_mul(1_000_000) >= limit.pico().saturating_mul(millionths(*share))
    };
    if spent <= Usd::ZERO || limit <= Usd::ZERO {
        return None;
    }
    shares
        .iter()
        .copied()
        .filter(reached)
        .max_by(f64::total_cmp)
}

fn alert(status: &Status, shares: &[f64]) -> Option<Alert> {
    let (spent, limit) = (
        status.meter.settled + status.meter.reserved,
        status.meter.limit?,
    );
    let share = passed(shares, spent, limit)?;
    Some(Alert {
        scope: status.scope,
        share,
        spent,
        limit,
    })
}

/// The limits past one of these shares, the fullest first.
pub fn alerts(scopes: &[Status], shares: &[f64]) -> Vec<Alert> {
    let mut found: Vec<Alert> = scopes
        .iter()
        .filter_map(|status| alert(status, shares))
        .collect();
    let used = |alert: &Alert| alert.spent.to_f64() / alert.limit.to_f64();
    found.sort_by(|a, b| used(b).total_cmp(&used(a)));
    found
}

impl Budget {
    /// The alerts that nobody was told of yet; they count as told from then on. One commit looks and notes.
    pub fn tell(
        &self,
        db: &Db,
        session: Option<&SessionId>,
        run: &str,
        shares: &[f64],
        now: Timestamp,
    ) -> Result<Vec<Alert>, StoreError> {
        // Most turns pass no share, and then nothing is written.
        let group = self.group_status(db, None, now)?;
        if alerts(
            &[self.status(db, session, run, now)?, group].concat(),
            shares,
        )
        .is_empty()
        {
            return Ok(Vec::new());
        }
        db.write(|db| {
            let at = db.ledger_time(now)?;
            let windows = windows(at, &self.zone);
            let mut told = Vec::new();
            for (over, limit) in self.lines(session, run, at) {
                let status = status(db, over, limit, &windows)?;
                if let Some(alert) = alert(&status, shares)
                    && db.tell(over, &windows, alert.share, at)?
                {
                    told.push(alert);
                }
            }
            for (over, status) in self.group_lines(db, None, at)? {
                if let Some(alert) = alert(&status, shares)
                    && db.tell(over, &shared::windows(at), alert.share, at)?
                {
                    told.push(alert);
                }
            }
            Ok(told)
        })
    }
}
