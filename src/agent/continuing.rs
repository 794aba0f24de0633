//! Continuing an answer that its output cap cut off.
//!
//! Owns: the question that continues it, and the offer to do so with its price.

use std::sync::Arc;

use super::sending;
use super::state::Agent;
use crate::gateway::Ask;
use crate::protocol::{Event, Level};

/// The prompt that continues an answer.
const CONTINUE_PROMPT: &str = "Continue exactly where you stopped.";

/// Continues the last answer, if its output cap cut it off.
pub(super) async fn continue_answer(agent: &mut Agent) {
    if agent.warn_if_busy().await {
    } else if agent.session.cut_answer().is_some() {
        let ask = continue_ask(agent);
        sending::begin(agent, ask);
    } else {
        agent
            .notice(Level::Info, "the last answer was not cut by its output cap")
            .await;
    }
}

/// The question that continues the answer. It has a counter of its own, so that the counts of the draft are kept.
fn continue_ask(agent: &mut Agent) -> Ask {
    Ask {
        counts: Arc::default(),
        ..sending::new_ask(agent, &Arc::from(CONTINUE_PROMPT))
    }
}

/// Offers to continue the last answer, with the price, if its output cap cut it off.
pub(super) fn offer(agent: &mut Agent) {
    if let Some(before) = agent.continuation_task.take() {
        before.abort();
    }
    let Some(id) = agent
        .session
        .cut_answer()
        .filter(|_| agent.start.screen && agent.turn.is_none())
    else {
        return;
    };
    let ask = continue_ask(agent);
    let (gateway, events) = (Arc::clone(&agent.gateway), agent.events.clone());
    agent.continuation_task = Some(tokio::spawn(async move {
        if let Ok(quote) = gateway.quote(&ask).await {
            let _ = events
                .send(Event::Continuable {
                    id,
                    quote: Box::new(quote),
                })
                .await;
        }
    }));
}
