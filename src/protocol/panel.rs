//! The panel, the lines of the model picker, and notices.

use serde::{Deserialize, Serialize};

use super::{Circuit, Warm};
use crate::chat::{Scope, Selection, Usd};

/// The figures of the panel.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Panel {
    pub session: Meter,
    pub(crate) today: Meter,
    pub(crate) month: Meter,
    /// Of the group of machines, as last read from Redis; without a limit when there is no group.
    #[serde(default)]
    pub(crate) group_today: Meter,
    #[serde(default)]
    pub(crate) group_month: Meter,
    /// Share of answers that came from a cache, 0 to 1; `None` before the first.
    pub(crate) cache_hit: Option<f64>,
    /// What the cache has saved in all, and whether there were also hits of unknown price.
    pub(crate) saved: Usd,
    #[serde(default)]
    pub(crate) saved_unknown: bool,
    /// Times to the first token over recent exchanges, in milliseconds.
    pub(crate) p50_ms: Option<u64>,
    pub(crate) p95_ms: Option<u64>,
    pub(crate) errors: u64,
    /// Times to first token and speeds of recent answers, oldest first, for the sparklines.
    pub(crate) recent_ttft_ms: Vec<u64>,
    pub(crate) recent_tps: Vec<f64>,
    /// The limits past one of the configured shares, the fullest first.
    pub(crate) alerts: Vec<Alert>,
    /// The prefix of this chat that a provider still has in its cache.
    pub(crate) warm: Option<Warm>,
}

/// A limit of which a configured share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub(crate) scope: Scope,
    /// The highest configured share that was passed.
    pub(crate) share: f64,
    pub(crate) spent: Usd,
    pub(crate) limit: Usd,
}

/// Spend against a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meter {
    /// Booked.
    pub settled: Usd,
    /// Set aside for requests under way.
    pub reserved: Usd,
    pub(crate) limit: Option<Usd>,
    /// Some of `settled` is an estimate.
    pub estimated: bool,
    /// Something of unknown price is not in the sum.
    pub(crate) unknown: bool,
}

/// A line of the model picker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    pub(crate) id: Selection,
    pub(crate) favourite: bool,
    /// Its index in the ladder of `auto`, from the best (0); `None`: it is not in the ladder.
    pub(crate) rung: Option<usize>,
    /// US dollars per million tokens; `None`: unknown.
    pub(crate) input: Option<Usd>,
    pub(crate) output: Option<Usd>,
    pub(crate) free: bool,
    pub(crate) context: Option<u64>,
    /// What the current draft would cost on it; `None`: unknown.
    pub(crate) expected_usd: Option<Usd>,
    /// What the last answer of this chat would have cost on it, by its own tokens; `None`: unknown, or there is none.
    #[serde(default)]
    pub(crate) last_usd: Option<Usd>,
    /// Own median time to the first token and speed.
    pub(crate) p50_ms: Option<u64>,
    pub(crate) tps: Option<f64>,
    /// Of its provider.
    #[serde(default)]
    pub(crate) circuit: Circuit,
    /// Why it cannot be used now (`no key: set OPENAI_API_KEY`, `retired`); `None`: it can.
    pub(crate) unusable: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub(crate) level: Level,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}
