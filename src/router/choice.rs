//! Which of the rungs that fit: health first, then room, then the pace.
//!
//! Owns: when a model counts as failing, what is a step down, and why a rung that fits was passed over, in words.
//! Refuses: sizing; each rung comes with its result.
//! Invariant: while any rung fits, one is chosen; what is free, or the last rung, is never left for the pace.

use super::pace::Verdict;
use super::sizing::{Fit, Skip};
use super::{Candidate, Downgrade, Query};
use crate::chat::Selection;
use crate::store::Health;

/// With fewer requests the failures of a model are ignored.
const TELLING: u64 = 4;

pub(super) type SizedCandidate = Result<Fit, Skip>;

/// The rung taken.
#[derive(Debug, Clone)]
pub(super) struct ChosenRung<'a> {
    pub(super) at: usize,
    /// It has room for an answer of usual length.
    useful: bool,
    pace: Option<Verdict<'a>>,
}

/// Half of its recent requests failed because of its server.
fn is_failing(health: Health) -> bool {
    health.requests >= TELLING && health.failed.saturating_mul(2) >= health.requests
}

fn illness(health: Health) -> String {
    format!(
        "failed {} of its last {} requests",
        health.failed, health.requests
    )
}

/// The first healthy rung with room for a useful answer, else with room for any answer, else a failing rung in the same
/// order. From there the pace may go down.
pub(super) fn choose<'a>(sized: &[SizedCandidate], query: &Query<'a>) -> Option<ChosenRung<'a>> {
    let auto = *query.selection == Selection::Auto;
    let stops = |s: &SizedCandidate| {
        auto && query.downgrade != Downgrade::Freely && s.as_ref().is_err_and(Skip::is_budget)
    };
    let reach = sized.iter().position(stops).unwrap_or(sized.len());
    let pace = query.pace.filter(|_| auto).map(super::PaceInput::verdict);
    let well = |at: usize| !auto || !is_failing(query.candidates[at].health);
    // When all are failing, none is passed over for that, and the pace still applies.
    let any = (0..reach).any(|at| well(at) && sized[at].is_ok());
    let could = |at: &usize| {
        (well(*at) || !any) && sized[*at].as_ref().map_or_else(Skip::is_budget, |_| true)
    };
    let paced = pace.as_ref().map_or(0, |verdict| {
        step_down((0..reach).filter(could), verdict.level, query)
    });
    [(true, true), (true, false), (false, true), (false, false)]
        .into_iter()
        .find_map(|(healthy, useful)| {
            let fits = |at: &usize| {
                sized[*at].as_ref().is_ok_and(|fit| fit.useful || !useful)
                    && (well(*at) || !healthy)
            };
            let best = (0..reach).find(fits)?;
            let cheaper =
                || (best + 1..reach).filter(|at| fits(at) && is_cheaper(query, best, *at));
            let below = || {
                cheaper()
                    .find(|at| *at >= paced)
                    .or_else(|| cheaper().next_back())
            };
            let at = if paced > best {
                below().unwrap_or(best)
            } else {
                best
            };
            Some(ChosenRung {
                at,
                useful,
                pace: pace.clone(),
            })
        })
}

/// Goes `level` steps down from the best rung, each to the next one that is cheaper. A rung that the money left does not
/// reach is a step like the others, so that a lack of money does not count twice.
fn step_down(mut rungs: impl Iterator<Item = usize>, level: u32, query: &Query<'_>) -> usize {
    let (mut at, mut steps) = (rungs.next().unwrap_or(0), 0);
    for next in rungs {
        if steps < level && is_cheaper(query, at, next) {
            (at, steps) = (next, steps + 1);
        }
    }
    at
}

/// Whether going from one rung to a lower one saves money. Less effort of the same model does, whatever the few answers
/// so far say; else the expected price decides. Nothing is cheaper than what is free.
fn is_cheaper(query: &Query<'_>, from: usize, to: usize) -> bool {
    let (above, below) = (&query.candidates[from], &query.candidates[to]);
    if above.model.price.as_ref().is_some_and(|price| price.free) {
        return false;
    }
    if let (true, Some(more), Some(less)) =
        (above.model.id == below.model.id, above.effort, below.effort)
    {
        return less < more;
    }
    let expected = |rung: &Candidate<'_>| {
        rung.model
            .price
            .as_ref()
            .map(|price| price.expected(rung.input.tokens, rung.expected_output))
    };
    expected(below)
        .zip(expected(above))
        .is_some_and(|(less, more)| less < more)
}

impl ChosenRung<'_> {
    /// Why a rung above the chosen one, which fits, was passed over; in words that follow its name, or stand alone.
    pub(super) fn passed(&self, candidate: &Candidate<'_>, fit: &Fit) -> Passed {
        match self.pace.as_ref().and_then(|verdict| verdict.window) {
            _ if is_failing(candidate.health) => Passed::Ill(illness(candidate.health)),
            Some(window) if fit.useful || !self.useful => Passed::Paced(window.in_words()),
            _ => Passed::Tight,
        }
    }

    /// Why a rung below the chosen one was not wanted.
    pub(super) fn not_needed(candidate: &Candidate<'_>) -> String {
        if is_failing(candidate.health) {
            illness(candidate.health)
        } else {
            "a better rung fits".to_owned()
        }
    }

    /// The level to store, if it has changed.
    pub(super) fn new_level(&self, query: &Query<'_>) -> Option<u32> {
        let level = self.pace.as_ref()?.level;
        query
            .pace
            .is_some_and(|pace| pace.held != level)
            .then_some(level)
    }
}

/// Why a rung that fits was passed over.
pub(super) enum Passed {
    Ill(String),
    Tight,
    Paced(String),
}

impl Passed {
    /// As a reason for the choice.
    pub(super) fn reason(self, name: &str) -> String {
        match self {
            Self::Ill(words) => format!("{name} {words}"),
            Self::Tight => format!("{name} has too little room to answer"),
            Self::Paced(words) => words,
        }
    }

    /// As the reason for passing over the rung itself.
    pub(super) fn fate(self) -> String {
        match self {
            Self::Ill(words) | Self::Paced(words) => words,
            Self::Tight => "too little room to answer".to_owned(),
        }
    }
}
