//! Chats as front ends see them.

use serde::{Deserialize, Serialize};

use super::AnswerFacts;
use crate::chat::{Effort, MessageId, Overflow, Role, Selection, SessionId, Timestamp, Usd};

/// A chat as shown when it opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    pub id: SessionId,
    pub title: String,
    pub entries: Vec<Entry>,
    pub choice: Choice,
    /// Earlier prompts of all chats, newest last, for Up and Ctrl-R.
    pub history: Vec<String>,
}

/// What the next turn will be asked with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub selection: Selection,
    pub effort: Option<Effort>,
    pub system: Option<String>,
    pub favourites: Vec<Selection>,
    /// What becomes of a question that does not fit the window.
    #[serde(default)]
    pub overflow: Overflow,
    /// Answers that were kept are used, and new ones kept.
    #[serde(default)]
    pub cached: bool,
}

/// One message of the transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: MessageId,
    pub role: Role,
    pub text: String,
    pub reasoning: String,
    pub at: Timestamp,
    /// Of an answer: how it came about. `None` on prompts.
    pub answer: Option<AnswerFacts>,
}

/// A line of the list of chats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub id: SessionId,
    pub title: String,
    pub at: Timestamp,
    pub messages: u64,
    pub cost: Usd,
    /// Some of `cost` is an estimate, or still held.
    #[serde(default)]
    pub estimated: bool,
    /// Something of unknown price is not in it.
    #[serde(default)]
    pub unknown: bool,
    /// What the search found, around the hit.
    pub snippet: Option<String>,
}
