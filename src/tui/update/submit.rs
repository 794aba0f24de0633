//! Sending.
//!
//! Owns: what becomes of a prompt, the queue, retries.
//! Refuses: sending anything that the user did not ask for: after a stop or a failure the queue comes back to the input.
//! Invariant: a prompt is in the input, in the queue, waiting for the core, or in the transcript; never nowhere.

use std::sync::Arc;

use crate::protocol::{Command, Level};
use crate::tui::app::{App, QUEUE, TurnState};
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;

/// Takes a prompt off the input and sends or queues it.
pub(crate) fn prompt(app: &mut App, text: String) -> Vec<Effect> {
    if app.queue.len() >= QUEUE {
        app.say(
            Level::Warning,
            format!("{QUEUE} prompts are queued already; the draft stays here"),
        );
        return Vec::new();
    }
    app.composer.take();
    app.composer.history.sent(&text);
    app.log.bottom();
    app.queue.push_back(text);
    next(app)
}

/// Sends the first of the queue when nothing is in the way.
pub(crate) fn next(app: &mut App) -> Vec<Effect> {
    // A question that came to a limit goes first, or comes back.
    let waits = matches!(app.overlay, Overlay::Limit(_));
    if app.busy() || app.session.is_none() || waits {
        return Vec::new();
    }
    let Some(text) = app.queue.pop_front() else {
        return Vec::new();
    };
    awaits(app);
    app.turn = TurnState::Waiting {
        since: app.now,
        prompt: Some(text.clone()),
    };
    vec![Effect::Send(Command::Send {
        text: Arc::from(text),
    })]
}

/// Something is asked: an answer is awaited from now on.
pub(crate) fn awaits(app: &mut App) {
    app.turn = TurnState::Waiting {
        since: app.now,
        prompt: None,
    };
    app.reply = None;
    app.rescue = None;
    app.price_alert.asked();
    app.log.bottom();
}

/// A draft with what was queued behind it.
pub(crate) fn joined(draft: String, queued: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = [draft]
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .chain(queued)
        .collect();
    all.join("\n\n")
}

/// The turn was stopped or failed: what was queued behind it is the user's to decide on again.
pub(crate) fn give_back(app: &mut App, unsent: Option<String>) {
    let waiting: Vec<String> = unsent.into_iter().chain(app.queue.drain(..)).collect();
    if !waiting.is_empty() {
        app.composer.restore(&waiting.join("\n\n"));
    }
}

pub(crate) fn retry(app: &mut App, rung_up: bool) -> Vec<Effect> {
    if app.busy() {
        app.info("an answer is streaming: Esc stops it");
        return Vec::new();
    }
    if app.log.prompts().next().is_none() {
        app.info("nothing was asked yet in this chat");
        return Vec::new();
    }
    awaits(app);
    vec![Effect::Send(Command::Retry { rung_up })]
}

/// Goes on with the answer that its cap cut off.
pub(crate) fn go_on(app: &mut App) -> Vec<Effect> {
    if app.busy() {
        app.info("an answer is streaming: Esc stops it");
        return Vec::new();
    }
    // The offer is for one question: it goes with it.
    let Some((id, _)) = app.offer.take() else {
        app.info("there is no answer that was cut at its output cap");
        return Vec::new();
    };
    app.log.offer(&id, None);
    awaits(app);
    vec![Effect::Send(Command::Continue)]
}
