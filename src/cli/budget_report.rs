//! `budget show`: the object, and the same in words.
//!
//! Owns: the shape that scripts rely on, and the tables made of it.
//! Refuses: to ask the ledger (`budget` does); an unknown sum is `null` and `n/a`, never 0.
//! Invariant: what the tables say stands in the object.

use std::fmt::Write as _;

use serde::Serialize;

use super::sessions::instant;
use super::table::table;
use crate::budget::{Scope, ScopeStatus};
use crate::chat::Usd;
use crate::chat::text::one_line;
use crate::store::{OpenItem, Uncertain};

#[derive(Serialize)]
pub(super) struct BudgetReport {
    pub(super) scopes: Vec<ScopeRow>,
    pub(super) open: Vec<OpenRow>,
    /// The budget of the group of machines, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<GroupRow>,
    /// Models that billed more than a request allowed, and are refused until cleared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) breaches: Vec<BreachRow>,
    /// What the wall clock did, until the user accepts it; a limit over a day or a month refuses as long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clock: Option<String>,
}

/// The group's budget, by Redis and by this machine.
#[derive(Serialize)]
pub(super) struct GroupRow {
    pub(super) name: String,
    /// What this machine has leased this month, by its own ledger.
    pub(super) leased_usd: Usd,
    /// The same by Redis; null when it cannot be asked.
    pub(super) leased_by_redis_usd: Option<Usd>,
    /// By how much Redis has more of it than the ledger.
    pub(super) difference_usd: Option<Usd>,
    /// What all machines have leased this month, by Redis.
    pub(super) group_month_usd: Option<Usd>,
    /// Machines that have said nothing since Redis lost its memory.
    pub(super) silent: Vec<String>,
    /// Why Redis was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) away: Option<String>,
}

#[derive(Serialize)]
pub(super) struct BreachRow {
    pub(super) model: String,
    pub(super) excess_usd: Usd,
}

#[derive(Serialize)]
pub(super) struct ScopeRow {
    scope: &'static str,
    /// The model, or the provider and the last four characters of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// As configured; null: no limit is set.
    limit_usd: Option<Usd>,
    /// What was added to it by raising it once; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    raised_usd: Option<Usd>,
    /// Null: nothing in it has a known price.
    settled_usd: Option<Usd>,
    reserved_usd: Usd,
    left_usd: Option<Usd>,
    resets_at: Option<String>,
    /// Some of `settled_usd` is an estimate.
    estimated: bool,
    /// How many requests of unknown price are in none of the sums.
    unknown: u64,
    #[serde(skip)]
    known: Usd,
}

impl ScopeRow {
    /// A question that has not been asked has spent nothing.
    pub(super) fn request(limit: Usd) -> Self {
        Self {
            scope: Scope::Request.as_str(),
            of: None,
            limit_usd: Some(limit),
            raised_usd: None,
            settled_usd: Some(Usd::ZERO),
            estimated: false,
            unknown: 0,
            reserved_usd: Usd::ZERO,
            left_usd: Some(limit),
            resets_at: None,
            known: Usd::ZERO,
        }
    }

    pub(super) fn of(status: &ScopeStatus) -> Self {
        let meter = &status.meter;
        Self {
            scope: status.scope.as_str(),
            of: status.of.clone(),
            limit_usd: meter.limit.map(|limit| limit - status.raised),
            raised_usd: Some(status.raised).filter(|raised| *raised > Usd::ZERO),
            settled_usd: Some(meter.settled)
                .filter(|settled| status.unknown == 0 || *settled > Usd::ZERO),
            estimated: meter.estimated,
            unknown: status.unknown,
            reserved_usd: meter.reserved,
            left_usd: status.left(),
            resets_at: status.resets_at.map(instant),
            known: meter.settled,
        }
    }

    /// What is spent, with its marks: `$0.04`, `~$0.04`, `$0.04 + n/a`, `n/a`.
    fn spent(&self) -> String {
        let mark = if self.estimated { "~" } else { "" };
        format!("{mark}{}", self.known.short_sum(self.unknown > 0))
    }
}

/// What became of a request that `settle` may close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OpenState {
    /// Its end was not seen: the reservation stays charged.
    Open,
    /// A program that runs is asking, and will settle it.
    UnderWay,
    /// It is booked at the most that it may have cost.
    Uncertain,
}

