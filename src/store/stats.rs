//! What was asked, used and spent over a time, in groups.
//!
//! Owns: the sums over exchanges (questions, errors, cache, latency) and charges (tokens, money) of a period.
//! Refuses: forecasts; sums in which an unknown price counts as zero.
//! Invariant: money is summed whole; the figures of all groups together are the total's.

use std::collections::HashMap;

use rusqlite::OptionalExtension;

use super::cells::{unsigned, usd};
use super::percentile::percentile;
use super::{Db, StoreError};
use crate::chat::{CostKind, Timestamp, Usd};

/// What the groups are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Day,
    Model,
    Provider,
    Session,
    Key,
}

/// The figures of a period.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stats {
    /// Days: newest first; others: dearest first.
    pub(crate) groups: Vec<StatsGroup>,
    pub(crate) total: StatsFigures,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatsGroup {
    /// A day, a model, a provider, the id of a chat, the last four of a key; empty: no key was used.
    pub(crate) name: String,
    /// Of a chat that still exists.
    pub(crate) title: Option<String>,
    pub(crate) figures: StatsFigures,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct StatsFigures {
    /// Questions asked; retries and fail-overs of one are not counted apart.
    pub(crate) requests: u64,
    /// Of them failed, interrupted ones not counted.
    pub(crate) errors: u64,
    /// Of them answered from a cache.
    pub(crate) cache_hits: u64,
    /// Tokens over all attempts, in disjoint buckets; `reasoning` lies inside `output`.
    pub(crate) uncached_input: u64,
    pub(crate) cached_input: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
    /// What all settled attempts of known price cost.
    pub(crate) spent: Usd,
    /// Set aside by attempts whose end is not known yet.
    pub(crate) reserved: Usd,
    /// What the cache spared, and whether there were hits of unknown price beside that.
    pub(crate) saved: Usd,
    pub(crate) saved_unknown: bool,
    /// Attempts of unknown price; they are in no sum.
    pub(crate) unpriced: u64,
    /// Submit to first token of answers that came from a model, in milliseconds.
    pub(crate) ttft_p50_ms: Option<u64>,
    pub(crate) ttft_p95_ms: Option<u64>,
    /// Settled attempts by the kind of their cost.
    kinds: CostKinds,
    ttft: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct CostKinds {
    exact: u64,
    billed: u64,
    estimated: u64,
    free: u64,
}

impl StatsFigures {
    /// What the cache spared; `None`: nothing of it has a known price.
    pub(crate) fn known_saved(&self) -> Option<Usd> {
        (!self.saved_unknown || self.saved > Usd::ZERO).then_some(self.saved)
    }

    /// How sure `spent` is: no surer than its least sure part. `Unknown`: nothing in it has a known price.
    pub(crate) fn kind(&self) -> CostKind {
        match self.kinds {
            CostKinds { estimated: 1.., .. } => CostKind::Estimated,
            CostKinds {
                exact: 0,
                billed: 0,
                free: 0,
                ..
            } if self.unpriced > 0 => CostKind::Unknown,
            CostKinds {
                exact: 0,
                billed: 0,
                free: 1..,
                ..
            } => CostKind::Free,
            CostKinds {
                exact: 0,
                billed: 1..,
                ..
            } => CostKind::Billed,
            _ => CostKind::Exact,
        }
    }

    fn finish(&mut self) {
        let ttft = std::mem::take(&mut self.ttft);
        self.ttft_p95_ms = percentile(ttft.clone(), 95);
        self.ttft_p50_ms = percentile(ttft, 50);
    }
}

/// A row of `exchanges`.
struct ExchangeRow {
    hit: bool,
    saved: i64,
    ttft: Option<i64>,
    failed: bool,
}

/// A row of `charges`.
struct ChargeRow {
    state: String,
    settled: Option<i64>,
    reserved: Option<i64>,
    kind: String,
    tokens: [Option<i64>; 5],
}

/// The figures of a period.
pub(crate) struct StatsReader<'a>(pub &'a Db);

impl StatsReader<'_> {
    /// The figures of what began at `since` or later. `day` names the day of an instant, in the user's time zone.
    pub(crate) fn stats(
        &self,
        by: By,
        since: Timestamp,
        mut day: impl FnMut(Timestamp) -> String,
    ) -> Result<Stats, StoreError> {
        let mut sums = GroupSums::default();
        let keys = self.add_charges(&mut sums, by, since, &mut day)?;
        self.add_exchanges(&mut sums, by, since, &keys, &mut day)?;
        let mut stats = sums.finish();
        stats.groups.sort_by(|a, b| match by {
            By::Day => b.name.cmp(&a.name),
            _ => (b.figures.spent, b.figures.requests, &a.name).cmp(&(
                a.figures.spent,
                a.figures.requests,
                &b.name,
            )),
        });
        if by == By::Session {
            for group in &mut stats.groups {
                group.title = self
                    .0
                    .conn
                    .prepare_cached("SELECT title FROM sessions WHERE id = ?1")?
                    .query_row([&group.name], |row| row.get(0))
                    .optional()?;
            }
        }
        Ok(stats)
    }

    /// Adds the attempts. When the groups are keys: the key of each exchange, the last one where there were several.
    fn add_charges(
        &self,
        sums: &mut GroupSums,
        by: By,
        since: Timestamp,
        day: &mut impl FnMut(Timestamp) -> String,
    ) -> Result<HashMap<String, String>, StoreError> {
        let mut keys = HashMap::new();
        let mut query = self.0.conn.prepare_cached(
            "SELECT exchange, session, model, provider, key_last4, taken_at, state, settled, reserved, kind,
               uncached_input, cached_input, cache_write, output, reasoning
             FROM charges WHERE taken_at >= ?1 ORDER BY taken_at",
        )?;
        let mut rows = query.query([since.0])?;
        while let Some(row) = rows.next()? {
            let name = match by {
                By::Day => day(Timestamp(row.get(5)?)),
                By::Model => row.get(2)?,
                By::Provider => row.get(3)?,
                By::Session => row.get(1)?,
                By::Key => row.get(4)?,
            };
            if by == By::Key {
                keys.insert(row.get(0)?, String::clone(&name));
            }
            let charged = ChargeRow {
                state: row.get(6)?,
                settled: row.get(7)?,
                reserved: row.get(8)?,
                kind: row.get(9)?,
                tokens: [
                    row.get(10)?,
                    row.get(11)?,
                    row.get(12)?,
                    row.get(13)?,
                    row.get(14)?,
                ],
            };
            sums.add(name, |figures| charged.add_to(figures));
        }
        Ok(keys)
    }

    fn add_exchanges(
        &self,
        sums: &mut GroupSums,
        by: By,
        since: Timestamp,
        keys: &HashMap<String, String>,
        day: &mut impl FnMut(Timestamp) -> String,
    ) -> Result<(), StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT id, session, model, at, cache <> 'none', cache_saved, ttft_ms,
               error IS NOT NULL AND error <> 'interrupted'
             FROM exchanges WHERE at >= ?1",
        )?;
        let mut rows = query.query([since.0])?;
        while let Some(row) = rows.next()? {
            let name = match by {
                By::Day => day(Timestamp(row.get(3)?)),
                By::Model => row.get(2)?,
                By::Provider => {
                    let model: String = row.get(2)?;
                    model
                        .split_once('/')
                        .map_or_else(|| model.clone(), |(provider, _)| provider.to_owned())
                }
                By::Session => row.get(1)?,
                By::Key => keys
                    .get(&row.get::<_, String>(0)?)
                    .cloned()
                    .unwrap_or_default(),
            };
            let asked = ExchangeRow {
                hit: row.get(4)?,
                saved: row.get(5)?,
                ttft: row.get(6)?,
                failed: row.get(7)?,
            };
            sums.add(name, |figures| asked.add_to(figures));
        }
        Ok(())
    }
}

