//! What a message does.
//!
//! Owns: [`update`]: what happened -> a changed [`App`] and a list of effects; and what is to be drawn for it.
//! Refuses: keys and events in particular; those have files of their own below this one.
//! Invariant: every message has its arm, and none makes time run backwards.

use std::time::Instant;

use crossterm::event::KeyEventKind;

use super::{commands, core, dialog, keys, limit};
use crate::protocol::Level;
use crate::tui::app::{App, Focus};
use crate::tui::frame::Redraw;
use crate::tui::keymap::Chord;
use crate::tui::msg::{Effect, Msg};
use crate::tui::overlay::Overlay;

/// Takes a message in.
pub(crate) fn update(app: &mut App, msg: Msg, now: Instant) -> Vec<Effect> {
    app.now = app.now.max(now);
    app.redraw = Redraw::Soon;
    match msg {
        Msg::Key(key) if key.kind == KeyEventKind::Release => {
            app.redraw = Redraw::Nothing;
            Vec::new()
        }
        Msg::Key(key) => {
            app.redraw = Redraw::Now;
            let effects = keys::key(app, Chord::from(key));
            // An offer above the rule names other keys as soon as the input is not empty.
            if app.redraw == Redraw::Foot && app.rescue.is_some() {
                app.redraw = Redraw::Now;
            }
            effects
        }
        Msg::Paste(text) => {
            app.redraw = Redraw::Now;
            paste(app, &text);
            Vec::new()
        }
        Msg::Wheel(rows) => {
            app.log.scroll(rows);
            Vec::new()
        }
        Msg::Resize => Vec::new(),
        Msg::Focus => {
            // The day may have changed in the meantime, and with it what is left of the budget.
            app.in_front = true;
            app.composer.touch();
            Vec::new()
        }
        Msg::Blur => {
            app.in_front = false;
            Vec::new()
        }
        Msg::Core(event) => core::event(app, *event),
        Msg::CoreClosed => {
            app.core_gone = true;
            vec![Effect::Quit]
        }
        Msg::Tick => {
            app.redraw = if app.busy() {
                Redraw::Soon
            } else {
                Redraw::Nothing
            };
            core::tick(app);
            if app.draft.grows_late(now) {
                app.redraw = Redraw::Soon;
            }
            if app.burst.expired(now) {
                app.redraw = Redraw::Now;
                return commands::enter(app);
            }
            Vec::new()
        }
        Msg::Edited(Ok(text)) => {
            app.composer.set(text.trim_end_matches('\n'));
            Vec::new()
        }
        Msg::Edited(Err(problem)) => {
            app.say(Level::Error, problem);
            Vec::new()
        }
        Msg::Said(level, text) => {
            app.say(level, text);
            Vec::new()
        }
    }
}

fn paste(app: &mut App, text: &str) {
    match &mut app.overlay {
        Overlay::None => {
            app.focus = Focus::Input;
            app.composer.paste(text);
        }
        Overlay::Page(_) | Overlay::Rewind(_) | Overlay::Limit(_) | Overlay::Effort(_) => {
            limit::close(app);
            app.composer.paste(text);
        }
        _ => dialog::typed(app, text),
    }
}
