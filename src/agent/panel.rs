//! The panel's figures, and the alerts of limits that are nearly used up.

use super::state::Agent;
use crate::budget::{Scope, Spending, alerts, tell_alerts};
use crate::protocol::{Event, Meter, Panel};
use crate::store::PastExchanges;

/// Points of a sparkline.
const POINTS: usize = 24;

/// Reads the figures of the panel and sends them.
pub(super) async fn show(agent: &mut Agent) {
    let parts = agent.gateway.parts();
    let (budget, run, now) = (agent.gateway.budget(), parts.run.clone(), parts.clock.now());
    let id = agent.session.id.clone();
    let read = agent.with_store(move |db| {
        let scopes = [
            Spending(&budget).status(db, Some(&id), &run, now)?,
            Spending(&budget).group_status(db, None, now)?,
        ]
        .concat();
        Ok((
            scopes,
            PastExchanges(db).overview(now)?,
            PastExchanges(db).recent(POINTS)?,
        ))
    });
    let read = read.await;
    let Some((scopes, overview, recent)) = agent.report(read).await else {
        return;
    };
    let meter = |scope| {
        scopes
            .iter()
            .find(|s| s.scope == scope)
            .map_or_else(Meter::default, |s| s.meter)
    };
    let panel = Panel {
        session: meter(Scope::Session),
        today: meter(Scope::Day),
        month: meter(Scope::Month),
        group_today: meter(Scope::GroupDay),
        group_month: meter(Scope::GroupMonth),
        cache_hit: overview.cache_share(),
        saved: overview.saved,
        saved_unknown: overview.saved_unknown,
        p50_ms: overview.ttft_p50_ms,
        p95_ms: overview.ttft_p95_ms,
        errors: overview.errors,
        recent_ttft_ms: recent.iter().filter_map(|pace| pace.ttft_ms).collect(),
        alerts: alerts(&scopes, &agent.gateway.parts().config.budget.alerts),
        warm: agent
            .session
            .last_answer()
            .and_then(|last| agent.gateway.warm(&last, now)),
        recent_tps: recent
            .iter()
            .filter_map(|pace| pace.tokens_per_second)
            .collect(),
    };
    agent.emit(Event::Panel(Box::new(panel))).await;
}

/// Sends an alert for each limit that has passed one of the configured shares and was not reported yet.
pub(super) async fn report_alerts(agent: &Agent) {
    let parts = agent.gateway.parts();
    let (budget, run, now) = (agent.gateway.budget(), parts.run.clone(), parts.clock.now());
    let (id, shares) = (agent.session.id.clone(), parts.config.budget.alerts.clone());
    let alerts = agent
        .with_store(move |db| tell_alerts(&budget, db, Some(&id), &run, &shares, now))
        .await;
    // A ledger that cannot be read has failed the turn already; do not report it twice.
    match alerts {
        Ok(alerts) => {
            for alert in alerts {
                agent.emit(Event::Alert(alert)).await;
            }
        }
        Err(failure) => tracing::warn!(%failure, "no alert could be looked for"),
    }
}