#[derive(Serialize)]
pub(super) struct OpenRow {
    id: String,
    model: String,
    /// What is reserved, or booked; null: no price is known.
    usd: Option<Usd>,
    since: String,
    state: OpenState,
    /// Why its cost is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl OpenRow {
    pub(super) fn held(item: &OpenItem) -> Self {
        Self {
            id: item.id.to_string(),
            model: item.model.to_string(),
            usd: item.usd,
            since: instant(item.since),
            state: if item.under_way {
                OpenState::UnderWay
            } else {
                OpenState::Open
            },
            why: None,
        }
    }

    pub(super) fn uncertain(charge: &Uncertain) -> Self {
        Self {
            id: charge.id.to_string(),
            model: charge.model.to_string(),
            usd: Some(charge.usd),
            since: instant(charge.since),
            state: OpenState::Uncertain,
            // A server that told no usage has ended well otherwise.
            why: Some(if charge.outcome == "ok" {
                NO_USAGE.to_owned()
            } else {
                charge.outcome.clone()
            }),
        }
    }
}

const NO_USAGE: &str = "the server told no usage";

pub(super) fn as_text(report: &BudgetReport) -> String {
    let mut out = scopes(&report.scopes);
    for (state, title) in [
        (
            OpenState::Open,
            "open: reserved by a request whose end was not seen; `chat-agent budget settle ID` closes it",
        ),
        (
            OpenState::UnderWay,
            "under way: reserved by a program that is running",
        ),
        (
            OpenState::Uncertain,
            "uncertain: booked at the most it may have cost; `chat-agent budget settle ID --usd X` puts it right",
        ),
    ] {
        let rows: Vec<&OpenRow> = report
            .open
            .iter()
            .filter(|row| row.state == state)
            .collect();
        if !rows.is_empty() {
            let _ = write!(out, "\n{title}\n{}", open(&rows, state));
        }
    }
    for breach in &report.breaches {
        let model = one_line(&breach.model);
        let excess = breach.excess_usd.short();
        let _ = writeln!(
            out,
            "\nrefused: {} billed ${excess} more than it was allowed",
            model.as_str()
        );
    }
    if let Some(row) = &report.group {
        group(&mut out, row);
    }
    if let Some(moved) = &report.clock {
        let _ = writeln!(
            out,
            "\nthe clock {moved}; `chat-agent budget settle clock` accepts it"
        );
    }
    out
}

fn scopes(rows: &[ScopeRow]) -> String {
    let usd = |usd: Option<Usd>| usd.map_or("none".to_owned(), |usd| format!("${}", usd.short()));
    // The column is left out when no limit was raised.
    let raised = rows.iter().any(|row| row.raised_usd.is_some());
    let line = |row: &ScopeRow| {
        let of = row
            .of
            .as_ref()
            .map_or(String::new(), |of| format!(" {}", one_line(of).as_str()));
        let mut line = vec![format!("{}{of}", row.scope), usd(row.limit_usd)];
        line.extend(raised.then(|| {
            row.raised_usd
                .map_or_else(String::new, |raised| usd(Some(raised)))
        }));
        line.extend([row.spent(), usd(Some(row.reserved_usd))]);
        line.push(row.left_usd.map_or(String::new(), |left| usd(Some(left))));
        line.push(row.resets_at.clone().unwrap_or_default());
        line
    };
    let mut heads = vec!["scope", ">limit", ">spent", ">reserved", ">left", "resets"];
    if raised {
        heads.insert(2, ">raised");
    }
    table(&heads, &rows.iter().map(line).collect::<Vec<_>>())
}

fn open(rows: &[&OpenRow], state: OpenState) -> String {
    let line = |row: &&OpenRow| {
        let mark = if state == OpenState::Uncertain {
            "~"
        } else {
            ""
        };
        let price = row
            .usd
            .map_or("n/a".to_owned(), |usd| format!("{mark}${}", usd.short()));
        let why = row.why.as_deref().map(|why| one_line(why).into_string());
        let mut line = vec![
            row.id.clone(),
            one_line(&row.model).into_string(),
            price,
            row.since.clone(),
        ];
        line.extend(why);
        line
    };
    let rows: Vec<_> = rows.iter().map(line).collect();
    match state {
        OpenState::Uncertain => table(&["id", "model", ">booked", "since", "why"], &rows),
        OpenState::Open | OpenState::UnderWay => {
            table(&["id", "model", ">reserved", "since"], &rows)
        }
    }
}

fn group(out: &mut String, group: &GroupRow) {
    let name = one_line(&group.name);
    let _ = write!(
        out,
        "\ngroup {}: ${} leased by this machine this month",
        name.as_str(),
        group.leased_usd.short()
    );
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
        let _ = writeln!(
            out,
            "{silent} machines have said nothing since Redis was started anew or lost its memory"
        );
    }
}
