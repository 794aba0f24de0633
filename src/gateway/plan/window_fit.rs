//! What becomes of a question that no window holds.
//!
//! Owns: by how much it is too long and for which model, and leaving out the oldest turns of the chat.
//! Refuses: splitting the question itself (that is `agent::segment`), and choosing a model (that is `router`).
//! Invariant: nothing is left out when a model holds the whole; the question and the system message never are.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::catalog::Model;
use crate::chat::{Effort, Failure, FailureKind, ModelId, Overflow, Params};
use crate::gateway::plan::candidates::{Planned, Tried, tokenizer};
use crate::gateway::plan::inputs::Asked;
use crate::gateway::{Ask, Gateway};
use crate::protocol::{Considered, Fitted, Left, Refused};
use crate::router::{Candidate, MINIMUM_OUTPUT, PlanRefusal, Skip};

/// Why there is no plan.
#[derive(Debug, Clone)]
pub struct PlanError {
    pub refused: Refused,
    /// Set when it is the window alone that stands in the way.
    pub too_long: Option<TooLong>,
}

/// A question that no window holds, and the models that could take it if it were shorter.
#[derive(Debug, Clone)]
pub struct TooLong {
    /// The largest window first, never empty; of equal ones, the better rung.
    pub rooms: Vec<WindowShortfall>,
    /// Every model that was looked at.
    pub considered: Vec<Considered>,
}

/// One of these models.
#[derive(Debug, Clone)]
pub struct WindowShortfall {
    pub model: Model,
    /// The effort that belongs to the rung, or that the user set.
    pub effort: Option<Effort>,
    /// Tokens of the input with the shortest useful answer, and what the window holds.
    pub needs: u64,
    pub holds: u64,
    /// Output tokens usual for this model.
    pub expected_output: u64,
    /// The tightest limit on a turn of several requests.
    pub left: Option<Left>,
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
    fn from(unplanned: PlanError) -> Self {
        unplanned.refused
    }
}

/// The router's refusal, with the window's part in it made plain. `left` is what several requests may cost together.
pub(in crate::gateway) fn unplanned(
    refusal: PlanRefusal,
    candidates: &[Candidate<'_>],
    params: &Params,
    left: impl Fn(&ModelId) -> Option<Left>,
) -> PlanError {
    let rooms = candidates
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
    let mut rooms: Vec<WindowShortfall> = rooms.collect();
    rooms.sort_by_key(|room| Reverse(room.holds));
    let only_the_window = refusal.failure.kind != FailureKind::Budget && !rooms.is_empty();
    let too_long = only_the_window.then(|| TooLong {
        rooms,
        considered: refusal.route.considered.clone(),
    });
    // Where the user asked for more output than the window leaves, the router's word is the plainer one.
    let asked_too_much = refusal
        .skips
        .iter()
        .flatten()
        .any(|skip| matches!(skip, Skip::OutputTooLong { .. }));
    let failure = match too_long.as_ref().and_then(TooLong::first) {
        Some(room) if !asked_too_much => room.refusal(),
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
        self.rooms.first()
    }
}

impl WindowShortfall {
    fn too_many(&self) -> u64 {
        self.needs.saturating_sub(self.holds)
    }

    fn refusal(&self) -> Failure {
        let Self {
            model,
            needs,
            holds,
            ..
        } = self;
        let over = self.too_many();
        Failure::new(
            FailureKind::Usage,
            format!("{} holds {holds} tokens, this needs {needs} with room for an answer: {over} too many", model.id),
        )
        .hint(
            "shorten it, let the oldest turns be left out (--on-overflow truncate) or a long input be split \
             (--on-overflow segment); in the chat: /fit",
        )
    }

    /// What remains when every turn is left out is still too long.
    fn question_alone(&self) -> Failure {
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
    fn comfort(&self, params: &Params, default_cap: u64) -> u64 {
        if params.max_output.is_some() {
            return 0;
        }
        let most = self.model.max_output.unwrap_or(u64::MAX).min(default_cap);
        let usual = self.expected_output.saturating_mul(2).min(self.holds / 4);
        usual.min(most).saturating_sub(MINIMUM_OUTPUT)
    }
}

impl Gateway {
    /// Makes the plan for a question. When no window holds it and the chat wants it cut, its oldest turns are left out,
    /// for the model with the largest window that the limits allow; `ask` then holds what is left.
    /// Models in `beside` are looked at too, though none of them is chosen. A question that is to be split comes back
    /// with the rooms there are for its parts.
    pub(in crate::gateway) async fn fit(
        &self,
        ask: &mut Ask,
        tried: &Tried,
        beside: Vec<Asked>,
    ) -> Result<Planned, PlanError> {
        let too_long = match self.plan_beside(ask, tried, beside.clone()).await {
            Err(PlanError {
                too_long: Some(too_long),
                ..
            }) if ask.overflow == Overflow::Truncate => too_long,
            planned => return planned,
        };
        let mut refused = None;
        for room in &too_long.rooms {
            match self.cut(ask, tried, room, &beside).await {
                Ok((planned, shorter)) => {
                    *ask = shorter;
                    return Ok(planned);
                }
                Err(why) => drop(refused.get_or_insert(why)),
            }
        }
        let refused = refused.unwrap_or_else(|| too_long.rooms[0].refusal().into());
        Err(PlanError {
            refused,
            too_long: None,
        })
    }

    /// The question without as many of the oldest turns as it takes to fit this model.
    async fn cut(
        &self,
        ask: &Ask,
        tried: &Tried,
        room: &WindowShortfall,
        beside: &[Asked],
    ) -> Result<(Planned, Ask), Refused> {
        let tokenizer = tokenizer(&room.model);
        let whole = ask.conversation.cut(tokenizer, 0).tokens;
        let mut over =
            room.too_many() + room.comfort(&ask.params, self.parts.config.limits.max_output);
        let mut shorter = ask.clone();
        loop {
            let cut = ask.conversation.cut(tokenizer, whole.saturating_sub(over));
            shorter.conversation = Arc::new(cut.rest);
            match self.plan_beside(&shorter, tried, beside.to_vec()).await {
                Ok(mut planned) => {
                    planned.fitted = Some(Fitted::Truncated {
                        turns: cut.turns,
                        tokens: cut.tokens,
                    });
                    return Ok((planned, shorter));
                }
                Err(PlanError {
                    refused,
                    too_long: None,
                }) => return Err(refused),
                Err(PlanError {
                    refused,
                    too_long: Some(still),
                }) => {
                    let of_this = still
                        .rooms
                        .iter()
                        .find(|still| still.model.id == room.model.id);
                    let Some(still) = of_this else {
                        return Err(refused);
                    };
                    if shorter.conversation.messages().is_empty() {
                        return Err(still.question_alone().into());
                    }
                    // The router may count a little higher than the messages do by themselves; twice as much is soon enough.
                    over = over.saturating_add(over.max(still.too_many()));
                }
            }
        }
    }

    /// What stands in the way of a question, when it is the window alone.
    pub async fn too_long(&self, ask: &Ask) -> Option<TooLong> {
        self.plan(ask, &Tried::default()).await.err()?.too_long
    }
}
