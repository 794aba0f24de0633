//! How good our estimates were: what was expected of an answer beside what the server reported.
//!
//! Owns: the pairs of our count and the server's, for each model.
//! Refuses: answers from a cache, answers that were cut, and usage that we counted ourselves: none of them shows an error.
//! Invariant: a query reads a bounded number of rows, however many there are.

use rusqlite::params;

use super::cells::{parse, unsigned, usd};
use super::percentile::percentile;
use super::{Db, StoreError};
use crate::chat::{ModelId, Usd};
use crate::tokens::Calibration;

/// Answers that a model is judged by.
const ANSWERS: i64 = 50;
/// Exchanges looked through for them: a model that never returns usage must not cost a look at its whole past.
const LOOKED_THROUGH: i64 = 400;

/// How good our estimates of one model were, over its last 50 whole answers that came with its own usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accuracy {
    pub(crate) model: ModelId,
    pub(crate) replies: u64,
    /// Our error in input tokens, in thousandths of the server's count, above it positive: the middle one and the
    /// largest. `None`: the server says there was no input.
    pub(crate) input: Option<InputError>,
    /// Output tokens of the middle answer, as expected and as they came.
    pub(crate) expected_output: u64,
    pub(crate) output: u64,
    /// Answers of known price, and what they together were expected to cost and were booked at.
    pub(crate) priced: u64,
    pub(crate) expected: Usd,
    pub(crate) booked: Usd,
}

/// In thousandths of the true value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputError {
    pub(crate) median: i64,
    pub(crate) worst: i64,
}

/// An answer with what was foreseen of it.
struct EstimatedAnswer {
    estimated_input: u64,
    input: u64,
    expected_output: u64,
    output: u64,
    /// Expected and booked, where both are known.
    cost: Option<(Usd, Usd)>,
}

/// The pairs of estimate and truth, as read over one connection.
pub(crate) struct EstimateHistory<'a>(pub &'a Db);

impl EstimateHistory<'_> {
    /// How good our estimates were, model by model.
    pub(crate) fn report_card(&self) -> Result<Vec<Accuracy>, StoreError> {
        let mut query = self
            .0
            .conn
            .prepare_cached("SELECT DISTINCT model FROM exchanges ORDER BY model")?;
        let models = query
            .query_map([], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut card = Vec::new();
        for name in models {
            let replies = self.replies(&name)?;
            if !replies.is_empty() {
                card.push(accuracy(parse(&name, "model")?, &replies));
            }
        }
        Ok(card)
    }

    fn replies(&self, model: &str) -> Result<Vec<EstimatedAnswer>, StoreError> {
        // The attempt that answered is the one that ended well; what others of the exchange cost was never foreseen.
        let mut query = self.0.conn.prepare_cached(
            "SELECT coalesce(estimated_input, counted_input), uncached_input, cached_input, cache_write,
               expected_output, output, expected_usd,
               (SELECT settled FROM charges WHERE exchange = e.id AND model = ?1 AND state = 'settled' AND outcome = 'ok')
             FROM (SELECT * FROM exchanges WHERE model = ?1 ORDER BY at DESC LIMIT ?2) AS e
             WHERE usage_source = 'provider' AND cache = 'none' AND finish NOT IN ('cut', 'interrupted')
             ORDER BY at DESC LIMIT ?3",
        )?;
        let replies = query.query_map(params![model, LOOKED_THROUGH, ANSWERS], |row| {
            let figure = |n| row.get::<_, i64>(n).map(unsigned);
            let money = |n| row.get::<_, Option<i64>>(n).map(|pico| pico.map(usd));
            Ok(EstimatedAnswer {
                estimated_input: figure(0)?,
                input: figure(1)?
                    .saturating_add(figure(2)?)
                    .saturating_add(figure(3)?),
                expected_output: figure(4)?,
                output: figure(5)?,
                cost: money(6)?.zip(money(7)?),
            })
        })?;
        Ok(replies.collect::<Result<_, _>>()?)
    }

    /// How this model counts beside us, from its last 50 whole answers that came with its own usage; `None` when there
    /// are too few. Meant for models whose tokenizer is not known.
    pub(crate) fn calibration(&self, model: &ModelId) -> Result<Option<Calibration>, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT counted_input, uncached_input, cached_input, cache_write
             FROM (SELECT * FROM exchanges WHERE model = ?1 ORDER BY at DESC LIMIT ?2)
             WHERE usage_source = 'provider' AND cache = 'none' AND finish NOT IN ('cut', 'interrupted')
             ORDER BY at DESC LIMIT ?3",
        )?;
        let pairs =
            query.query_map(params![model.to_string(), LOOKED_THROUGH, ANSWERS], |row| {
                // Added here: SQLite makes a float of a sum beyond its range.
                let bucket = |n| row.get::<_, i64>(n).map(unsigned);
                Ok((
                    bucket(0)?,
                    bucket(1)?
                        .saturating_add(bucket(2)?)
                        .saturating_add(bucket(3)?),
                ))
            })?;
        Ok(Calibration::learn(&pairs.collect::<Result<Vec<_>, _>>()?))
    }
}

fn accuracy(model: ModelId, replies: &[EstimatedAnswer]) -> Accuracy {
    let middle = |of: fn(&EstimatedAnswer) -> u64| {
        percentile(replies.iter().map(of).collect(), 50).unwrap_or_default()
    };
    let costs = || replies.iter().filter_map(|reply| reply.cost);
    Accuracy {
        model,
        replies: replies.len() as u64,
        input: error(
            replies
                .iter()
                .filter_map(|reply| permille(reply.estimated_input, reply.input))
                .collect(),
        ),
        expected_output: middle(|reply| reply.expected_output),
        output: middle(|reply| reply.output),
        priced: costs().count() as u64,
        expected: costs().map(|(expected, _)| expected).sum(),
        booked: costs().map(|(_, booked)| booked).sum(),
    }
}

/// How far `ours` lies from `theirs`; `None`: theirs is 0.
fn permille(ours: u64, theirs: u64) -> Option<i64> {
    let off = (i128::from(ours) - i128::from(theirs)).saturating_mul(1000);
    let off = off.checked_div(i128::from(theirs))?;
    Some(i64::try_from(off).unwrap_or(i64::MAX))
}

fn error(mut errors: Vec<i64>) -> Option<InputError> {
    errors.sort_unstable();
    let worst = errors
        .iter()
        .copied()
        .max_by_key(|error| error.unsigned_abs())?;
    Some(InputError {
        median: errors[(errors.len() - 1) / 2],
        worst,
    })
}
