//! Why a question has no plan.
//!
//! Owns: the error, and by how many tokens a question exceeds each model's window.
//! Refuses: what is done about it; see `window_fit`, and `agent::segment`.
//! Invariant: `too_long` is set only when the window alone stands in the way.

use std::cmp::Reverse;

use crate::catalog::Model;
use crate::chat::{Effort, Failure, FailureKind, ModelId, Params};
use crate::protocol::{Considered, Left, Refused};
use crate::router::{Candidate, MINIMUM_OUTPUT, PlanRefusal, Skip};

/// Why there is no plan.
#[derive(Debug, Clone)]
pub(crate) struct PlanError {
    pub(crate) refused: Refused,
    /// Set when only the window stands in the way.
    pub(crate) too_long: Option<TooLong>,
}

/// A question that no window holds, and the models that could take it if it were shorter.
#[derive(Debug, Clone)]
pub(crate) struct TooLong {
    /// The largest window first, never empty; of equal ones, the better rung.
    pub(crate) shortfalls: Vec<WindowShortfall>,
    /// Every model that was looked at.
    pub(crate) considered: Vec<Considered>,
}

/// One of these models.
#[derive(Debug, Clone)]
pub(crate) struct WindowShortfall {
    pub(crate) model: Model,
    /// The effort that belongs to the rung, or that the user set.
    pub(crate) effort: Option<Effort>,
    /// Tokens of the input with the shortest useful answer, and what the window holds.
    pub(crate) needs: u64,
    pub(crate) holds: u64,
    /// Output tokens usual for this model.
    pub(crate) expected_output: u64,
    /// The tightest limit on a turn of several requests.
    pub(crate) left: Option<Left>,
}

impl From<Failure> for PlanError {
    fn from(failure: Failure) -> Self {
        Self {
            refused: failure.into(),
            too_long: None,
        }
    }
}

impl From<PlanError> for Refused {
    fn from(error: PlanError) -> Self {
        error.refused
    }
}

/// The error for a refusal of the router, with what each window lacks. `left` is what several requests may cost together.
pub(in crate::gateway) fn from_refusal(
    refusal: PlanRefusal,
    candidates: &[Candidate<'_>],
    params: &Params,
    left: impl Fn(&ModelId) -> Option<Left>,
) -> PlanError {
    let shortfalls = candidates
        .iter()
        .zip(&refusal.skips)
        .filter_map(|(candidate, skip)| {
            let (needs, holds) = window(candidate, skip.as_ref()?, params)?;
            let model = candidate.model.clone();
            let left = left(&model.id);
            let (effort, expected_output) = (candidate.effort, candidate.expected_output);
            Some(WindowShortfall {
                model,
                effort,
                needs,
                holds,
                expected_output,
                left,
            })
        });
    let mut shortfalls: Vec<WindowShortfall> = shortfalls.collect();
    shortfalls.sort_by_key(|shortfall| Reverse(shortfall.holds));
    let only_the_window = refusal.failure.kind != FailureKind::Budget && !shortfalls.is_empty();
    let too_long = only_the_window.then(|| TooLong {
        shortfalls,
        considered: refusal.route.considered.clone(),
    });
    // When the user asked for more output than the window leaves, the router's message is the clearer one.
    let asked_too_much = refusal
        .skips
        .iter()
        .flatten()
        .any(|skip| matches!(skip, Skip::OutputTooLong { .. }));
    let failure = match too_long.as_ref().and_then(TooLong::first) {
        Some(shortfall) if !asked_too_much => shortfall.refusal(),
        _ => refusal.failure,
    };
    PlanError {
        refused: Refused {
            failure,
            route: Some(refusal.route),
        },
        too_long,
    }
}

/// What the request needs and what the window holds, when the window is what is wrong.
fn window(candidate: &Candidate<'_>, skip: &Skip, params: &Params) -> Option<(u64, u64)> {
    let model = candidate.model;
    match *skip {
        Skip::Context { needs, holds } => {
            let asked = params.max_output.unwrap_or(MINIMUM_OUTPUT);
            Some((
                needs.saturating_add(asked.saturating_sub(MINIMUM_OUTPUT)),
                holds,
            ))
        }
        Skip::OutputTooLong { asked, .. } if model.max_output.is_none_or(|most| asked <= most) => {
            let needs = candidate.input.tokens.saturating_add(asked);
            model
                .context
                .filter(|&holds| asked < holds && holds < needs)
                .map(|holds| (needs, holds))
        }
        _ => None,
    }
}

impl TooLong {
    fn first(&self) -> Option<&WindowShortfall> {
        self.shortfalls.first()
    }
}

impl WindowShortfall {
    pub(in crate::gateway) fn excess(&self) -> u64 {
        self.needs.saturating_sub(self.holds)
    }

    pub(in crate::gateway) fn refusal(&self) -> Failure {
        let Self {
            model,
            needs,
            holds,
            ..
        } = self;
        let excess = self.excess();
        Failure::new(
            FailureKind::Usage,
            format!("{} holds {holds} tokens, this needs {needs} with room for an answer: {excess} too many", model.id),
        )
        .hint(
            "shorten it, let the oldest turns be left out (--on-overflow truncate) or a long input be split \
             (--on-overflow segment); in the chat: /fit",
        )
    }

    /// What remains when every turn is left out is still too long.
    pub(in crate::gateway) fn question_alone_refusal(&self) -> Failure {
        let Self {
            model,
            needs,
            holds,
            ..
        } = self;
        Failure::new(
            FailureKind::Usage,
            format!("the question alone needs {needs} tokens with room for an answer, and {} holds {holds}", model.id),
        )
        .hint("shorten it, or let it be split: --on-overflow segment, in the chat /fit segment")
    }

    /// Tokens to leave for the answer beyond the shortest useful one: twice the usual, up to a quarter of the window.
    pub(in crate::gateway) fn answer_room(&self, params: &Params, default_cap: u64) -> u64 {
        if params.max_output.is_some() {
            return 0;
        }
        let most = self.model.max_output.unwrap_or(u64::MAX).min(default_cap);
        let usual = self.expected_output.saturating_mul(2).min(self.holds / 4);
        usual.min(most).saturating_sub(MINIMUM_OUTPUT)
    }
}
