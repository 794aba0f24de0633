//! Chooses the model and says why: one pure function.
//!
//! Owns: the order of the ladder, what disqualifies a rung, health and pace, the output cap that fits the task and the
//! money left, the reason in words.
//! Refuses: looking anything up or reserving money; the caller passes models, counts and what is left.
//! Invariant: a pinned model is never changed; every rung of a plan fits what was left when it was made.

mod choice;
mod kind;
mod ladder;
mod length;
mod pace;
mod sizing;

pub use kind::{QuestionKind, kind};
pub use ladder::check_ladder;
pub use length::{FIRST_GUESS, expected_output, spread, task_cap};
pub use pace::{PaceInput, PaceWindow};
pub use sizing::{MINIMUM_OUTPUT, Skip};

use crate::catalog::Model;
use crate::chat::{Effort, Failure, FailureKind, ModelId, Params, Selection};
use crate::protocol::{Considered, Estimate, Left, Route, RouteMode};
use crate::store::Health;
use crate::tokens::TokenCount;
use choice::{ChosenRung, SizedCandidate};

/// A rung the router may take, with what is known of this request on it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub model: &'a Model,
    /// The effort that would be sent.
    pub effort: Option<Effort>,
    pub input: TokenCount,
    /// How far off `input` may be, as learned, in thousandths.
    pub band_permille: Option<u32>,
    /// Output tokens usual for this model and this kind of question.
    pub expected_output: u64,
    /// The output cap that past answers of this kind suggest.
    pub task_cap: Option<u64>,
    /// The tightest limit on it; `None`: no limit is set.
    pub left: Option<Left>,
    /// Why it cannot be used at all (`no key: set OPENAI_API_KEY`).
    pub unusable: Option<String>,
    pub health: Health,
}

/// What the router decides about.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub selection: &'a Selection,
    /// Best first; just the one when a model is pinned.
    pub candidates: &'a [Candidate<'a>],
    pub params: &'a Params,
    /// The largest output cap when the user asked for none.
    pub default_cap: u64,
    /// When `auto` takes a lower rung to save money.
    pub downgrade: Downgrade,
    /// What was spent of the limits of day and month; `None`: it does not matter.
    pub pace: Option<&'a PaceInput>,
    /// Why these candidates, when the ladder could not be used.
    pub note: Option<&'a str>,
}

/// When `auto` takes a lower rung to save money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrade {
    /// Whenever the better one does not fit what is left.
    Freely,
    /// When the better one has too little room to answer; not when it does not fit at all, for then the user is asked.
    ForRoom,
    /// Never: the better one answers, as briefly as the money requires, or the question is refused.
    Never,
}

/// A model to try, with the cap to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    pub model: ModelId,
    /// The effort to send.
    pub effort: Option<Effort>,
    pub estimate: Estimate,
}

/// The models to try, in order: the choice, then the fallbacks. Only `auto` has more than one rung.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub first: Rung,
    /// Rungs of other models: the lower ones, then those above that fit too.
    pub fallbacks: Vec<Rung>,
    pub route: Route,
    /// The level of the pace to store once this is sent; `None`: unchanged.
    pub pace: Option<u32>,
}

/// No model can take the request.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRefusal {
    pub failure: Failure,
    pub route: Route,
    /// Why each candidate was passed over; `None`: no reason of its own.
    pub skips: Vec<Option<Skip>>,
}

/// Makes the plan. It is deterministic: the same query gives the same plan.
pub fn plan(query: &Query<'_>) -> Result<Plan, Box<PlanRefusal>> {
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

#[cfg(test)]
mod tests;
