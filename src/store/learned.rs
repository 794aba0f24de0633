//! Figures of past exchanges: how long a model's answers are, how fast it is, how often it fails.
//!
//! Owns: the figures over recent exchanges.
//! Refuses: forecasts; it reports what happened.
//! Invariant: answers from a cache are left out of speeds and lengths.

use std::time::Duration;

use rusqlite::{Params, params};

use super::cells::{unsigned, usd};
use super::percentile::percentile;
use super::{Db, ExchangeLog, Lengths, PastLengths, StoreError};
use crate::chat::{ModelId, Timestamp, Usd};

/// Speeds are taken over this many exchanges, no older than [`AGE`].
const RECENT: i64 = 200;
const AGE: Duration = Duration::from_hours(7 * 24);

/// What is known of one model here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Learned {
    /// The middle length of the last 50 answers, in tokens; `None` before the first.
    pub(crate) expected_output: Option<u64>,
    /// Over the last 200 exchanges of the last 7 days.
    pub(crate) ttft_p50_ms: Option<u64>,
    pub(crate) ttft_p95_ms: Option<u64>,
    pub(crate) tps_p50: Option<f64>,
    pub(crate) exchanges: u64,
    pub(crate) errors: u64,
}

/// What is known over all models, from the last 200 exchanges of the last 7 days.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Overview {
    pub(crate) ttft_p50_ms: Option<u64>,
    pub(crate) ttft_p95_ms: Option<u64>,
    pub(crate) exchanges: u64,
    pub(crate) errors: u64,
    pub(crate) cache_hits: u64,
    /// What the cache has spared since the beginning.
    pub(crate) saved: Usd,
    /// There were hits of unknown price beside that.
    pub(crate) saved_unknown: bool,
}

impl Overview {
    /// The share of answers that came from a cache; `None` before the first.
    #[expect(clippy::cast_precision_loss, reason = "counts of at most 200")]
    pub(crate) fn cache_share(&self) -> Option<f64> {
        (self.exchanges > 0).then(|| self.cache_hits as f64 / self.exchanges as f64)
    }
}

/// How quick one exchange was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AnswerSpeed {
    pub(crate) ttft_ms: Option<u64>,
    pub(crate) tokens_per_second: Option<f64>,
}

/// One row of the recent past.
struct SpeedRow {
    ttft: Option<u64>,
    tps: Option<f64>,
    failed: bool,
    cached: bool,
}

const COLUMNS: &str =
    "SELECT ttft_ms, tps, error IS NOT NULL AND error <> 'interrupted', cache <> 'none'
    FROM exchanges WHERE ended IS NOT NULL";

/// The recent exchanges.
pub(crate) struct PastExchanges<'a>(pub &'a Db);

impl PastExchanges<'_> {
    /// What is known of this model.
    pub(crate) fn learned(&self, model: &ModelId, now: Timestamp) -> Result<Learned, StoreError> {
        let name = model.to_string();
        let rows = self.past(
            &format!("{COLUMNS} AND model = ?1 AND at > ?2 ORDER BY at DESC LIMIT ?3"),
            params![name, week_before(now), RECENT],
        )?;
        let fresh = || rows.iter().filter(|row| !row.cached);
        Ok(Learned {
            expected_output: Lengths::of(&PastLengths(self.0).past_lengths(model)?)
                .map(|lengths| lengths.median),
            ttft_p50_ms: percentile(fresh().filter_map(|row| row.ttft).collect(), 50),
            ttft_p95_ms: percentile(fresh().filter_map(|row| row.ttft).collect(), 95),
            tps_p50: middle(fresh().filter_map(|row| row.tps).collect()),
            exchanges: fresh().count() as u64,
            errors: fresh().filter(|row| row.failed).count() as u64,
        })
    }

    /// What is known over all models.
    pub(crate) fn overview(&self, now: Timestamp) -> Result<Overview, StoreError> {
        let rows = self.past(
            &format!("{COLUMNS} AND at > ?1 ORDER BY at DESC LIMIT ?2"),
            params![week_before(now), RECENT],
        )?;
        let saved: i64 = self.0.conn.query_row(
            "SELECT coalesce(sum(cache_saved), 0) FROM exchanges WHERE cache_saved > 0",
            [],
            |row| row.get(0),
        )?;
        let ttft = || {
            rows.iter()
                .filter(|row| !row.cached)
                .filter_map(|row| row.ttft)
                .collect()
        };
        Ok(Overview {
            ttft_p50_ms: percentile(ttft(), 50),
            ttft_p95_ms: percentile(ttft(), 95),
            exchanges: rows.len() as u64,
            errors: rows.iter().filter(|row| row.failed).count() as u64,
            cache_hits: rows.iter().filter(|row| row.cached).count() as u64,
            saved: usd(saved),
            saved_unknown: ExchangeLog(self.0).had_unpriced_hits()?,
        })
    }

    /// The pace of the last `n` answers that came from a model, oldest first.
    pub(crate) fn recent(&self, n: usize) -> Result<Vec<AnswerSpeed>, StoreError> {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        let sql = format!(
            "{COLUMNS} AND cache = 'none' AND ttft_ms IS NOT NULL ORDER BY at DESC LIMIT ?1"
        );
        let rows = self.past(&sql, [n])?;
        Ok(rows
            .iter()
            .rev()
            .map(|row| AnswerSpeed {
                ttft_ms: row.ttft,
                tokens_per_second: row.tps,
            })
            .collect())
    }

    fn past(&self, sql: &str, params: impl Params) -> Result<Vec<SpeedRow>, StoreError> {
        let mut query = self.0.conn.prepare_cached(sql)?;
        let rows = query.query_map(params, |row| {
            let ttft: Option<i64> = row.get(0)?;
            Ok(SpeedRow {
                ttft: ttft.map(unsigned),
                tps: row.get(1)?,
                failed: row.get(2)?,
                cached: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn week_before(now: Timestamp) -> i64 {
    now.0
        .saturating_sub(i64::try_from(AGE.as_millis()).unwrap_or(i64::MAX))
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let rank = values.len().div_ceil(2).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(percentile(vec![], 50), None);
        assert_eq!(percentile(vec![7], 95), Some(7));
        assert_eq!(percentile(vec![4, 1, 3, 2], 50), Some(2));
        assert_eq!(percentile((1..=100).collect(), 95), Some(95));
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), Some(2.0));
    }
}
