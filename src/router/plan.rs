//! The plan: which models to try in which order, or why none can take the request.

use super::choice::{self, ChosenRung, SizedCandidate};
use super::sizing::{self, Skip};
use super::{Candidate, Downgrade, Query};
use crate::chat::{Effort, Failure, FailureKind, ModelId, Selection};
use crate::protocol::{Considered, Estimate, Route, RouteMode};

/// A model to try, with the cap to send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rung {
    pub(crate) model: ModelId,
    /// The effort to send.
    pub(crate) effort: Option<Effort>,
    pub(crate) estimate: Estimate,
}

/// The models to try, in order: the choice, then the fallbacks. Only `auto` has more than one rung.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) first: Rung,
    /// Rungs of other models: the lower ones, then those above that fit too.
    pub(crate) fallbacks: Vec<Rung>,
    pub(crate) route: Route,
    /// The level of the pace to store once this is sent; `None`: unchanged.
    pub(crate) pace: Option<u32>,
}

/// No model can take the request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlanRefusal {
    pub(crate) failure: Failure,
    pub(crate) route: Route,
    /// Why each candidate was passed over; `None`: no reason of its own.
    pub(crate) skips: Vec<Option<Skip>>,
}

/// Makes the plan. It is deterministic: the same query gives the same plan.
pub(crate) fn plan(query: &Query<'_>) -> Result<Plan, Box<PlanRefusal>> {
    let sized: Vec<_> = query
        .candidates
        .iter()
        .map(|c| sizing::size(c, query))
        .collect();
    let mode = match query.selection {
        Selection::Auto => RouteMode::Auto,
        Selection::Pinned(_) => RouteMode::Pinned,
    };
    let Some(choice) = choice::choose(&sized, query) else {
        return Err(refuse(query, &sized, mode));
    };
    let rung = |at: usize| {
        let estimate = sized[at].as_ref().ok().map(|fit| fit.estimate)?;
        let Candidate { model, effort, .. } = &query.candidates[at];
        Some(Rung {
            model: model.id.clone(),
            effort: *effort,
            estimate,
        })
    };
    let Some(first) = rung(choice.at) else {
        return Err(refuse(query, &sized, mode));
    };
    let others = (choice.at + 1..sized.len())
        .chain(0..choice.at)
        .filter_map(rung);
    let fallbacks = match mode {
        // A model that fails would fail with another effort too.
        RouteMode::Auto => others.filter(|rung| rung.model != first.model).collect(),
        RouteMode::Pinned => Vec::new(),
    };
    let reason = reason(query, &sized, &choice, mode);
    let route = Route {
        mode,
        reason,
        considered: considered(query, &sized, Some(&choice)),
    };
    Ok(Plan {
        first,
        fallbacks,
        route,
        pace: choice.new_level(query),
    })
}

/// `gpt-5`, `gpt-5 (low)`.
fn name(candidate: &Candidate<'_>) -> String {
    let model = candidate.model.id.model();
    candidate
        .effort
        .map_or_else(|| model.to_owned(), |effort| format!("{model} ({effort})"))
}

fn reason(
    query: &Query<'_>,
    sized: &[SizedCandidate],
    choice: &ChosenRung<'_>,
    mode: RouteMode,
) -> String {
    if mode == RouteMode::Pinned {
        return "your choice".to_owned();
    }
    let chosen = choice.at;
    let passed = sized[..chosen]
        .iter()
        .zip(query.candidates)
        .find_map(|(s, c)| match s {
            Err(skip) if skip.is_budget() => Some(format!("{} {skip}", name(c))),
            Ok(fit) => Some(choice.passed(c, fit).reason(&name(c))),
            Err(_) => None,
        });
    match (query.note, passed, &query.candidates[chosen].left) {
        (Some(note), Some(passed), _) => format!("{note}; {passed}"),
        (Some(why), None, _) => why.to_owned(),
        (None, Some(passed), _) => passed,
        (None, None, Some(left)) => format!("${} left {}", left.usd.short(), left.scope.in_words()),
        (None, None, None) if chosen == 0 => "best of the ladder".to_owned(),
        (None, None, None) => "best of the ladder that can be used".to_owned(),
    }
}

fn considered(
    query: &Query<'_>,
    sized: &[SizedCandidate],
    choice: Option<&ChosenRung<'_>>,
) -> Vec<Considered> {
    let row = |(at, (candidate, sized)): (usize, (&Candidate<'_>, &SizedCandidate))| Considered {
        model: candidate.model.id.clone(),
        effort: candidate.effort,
        worst_usd: match sized {
            Ok(fit) => fit.estimate.worst_usd,
            Err(skip) => skip.worst(),
        },
        skipped: match (sized, choice) {
            (Err(skip), _) => Some(skip.to_string()),
            (Ok(_), Some(choice)) if at == choice.at => None,
            (Ok(_), Some(choice)) if at > choice.at => Some(ChosenRung::not_needed(candidate)),
            (Ok(fit), Some(choice)) => Some(choice.passed(candidate, fit).fate()),
            (Ok(_), None) => {
                Some("a lower rung, which on_limit = \"refuse\" does not take".to_owned())
            }
        },
    };
    query
        .candidates
        .iter()
        .zip(sized)
        .enumerate()
        .map(row)
        .collect()
}

fn refuse(query: &Query<'_>, sized: &[SizedCandidate], mode: RouteMode) -> Box<PlanRefusal> {
    let route = Route {
        mode,
        reason: "nothing fits".to_owned(),
        considered: considered(query, sized, None),
    };
    let skips = || {
        sized
            .iter()
            .zip(query.candidates)
            .filter_map(|(s, c)| s.as_ref().err().map(|skip| (skip, c)))
    };
    // Name money first: it is what the user can change at once.
    let over = || skips().filter(|(skip, _)| skip.is_budget());
    let cheapest = over()
        .min_by_key(|(skip, _)| skip.worst())
        .filter(|_| query.downgrade == Downgrade::Freely && over().count() > 1);
    let named = cheapest
        .or_else(|| over().next())
        .or_else(|| skips().next());
    let failure = match named {
        Some((skip, candidate)) => {
            let refused = skip.is_budget() || (*skip == Skip::Unpriced && candidate.left.is_some());
            let kind = if refused {
                FailureKind::Budget
            } else {
                FailureKind::Usage
            };
            let even = if cheapest.is_some() { "even " } else { "" };
            Failure::new(kind, format!("{even}{} {skip}", candidate.model.id)).hint(skip.hint())
        }
        None => Failure::new(FailureKind::Usage, "no model can be used")
            .hint("set OPENAI_API_KEY, or name a model with --model"),
    };
    let skips = sized.iter().map(|s| s.as_ref().err().cloned()).collect();
    Box::new(PlanRefusal {
        failure,
        route,
        skips,
    })
}
