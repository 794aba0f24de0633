//! The dialog at a limit.
//!
//! Owns: opening it, taking a way out, closing it.
//! Refuses: working the ways out and doing anything unasked: every way is a key press.
//! Invariant: while it is open the question stands in the input, so that neither Esc nor a crash loses it; it leaves
//! the input exactly when it is sent.

use super::submit;
use crate::protocol::{AtLimit, Command};
use crate::tui::app::{App, TurnState};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Limit, LimitOption, Overlay};

/// The core asks what to do. Nothing was sent.
pub(crate) fn open(app: &mut App, at: AtLimit) {
    let unsent = match &mut app.turn {
        TurnState::Waiting { prompt, .. } => prompt.take(),
        _ => None,
    };
    app.turn = TurnState::Idle;
    app.composer.touch();
    if let Some(text) = &unsent {
        app.composer.restore(text);
    }
    app.overlay = Overlay::Limit(Box::new(Limit::new(at, unsent.is_some())));
}

/// Takes the way that is selected, or the one with this key.
pub(crate) fn take(app: &mut App, key: Option<char>) -> Vec<Effect> {
    let Overlay::Limit(limit) = &app.overlay else {
        return Vec::new();
    };
    let ways = limit.ways();
    let chosen = match key {
        Some(_) => ways.iter().find(|way| way.key() == key),
        None => ways.get(limit.selected),
    };
    let Some(way) = chosen.and_then(LimitOption::out) else {
        if key.is_none() {
            close(app);
        }
        return Vec::new();
    };
    let (text, drafted) = (limit.at.text.clone(), limit.drafted);
    app.overlay = Overlay::None;
    if drafted {
        take_from_input(app, &text);
    }
    submit::awaits(app);
    app.turn = TurnState::Waiting {
        since: app.now,
        prompt: drafted.then(|| text.to_string()),
    };
    vec![Effect::Send(Command::SendBy { text, way })]
}

/// Closes the dialog, or any other. The question stands in the input already; what was queued behind it comes back too.
pub(crate) fn close(app: &mut App) {
    if matches!(std::mem::take(&mut app.overlay), Overlay::Limit(_)) {
        let draft = app.composer.take();
        app.composer
            .set(&submit::joined(draft, app.queue.drain(..)));
    }
}

/// The question goes; what was typed behind it stays.
fn take_from_input(app: &mut App, question: &str) {
    let draft = app.composer.take();
    let rest = draft
        .strip_prefix(question)
        .map_or(draft.as_str(), |rest| rest.trim_start_matches('\n'));
    if !rest.is_empty() {
        app.composer.set(rest);
    }
}
