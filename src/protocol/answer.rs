//! An answer and how it came about.

use serde::{Deserialize, Serialize};

use super::{Counterfactual, Fitted};
use crate::chat::usage::Usage;
use crate::chat::{Cost, Effort, Finish, MessageId, ModelId, SessionId, Timestamp, Usd};

/// What is known about an answer besides its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerFacts {
    pub model: ModelId,
    pub route: Route,
    pub finish: Option<Finish>,
    pub usage: Usage,
    pub estimate: Estimate,
    pub cost: Cost,
    /// What the cache saved; `None`: unknown, because the answer had no price.
    pub saved: Option<Usd>,
    pub cache: CacheHit,
    /// Age of the cached answer in seconds; 0 when it is fresh.
    pub cache_age_s: u64,
    /// The answer is past its time, and was used because no provider could be reached.
    #[serde(default)]
    pub stale: bool,
    /// What the reasoning cost, which is a part of `cost`; `None`: there was none, or its price is unknown.
    #[serde(default)]
    pub reasoning_usd: Option<Usd>,
    pub latency: Latency,
    pub attempts: Vec<Attempt>,
    /// The service tier that the server says it used.
    #[serde(default)]
    pub service_tier: Option<String>,
    /// What this answer would have cost on the other favourites and rungs, by its own tokens.
    #[serde(default)]
    pub others: Vec<Counterfactual>,
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

impl Route {
    /// The rung that was taken.
    pub fn chosen(&self) -> Option<&Considered> {
        self.considered
            .iter()
            .find(|considered| considered.skipped.is_none())
    }
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
    /// The effort that belongs to the rung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
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
    /// How far off the input count may be, in thousandths of itself, as learned from this model's own usage; `None`:
    /// nothing has been learned, or the count is exact.
    #[serde(default)]
    pub band_permille: Option<u32>,
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
    /// Host and port that were asked; `None`: the provider has one address only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `ok`, or what went wrong in a few words.
    pub outcome: String,
    /// Time waited before this attempt.
    pub wait_ms: u64,
}

/// An exchange has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub id: MessageId,
    pub at: Timestamp,
    pub model: ModelId,
    pub route: Route,
    pub estimate: Estimate,
    /// What was done so that it fits the window.
    #[serde(default)]
    pub fitted: Option<Fitted>,
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
    pub id: MessageId,
    pub latency: Latency,
    pub usage: Usage,
    pub cost: Cost,
}
