//! Telling the core about the draft.
//!
//! Owns: which revision was priced and which was saved.
//! Refuses: the text.
//! Invariant: at most one request for a receipt per frame, always for the newest text; a change is saved within a
//! second; without a change there is no deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use super::msg::Effect;
use crate::protocol::Command;

/// From the first unsaved change to saving.
const SAVE: Duration = Duration::from_millis(800);

#[derive(Debug, Default)]
pub struct Draft {
    priced: u64,
    saved: u64,
    unsaved_since: Option<Instant>,
}

impl Draft {
    /// The core took the request for this revision.
    pub fn priced(&mut self, rev: u64) {
        self.priced = self.priced.max(rev);
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.unsaved_since.map(|since| since + SAVE)
    }
}

/// What is to be told now.
pub fn due(app: &mut App, now: Instant) -> Vec<Effect> {
    let mut effects = Vec::new();
    if app.composer.edits() != app.draft.saved {
        let since = *app.draft.unsaved_since.get_or_insert(now);
        if now >= since + SAVE {
            effects.push(save(app));
        }
    }
    if app.session.is_some() && app.composer.rev() > app.draft.priced {
        effects.push(Effect::Draft {
            rev: app.composer.rev(),
            text: Arc::from(app.composer.text()),
        });
    }
    effects
}

/// Saves now, whatever the deadline. While the input is empty, what was put aside is what would be missed.
pub fn save(app: &mut App) -> Effect {
    app.draft.saved = app.composer.edits();
    app.draft.unsaved_since = None;
    let text = if app.composer.is_blank() {
        app.composer.history.aside().unwrap_or("")
    } else {
        app.composer.text()
    };
    Effect::Send(Command::SaveDraft(Arc::from(text)))
}
