//! A question that came to a limit and waits for the user's choice.
//!
//! Owns: keeping that question, and sending it in the way that the user chose.
//! Refuses: computing the choices or their prices; the gateway does.
//! Invariant: nothing is sent without a command, and each command sends at most one question.

use std::sync::Arc;

use super::sending;
use super::state::{Agent, QuestionAtLimit};
use crate::chat::{Effort, ModelId, Selection};
use crate::gateway::Consult;
use crate::protocol::{AtLimit, Event, Quote, WayOut};

/// Keeps the question that has just come to a limit.
pub(super) fn keep_question(agent: &mut Agent, at: &AtLimit) {
    let retry = agent.retry.take();
    agent.at_limit = agent.current_ask.take().map(|ask| QuestionAtLimit {
        ask,
        retry,
        cheaper: at.cheaper.clone(),
    });
}

/// Sends a prompt by the way out of a limit that the user chose.
pub(super) async fn send_by(agent: &mut Agent, text: Arc<str>, way: WayOut) {
    if agent.warn_if_busy().await {
        agent.emit(Event::DraftRestored(text.to_string())).await;
        return;
    }
    let held = agent
        .at_limit
        .take()
        .filter(|held| *held.ask.question == *text);
    let QuestionAtLimit {
        mut ask,
        retry,
        cheaper,
    } = held.unwrap_or_else(|| QuestionAtLimit {
        ask: sending::new_ask(agent, &text),
        retry: None,
        cheaper: None,
    });
    match way {
        WayOut::Cheaper(model) => {
            // With `auto` the choice holds for the whole chat; with a pinned model only for this question.
            agent.session.goes_lower |= ask.selection == Selection::Auto;
            ask.params.effort = cheaper
                .and_then(|quote| effort(&quote, &model))
                .or(ask.params.effort);
            ask.selection = Selection::Pinned(model);
            ask.raise = None;
            ask.consult = sending::consult(agent);
        }
        WayOut::Raise(raise) => {
            ask.raise = Some(raise);
            // The raise is for the better model: if it is not enough any more, ask the user again.
            ask.consult = match sending::consult(agent) {
                Consult::Never => Consult::Never,
                Consult::WhenRefused | Consult::BeforeLowerRung => Consult::BeforeLowerRung,
            };
        }
    }
    agent.retry = retry;
    sending::open_turn(agent, ask);
}

/// The effort that the quote was made with.
fn effort(quote: &Quote, model: &ModelId) -> Option<Effort> {
    quote
        .route
        .considered
        .iter()
        .find(|c| c.model == *model && c.skipped.is_none())?
        .effort
}
