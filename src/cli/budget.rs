//! `budget`: limits, spent, reserved, and what is still open.

use super::args::{BudgetAction, Shared};
use super::budget_report::{BreachRow, BudgetReport, GroupRow, OpenRow, ScopeRow, as_text};
use super::sessions::instant;
use super::setup::Core;
use super::{output, setup};
use crate::budget::{Budget, GroupFigures, Spending, check_clock};
use crate::chat::text::one_line;
use crate::chat::{Cost, CostKind, Failure, FailureKind, ModelId, Timestamp, Usd};
use crate::store::{
    Booked, ChatList, Corrections, Db, Ledger, LedgerClock, OpenItem, Settlement, StoreError,
    Uncertain,
};

/// The most charges of uncertain cost that are listed.
const UNCERTAIN: usize = 20;
/// The argument of `settle` that accepts the wall clock.
const CLOCK: &str = "clock";
/// The argument of `settle` that accepts the group's budget.
const GROUP: &str = "group";

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
            let group = group_figure(&core).await?;
            let report = report(shared, &core, &db, group).map_err(Failure::from)?;
            output::done(if shared.json {
                output::json(&report)
            } else {
                output::report(&as_text(&report))
            })
        }
    }
}

/// What Redis says of the group; `None`: no group has a budget.
async fn group_figure(core: &Core) -> Result<Option<Result<GroupFigures, String>>, Failure> {
    let Some(group_budget) = core.gateway.group_budget() else {
        return Ok(None);
    };
    let figure = group_budget
        .look(
            core.gateway.store().await?,
            core.gateway.parts().clock.now(),
        )
        .await;
    Ok(Some(figure.map_err(|none| none.failure().message)))
}

fn group(
    budget: &Budget,
    db: &Db,
    found: Result<GroupFigures, String>,
    now: Timestamp,
) -> Result<GroupRow, StoreError> {
    let name = budget
        .limits
        .group
        .as_ref()
        .map(|group| group.name.clone())
        .unwrap_or_default();
    let (figure, away) = match found {
        Ok(figure) => (Some(figure), None),
        Err(why) => (None, Some(why)),
    };
    let leased_usd = match &figure {
        Some(figure) => figure.mine_in_ledger,
        None => Spending(budget).leased(db, now)?,
    };
    Ok(GroupRow {
        name,
        leased_usd,
        leased_by_redis_usd: figure.as_ref().map(|figure| figure.mine_in_redis),
        difference_usd: figure
            .as_ref()
            .map(|figure| figure.mine_in_redis - figure.mine_in_ledger),
        group_month_usd: figure.as_ref().map(|figure| figure.month),
        silent: figure.map(|figure| figure.silent).unwrap_or_default(),
        away,
    })
}

/// The user says that the group has spent what its machines have said, and no more.
async fn settle_group(core: &Core) -> Result<u8, Failure> {
    let Some(group_budget) = core.gateway.group_budget() else {
        return Err(Failure::new(FailureKind::Usage, "no group has a budget")
            .hint("set `per_day` under [redis]"));
    };
    let figure = group_budget
        .accept(
            core.gateway.store().await?,
            core.gateway.parts().clock.now(),
        )
        .await;
    let figure = figure.map_err(|none| none.failure())?;
    output::done(output::report(&format!(
        "the group goes on from ${} this month\n",
        figure.month.short()
    )))
}

fn report(
    shared: &Shared,
    core: &Core,
    db: &Db,
    found: Option<Result<GroupFigures, String>>,
) -> Result<BudgetReport, StoreError> {
    let (parts, budget) = (core.gateway.parts(), core.gateway.budget());
    let session = match &shared.session {
        Some(prefix) => Some(ChatList(db).find_session(prefix)?),
        None => ChatList(db).latest_session()?,
    };
    let (now, uptime) = (parts.clock.now(), parts.clock.uptime());
    let status = Spending(&budget).status(db, session.as_ref(), &parts.run, now)?;
    let figure = found.as_ref().and_then(|found| found.as_ref().ok());
    let of_group = Spending(&budget).group_status(db, figure, now)?;
    let request = budget.limits.per_request.map(ScopeRow::request);
    let uncertain = Corrections(db).uncertain(LedgerClock(db).ledger_time(now)?, UNCERTAIN)?;
    let held = Ledger(db).open_items()?;
    let breach = |(model, excess_usd): (ModelId, Usd)| BreachRow {
        model: model.to_string(),
        excess_usd,
    };
    Ok(BudgetReport {
        scopes: request
            .into_iter()
            .chain(status.iter().chain(&of_group).map(ScopeRow::of))
            .collect(),
        group: found
            .map(|found| group(&budget, db, found, now))
            .transpose()?,
        open: held
            .iter()
            .map(OpenRow::held)
            .chain(uncertain.iter().map(OpenRow::uncertain))
            .collect(),
        breaches: Ledger(db).breaches()?.into_iter().map(breach).collect(),
        clock: check_clock(db, now, uptime.as_ref())?.map(|moved| moved.to_string()),
    })
}