impl ExchangeRow {
    fn add_to(&self, figures: &mut StatsFigures) {
        figures.requests += 1;
        figures.errors += u64::from(self.failed);
        figures.cache_hits += u64::from(self.hit);
        figures.saved += usd(self.saved.max(0));
        figures.saved_unknown |= self.saved < 0;
        figures
            .ttft
            .extend(self.ttft.filter(|_| !self.hit).map(unsigned));
    }
}

impl ChargeRow {
    fn add_to(&self, figures: &mut StatsFigures) {
        let [uncached, cached, written, output, reasoning] =
            self.tokens.map(|n| n.map_or(0, unsigned));
        let add = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
        add(&mut figures.uncached_input, uncached);
        add(&mut figures.cached_input, cached);
        add(&mut figures.cache_write, written);
        add(&mut figures.output, output);
        add(&mut figures.reasoning, reasoning);
        match (self.state.as_str(), self.settled, self.reserved) {
            ("settled", Some(settled), _) => {
                figures.spent += usd(settled);
                let kinds = &mut figures.kinds;
                match self.kind.as_str() {
                    "billed" => kinds.billed += 1,
                    "estimated" => kinds.estimated += 1,
                    "free" => kinds.free += 1,
                    _ => kinds.exact += 1,
                }
            }
            ("held", _, Some(reserved)) => figures.reserved += usd(reserved),
            ("settled" | "held", ..) => figures.unpriced += 1,
            // Given back: it cost nothing.
            _ => {}
        }
    }
}

/// Groups and total, filled together.
#[derive(Default)]
struct GroupSums {
    groups: HashMap<String, StatsFigures>,
    total: StatsFigures,
}

impl GroupSums {
    fn add(&mut self, name: String, add: impl Fn(&mut StatsFigures)) {
        add(&mut self.total);
        add(self.groups.entry(name).or_default());
    }

    fn finish(mut self) -> Stats {
        self.total.finish();
        let group = |(name, mut figures): (String, StatsFigures)| {
            figures.finish();
            StatsGroup {
                name,
                title: None,
                figures,
            }
        };
        Stats {
            groups: self.groups.into_iter().map(group).collect(),
            total: self.total,
        }
    }
}
