//! The built-in guide: a model that answers from the bundled manual, reached over loopback like any other provider.
//!
//! Owns: the manual and its search, the composing of answers, and the only HTTP server of this program (hyper lives here).
//! Refuses: inventing anything (every sentence about the program is from `assets/guide`), and callers without the token.
//! Invariant: an answer says in its first line that no language model wrote it.
//!
//! ```text
//! server ─ connection ─ api ─ wire (JSON, SSE)
//!                        └─ answer ─ search ─ words
//!                               └─ manual (assets/guide/*.md)
//! ```

mod answer;
mod api;
mod manual;
mod search;
mod server;
mod wire;
mod words;

#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod question_tests;

use super::endpoint::Provider;

pub(crate) use server::{GuideServer, PACE, serve};
pub(crate) use wire::MODEL;

/// The name of the guide's provider.
pub(crate) const OFFLINE: &str = "offline";

/// The guide as a provider: its address is known once it listens.
pub(crate) fn provider() -> Provider {
    Provider {
        name: OFFLINE.to_owned(),
        endpoints: Vec::new(),
        keys: Vec::new(),
        local: true,
        own_address: false,
        needs_key: false,
    }
}
