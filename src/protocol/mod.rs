//! The messages between a front end and the core.
//!
//! Owns: [`Command`] (in), [`Event`] (out) and the [`Handle`] that carries both over bounded channels.
//! Refuses: behaviour. Both enums are plain data that could as well travel over a socket.
//! Invariant: texts in here are source text; a front end passes them through [`crate::chat::text`] before showing them.

mod answer;
mod chats;
mod link;
mod panel;
mod quote;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use answer::{
    Answer, AnswerFacts, Attempt, CacheHit, Considered, Estimate, Latency, Progress, Route,
    RouteMode, Started,
};
pub use chats::{Choice, Entry, SessionRow, SessionView};
pub use link::{Circuit, Degraded, Kept, Link, Offer};
pub use panel::{Alert, Level, Meter, ModelRow, Notice, Panel};
pub use quote::{
    AtLimit, Counterfactual, Fitted, Left, Quote, Raise, Receipt, Refused, Spread, Warm, WayOut,
};

use crate::chat::{Effort, Failure, MessageId, Overflow, Selection, SessionId, Timestamp};

/// Commands that may wait in the channel; a front end that fills it has to wait.
pub const COMMANDS: usize = 64;
/// Events that may wait; the core stops reading the network when the front end is this far behind.
pub const EVENTS: usize = 1024;

/// The front end's end of the two channels.
#[derive(Debug)]
pub struct Handle {
    pub commands: mpsc::Sender<Command>,
    pub events: mpsc::Receiver<Event>,
}

/// What a front end asks of the core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The draft is now this; answer with an [`Event::Receipt`] of the same `rev`. Only the newest needs an answer.
    Draft { rev: u64, text: Arc<str> },
    /// Keep this draft so that it survives a crash (empty: forget it).
    SaveDraft(Arc<str>),
    /// Send this prompt.
    Send { text: Arc<str> },
    /// Send this prompt in the way that the user chose at [`Event::AtLimit`].
    SendBy { text: Arc<str>, way: WayOut },
    /// Continue the last answer, which its output cap cut off.
    Continue,
    /// Answer the last question, which no provider could be reached for, in this way ([`Event::Offer`]).
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
    Retry { rung_up: bool },
    /// Go back to before this message of the user; its text comes back as a draft, the old branch is kept.
    Rewind(MessageId),
    /// Answer with [`Event::Models`], priced for this draft.
    ListModels { draft: Arc<str> },
    /// Answer with [`Event::Sessions`]; an empty query lists the newest.
    ListSessions { query: String },
    /// End: settle, store, close. The event channel closes when that is done.
    Shutdown,
}

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
        id: MessageId,
        text: Arc<str>,
        at: Timestamp,
    },
    /// A model has been chosen and money reserved; the answer to come has this id.
    Started(Box<Started>),
    /// A request to a server ended, well or badly.
    Attempt(Attempt),
    /// The next request waits this long: a server asked for it, or the last attempt failed.
    Pausing {
        why: String,
        ms: u64,
    },
    /// The state of the provider in use; sent when it has changed.
    Link(Link),
    /// A piece of the answer.
    Text {
        id: MessageId,
        text: String,
    },
    /// A piece of the reasoning.
    Reasoning {
        id: MessageId,
        text: String,
    },
    /// Figures of the answer that is streaming; at most one per piece.
    Progress(Progress),
    /// The answer is whole, or cut; it is stored.
    Finished(Box<Answer>),
    /// The turn failed. `route` says what was considered, if it came to that; `answer` holds what had arrived, if
    /// anything had.
    Failed {
        failure: Failure,
        route: Option<Route>,
        answer: Option<Box<Answer>>,
    },
    /// The prompt does not fit a limit, and the user is to say what to do. Nothing was sent; the turn is over.
    AtLimit(Box<AtLimit>),
    /// The output cap cut this answer off; this is what continuing would do ([`Command::Continue`]).
    Continuable {
        id: MessageId,
        quote: Box<Quote>,
    },
    /// The last question failed because no provider could be reached; this is what the user can have instead.
    Offer(Offer),
    /// A limit has passed one of the configured shares, for the first time in its window.
    Alert(Alert),
    /// Figures of the panel; sent when one of them has changed.
    Panel(Box<Panel>),
    Models(Vec<ModelRow>),
    Sessions(Vec<SessionRow>),
    /// Put this text into the composer (a rewound message, a recovered draft).
    DraftRestored(String),
    /// Something the user should know, once.
    Notice(Notice),
}
