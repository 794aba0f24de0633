//! `budget`: limits, spent, reserved, and what is still open.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{BudgetAction, Shared};
use super::sessions::instant;
use super::setup::Core;
use super::table::table;
use super::{done, output, setup};
use crate::budget::{Budget, Figure, Scope, Status};
use crate::chat::text::one_line;
use crate::chat::{Cost, CostKind, Failure, FailureKind, ModelId, Timestamp, Usd};
use crate::store::{Db, OpenItem, Settlement, StoreError};

/// What `settle` takes the wall clock by.
const CLOCK: &str = "clock";
/// What `settle` takes the group's budget by.
const GROUP: &str = "group";

#[derive(Serialize)]
struct Report {
    scopes: Vec<ScopeRow>,
    open: Vec<OpenRow>,
    /// The budget of the group of machines, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupRow>,
    /// Models that billed more than a request allowed, and are refused until cleared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    breaches: Vec<BreachRow>,
    /// What the wall clock did, as long as nobody has accepted it; a limit over a day or a month refuses until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<String>,
}

/// The group's budget, by Redis and by this machine.
#[derive(Serialize)]
struct GroupRow {
    name: String,
    /// What this machine has leased this month, by its own ledger.
    leased_usd: Usd,
    /// The same by Redis; null when it cannot be asked.
    leased_by_redis_usd: Option<Usd>,
    /// By how much Redis has more of it than the ledger.
    difference_usd: Option<Usd>,
    /// What all machines have leased this month, by Redis.
    group_month_usd: Option<Usd>,
    /// Machines that have said nothing since Redis lost its memory.
    silent: Vec<String>,
    /// Why Redis was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    away: Option<String>,
}

#[derive(Serialize)]
struct BreachRow {
    model: String,
    excess_usd: Usd,
}

#[derive(Serialize)]
struct ScopeRow {
    scope: &'static str,
    /// The model, or the provider and the last four characters of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// As configured; null: no limit is set.
    limit_usd: Option<Usd>,
    /// What was added to it by raising it once; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    raised_usd: Option<Usd>,
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

pub(super) async fn run(shared: &Shared, action: &BudgetAction) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let parts = core.gateway.parts();
    let db = Db::open(&parts.data_dir).map_err(Failure::from)?;
    match action {
        BudgetAction::Settle { what, usd: Some(_) } if what == CLOCK => {
            Err(Failure::new(FailureKind::Usage, "the clock has no price").hint("leave --usd out"))
        }
        BudgetAction::Settle { what, .. } if what == CLOCK => settle_clock(&core, &db),
        BudgetAction::Settle { what, usd: None } if what == GROUP => settle_group(&core).await,
        BudgetAction::Settle { what, usd } => settle(&db, what, *usd, parts.clock.now()),
        BudgetAction::Show => {
            if let Err(failure) = core.gateway.read_limited_keys().await {
                output::remark(&format!("the limits of some keys are not shown: {failure}"));
            }
            let group = look(&core).await?;
            let report = report(shared, &core, &db, group).map_err(Failure::from)?;
            done(if shared.json { output::json(&report) } else { output::report(&as_table(&report)) })
        }
    }
}

/// What Redis says of the group; `None`: there is none.
async fn look(core: &Core) -> Result<Option<Result<Figure, String>>, Failure> {
    let Some(purse) = core.gateway.purse() else { return Ok(None) };
    let figure = purse.look(core.gateway.store().await?, core.gateway.parts().clock.now()).await;
    Ok(Some(figure.map_err(|none| none.failure().message)))
}

fn group(budget: &Budget, db: &Db, found: Result<Figure, String>, now: Timestamp) -> Result<GroupRow, StoreError> {
    let name = budget.limits.group.as_ref().map(|group| group.name.clone()).unwrap_or_default();
    let (figure, away) = match found {
        Ok(figure) => (Some(figure), None),
        Err(why) => (None, Some(why)),
    };
    let leased_usd = match &figure {
        Some(figure) => figure.mine_here,
        None => budget.leased(db, now)?,
    };
    Ok(GroupRow {
        name,
        leased_usd,
        leased_by_redis_usd: figure.as_ref().map(|figure| figure.mine_there),
        difference_usd: figure.as_ref().map(|figure| figure.mine_there - figure.mine_here),
        group_month_usd: figure.as_ref().map(|figure| figure.month),
        silent: figure.map(|figure| figure.silent).unwrap_or_default(),
        away,
    })
}

/// The user says that the group has spent what its machines have said, and no more.
async fn settle_group(core: &Core) -> Result<u8, Failure> {
    let Some(purse) = core.gateway.purse() else {
        return Err(Failure::new(FailureKind::Usage, "no group has a budget").hint("set `per_day` under [redis]"));
    };
    let figure = purse.accept(core.gateway.store().await?, core.gateway.parts().clock.now()).await;
    let figure = figure.map_err(|none| none.failure())?;
    done(output::report(&format!("the group goes on from ${} this month\n", figure.month.short())))
}

