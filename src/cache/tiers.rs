//! The tiers in order: memory, disk, and what several machines share.
//!
//! Owns: looking in one tier after the other, copying a hit upwards, and which answers are too old.
//! Refuses: to fetch; and to decide who does, see [`super::flight`].
//! Invariant: an answer from a tier is decoded and checked before it is given.

use std::sync::Arc;
use std::time::Duration;

use super::entry::{CachedAnswer, LARGEST};
use super::tier::{Tier, TierFigures};
use crate::chat::Timestamp;
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;

/// How many times its lifetime an answer is kept: an old one may be offered when no provider can be reached.
pub(super) const STALE: u32 = 4;

/// An entry found, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerHit {
    /// The answer.
    pub entry: CachedAnswer,
    /// Where it was found.
    pub tier: CacheHit,
    /// The time since it was given.
    pub age: Duration,
    /// Older than answers are given unasked; only [`Cache::get_stale`](super::Cache::get_stale) finds such.
    pub expired: bool,
}

impl AnswerHit {
    pub(super) fn new(entry: CachedAnswer, tier: CacheHit, ttl: Duration, now: Timestamp) -> Self {
        let age = now.since(entry.at);
        Self {
            entry,
            tier,
            age,
            expired: age >= ttl,
        }
    }
}

/// The tiers, nearest first. A clone has the same ones.
#[derive(Clone)]
pub(super) struct Tiers {
    pub(super) all: Arc<[Box<dyn Tier>]>,
    pub(super) ttl: Duration,
    /// Of the request that its looks are for; `None`: each look is waited for by itself.
    pub(super) waiting: Option<Waiting>,
}

impl Tiers {
    pub(super) fn new(all: Vec<Box<dyn Tier>>, ttl: Duration) -> Self {
        Self {
            all: all.into(),
            ttl,
            waiting: None,
        }
    }

    /// Looks in the tiers that `into` allows; a hit in a lower tier is copied upwards. Never finds an expired answer.
    pub(super) async fn look(
        &self,
        digest: Digest,
        now: Timestamp,
        into: fn(CacheHit) -> bool,
    ) -> Option<AnswerHit> {
        let waiting = self.waiting.clone().unwrap_or_default();
        for (depth, tier) in self
            .all
            .iter()
            .enumerate()
            .filter(|(_, tier)| into(tier.name()))
        {
            let Some(bytes) = tier.get(digest, &waiting).await else {
                continue;
            };
            if let Some(hit) = self
                .read(tier.as_ref(), digest, &bytes, now)
                .filter(|hit| !hit.expired)
            {
                self.all[..depth]
                    .iter()
                    .for_each(|above| above.put(digest, &bytes));
                return Some(hit);
            }
        }
        None
    }

    /// The newest answer that any tier still has, however old. For when nothing better can be had.
    pub(super) async fn get_stale(&self, digest: Digest, now: Timestamp) -> Option<AnswerHit> {
        let mut newest: Option<AnswerHit> = None;
        let waiting = self.waiting.clone().unwrap_or_default();
        for tier in self.all.iter() {
            let bytes = tier.get(digest, &waiting).await;
            let found = bytes.and_then(|bytes| self.read(tier.as_ref(), digest, &bytes, now));
            newest = found
                .into_iter()
                .chain(newest)
                .max_by_key(|hit| hit.entry.at);
        }
        newest
    }

    /// Keeps an answer in every tier; versions kept before stay behind it. Returns at once, the tiers follow on their own.
    pub(super) fn put(&self, digest: Digest, entry: &CachedAnswer) {
        let bytes = entry.encode(digest);
        // What is too large for the others may still stay in memory, if there is room.
        let fits = |tier: &dyn Tier| bytes.len() <= LARGEST || tier.name() == CacheHit::Memory;
        self.all
            .iter()
            .filter(|tier| fits(tier.as_ref()))
            .for_each(|tier| tier.put(digest, &bytes));
    }

    /// How full the tiers are, nearest first.
    pub(super) async fn figures(&self) -> Vec<TierFigures> {
        let mut figures = Vec::new();
        for tier in self.all.iter() {
            figures.push(tier.figures().await);
        }
        figures
    }

    /// Decodes the bytes of a tier. Removes what is damaged, or too old even for a stale answer.
    fn read(
        &self,
        tier: &dyn Tier,
        digest: Digest,
        bytes: &[u8],
        now: Timestamp,
    ) -> Option<AnswerHit> {
        let hit = CachedAnswer::decode(digest, bytes)
            .map(|entry| AnswerHit::new(entry, tier.name(), self.ttl, now));
        let hit = hit.filter(|hit| hit.age < self.ttl.saturating_mul(STALE));
        if hit.is_none() {
            tier.remove(digest);
        }
        hit
    }
}
