//! What a user can still have when no provider can be reached.
//!
//! Owns: the offer made for such a question, and the way in which the user takes it up.
//! Refuses: sending anything to a provider unasked, and presenting an old answer as a new one.
//! Invariant: an offer is valid until the next question, and taking it up asks at most one.

use std::sync::Arc;

use super::sending;
use super::state::{Agent, Retry};
use crate::chat::{Failure, FailureKind, MessageId, ModelId, Selection, span};
use crate::gateway::{Ask, Stale};
use crate::protocol::{Degraded, Event, Level};
use crate::provider::guide::{MODEL, OFFLINE};

/// After a failed turn: when no provider could be reached, offers the user what there is instead.
pub(super) fn offer_alternatives(agent: &mut Agent, failure: &Failure) {
    let applies = failure.kind == FailureKind::Unavailable && agent.start.screen;
    let Some(ask) = agent.current_ask.take().filter(|_| applies) else {
        return;
    };
    agent.unreachable = Some(ask.clone());
    let (gateway, events) = (Arc::clone(&agent.gateway), agent.events.clone());
    tokio::spawn(async move {
        let offer = gateway.offer(&ask, Stale::Only).await;
        let _ = events.send(Event::Offer(offer)).await;
    });
}

/// The failure, with a hint about an old answer when there is no screen to offer it on.
pub(super) async fn with_hint(agent: &Agent, failure: Failure) -> Failure {
    let Some(ask) = agent
        .current_ask
        .as_ref()
        .filter(|ask| !agent.start.screen && ask.stale == Stale::Never)
    else {
        return failure;
    };
    if failure.kind != FailureKind::Unavailable {
        return failure;
    }
    match agent.gateway.offer(ask, Stale::WhenDown).await.kept {
        Some(kept) => {
            let (model, age) = (&kept.model, span(kept.age_s));
            let way = format!("an answer of {model}, {age} old, is kept: --stale takes it");
            let hint = failure
                .hint
                .as_ref()
                .map_or_else(|| way.clone(), |hint| format!("{hint}; {way}"));
            failure.hint(hint)
        }
        None => failure,
    }
}

/// Answers the last question in the way that the user chose.
pub(super) async fn take_offer(agent: &mut Agent, way: Degraded) {
    let Some(ask) = agent.unreachable.take().filter(|_| agent.turn.is_none()) else {
        agent
            .notice(Level::Info, "there is no question that waits for an answer")
            .await;
        return;
    };
    let mut ask = match index_of_prompt(agent, &ask.prompt) {
        Some(index) => {
            agent.retry = Some(Retry::of(index));
            Ask {
                selection: ask.selection,
                params: ask.params,
                ..sending::ask_again(agent, index)
            }
        }
        // The prompt was not stored.
        None => Ask {
            answer: sending::new_ask(agent, &Arc::from("")).answer,
            ..ask
        },
    };
    match way {
        Degraded::Again => {}
        Degraded::Kept => ask.stale = Stale::Only,
        Degraded::Guide => ask.selection = Selection::Pinned(ModelId::new(OFFLINE, MODEL)),
    }
    sending::begin(agent, ask);
}

fn index_of_prompt(agent: &Agent, prompt: &MessageId) -> Option<usize> {
    agent
        .session
        .entries
        .iter()
        .rposition(|entry| entry.id == *prompt)
}
