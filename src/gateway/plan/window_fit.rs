//! Leaving out the oldest turns of a chat that no window holds.
//!
//! Owns: how many turns have to go so that the question fits, and for which model.
//! Refuses: splitting the question itself (that is `agent::segment`), and choosing a model (that is `router`).
//! Invariant: nothing is left out when a model holds the whole; the question and the system message never are.

use std::sync::Arc;

use crate::chat::Overflow;
use crate::gateway::ask::Ask;
use crate::gateway::plan::count::tokenizer;
use crate::gateway::plan::models::ModelAndEffort;
use crate::gateway::plan::plan_error::{PlanError, WindowShortfall};
use crate::gateway::plan::planned::{Planned, Tried};
use crate::gateway::plan::planner::Planner;
use crate::protocol::{Fitted, Refused};

/// Makes the plan for a question. When no window holds it and the chat wants it cut, its oldest turns are left out,
/// for the model with the largest window that the limits allow; `ask` then holds what is left.
/// Models in `beside` are looked at too, though none of them is chosen. A question that is to be split comes back
/// with the shortfall of each model, for its parts.
pub(in crate::gateway) async fn fit(
    planner: &Planner<'_>,
    ask: &mut Ask,
    tried: &Tried,
    beside: Vec<ModelAndEffort>,
) -> Result<Planned, PlanError> {
    let too_long = match planner.plan_beside(ask, tried, beside.clone()).await {
        Err(PlanError {
            too_long: Some(too_long),
            ..
        }) if ask.overflow == Overflow::Truncate => too_long,
        planned => return planned,
    };
    let mut refused = None;
    for shortfall in &too_long.shortfalls {
        match cut(planner, ask, tried, shortfall, &beside).await {
            Ok((planned, shorter)) => {
                *ask = shorter;
                return Ok(planned);
            }
            Err(why) => drop(refused.get_or_insert(why)),
        }
    }
    let refused = refused.unwrap_or_else(|| too_long.shortfalls[0].refusal().into());
    Err(PlanError {
        refused,
        too_long: None,
    })
}

/// The question without as many of the oldest turns as it takes to fit this model.
async fn cut(
    planner: &Planner<'_>,
    ask: &Ask,
    tried: &Tried,
    shortfall: &WindowShortfall,
    beside: &[ModelAndEffort],
) -> Result<(Planned, Ask), Refused> {
    let tokenizer = tokenizer(&shortfall.model);
    let whole = ask.conversation.cut(tokenizer, 0).tokens;
    let mut over = shortfall.excess()
        + shortfall.answer_room(&ask.params, planner.models.config.limits.max_output);
    let mut shorter = ask.clone();
    loop {
        let cut = ask.conversation.cut(tokenizer, whole.saturating_sub(over));
        shorter.conversation = Arc::new(cut.rest);
        match planner.plan_beside(&shorter, tried, beside.to_vec()).await {
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
                    .shortfalls
                    .iter()
                    .find(|still| still.model.id == shortfall.model.id);
                let Some(still) = of_this else {
                    return Err(refused);
                };
                if shorter.conversation.messages().is_empty() {
                    return Err(still.question_alone_refusal().into());
                }
                // The router may count a little higher than the messages do by themselves; twice as much is soon enough.
                over = over.saturating_add(over.max(still.excess()));
            }
        }
    }
}
