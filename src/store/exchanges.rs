//! How exchanges ended.
//!
//! Owns: the closing columns of a row in `exchanges`.
//! Refuses: money of attempts, which is the ledger's; texts, which are the transcript's.
//! Invariant: an exchange ends once.

use rusqlite::params;

use super::cells::{figure, pico, usage_cells};
use super::{Begin, Db, StoreError};
use crate::chat::id::ExchangeId;
use crate::chat::{Effort, Failure, FailureKind, Finish, ModelId, Timestamp, Usage, Usd};
use crate::protocol::{CacheHit, Estimate, Latency, RouteMode};

/// The column's value for a cache hit whose price is unknown.
const UNKNOWN_SAVED: i64 = -1;
/// Under this name it is remembered that there was one: the panel asks too often to scan every row.
const UNPRICED_HITS: &str = "unpriced hits";

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExchangeOutcome {
    /// The model that answered, when it is not the one that was asked first.
    pub(crate) model: Option<ModelId>,
    pub(crate) ended: Timestamp,
    pub(crate) cache: CacheHit,
    /// What the cache spared; `None`: unknown.
    pub(crate) saved: Option<Usd>,
    pub(crate) latency: Latency,
    pub(crate) finish: Option<Finish>,
    pub(crate) failure: Option<Failure>,
    pub(crate) usage: Option<Usage>,
    /// What was expected of the request to the model that answered; `None`: no model answered.
    pub(crate) foreseen: Option<Foreseen>,
}

/// What was known of a request before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreseen {
    /// The effort that was sent.
    pub(crate) effort: Option<Effort>,
    /// Our own count of the input, without anything learned: what the factor of a model is learned from.
    pub(crate) counted_input: u64,
    pub(crate) estimate: Estimate,
}

/// The rows of `exchanges`.
pub(crate) struct ExchangeLog<'a>(pub &'a Db);

impl ExchangeLog<'_> {
    /// Notes that an exchange has begun. Call it inside the same [`Db::write`] as the messages it belongs to.
    pub(super) fn insert_exchange(&self, begin: &Begin) -> Result<(), StoreError> {
        let mode = match begin.mode {
            RouteMode::Auto => "auto",
            RouteMode::Pinned => "pinned",
        };
        let estimate = &begin.estimate;
        self.0.conn
            .prepare_cached(
                "INSERT INTO exchanges (id, session, message, model, at, mode, kind, effort, counted_input,
                   estimated_input, expected_output, output_cap, expected_usd, worst_usd)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                begin.exchange.as_str(),
                begin.session.as_str(),
                begin.answer.as_str(),
                begin.model.to_string(),
                begin.at.0,
                mode,
                begin.kind,
                begin.effort.map(Effort::as_str),
                figure(begin.counted_input),
                figure(estimate.input_tokens),
                figure(estimate.output_tokens),
                figure(estimate.output_cap),
                estimate.expected_usd.map(pico).transpose()?,
                estimate.worst_usd.map(pico).transpose()?,
            ])?;
        Ok(())
    }

    /// Whether the cache has ever given an answer of unknown price.
    pub(super) fn had_unpriced_hits(&self) -> Result<bool, StoreError> {
        Ok(self.0.remembered(UNPRICED_HITS)?.unwrap_or(false))
    }

    /// Notes how an exchange ended. Call it inside the same [`Db::write`] as `finish_answer` and `settle`.
    pub(crate) fn finish_exchange(
        &self,
        id: &ExchangeId,
        outcome: &ExchangeOutcome,
    ) -> Result<(), StoreError> {
        let saved = outcome.saved.map_or(Ok(UNKNOWN_SAVED), pico)?;
        let (uncached, cached, written, output, reasoning, source) =
            usage_cells(outcome.usage.as_ref());
        let foreseen = outcome.foreseen.as_ref();
        let estimate = foreseen.map(|f| &f.estimate);
        let expected_usd = estimate
            .and_then(|e| e.expected_usd)
            .map(pico)
            .transpose()?;
        let worst_usd = estimate.and_then(|e| e.worst_usd).map(pico).transpose()?;
        let rows = self.0.write(|db| {
            if outcome.saved.is_none() {
                db.remember(UNPRICED_HITS, &true)?;
            }
            Ok(db
                .conn
                .prepare_cached(
                    "UPDATE exchanges SET ended = ?2, cache = ?3, cache_saved = ?4, ttft_ms = ?5, total_ms = ?6,
                       tps = ?7, finish = ?8, error = ?9, error_message = ?10, uncached_input = ?11,
                       cached_input = ?12, cache_write = ?13, output = ?14, reasoning = ?15, usage_source = ?16,
                       model = coalesce(?17, model), counted_input = coalesce(?18, counted_input),
                       estimated_input = coalesce(?19, estimated_input), expected_output = coalesce(?20, expected_output),
                       output_cap = coalesce(?21, output_cap), expected_usd = iif(?18 IS NULL, expected_usd, ?22),
                       worst_usd = iif(?18 IS NULL, worst_usd, ?23), effort = iif(?18 IS NULL, effort, ?24)
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
                    outcome.model.as_ref().map(ToString::to_string),
                    foreseen.map(|f| figure(f.counted_input)),
                    estimate.map(|e| figure(e.input_tokens)),
                    estimate.map(|e| figure(e.output_tokens)),
                    estimate.map(|e| figure(e.output_cap)),
                    expected_usd,
                    worst_usd,
                    foreseen.and_then(|f| f.effort).map(Effort::as_str),
                ])?)
        })?;
        if rows == 1 {
            Ok(())
        } else {
            Err(StoreError::Rule(format!(
                "exchange {id} has ended or never began"
            )))
        }
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
        FailureKind::Unavailable => "unavailable",
        FailureKind::Usage => "usage",
        FailureKind::Budget => "budget",
        FailureKind::Cut => "cut",
        FailureKind::Interrupted => "interrupted",
        FailureKind::Storage => "storage",
    }
}
