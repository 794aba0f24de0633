//! Keys outside dialogs.
//!
//! Owns: what each action does to the state.
//! Refuses: which key means which action.
//! Invariant: Esc and Ctrl-C always end something or say what they would end next.

use std::time::Duration;

use super::{commands, dialog, rescue, submit};
use crate::chat::Selection;
use crate::protocol::{Command, Level};
use crate::tui::app::{App, Focus, TurnState};
use crate::tui::burst::Enter;
use crate::tui::frame::Redraw;
use crate::tui::keymap::{Action, Chord, Edit, KeyContext};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Commands, Overlay, Rewind, Search};

/// Two presses of Esc within this are one gesture.
const TWICE: Duration = Duration::from_secs(1);
/// A notice stays at least this long, and then until the next key.
const READ: Duration = Duration::from_secs(2);

pub(crate) fn key(app: &mut App, chord: Chord) -> Vec<Effect> {
    if app
        .toast
        .as_ref()
        .is_some_and(|t| app.now.saturating_duration_since(t.since) >= READ)
    {
        app.toast = None;
    }
    if !matches!(app.overlay, Overlay::None) {
        return dialog::key(app, chord);
    }
    let now = app.now;
    let heeded = app.rescue.as_mut().is_some_and(|rescue| rescue.heeds(now)) && !app.busy();
    let places: &[KeyContext] = match app.focus {
        Focus::Input if app.composer.is_empty() && heeded => &[
            KeyContext::Offer,
            KeyContext::EmptyInput,
            KeyContext::Input,
            KeyContext::Anywhere,
        ],
        Focus::Input if app.composer.is_empty() => &[
            KeyContext::EmptyInput,
            KeyContext::Input,
            KeyContext::Anywhere,
        ],
        Focus::Input => &[KeyContext::Input, KeyContext::Anywhere],
        Focus::Transcript => &[KeyContext::Transcript, KeyContext::Anywhere],
        Focus::Panel => &[KeyContext::Panel, KeyContext::Anywhere],
    };
    let action = app.keymap.find(places, chord);
    if action != Some(Action::Interrupt) {
        app.armed = false;
    }
    if action != Some(Action::Escape) {
        app.escaped = None;
    }
    if app.focus == Focus::Input {
        if action == Some(Action::Send) && chord.is_enter() {
            return enter(app);
        }
        if app.burst.key(app.now) {
            app.composer.insert("\n");
            // The held Enter made the input non-empty: `?` and `/` are letters now.
            return key(app, chord);
        }
        if !chord.is_in_text() {
            app.burst.pressed();
        }
    }
    match (action, chord.types()) {
        (Some(action), _) => act(app, action),
        (None, Some(c)) if app.focus == Focus::Input => {
            app.composer.insert(c.encode_utf8(&mut [0; 4]));
            app.redraw = Redraw::Foot;
            Vec::new()
        }
        (None, _) => {
            app.redraw = Redraw::Nothing;
            Vec::new()
        }
    }
}

fn enter(app: &mut App) -> Vec<Effect> {
    let (enter, before) = app.burst.enter(app.now);
    if before {
        app.composer.insert("\n");
    }
    match enter {
        Enter::Act => commands::enter(app),
        Enter::Hold => Vec::new(),
        Enter::Break => {
            app.composer.insert("\n");
            Vec::new()
        }
    }
}

pub(crate) fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Send => return commands::enter(app),
        Action::NewLine => {
            app.composer.insert("\n");
            app.redraw = Redraw::Foot;
        }
        Action::Escape => return escape(app),
        Action::Interrupt => return interrupt(app),
        Action::DeleteOrQuit if app.composer.is_empty() => return vec![Effect::Quit],
        Action::DeleteOrQuit => app.composer.edit(Edit::Delete),
        Action::NextModel => return cycle(app, true),
        Action::PreviousModel => return cycle(app, false),
        Action::Models => return commands::models(app, ""),
        Action::Escalate => return submit::retry(app, true),
        Action::Continue => return submit::go_on(app),
        Action::Take(way) => return rescue::take(app, way),
        Action::LeaveOffer => app.rescue = None,
        Action::TogglePanel => {
            app.panel_on = !app.panel_on;
            if app.focus == Focus::Panel {
                app.focus = Focus::Input;
            }
        }
        Action::ToggleMouse => {
            app.mouse_on = !app.mouse_on;
            app.info(if app.mouse_on {
                "mouse on: the wheel scrolls here"
            } else {
                "mouse off: select with the terminal"
            });
            return vec![Effect::Mouse(app.mouse_on)];
        }
        Action::Commands => app.overlay = Overlay::Palette(Commands::default()),
        Action::Help => app.overlay = Overlay::Page(commands::help(app)),
        Action::Previous => {
            app.composer.up();
            app.redraw = Redraw::Foot;
        }
        Action::Next => {
            app.composer.down();
            app.redraw = Redraw::Foot;
        }
        Action::SearchHistory => app.overlay = Overlay::HistorySearch(Search::default()),
        Action::TakeBack => take_back(app),
        Action::Editor => return vec![Effect::OpenEditor(app.composer.text().to_owned())],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Edit(edit) => {
            app.composer.edit(edit);
            app.redraw = Redraw::Foot;
        }
        Action::Accept => app.focus = Focus::Input,
        Action::NextFocus => app.focus = focus(app, true),
        Action::PreviousFocus => app.focus = focus(app, false),
        Action::ToggleReasoning => app.log.toggle_reasoning(),
        Action::CopyMessage => return commands::copy(app, app.log.selected()),
        Action::CopyAll => return commands::copy(app, app.log.whole()),
        Action::CopyBlock(n) => return commands::copy_block(app, n),
        // These belong to dialogs.
        Action::Complete
        | Action::Erase
        | Action::ClearField
        | Action::SetDefault
        | Action::ToggleFavourite => {}
        scroll => scrolled(app, scroll),
    }
    Vec::new()
}

