//! `budget`: limits, spent, reserved, and what is still open.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{BudgetAction, Shared};
use super::sessions::instant;
use super::table::table;
use super::{done, output, setup};
use crate::budget::{Scope, Status};
use crate::chat::text::one_line;
use crate::chat::{Cost, CostKind, Failure, FailureKind, ModelId, Timestamp, Usd};
use crate::store::{Db, OpenItem, Settlement};

#[derive(Serialize)]
struct Report {
    scopes: Vec<ScopeRow>,
    open: Vec<OpenRow>,
    /// Models that billed more than a request allowed, and are refused until cleared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    breaches: Vec<BreachRow>,
}

#[derive(Serialize)]
struct BreachRow {
    model: String,
    excess_usd: Usd,
}

#[derive(Serialize)]
struct ScopeRow {
    scope: &'static str,
    /// null: no limit is set.
    limit_usd: Option<Usd>,
    settled_usd: Usd,
    reserved_usd: Usd,
    left_usd: Option<Usd>,
    resets_at: Option<String>,
}

#[derive(Serialize)]
struct OpenRow {
    id: String,
    model: String,
    usd: Option<Usd>,
    since: String,
}

pub(super) fn run(shared: &Shared, action: &BudgetAction) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let parts = core.gateway.parts();
    let db = Db::open(&parts.data_dir).map_err(Failure::from)?;
    if let BudgetAction::Settle { what, usd } = action {
        return settle(&db, what, *usd, parts.clock.now());
    }
    let session = match &shared.session {
        Some(prefix) => Some(db.find_session(prefix).map_err(Failure::from)?),
        None => db.latest_session().map_err(Failure::from)?,
    };
    let status = parts.budget.status(&db, session.as_ref(), &parts.run, parts.clock.now());
    let mut scopes: Vec<ScopeRow> = status.map_err(Failure::from)?.iter().map(scope).collect();
    if let Some(limit) = parts.budget.limits.per_request {
        scopes.insert(0, request(limit));
    }
    let open = db.open_items().map_err(Failure::from)?.iter().map(item).collect();
    let breaches = db.breaches().map_err(Failure::from)?;
    let breach = |(model, excess_usd): (ModelId, Usd)| BreachRow { model: model.to_string(), excess_usd };
    let report = Report { scopes, open, breaches: breaches.into_iter().map(breach).collect() };
    done(if shared.json { output::json(&report) } else { output::report(&as_table(&report)) })
}

/// Closes an open request at what it cost, or clears a model's breach.
fn settle(db: &Db, what: &str, usd: Option<Usd>, at: Timestamp) -> Result<u8, Failure> {
    if let Some(item) = db.open_items().map_err(Failure::from)?.into_iter().find(|item| item.id.as_str() == what) {
        let cost = usd.map_or(Cost::UNKNOWN, |usd| Cost::new(usd, CostKind::Billed));
        let settlement = Settlement { cost, usage: None, outcome: "settled by the user".to_owned(), at };
        let booked = db.settle(&item.id, &settlement).map_err(Failure::from)?;
        return done(output::report(&format!("{} is booked at {}\n", item.id, booked.cost)));
    }
    let breaches = db.breaches().map_err(Failure::from)?;
    if let Some((model, excess)) = breaches.into_iter().find(|(model, _)| model.to_string() == what) {
        db.clear_breach(&model).map_err(Failure::from)?;
        let name = one_line(&model.to_string());
        return done(output::report(&format!(
            "{} is cleared: it had billed ${} too much\n",
            name.as_str(),
            excess.short()
        )));
    }
    Err(Failure::new(FailureKind::Usage, format!("nothing is open under {what:?}"))
        .hint("`chat-agent budget show` lists what is"))
}

/// A question that has not been asked has spent nothing.
fn request(limit: Usd) -> ScopeRow {
    ScopeRow {
        scope: Scope::Request.as_str(),
        limit_usd: Some(limit),
        settled_usd: Usd::ZERO,
        reserved_usd: Usd::ZERO,
        left_usd: Some(limit),
        resets_at: None,
    }
}

fn scope(status: &Status) -> ScopeRow {
    ScopeRow {
        scope: status.scope.as_str(),
        limit_usd: status.meter.limit,
        settled_usd: status.meter.settled,
        reserved_usd: status.meter.reserved,
        left_usd: status.left(),
        resets_at: status.resets_at.map(instant),
    }
}

fn item(item: &OpenItem) -> OpenRow {
    OpenRow { id: item.id.to_string(), model: item.model.to_string(), usd: item.usd, since: instant(item.since) }
}

fn as_table(report: &Report) -> String {
    let usd = |usd: Option<Usd>| usd.map_or("none".to_owned(), |usd| format!("${}", usd.short()));
    let line = |row: &ScopeRow| {
        vec![
            row.scope.to_owned(),
            usd(row.limit_usd),
            usd(Some(row.settled_usd)),
            usd(Some(row.reserved_usd)),
            row.left_usd.map_or(String::new(), |left| usd(Some(left))),
            row.resets_at.clone().unwrap_or_default(),
        ]
    };
    let heads = ["scope", ">limit", ">spent", ">reserved", ">left", "resets"];
    let mut out = table(&heads, &report.scopes.iter().map(line).collect::<Vec<_>>());
    if !report.open.is_empty() {
        out.push_str("\nopen: reserved by a request whose end nobody saw\n");
        let line = |row: &OpenRow| {
            let price = row.usd.map_or("n/a".to_owned(), |usd| format!("${}", usd.short()));
            vec![row.id.clone(), one_line(&row.model).as_str().to_owned(), price, row.since.clone()]
        };
        out.push_str(&table(&["id", "model", ">reserved", "since"], &report.open.iter().map(line).collect::<Vec<_>>()));
    }
    for breach in &report.breaches {
        let model = one_line(&breach.model);
        let excess = breach.excess_usd.short();
        let _ = writeln!(out, "\nrefused: {} billed ${excess} more than it was allowed", model.as_str());
    }
    out
}
