//! Which model, and why: one pure function.
//!
//! Owns: the order of the ladder, what disqualifies a rung, the output cap that fits the money left, the reason in words.
//! Refuses: to look anything up or to hold money; the caller brings models, counts and what is left.
//! Invariant: a pinned model is never changed; every rung of a plan fits what was left when it was made.

mod sizing;

pub use sizing::{MINIMUM_OUTPUT, Skip};

use crate::catalog::Model;
use crate::chat::{Failure, FailureKind, ModelId, Params, Selection};
use crate::protocol::{Considered, Estimate, Left, Route, RouteMode};
use crate::tokens::Count;

/// A model the router may take, with what is known of this request on it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub model: &'a Model,
    pub input: Count,
    /// Output tokens usual for this model.
    pub expected_output: u64,
    /// Why it cannot be used at all (`no key: set OPENAI_API_KEY`).
    pub unusable: Option<String>,
}

/// The question.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub selection: &'a Selection,
    /// Best first; just the one when a model is pinned.
    pub candidates: &'a [Candidate<'a>],
    pub params: &'a Params,
    /// The output cap when the user asked for none.
    pub default_cap: u64,
    /// The tightest limit; `None`: no limit is set.
    pub left: Option<&'a Left>,
    /// Whether `auto` may take a lower rung when the best one does not fit the money left.
    pub downgrade: bool,
    /// Why these candidates, when the ladder could not be used.
    pub note: Option<&'a str>,
}

/// A model to try, with the cap to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    pub model: ModelId,
    pub estimate: Estimate,
}

/// What to try, in order: the choice first, then where to go when it fails. Only `auto` has more than one rung.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub first: Rung,
    pub fallbacks: Vec<Rung>,
    pub route: Route,
}

/// No model can take the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub failure: Failure,
    pub route: Route,
}

/// Chooses. Deterministic: the same question has the same answer.
pub fn plan(query: &Query<'_>) -> Result<Plan, Refusal> {
    let sized: Vec<_> = query.candidates.iter().map(|c| sizing::size(c, query)).collect();
    let mode = match query.selection {
        Selection::Auto => RouteMode::Auto,
        Selection::Pinned(_) => RouteMode::Pinned,
    };
    let Some(chosen) = choose(&sized, query, mode) else {
        return Err(refuse(query, &sized, mode));
    };
    let rung = |at: usize| {
        let estimate = sized[at].as_ref().ok().map(|fit| fit.estimate)?;
        Some(Rung { model: query.candidates[at].model.id.clone(), estimate })
    };
    let Some(first) = rung(chosen) else {
        return Err(refuse(query, &sized, mode));
    };
    let fallbacks = match mode {
        RouteMode::Auto => (chosen + 1..sized.len()).filter_map(rung).collect(),
        RouteMode::Pinned => Vec::new(),
    };
    let reason = reason(query, &sized, chosen, mode);
    Ok(Plan { first, fallbacks, route: Route { mode, reason, considered: considered(query, &sized, Some(chosen)) } })
}

type Sized = Result<sizing::Fit, Skip>;

/// The first rung with room for a useful answer; else the first with room for any.
fn choose(sized: &[Sized], query: &Query<'_>, mode: RouteMode) -> Option<usize> {
    let stops = |s: &Sized| mode == RouteMode::Auto && !query.downgrade && s.as_ref().is_err_and(Skip::is_budget);
    let reach = sized.iter().position(stops).unwrap_or(sized.len());
    let fits = |useful: bool| sized[..reach].iter().position(|s| s.as_ref().is_ok_and(|fit| fit.useful || !useful));
    fits(true).or_else(|| fits(false))
}

fn reason(query: &Query<'_>, sized: &[Sized], chosen: usize, mode: RouteMode) -> String {
    if mode == RouteMode::Pinned {
        return "your choice".to_owned();
    }
    if let (Some(note), 0) = (query.note, chosen) {
        return note.to_owned();
    }
    let passed = sized[..chosen].iter().zip(query.candidates).find_map(|(s, c)| match s {
        Err(skip) if skip.is_budget() => Some(format!("{} {skip}", c.model.id.model())),
        Ok(_) => Some(format!("{} has too little room to answer", c.model.id.model())),
        Err(_) => None,
    });
    match (passed, query.left) {
        (Some(passed), _) => passed,
        (None, Some(left)) => format!("${} left {}", left.usd.short(), words(&left.scope)),
        (None, None) if chosen == 0 => "best of the ladder".to_owned(),
        (None, None) => "best of the ladder that can be used".to_owned(),
    }
}

/// A scope as it stands in a sentence: `left today`.
fn words(scope: &str) -> &str {
    match scope {
        "day" => "today",
        "month" => "this month",
        "session" => "in this chat",
        "run" => "in this run",
        "request" => "for one request",
        other => other,
    }
}

fn considered(query: &Query<'_>, sized: &[Sized], chosen: Option<usize>) -> Vec<Considered> {
    let row = |(at, (candidate, sized)): (usize, (&Candidate<'_>, &Sized))| Considered {
        model: candidate.model.id.clone(),
        worst_usd: match sized {
            Ok(fit) => fit.estimate.worst_usd,
            Err(skip) => skip.worst(),
        },
        skipped: match sized {
            Err(skip) => Some(skip.to_string()),
            Ok(_) if Some(at) == chosen => None,
            Ok(_) if chosen.is_some_and(|c| at > c) => Some("a better rung fits".to_owned()),
            Ok(_) => Some("too little room to answer".to_owned()),
        },
    };
    query.candidates.iter().zip(sized).enumerate().map(row).collect()
}

fn refuse(query: &Query<'_>, sized: &[Sized], mode: RouteMode) -> Refusal {
    let route = Route { mode, reason: "nothing fits".to_owned(), considered: considered(query, sized, None) };
    let skips = || sized.iter().zip(query.candidates).filter_map(|(s, c)| s.as_ref().err().map(|skip| (skip, c)));
    // Money is named before anything else: it is the one thing that the user can change at once.
    let named = skips().find(|(skip, _)| skip.is_budget()).or_else(|| skips().next());
    let failure = match named {
        Some((skip, candidate)) => {
            let refused = skip.is_budget() || (*skip == Skip::Unpriced && query.left.is_some());
            let kind = if refused { FailureKind::Budget } else { FailureKind::Usage };
            Failure::new(kind, format!("{} {skip}", candidate.model.id)).hint(skip.mend())
        }
        None => Failure::new(FailureKind::Usage, "no model can be used")
            .hint("set OPENAI_API_KEY, or name a model with --model"),
    };
    Refusal { failure, route }
}

#[cfg(test)]
mod tests;
