//! Which of the rungs that fit: health first, then room, then the pace.
//!
//! Owns: when a model counts as ill, what is a step down, and the words for a rung that was passed over though it fits.
//! Refuses: to size anything; each rung comes with its verdict.
//! Invariant: while any rung fits, one is chosen; what is free, or the last rung, is never left for the pace.

use super::pace::Verdict;
use super::sizing::{Fit, Skip};
use super::{Candidate, Downgrade, Query};
use crate::chat::Selection;
use crate::store::Health;

/// Requests without which a model's failures say nothing.
const TELLING: u64 = 4;

pub(super) type Sized = Result<Fit, Skip>;

/// The rung taken.
#[derive(Debug, Clone)]
pub(super) struct Choice<'a> {
    pub(super) at: usize,
    /// It has room for an answer of usual length.
    useful: bool,
    pace: Option<Verdict<'a>>,
}

/// Half of what it was asked lately failed by its server's fault.
fn is_ill(health: Health) -> bool {
    health.requests >= TELLING && health.failed.saturating_mul(2) >= health.requests
}

fn illness(health: Health) -> String {
    format!(
        "failed {} of its last {} requests",
        health.failed, health.requests
    )
}

/// The first rung that is well and has room for a useful answer; failing that, room for any; failing that, ill ones in
/// the same order. From there down by the pace.
pub(super) fn choose<'a>(sized: &[Sized], query: &Query<'a>) -> Option<Choice<'a>> {
    let auto = *query.selection == Selection::Auto;
    let stops = |s: &Sized| {
        auto && query.downgrade != Downgrade::Freely && s.as_ref().is_err_and(Skip::is_budget)
    };
    let reach = sized.iter().position(stops).unwrap_or(sized.len());
    let pace = query.pace.filter(|_| auto).map(super::Pace::verdict);
    let well = |at: usize| !auto || !is_ill(query.candidates[at].health);
    // When all are ill, none is passed over for it, and the pace is kept among them.
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
            Some(Choice {
                at,
                useful,
                pace: pace.clone(),
            })
        })
}

/// Goes `level` steps down from the best rung, each to the next one that is cheaper. A rung that the money left does not
/// reach is a step like the others: to be short of money is not counted twice.
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

impl Choice<'_> {
    /// Why a rung above the chosen one, which fits, was passed over; in words that follow its name, or stand alone.
    pub(super) fn passed(&self, candidate: &Candidate<'_>, fit: &Fit) -> Passed {
        match self.pace.as_ref().and_then(|verdict| verdict.window) {
            _ if is_ill(candidate.health) => Passed::Ill(illness(candidate.health)),
            Some(window) if fit.useful || !self.useful => Passed::Paced(window.in_words()),
            _ => Passed::Tight,
        }
    }

    /// Why a rung below the chosen one was not wanted.
    pub(super) fn not_needed(candidate: &Candidate<'_>) -> String {
        if is_ill(candidate.health) {
            illness(candidate.health)
        } else {
            "a better rung fits".to_owned()
        }
    }

    /// The level to remember, when it is another than before.
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

    /// As the fate of the rung itself.
    pub(super) fn fate(self) -> String {
        match self {
            Self::Ill(words) | Self::Paced(words) => words,
            Self::Tight => "too little room to answer".to_owned(),
        }
    }
}