/// The user has looked at the clock, and it is right.
fn settle_clock(core: &Core, db: &Db) -> Result<u8, Failure> {
    let (parts, budget) = (core.gateway.parts(), core.gateway.budget());
    let (now, uptime) = (parts.clock.now(), parts.clock.uptime());
    let ahead = budget
        .settle_clock(db, now, uptime.as_ref())
        .map_err(Failure::from)?;
    let ahead = match ahead {
        0 => String::new(),
        1 => "; one charge is dated later and counts today too".to_owned(),
        n => format!("; {n} charges are dated later and count today too"),
    };
    output::done(output::report(&format!(
        "the clock is accepted: {}{ahead}\n",
        instant(now)
    )))
}

/// Closes an open request at what it cost, puts right what an uncertain one is booked at, or clears a model's breach.
fn settle(db: &Db, what: &str, usd: Option<Usd>, at: Timestamp) -> Result<u8, Failure> {
    if let Some(item) = Ledger(db)
        .open_items()
        .map_err(Failure::from)?
        .into_iter()
        .find(|item| item.id.as_str() == what)
    {
        let booked = settle_open(db, &item, usd, at)?;
        return output::done(output::report(&format!(
            "{} is booked at {}\n",
            item.id, booked.cost
        )));
    }
    if let Some(charge) = Corrections(db)
        .uncertain_charge(what)
        .map_err(Failure::from)?
    {
        return output::done(output::report(&correct(db, &charge, usd, at)?));
    }
    let breaches = Ledger(db).breaches().map_err(Failure::from)?;
    if let Some((model, excess)) = breaches
        .into_iter()
        .find(|(model, _)| model.to_string() == what)
    {
        Ledger(db).clear_breach(&model).map_err(Failure::from)?;
        let name = one_line(&model.to_string());
        return output::done(output::report(&format!(
            "{} is cleared: it had billed ${} too much\n",
            name.as_str(),
            excess.short()
        )));
    }
    Err(Failure::new(
        FailureKind::Usage,
        format!("nothing is open under {what:?}"),
    )
    .hint("`chat-agent budget show` lists what is"))
}

fn settle_open(
    db: &Db,
    item: &OpenItem,
    usd: Option<Usd>,
    at: Timestamp,
) -> Result<Booked, Failure> {
    if item.under_way {
        let why = format!(
            "{} is under way: the program that asked is still running",
            item.id
        );
        return Err(Failure::new(FailureKind::Usage, why)
            .hint("stop it there and it books what it costs, or end that program first"));
    }
    let cost = usd.map_or(Cost::UNKNOWN, |usd| Cost::new(usd, CostKind::Billed));
    let outcome = "settled by the user".to_owned();
    let settlement = Settlement {
        cost,
        usage: None,
        last_word: true,
        tier: None,
        outcome,
        at,
    };
    Ledger(db)
        .settle(&item.id, &settlement)
        .map_err(Failure::from)
}

/// What the provider's page says of a request, or that what is booked is right.
fn correct(
    db: &Db,
    charge: &Uncertain,
    usd: Option<Usd>,
    at: Timestamp,
) -> Result<String, Failure> {
    let booked = Corrections(db)
        .correct(&charge.id, usd, at)
        .map_err(Failure::from)?;
    let was = charge.usd.short();
    Ok(match usd {
        Some(_) => format!(
            "{} is booked at {}, not at ~${was}\n",
            charge.id, booked.cost
        ),
        None => format!("{} stays booked at {}\n", charge.id, booked.cost),
    })
}
