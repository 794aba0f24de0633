//! The chat screen.
//!
//! Owns: the terminal while it runs, the keys, what is shown; ratatui and crossterm live here only.
//! Refuses: every decision about models and money; those arrive as [`crate::protocol::Event`]s.
//! Invariant: state changes in `update` alone, which is pure; with nothing happening nothing is drawn and nothing wakes.
//!
//! One turn of the loop in [`run`]: something arrives -> `update` changes the `app` and names effects ->
//! the effects are carried out -> `frame` says whether it is time to draw -> `view` draws.

mod app;
mod burst;
mod clipboard;
mod composer;
mod draft;
mod editor;
mod field;
mod format;
mod frame;
mod input;
pub mod keymap;
mod layout;
mod msg;
mod overlay;
mod picker;
mod price_alert;
mod prices;
mod replies;
mod rescue;
mod run;
mod scrollback;
mod slash;
mod terminal;
mod timer;
mod uneven;
mod update;
mod view;
mod wire;

pub mod canvas;
pub mod markdown;
pub mod theme;
pub mod transcript;
pub mod wrap;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use run::run;

use crate::chat::{Failure, SessionId, Timestamp};

/// What the chat screen is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// `auto`, `dark` or `light`.
    pub theme: String,
    /// The value of `COLORFGBG`, by which some terminals say how dark they are.
    pub colorfgbg: Option<String>,
    /// Draw without colours (`NO_COLOR`).
    pub no_color: bool,
    /// Show the panel where it fits.
    pub panel: bool,
    /// Capture the mouse (the terminal's own selection does not work then).
    pub mouse: bool,
    /// Send alerts as a desktop notification, with the bell, while the window has no focus.
    pub notify: bool,
    /// A time of day in the user's zone, as `14:32`.
    pub time_of_day: fn(Timestamp) -> String,
    /// Ask the terminal to tell Shift-Enter from Enter (the kitty keyboard protocol); harmless where unknown.
    pub kitty: bool,
    /// `[keys]`: action name to keys.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Sent as soon as the chat is open.
    pub prompt: Option<String>,
    /// `$VISUAL` or `$EDITOR`, a shell word list.
    pub editor: Option<String>,
    /// Where the draft is put while an editor has it.
    pub scratch: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: "auto".to_owned(),
            colorfgbg: None,
            no_color: false,
            panel: true,
            mouse: false,
            notify: false,
            time_of_day: utc,
            kitty: true,
            keys: BTreeMap::new(),
            prompt: None,
            editor: None,
            scratch: PathBuf::from("."),
        }
    }
}

/// The time of day in UTC, for a caller without a time zone.
fn utc(at: Timestamp) -> String {
    let minutes = at.0.div_euclid(60_000).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// How the screen was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The chat to name in the farewell line; `None` when nothing was sent.
    pub resume: Option<SessionId>,
    /// Exit status: 0, or 128 plus the signal that ended it.
    pub status: u8,
    /// Why the core ended by itself, to be printed after the screen is gone.
    pub failure: Option<Failure>,
}

impl Exit {
    /// The line to print after the screen is gone.
    pub fn farewell(&self) -> Option<String> {
        self.resume
            .as_ref()
            .map(|id| format!("chat-agent --session {id}  resumes this chat"))
    }
}

/// Why the chat screen could not open or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    #[error("cannot use the terminal: {0}; `chat-agent ask` works without one")]
    Terminal(#[source] std::io::Error),
    #[error(transparent)]
    Keys(#[from] keymap::KeymapError),
}
