//! A message of a chat, as it is sent.
//!
//! Owns: [`Role`] and [`Message`].
//! Refuses: what belongs to showing or storing (marks, times, prices).
//! Invariant: `text` is the source text, byte for byte what the user or the model wrote.

use serde::{Deserialize, Serialize};

/// Who speaks. The wire name of [`Role::System`] depends on the model (`system`, `developer` or none at all).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions for the whole chat.
    System,
    /// What the user wrote.
    User,
    /// What a model answered.
    Assistant,
}

impl Role {
    /// The name as stored and as most servers expect it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub(crate) role: Role,
    /// The words, as source text.
    pub text: String,
}

impl Message {
    /// A message of this role.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
        }
    }
}