fn scrolled(app: &mut App, action: Action) {
    if app.focus == Focus::Panel {
        app.panel_scroll = match action {
            Action::LineDown => app.panel_scroll.saturating_add(1),
            Action::LineUp => app.panel_scroll.saturating_sub(1),
            Action::Top => 0,
            _ => app.panel_scroll,
        };
        return;
    }
    match action {
        Action::LineDown => app.log.scroll(1),
        Action::LineUp => app.log.scroll(-1),
        Action::PageUp => app.log.page(-1),
        Action::PageDown => app.log.page(1),
        Action::Top => app.log.top(),
        Action::Bottom => app.log.bottom(),
        Action::NextMessage => app.log.next_message(),
        Action::PreviousMessage => app.log.previous_message(),
        _ => {}
    }
}

/// Stop the answer; leave the transcript or panel; twice on an empty input: edit an earlier message.
fn escape(app: &mut App) -> Vec<Effect> {
    if app.busy() {
        return vec![Effect::Send(Command::Cancel)];
    }
    if app.focus != Focus::Input {
        app.focus = Focus::Input;
        return Vec::new();
    }
    if !app.composer.is_empty() {
        app.rescue = None;
        return Vec::new();
    }
    if app
        .escaped
        .take()
        .is_some_and(|first| app.now.saturating_duration_since(first) <= TWICE)
    {
        let rows: Vec<_> = app
            .log
            .prompts()
            .rev()
            .map(|(id, text)| (id.clone(), text.to_owned()))
            .collect();
        if rows.is_empty() {
            app.info("nothing was asked yet in this chat");
        } else {
            app.overlay = Overlay::Rewind(Rewind { rows, selected: 0 });
        }
    } else {
        app.escaped = Some(app.now);
        app.info("Esc again: edit an earlier message");
    }
    Vec::new()
}

/// Stop the answer; else put the draft aside; else arm, and the second press quits.
fn interrupt(app: &mut App) -> Vec<Effect> {
    if app.busy() {
        return vec![Effect::Send(Command::Cancel)];
    }
    if !app.composer.is_blank() {
        let draft = app.composer.take();
        app.composer.history.put_aside(&draft);
        app.focus = Focus::Input;
        app.info("draft put aside: Up brings it back");
        return Vec::new();
    }
    if app.armed {
        return vec![Effect::Quit];
    }
    app.armed = true;
    Vec::new()
}

fn focus(app: &App, forward: bool) -> Focus {
    let ring: &[Focus] = if app.panel_shown() {
        &[Focus::Input, Focus::Transcript, Focus::Panel]
    } else {
        &[Focus::Input, Focus::Transcript]
    };
    let at = ring
        .iter()
        .position(|focus| *focus == app.focus)
        .unwrap_or(0);
    let step = if forward { 1 } else { ring.len() - 1 };
    ring[(at + step) % ring.len()]
}

/// The next favourite; `auto` is always one of them.
fn cycle(app: &mut App, forward: bool) -> Vec<Effect> {
    let mut ring = vec![Selection::Auto];
    ring.extend(
        app.choice
            .favourites
            .iter()
            .filter(|s| **s != Selection::Auto)
            .cloned(),
    );
    let len = ring.len();
    let at = ring.iter().position(|s| *s == app.choice.selection);
    let next = match (at, forward) {
        (Some(at), true) => (at + 1) % len,
        (Some(at), false) => (at + len - 1) % len,
        (None, _) => 0,
    };
    let next = ring.swap_remove(next);
    if next == app.choice.selection {
        app.info("no other favourite yet: Alt-P, then f on a model");
        return Vec::new();
    }
    // Shown at once, so that two quick presses go two steps; the core's `Choice` has the last word.
    app.choice.selection = next.clone();
    app.composer.touch();
    vec![Effect::Send(Command::Select(next))]
}

fn take_back(app: &mut App) {
    if let Some(prompt) = app.queue.pop_back() {
        app.composer.restore(&prompt);
        app.focus = Focus::Input;
    } else if matches!(app.turn, TurnState::Idle) {
        app.info("nothing is queued");
    } else {
        app.say(Level::Info, "nothing is queued; Esc stops the answer");
    }
}
