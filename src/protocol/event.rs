//! What the core tells a front end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Alert, Answer, AtLimit, Attempt, Choice, Link, ModelRow, Notice, Offer, Panel, Progress, Quote,
    Receipt, Route, SessionRow, SessionView, Started,
};
use crate::chat::{Failure, MessageId, Timestamp};

/// What the core tells a front end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A chat is open: at the start, after `New`, `Resume` and `Rewind`.
    Session(Box<SessionView>),
    /// The open chat has this name now.
    Titled(String),
    /// The model, effort or system message in use has changed.
    Choice(Choice),
    /// What the current draft would cost.
    Receipt(Box<Receipt>),
    /// A prompt was accepted and stored.
    Prompted {
        /// The message.
        id: MessageId,
        /// Its words.
        text: Arc<str>,
        /// When it was sent.
        at: Timestamp,
    },
    /// A model has been chosen and money reserved; the answer to come has this id.
    Started(Box<Started>),
    /// A request to a server ended, well or badly.
    Attempt(Attempt),
    /// The next request waits this long: a server asked for it, or the last attempt failed.
    Pausing {
        /// The reason, in words.
        why: String,
        /// For so many milliseconds.
        ms: u64,
    },
    /// The state of the provider in use; sent when it has changed.
    Link(Link),
    /// A piece of the answer.
    Text {
        /// The message.
        id: MessageId,
        /// What has been added.
        text: String,
    },
    /// A piece of the reasoning.
    Reasoning {
        /// The message.
        id: MessageId,
        /// What has been added.
        text: String,
    },
    /// Figures of the answer that is streaming; at most one per piece.
    Progress(Progress),
    /// The answer is whole, or cut; it is stored.
    Finished(Box<Answer>),
    /// The turn failed. `route` says what was considered, if it came to that; `answer` holds what had arrived, if
    /// anything had.
    Failed {
        /// What failed, and what to do.
        failure: Failure,
        /// The models considered, when nothing was answered.
        route: Option<Route>,
        /// What had arrived.
        answer: Option<Box<Answer>>,
    },
    /// The prompt does not fit a limit, and the user is to say what to do. Nothing was sent; the turn is over.
    AtLimit(Box<AtLimit>),
    /// The output cap cut this answer off; this is what continuing would do ([`Command::Continue`](super::Command::Continue)).
    Continuable {
        /// The message.
        id: MessageId,
        /// What going on would cost.
        quote: Box<Quote>,
    },
    /// The last question failed because no provider could be reached; this is what the user can have instead.
    Offer(Offer),
    /// A limit has passed one of the configured shares, for the first time in its window.
    Alert(Alert),
    /// Figures of the panel; sent when one of them has changed.
    Panel(Box<Panel>),
    /// The list of models.
    Models(Vec<ModelRow>),
    /// The list of chats.
    Sessions(Vec<SessionRow>),
    /// Put this text into the composer (a rewound message, a recovered draft).
    DraftRestored(String),
    /// Something the user should know, once.
    Notice(Notice),
}