fn report(shared: &Shared, core: &Core, db: &Db, found: Option<Result<Figure, String>>) -> Result<Report, StoreError> {
    let (parts, budget) = (core.gateway.parts(), core.gateway.budget());
    let session = match &shared.session {
        Some(prefix) => Some(db.find_session(prefix)?),
        None => db.latest_session()?,
    };
    let (now, uptime) = (parts.clock.now(), parts.clock.uptime());
    let status = budget.status(db, session.as_ref(), &parts.run, now)?;
    let figure = found.as_ref().and_then(|found| found.as_ref().ok());
    let of_group = budget.group_status(db, figure, now)?;
    let request = budget.limits.per_request.map(request);
    let breach = |(model, excess_usd): (ModelId, Usd)| BreachRow { model: model.to_string(), excess_usd };
    Ok(Report {
        scopes: request.into_iter().chain(status.iter().chain(&of_group).map(scope)).collect(),
        group: found.map(|found| group(&budget, db, found, now)).transpose()?,
        open: db.open_items()?.iter().map(item).collect(),
        breaches: db.breaches()?.into_iter().map(breach).collect(),
        clock: budget.clock(db, now, uptime.as_ref())?.map(|moved| moved.to_string()),
    })
}

/// The user has looked at the clock, and it is right.
fn settle_clock(core: &Core, db: &Db) -> Result<u8, Failure> {
    let (parts, budget) = (core.gateway.parts(), core.gateway.budget());
    let (now, uptime) = (parts.clock.now(), parts.clock.uptime());
    let ahead = budget.settle_clock(db, now, uptime.as_ref()).map_err(Failure::from)?;
    let ahead = match ahead {
        0 => String::new(),
        1 => "; one charge is dated later and counts today too".to_owned(),
        n => format!("; {n} charges are dated later and count today too"),
    };
    done(output::report(&format!("the clock is accepted: {}{ahead}\n", instant(now))))
}

/// Closes an open request at what it cost, or clears a model's breach.
fn settle(db: &Db, what: &str, usd: Option<Usd>, at: Timestamp) -> Result<u8, Failure> {
    if let Some(item) = db.open_items().map_err(Failure::from)?.into_iter().find(|item| item.id.as_str() == what) {
        let cost = usd.map_or(Cost::UNKNOWN, |usd| Cost::new(usd, CostKind::Billed));
        let settlement = Settlement { cost, usage: None, tier: None, outcome: "settled by the user".to_owned(), at };
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
        of: None,
        limit_usd: Some(limit),
        raised_usd: None,
        settled_usd: Usd::ZERO,
        reserved_usd: Usd::ZERO,
        left_usd: Some(limit),
        resets_at: None,
    }
}

fn scope(status: &Status) -> ScopeRow {
    ScopeRow {
        scope: status.scope.as_str(),
        of: status.of.clone(),
        limit_usd: status.meter.limit.map(|limit| limit - status.raised),
        raised_usd: Some(status.raised).filter(|raised| *raised > Usd::ZERO),
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
    // A column that nobody raised anything in says nothing.
    let raised = report.scopes.iter().any(|row| row.raised_usd.is_some());
    let line = |row: &ScopeRow| {
        let of = row.of.as_ref().map_or(String::new(), |of| format!(" {}", one_line(of).as_str()));
        let mut line = vec![format!("{}{of}", row.scope), usd(row.limit_usd)];
        line.extend(raised.then(|| row.raised_usd.map_or_else(String::new, |raised| usd(Some(raised)))));
        line.extend([usd(Some(row.settled_usd)), usd(Some(row.reserved_usd))]);
        line.push(row.left_usd.map_or(String::new(), |left| usd(Some(left))));
        line.push(row.resets_at.clone().unwrap_or_default());
        line
    };
    let mut heads = vec!["scope", ">limit", ">spent", ">reserved", ">left", "resets"];
    if raised {
        heads.insert(2, ">raised");
    }
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
    if let Some(group) = &report.group {
        let name = one_line(&group.name);
        let _ =
            write!(out, "\ngroup {}: ${} leased by this machine this month", name.as_str(), group.leased_usd.short());
        let _ = match (&group.away, group.leased_by_redis_usd, group.difference_usd) {
            (Some(why), ..) => writeln!(out, "; {why}"),
            (None, Some(there), Some(Usd::ZERO)) => writeln!(out, ", and ${} by Redis", there.short()),
            (None, there, difference) => writeln!(
                out,
                ", and ${} by Redis: a difference of ${}",
                there.unwrap_or_default().short(),
                difference.unwrap_or_default().short()
            ),
        };
        if !group.silent.is_empty() {
            let silent = group.silent.len();
            let _ =
                writeln!(out, "{silent} machines have said nothing since Redis was started anew or lost its memory");
        }
    }
    if let Some(moved) = &report.clock {
        let _ = writeln!(out, "\nthe clock {moved}; `chat-agent budget settle clock` accepts it");
    }
    out
}
