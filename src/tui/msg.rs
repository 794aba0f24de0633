//! What can happen to the screen, and what the screen can want.
//!
//! Owns: [`Msg`] (in) and [`Effect`] (out).
//! Refuses: doing anything; `run` carries effects out.
//! Invariant: both are plain data, so that a test can play a whole evening.

use std::sync::Arc;

use crossterm::event::KeyEvent;

use crate::protocol::{Command, Event, Level};

/// Something happened.
#[derive(Debug, Clone)]
pub(crate) enum Msg {
    Key(KeyEvent),
    Paste(String),
    /// Rows the wheel turned, up negative.
    Wheel(i32),
    Resize,
    Focus,
    Blur,
    Core(Box<Event>),
    /// The core is gone.
    CoreClosed,
    /// A deadline asked for by `App::deadline` has passed.
    Tick,
    /// The editor gave the draft back, or could not.
    Edited(Result<String, String>),
    /// Something outside has a word for the user.
    Said(Level, String),
}

/// Something to be done outside the state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Send(Command),
    /// Ask for a receipt; dropped and asked again later when the core is behind.
    Draft {
        rev: u64,
        text: Arc<str>,
    },
    OpenEditor(String),
    /// To the clipboard; `what` names it for the toast.
    Copy {
        text: String,
        what: String,
    },
    Mouse(bool),
    Suspend,
    Redraw,
    Bell,
    /// A notification of the terminal's desktop, with the bell. The text is safe and one line.
    Notify(String),
    Quit,
}
