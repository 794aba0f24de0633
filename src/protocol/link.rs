//! The state of a provider, and what the user can have when none can be reached.

use serde::{Deserialize, Serialize};

use super::CacheHit;
use crate::chat::{ModelId, Timestamp, Usd};

/// The state of the connection to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub(crate) provider: String,
    /// Whether requests go to the provider.
    pub circuit: Circuit,
    /// Requests of this program that wait for their turn.
    pub waiting: u64,
    /// Plain HTTP to another machine: it can be read on the way.
    pub(crate) plain: bool,
}

/// Whether requests go to a provider at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// They do.
    #[default]
    Closed,
    /// Too many have failed: nothing is sent before this time.
    /// They do not, until then.
    Open {
        /// When the next request is let through.
        until: Timestamp,
    },
    /// One request is let through to see whether it works again.
    HalfOpen,
}

/// What the user can have for a question when no provider can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// An answer kept from earlier, however old.
    pub kept: Option<Kept>,
    /// When the first provider is tried again; `None`: at any time.
    pub until: Option<Timestamp>,
}

/// The user's choice at an [`Offer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The answer that was kept.
    Kept,
    /// The built-in guide, which says what it is.
    Guide,
    /// Ask again.
    Again,
}

/// An answer to this question in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The model that gave it.
    pub model: ModelId,
    pub(crate) tier: CacheHit,
    pub age_s: u64,
    /// It is past its time.
    pub expired: bool,
    /// What it cost then; `None`: unknown.
    pub(crate) usd: Option<Usd>,
}
