//! The receipt: what the newest draft would cost.
//!
//! Owns: when a new quote is made. At most one runs at a time; when it ends and the draft has changed, the next starts.

use std::sync::Arc;

use super::state::Agent;
use super::{segment, sending};
use crate::protocol::{Event, Receipt};

/// Starts the receipt of the newest draft. While another one is being made, nothing starts: its end calls this again.
pub(super) fn start_quote(agent: &mut Agent) {
    if agent.receipt_task.is_some() || !std::mem::take(&mut agent.receipt_due) {
        return;
    }
    let (rev, text) = agent.draft.clone();
    // A user at a screen who has begun to write will probably send; without a screen the draft is only counted.
    let ahead = agent.start.screen && !text.trim().is_empty();
    let ask = sending::new_ask(agent, &text);
    let (gateway, events, seam) = (
        Arc::clone(&agent.gateway),
        agent.events.clone(),
        agent.start.seam,
    );
    agent.receipt_task = Some(tokio::spawn(async move {
        let outcome = segment::quote(&gateway, &ask, seam).await;
        if let (true, Ok(quote)) = (ahead, &outcome) {
            gateway.connect_ahead(quote.model.provider());
        }
        let _ = events
            .send(Event::Receipt(Box::new(Receipt { rev, outcome })))
            .await;
    }));
}

/// Prices the newest draft again, because the draft or a setting has changed.
pub(super) fn refresh(agent: &mut Agent) {
    agent.receipt_due = true;
    start_quote(agent);
}
