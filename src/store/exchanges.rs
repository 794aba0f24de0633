//! How exchanges ended.
//!
//! Owns: the closing columns of a row in `exchanges`.
//! Refuses: money of attempts, which is the ledger's; texts, which are the transcript's.
//! Invariant: an exchange ends once.

use rusqlite::params;

use super::cells::{figure, pico, usage_cells};
use super::{Db, StoreError};
use crate::chat::id::ExchangeId;
use crate::chat::{Failure, FailureKind, Finish, ModelId, Timestamp, Usage, Usd};
use crate::protocol::{CacheHit, Latency};

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The model that answered, when it is not the one that was asked first.
    pub model: Option<ModelId>,
    pub ended: Timestamp,
    pub cache: CacheHit,
    /// What the cache spared.
    pub saved: Usd,
    pub latency: Latency,
    pub finish: Option<Finish>,
    pub failure: Option<Failure>,
    pub usage: Option<Usage>,
}

impl Db {
    /// Notes how an exchange ended. Call it inside the same [`Db::write`] as `finish_answer` and `settle`.
    pub fn finish_exchange(&self, id: &ExchangeId, outcome: &Outcome) -> Result<(), StoreError> {
        let saved = pico(outcome.saved)?;
        let (uncached, cached, written, output, reasoning, source) = usage_cells(outcome.usage.as_ref());
        let rows = self.write(|db| {
            Ok(db
                .conn
                .prepare_cached(
                    "UPDATE exchanges SET ended = ?2, cache = ?3, cache_saved = ?4, ttft_ms = ?5, total_ms = ?6,
                       tps = ?7, finish = ?8, error = ?9, error_message = ?10, uncached_input = ?11,
                       cached_input = ?12, cache_write = ?13, output = ?14, reasoning = ?15, usage_source = ?16,
                       model = coalesce(?17, model)
                     WHERE id = ?1 AND ended IS NULL",
                )?
                .execute(params![
                    id.as_str(),
                    outcome.ended.0,
                    cache_name(outcome.cache),
                    saved,
                    outcome.latency.ttft_ms.map(figure),
                    figure(outcome.latency.total_ms),
                    outcome.latency.tokens_per_second.filter(|speed| speed.is_finite()),
                    outcome.finish.as_ref().map(Finish::as_str),
                    outcome.failure.as_ref().map(|failure| failure_name(failure.kind)),
                    outcome.failure.as_ref().map(|failure| &failure.message),
                    uncached,
                    cached,
                    written,
                    output,
                    reasoning,
                    source,
                    outcome.model.as_ref().map(ToString::to_string)
                ])?)
        })?;
        if rows == 1 { Ok(()) } else { Err(StoreError::Rule(format!("exchange {id} has ended or never began"))) }
    }
}

fn cache_name(hit: CacheHit) -> &'static str {
    match hit {
        CacheHit::None => "none",
        CacheHit::Memory => "memory",
        CacheHit::Disk => "disk",
        CacheHit::Redis => "redis",
    }
}

fn failure_name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Request => "request",
        FailureKind::Usage => "usage",
        FailureKind::Budget => "budget",
        FailureKind::Cut => "cut",
        FailureKind::Interrupted => "interrupted",
        FailureKind::Storage => "storage",
    }
}
