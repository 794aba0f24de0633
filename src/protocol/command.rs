//! What a front end asks of the core.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Degraded, WayOut};
use crate::chat::{Effort, MessageId, Overflow, Selection, SessionId};

/// What a front end asks of the core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The draft is now this; answer with an [`Event::Receipt`](super::Event::Receipt) of the same `rev`. Only the newest needs an answer.
    /// The draft has changed: a receipt for revision `rev` is wanted.
    Draft {
        /// Of the draft; a later one makes this one obsolete.
        rev: u64,
        /// The whole draft.
        text: Arc<str>,
    },
    /// Keep this draft so that it survives a crash (empty: forget it).
    SaveDraft(Arc<str>),
    /// Send this prompt.
    /// Send the prompt.
    Send {
        /// The user's words.
        text: Arc<str>,
    },
    /// Send this prompt in the way that the user chose at [`Event::AtLimit`](super::Event::AtLimit).
    /// Send the prompt in the way that the user chose at a limit.
    SendBy {
        /// The user's words.
        text: Arc<str>,
        /// The way out of the limit.
        way: WayOut,
    },
    /// Continue the last answer, which its output cap cut off.
    Continue,
    /// Answer the last question, which no provider could be reached for, in this way ([`Event::Offer`](super::Event::Offer)).
    TakeOffer(Degraded),
    /// What to do with the next questions of this chat when they do not fit the window.
    Fit(Overflow),
    /// Stop the answer that is streaming.
    Cancel,
    /// Use this model from the next turn on, in this chat.
    Select(Selection),
    /// Make this the model of every new chat.
    SetDefault(Selection),
    /// Put the model among the favourites, or take it out.
    ToggleFavourite(Selection),
    /// The reasoning effort; `None`: the model's own default.
    SetEffort(Option<Effort>),
    /// Use the answer cache in this chat, for reading and writing, or not at all.
    SetCached(bool),
    /// The system message of this chat.
    SetSystem(Option<String>),
    /// Start a new chat.
    New,
    /// Go on with a chat.
    Resume(SessionId),
    /// Give this chat a title.
    Rename(String),
    /// Ask the last question again, past the cache; both answers are kept.
    /// Ask the last question again; `rung_up`: one rung up the ladder.
    Retry {
        /// One rung up the ladder.
        rung_up: bool,
    },
    /// Go back to before this message of the user; its text comes back as a draft, the old branch is kept.
    Rewind(MessageId),
    /// Answer with [`Event::Models`](super::Event::Models), priced for this draft.
    /// List the models, with the price of this draft on each.
    ListModels {
        /// What is being written.
        draft: Arc<str>,
    },
    /// Answer with [`Event::Sessions`](super::Event::Sessions); an empty query lists the newest.
    /// List the chats that match; all for an empty query.
    ListSessions {
        /// Words to search for; empty: all chats.
        query: String,
    },
    /// End: settle, store, close. The event channel closes when that is done.
    Shutdown,
}
