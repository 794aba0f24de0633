//! Chats as front ends see them.

use serde::{Deserialize, Serialize};

use super::AnswerFacts;
use crate::chat::{Effort, MessageId, Overflow, Role, Selection, SessionId, Timestamp, Usd};

/// A chat as shown when it opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    pub(crate) id: SessionId,
    pub(crate) title: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) choice: Choice,
    /// Earlier prompts of all chats, newest last, for Up and Ctrl-R.
    pub(crate) history: Vec<String>,
}

/// What the next turn will be asked with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub(crate) selection: Selection,
    pub(crate) effort: Option<Effort>,
    pub(crate) system: Option<String>,
    pub(crate) favourites: Vec<Selection>,
    /// What becomes of a question that does not fit the window.
    #[serde(default)]
    pub(crate) overflow: Overflow,
    /// Answers that were kept are used, and new ones kept.
    #[serde(default)]
    pub(crate) cached: bool,
}

/// One message of the transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub(crate) id: MessageId,
    pub role: Role,
    pub text: String,
    pub(crate) reasoning: String,
    pub(crate) at: Timestamp,
    /// Of an answer: how it came about. `None` on prompts.
    pub(crate) answer: Option<AnswerFacts>,
}

/// A line of the list of chats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub(crate) id: SessionId,
    pub(crate) title: String,
    pub(crate) at: Timestamp,
    pub(crate) messages: u64,
    pub(crate) cost: Usd,
    /// Some of `cost` is an estimate, or still held.
    #[serde(default)]
    pub(crate) estimated: bool,
    /// Something of unknown price is not in it.
    #[serde(default)]
    pub(crate) unknown: bool,
    /// What the search found, around the hit.
    pub(crate) snippet: Option<String>,
}
