//! Telling the core about the draft.
//!
//! Owns: the commands that save the draft and ask for its receipt.
//! Refuses: when; that is [`DraftSync`](crate::tui::draft::DraftSync)'s.
//! Invariant: what is told is the newest text.

use std::sync::Arc;
use std::time::Instant;

use crate::protocol::Command;
use crate::tui::app::App;
use crate::tui::msg::Effect;

/// What is to be told now.
pub(crate) fn due(app: &mut App, now: Instant) -> Vec<Effect> {
    let mut effects = Vec::new();
    let (rev, edits) = (app.composer.rev(), app.composer.edits());
    let receipt = app.receipt.as_ref().map(|receipt| receipt.rev);
    app.draft.observe(rev, edits, receipt, now);
    if app.draft.save_due(now) {
        effects.push(save(app));
    }
    if app.session.is_some() && app.draft.ask(rev, now) {
        effects.push(Effect::Draft {
            rev,
            text: Arc::from(app.composer.text()),
        });
    }
    effects
}

/// Saves now, whatever the deadline. While the input is empty, what was put aside is what would be missed.
pub(crate) fn save(app: &mut App) -> Effect {
    app.draft.saved(app.composer.edits());
    let text = if app.composer.is_blank() {
        app.composer.history.aside().unwrap_or("")
    } else {
        app.composer.text()
    };
    Effect::Send(Command::SaveDraft(Arc::from(text)))
}
