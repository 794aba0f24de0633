//! What a front end and the core say to each other.
//!
//! Owns: [`Command`] (in), [`Event`] (out) and the [`Handle`] that carries both over bounded channels.
//! Refuses: behaviour. Both enums are plain data that could as well travel over a socket.
//! Invariant: texts in here are source text; whoever shows one passes it through [`crate::chat::text`] first.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::chat::usage::Usage;
use crate::chat::{Cost, Effort, Failure, Finish, MessageId, ModelId, Role, Selection, SessionId, Timestamp, Usd};

/// Commands that may wait in the channel; a front end that fills it is told to wait.
pub const COMMANDS: usize = 64;
/// Events that may wait; the core stops reading the network when the front end is this far behind.
pub const EVENTS: usize = 1024;

/// A front end's end of the line.
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
    /// Stop the answer that is streaming.
    Cancel,
    /// Use this model from the next turn on, in this chat.
    Select(Selection),
    /// Make this the model of every new chat.
    SetDefault(Selection),
    /// Put the model among the favourites, or take it out.
    ToggleFavourite(Selection),
    /// How hard to think; `None`: as the model does by itself.
    SetEffort(Option<Effort>),
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
    /// Figures of the panel; sent when one of them has changed.
    Panel(Box<Panel>),
    Models(Vec<ModelRow>),
    Sessions(Vec<SessionRow>),
    /// Put this text into the composer (a rewound message, a recovered draft).
    DraftRestored(String),
    /// Something the user should know, once.
    Notice(Notice),
}

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

/// Everything worth knowing about an answer besides its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerFacts {
    pub model: ModelId,
    pub route: Route,
    pub finish: Option<Finish>,
    pub usage: Usage,
    pub estimate: Estimate,
    pub cost: Cost,
    /// What the cache spared.
    pub saved: Usd,
    pub cache: CacheHit,
    /// Age of the cached answer in seconds; 0 when it is fresh.
    pub cache_age_s: u64,
    pub latency: Latency,
    pub attempts: Vec<Attempt>,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub session: SessionId,
    pub id: MessageId,
    pub text: String,
    pub reasoning: String,
    pub facts: AnswerFacts,
}

/// Why this model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub mode: RouteMode,
    /// In words, for a person: `fits the day's pace`.
    pub reason: String,
    pub considered: Vec<Considered>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteMode {
    Auto,
    Pinned,
}

/// A model the router looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    pub model: ModelId,
    /// The dearest this request could become on it; `None` when its price is unknown.
    pub worst_usd: Option<Usd>,
    /// Why it was passed over; `None` for the one chosen.
    pub skipped: Option<String>,
}

/// What a request is expected to use and cost, before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    pub input_tokens: u64,
    /// Expected output; the cap is in `output_cap`.
    pub output_tokens: u64,
    /// The output cap that is sent.
    pub output_cap: u64,
    /// `None`: no price is known.
    pub expected_usd: Option<Usd>,
    pub worst_usd: Option<Usd>,
    /// Whether the input count is exact for this model's tokenizer.
    pub exact_count: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheHit {
    #[default]
    None,
    Memory,
    Disk,
    Redis,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Submit to first token, in milliseconds; `None` when no token came.
    pub ttft_ms: Option<u64>,
    pub total_ms: u64,
    /// Output tokens per second after the first token; `None` when too few came to tell.
    pub tokens_per_second: Option<f64>,
}

/// One request on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub provider: String,
    /// `…` and the last four characters of the key; empty when none is needed.
    pub key: String,
    /// HTTP status; `None` when no response came.
    pub status: Option<u16>,
    /// `ok`, or what went wrong in a few words.
    pub outcome: String,
    /// Time waited before this attempt.
    pub wait_ms: u64,
}

/// The line under the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The draft it belongs to.
    pub rev: u64,
    pub outcome: Result<Quote, Refused>,
}

/// Why nothing would be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    pub failure: Failure,
    /// What was considered, if it came to that.
    pub route: Option<Route>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, route: None }
    }
}

/// What sending now would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    pub model: ModelId,
    pub route: Route,
    pub estimate: Estimate,
    /// Free of charge, by the user's word or because it runs here.
    pub free: bool,
    /// The tightest limit and what is left of it.
    pub left: Option<Left>,
    pub context: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// `request`, `session`, `day` or `month`.
    pub scope: String,
    pub usd: Usd,
}

/// An exchange has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub id: MessageId,
    pub at: Timestamp,
    pub model: ModelId,
    pub route: Route,
    pub estimate: Estimate,
    pub free: bool,
    /// The model's context window, in tokens.
    pub context: Option<u64>,
    /// `…` and the last four characters of the key in use.
    pub key: String,
}

/// Live figures of a streaming answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub id: MessageId,
    pub latency: Latency,
    pub usage: Usage,
    pub cost: Cost,
}

/// The panel's standing figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Panel {
    pub session: Meter,
    pub today: Meter,
    pub month: Meter,
    /// Share of answers that came from a cache, 0 to 1; `None` before the first.
    pub cache_hit: Option<f64>,
    pub saved: Usd,
    /// Times to the first token over recent exchanges, in milliseconds.
    pub p50_ms: Option<u64>,
    pub p95_ms: Option<u64>,
    pub errors: u64,
    /// Times to first token and speeds of recent answers, oldest first, for the sparklines.
    pub recent_ttft_ms: Vec<u64>,
    pub recent_tps: Vec<f64>,
}

/// Spend against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meter {
    pub settled: Usd,
    pub reserved: Usd,
    pub limit: Option<Usd>,
    /// Some of `settled` is an estimate.
    pub estimated: bool,
    /// Something of unknown price is not in the sum.
    pub unknown: bool,
}

/// A line of the model picker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    pub id: Selection,
    pub favourite: bool,
    /// The ladder of `auto` holds it, at this place from the best (0).
    pub rung: Option<usize>,
    /// US dollars per million tokens; `None`: unknown.
    pub input: Option<Usd>,
    pub output: Option<Usd>,
    pub free: bool,
    pub context: Option<u64>,
    /// What the current draft would cost on it; `None`: unknown.
    pub expected_usd: Option<Usd>,
    /// Own median time to the first token and speed.
    pub p50_ms: Option<u64>,
    pub tps: Option<f64>,
    /// Why it cannot be used now (`no key: set OPENAI_API_KEY`, `retired`); `None`: it can.
    pub unusable: Option<String>,
}

/// A line of the list of chats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    pub id: SessionId,
    pub title: String,
    pub at: Timestamp,
    pub messages: u64,
    pub cost: Usd,
    /// What the search found, around the hit.
    pub snippet: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub level: Level,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warning,
    Error,
}
