//! An answer and how it came about.

use serde::{Deserialize, Serialize};

use super::{Counterfactual, Estimate, Fitted, Route};
use crate::chat::usage::Usage;
use crate::chat::{Cost, Effort, Finish, MessageId, ModelId, SessionId, Timestamp, Usd};

/// What is known about an answer besides its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerFacts {
    pub model: ModelId,
    pub(crate) route: Route,
    pub finish: Option<Finish>,
    pub(crate) usage: Usage,
    pub(crate) estimate: Estimate,
    pub cost: Cost,
    /// What the cache saved; `None`: unknown, because the answer had no price.
    pub(crate) saved: Option<Usd>,
    pub cache: CacheHit,
    /// Age of the cached answer in seconds; 0 when it is fresh.
    pub(crate) cache_age_s: u64,
    /// The answer is past its time, and was used because no provider could be reached.
    #[serde(default)]
    pub stale: bool,
    /// What the reasoning cost, which is a part of `cost`; `None`: there was none, or its price is unknown.
    #[serde(default)]
    pub(crate) reasoning_usd: Option<Usd>,
    pub(crate) latency: Latency,
    pub(crate) attempts: Vec<Attempt>,
    /// The service tier that the server says it used.
    #[serde(default)]
    pub(crate) service_tier: Option<String>,
    /// What this answer would have cost on the other favourites and rungs, by its own tokens.
    #[serde(default)]
    pub(crate) others: Vec<Counterfactual>,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The chat.
    pub session: SessionId,
    pub(crate) id: MessageId,
    /// The answer, as source text.
    pub text: String,
    pub(crate) reasoning: String,
    /// Model, route, tokens, cost and times.
    pub facts: AnswerFacts,
}

/// Where an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheHit {
    /// It was not: a model was asked.
    #[default]
    None,
    /// In the memory of this process.
    Memory,
    /// On this machine's disk.
    Disk,
    /// Among the answers that machines share.
    Redis,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Submit to first token, in milliseconds; `None` when no token came.
    pub(crate) ttft_ms: Option<u64>,
    pub(crate) total_ms: u64,
    /// Output tokens per second after the first token; `None` when too few came to tell.
    pub(crate) tokens_per_second: Option<f64>,
}

/// One request on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub(crate) provider: String,
    /// `…` and the last four characters of the key; empty when none is needed.
    pub(crate) key: String,
    /// HTTP status; `None` when no response came.
    pub(crate) status: Option<u16>,
    /// Host and port that were asked; `None`: the provider has one address only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `ok`, or what went wrong in a few words.
    pub(crate) outcome: String,
    /// Time waited before this attempt.
    pub(crate) wait_ms: u64,
}

/// An exchange has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The answer's message.
    pub id: MessageId,
    /// When the request was sent.
    pub at: Timestamp,
    /// The model that is asked.
    pub model: ModelId,
    /// Why this model.
    pub route: Route,
    /// What it should cost.
    pub estimate: Estimate,
    /// What was done so that it fits the window.
    #[serde(default)]
    pub fitted: Option<Fitted>,
    /// It costs nothing.
    pub free: bool,
    /// The effort that is sent.
    pub effort: Option<Effort>,
    /// The model's context window, in tokens.
    pub context: Option<u64>,
    /// `…` and the last four characters of the key in use.
    pub key: String,
}

/// Live figures of a streaming answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub(crate) id: MessageId,
    pub(crate) latency: Latency,
    pub(crate) usage: Usage,
    pub(crate) cost: Cost,
}
