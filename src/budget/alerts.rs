//! Alerts: which limits are used up so far that the user should know.
//!
//! Owns: when a share is passed, and telling it once.
//! Refuses: the screen.
//! Invariant: a share is told once for a scope and its window, by the process that comes first. Of several shares passed
//! at once only the highest is told. Changing a limit does not repeat an alert.

use super::status::status;
use super::windows::{group_windows, windows};
use super::{Budget, ScopeStatus, Spending};
use crate::chat::{SessionId, Timestamp, Usd};
use crate::protocol::Alert;
use crate::store::{Db, LedgerClock, ScopeSums, StoreError};

/// The highest of these shares of a limit that is spent. A limit of zero has none: nothing of it can be used.
#[expect(clippy::cast_possible_truncation, reason = "a share is from 0 to 1")]
fn passed(shares: &[f64], spent: Usd, limit: Usd) -> Option<f64> {
    // In integers, so that 0.8 of $5.00 is exactly $4.00.
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

fn alert(status: &ScopeStatus, shares: &[f64]) -> Option<Alert> {
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
pub(crate) fn alerts(scopes: &[ScopeStatus], shares: &[f64]) -> Vec<Alert> {
    let mut found: Vec<Alert> = scopes
        .iter()
        .filter_map(|status| alert(status, shares))
        .collect();
    let used = |alert: &Alert| alert.spent.to_f64() / alert.limit.to_f64();
    found.sort_by(|a, b| used(b).total_cmp(&used(a)));
    found
}

/// The alerts that were not told yet; from now on they count as told. One commit checks and notes them.
pub(crate) fn tell_alerts(
    budget: &Budget,
    db: &Db,
    session: Option<&SessionId>,
    run: &str,
    shares: &[f64],
    now: Timestamp,
) -> Result<Vec<Alert>, StoreError> {
    let spending = Spending(budget);
    // Most turns pass no share, and then nothing is written.
    let group = spending.group_status(db, None, now)?;
    if alerts(
        &[spending.status(db, session, run, now)?, group].concat(),
        shares,
    )
    .is_empty()
    {
        return Ok(Vec::new());
    }
    db.write(|db| {
        let at = LedgerClock(db).ledger_time(now)?;
        let windows = windows(at, &budget.zone);
        let mut told = Vec::new();
        for (over, limit) in spending.lines(session, run, at) {
            let status = status(db, over, limit, &windows)?;
            if let Some(alert) = alert(&status, shares)
                && ScopeSums(db).tell(over, &windows, alert.share, at)?
            {
                told.push(alert);
            }
        }
        for (over, status) in spending.group_lines(db, None, at)? {
            if let Some(alert) = alert(&status, shares)
                && ScopeSums(db).tell(over, &group_windows(at), alert.share, at)?
            {
                told.push(alert);
            }
        }
        Ok(told)
    })
}
