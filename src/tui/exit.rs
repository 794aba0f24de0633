//! How the chat screen ends.
//!
//! Owns: [`Exit`], after it was open; [`ScreenError`], when it could not open or had to end.
//! Refuses: printing; the terminal is the caller's again by then.
//! Invariant: a chat is named in the farewell only when something was sent in it.

use super::keymap::KeymapError;
use crate::chat::{Failure, SessionId};

/// How the screen was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    /// The chat to name in the farewell line; `None` when nothing was sent.
    pub(crate) resume: Option<SessionId>,
    /// Exit status: 0, or 128 plus the signal that ended it.
    pub(crate) status: u8,
    /// Why the core ended by itself, to be printed after the screen is gone.
    pub(crate) failure: Option<Failure>,
}

impl Exit {
    /// The line to print after the screen is gone.
    pub(crate) fn farewell(&self) -> Option<String> {
        self.resume
            .as_ref()
            .map(|id| format!("chat-agent --session {id}  resumes this chat"))
    }
}

/// Why the chat screen could not open or had to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScreenError {
    #[error("cannot use the terminal: {0}; `chat-agent ask` works without one")]
    Terminal(#[source] std::io::Error),
    #[error(transparent)]
    Keys(#[from] KeymapError),
}
