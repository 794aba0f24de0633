//! Telling the core about the draft.
//!
//! Owns: which revision was sent to be priced and which was saved, and when a receipt counts as late.
//! Refuses: the text.
//! Invariant: a receipt is asked for a few times a second at most, and the last request is for the newest text; a change
//! is saved within a second; without a change there is no deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::app::App;
use super::msg::Effect;
use crate::protocol::Command;

/// From the first unsaved change to saving.
const SAVE: Duration = Duration::from_millis(800);
/// From one request for a receipt to the next. Figures that change more often cannot be read while typing.
const QUOTE: Duration = Duration::from_millis(100);
/// How long the receipt of an older draft is shown as if it were the new one's: until then most receipts have come, and
/// a line that dims and lights up again with every key is unrest.
const LATE: Duration = Duration::from_millis(400);

/// What the core knows of the draft.
#[derive(Debug, Default)]
pub struct DraftSync {
    priced: u64,
    saved: u64,
    unsaved_since: Option<Instant>,
    /// Not before then a receipt is asked for again.
    quote_at: Option<Instant>,
    /// Since when the receipt on the screen is that of an older draft, and whether that is shown.
    stale_since: Option<Instant>,
    late: bool,
}

impl DraftSync {
    /// The core took the request for this revision.
    pub fn priced(&mut self, rev: u64) {
        self.priced = self.priced.max(rev);
    }

    /// A receipt has come.
    pub fn answered(&mut self) {
        self.stale_since = None;
        self.late = false;
    }

    /// Whether the receipt has been that of an older draft for so long that it must look like it.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// Whether that becomes so now.
    pub fn grows_late(&mut self, now: Instant) -> bool {
        let grows = !self.late && self.stale_since.is_some_and(|since| now >= since + LATE);
        self.late |= grows;
        grows
    }

    /// When the next of these is due; `None`: nothing has changed.
    pub fn deadline(&self, rev: u64) -> Option<Instant> {
        let save = self.unsaved_since.map(|since| since + SAVE);
        let quote = self.quote_at.filter(|_| rev > self.priced);
        let late = self.stale_since.filter(|_| !self.late);
        [save, quote, late.map(|since| since + LATE)]
            .into_iter()
            .flatten()
            .min()
    }
}

/// What is to be told now.
pub fn due(app: &mut App, now: Instant) -> Vec<Effect> {
    let mut effects = Vec::new();
    let (rev, draft) = (app.composer.rev(), &mut app.draft);
    if app.composer.edits() != draft.saved {
        let since = *draft.unsaved_since.get_or_insert(now);
        if now >= since + SAVE {
            effects.push(save(app));
        }
    }
    let draft = &mut app.draft;
    if app.receipt.as_ref().is_some_and(|shown| shown.rev < rev) {
        draft.stale_since.get_or_insert(now);
    }
    if app.session.is_some() && rev > draft.priced && draft.quote_at.is_none_or(|at| now >= at) {
        draft.quote_at = Some(now + QUOTE);
        effects.push(Effect::Draft {
            rev,
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
