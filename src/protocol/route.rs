//! Which model a question goes to, why, and what it is expected to cost there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::chat::{Effort, ModelId, Usd};

/// Why this model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Who chose the model.
    pub mode: RouteMode,
    /// In words, for a person: `fits the day's pace`.
    pub reason: String,
    /// The models that were looked at, best first.
    pub considered: Vec<Considered>,
}

impl Route {
    /// The rung that was taken.
    pub(crate) fn chosen(&self) -> Option<&Considered> {
        self.considered
            .iter()
            .find(|considered| considered.skipped.is_none())
    }
}

/// Who chose the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteMode {
    /// The router.
    Auto,
    /// The user.
    Pinned,
}

/// A model the router looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    pub(crate) model: ModelId,
    /// The effort that belongs to the rung.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) effort: Option<Effort>,
    /// The dearest this request could become on it; `None` when its price is unknown.
    pub(crate) worst_usd: Option<Usd>,
    /// Why it was passed over; `None` for the one chosen.
    pub(crate) skipped: Option<String>,
}

/// What a request is expected to use and cost, before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Tokens of the whole request.
    pub input_tokens: u64,
    /// Expected output; the cap is in `output_cap`.
    pub output_tokens: u64,
    /// The output cap that is sent.
    pub output_cap: u64,
    /// `None`: no price is known.
    pub expected_usd: Option<Usd>,
    /// The cost of an answer as long as its cap allows; `None`: the price is unknown.
    pub worst_usd: Option<Usd>,
    /// Whether the input count is exact for this model's tokenizer.
    pub exact_count: bool,
    /// How far off the input count may be, in thousandths of itself, as learned from this model's own usage; `None`:
    /// nothing has been learned, or the count is exact.
    #[serde(default)]
    pub band_permille: Option<u32>,
}

/// What a question costs, or would have cost, on another model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counterfactual {
    pub(crate) model: ModelId,
    /// `None`: its price is unknown.
    pub(crate) usd: Option<Usd>,
}

/// How a question that is too long is made to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fitted {
    /// The oldest turns are left out.
    Truncated { turns: u64, tokens: u64 },
    /// The input is split; `requests` counts the parts and the joins.
    Segmented { parts: u64, requests: u64 },
}

/// The beginning of a sentence: `left out the oldest 3 turns (1200 tokens)`.
impl fmt::Display for Fitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { turns: 1, tokens } => {
                write!(f, "left out the oldest turn ({tokens} tokens)")
            }
            Self::Truncated { turns, tokens } => {
                write!(f, "left out the oldest {turns} turns ({tokens} tokens)")
            }
            Self::Segmented { parts, requests } => {
                write!(f, "split into {parts} parts, {requests} requests")
            }
        }
    }
}
