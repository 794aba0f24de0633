//! Answers kept, so that the same question is not paid twice.
//!
//! Owns: what an entry is, which answers may be kept, the tiers in order (memory, disk, shared), and who fetches what
//! none of them has.
//! Refuses: anything that must not be lost; every tier may be deleted at any time.
//! Invariant: fails open. No trouble in a tier fails a request; it becomes a miss and, once, a notice.

mod compaction;
mod disk;
mod disk_store;
mod entry;
mod flight;
mod frame;
mod generations;
mod memory;
pub mod owner;
mod place;
mod shared;
mod tier;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use entry::{Entry, LARGEST, repeatable, worth_keeping};
pub use flight::{Flight, Follower, LeadGuard};
pub use shared::SharedTier;
pub use tier::{Bytes, Freed, Later, Lease, Owner, Tier, TierFigures, Verified};

use crate::chat::Timestamp;
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;
use disk::Disk;
use flight::Flights;
use memory::Memory;
use place::Place;

/// How many times its lifetime an answer is kept: an old one may be offered when no provider can be reached.
const STALE: u32 = 4;
/// As long as an answer of several thousand tokens takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Sizes and times of the cache.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Age at which an answer is no longer given unasked.
    pub ttl: Duration,
    /// Bytes of answers held in memory.
    pub memory: u64,
    /// Bytes of answers held on disk.
    pub disk: u64,
    /// Longest wait for what lies on disk.
    pub patience: Duration,
}

/// The tiers, nearest first. A clone is the same cache.
#[derive(Clone)]
pub struct Cache {
    tiers: Arc<[Box<dyn Tier>]>,
    flights: Arc<Flights>,
    ttl: Duration,
    patience: Duration,
    /// Of the request that its looks are for; `None`: each look is waited for by itself.
    waiting: Option<Waiting>,
}

/// Starts the owner of a disk tier in whose folder answers lie, when there is none: for a program that will look for one
/// as soon as it knows its question. Returns at once, and costs nothing but the start.
pub fn begin(folder: &Path, settings: Settings, program: PathBuf) {
    disk::begin(Place::new(folder), settings.disk, program);
}

/// An entry found, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub entry: Entry,
    pub tier: CacheHit,
    pub age: Duration,
    /// Older than answers are given unasked; only [`Cache::get_stale`] finds such.
    pub expired: bool,
}

impl Hit {
    fn new(entry: Entry, tier: CacheHit, ttl: Duration, now: Timestamp) -> Self {
        let age = now.since(entry.at);
        Self {
            entry,
            tier,
            age,
            expired: age >= ttl,
        }
    }
}

impl Cache {
    /// Memory, a disk tier that lies in `folder`, and behind them the tiers that several machines share. Nothing is
    /// opened or started before the first look-up. `program` is started as the owner of the folder when there is none,
    /// see [`owner`]; without one the disk serves only while somebody else owns it.
    pub fn new(
        folder: &Path,
        settings: Settings,
        program: Option<PathBuf>,
        shared: Option<Box<dyn Tier>>,
    ) -> Self {
        let memory: Box<dyn Tier> = Box::new(Memory::new(
            settings.memory,
            settings.ttl.saturating_mul(STALE),
        ));
        let disk: Box<dyn Tier> =
            Box::new(Disk::new(folder, settings.disk, settings.patience, program));
        Self::of(
            [memory, disk].into_iter().chain(shared).collect(),
            settings.ttl,
        )
    }

    /// Any tiers, nearest first.
    pub fn of(tiers: Vec<Box<dyn Tier>>, ttl: Duration) -> Self {
        Self {
            tiers: tiers.into(),
            flights: Arc::default(),
            ttl,
            patience: PATIENCE,
            waiting: None,
        }
    }

    /// With another longest wait for an answer that somebody else fetches; it is two minutes by itself.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The longest wait for an answer that somebody else fetches. Who fetches it may be slow, or stopped by its user with
    /// Ctrl-Z: whoever has waited so long asks for themselves.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The same cache, for one request: what other machines share is waited for only once, in all its looks together.
    #[must_use]
    pub fn within(&self, waiting: &Waiting) -> Self {
        Self {
            waiting: Some(waiting.clone()),
            ..self.clone()
        }
    }

    /// Looks in every tier; a hit in a lower tier is copied upwards. Never finds an expired answer.
    pub async fn get(&self, digest: Digest, now: Timestamp) -> Option<Hit> {
        self.look(digest, now, |_| true).await
    }

    /// As [`Self::get`], on this machine only: for looks that nobody asked for, such as one while a question is written.
    pub async fn get_here(&self, digest: Digest, now: Timestamp) -> Option<Hit> {
        self.look(digest, now, |tier| tier != CacheHit::Redis).await
    }

    async fn look(
        &self,
        digest: Digest,
        now: Timestamp,
        into: fn(CacheHit) -> bool,
    ) -> Option<Hit> {
        let waiting = self.waiting.clone().unwrap_or_default();
        for (depth, tier) in self
            .tiers
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
                self.tiers[..depth]
                    .iter()
                    .for_each(|above| above.put(digest, &bytes));
                return Some(hit);
            }
        }
        None
    }

    /// The newest answer that any tier still has, however old. For when nothing better can be had.
    pub async fn get_stale(&self, digest: Digest, now: Timestamp) -> Option<Hit> {
        let mut newest: Option<Hit> = None;
        let waiting = self.waiting.clone().unwrap_or_default();
        for tier in self.tiers.iter() {
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
    pub fn put(&self, digest: Digest, entry: &Entry) {
        let bytes = entry.encode(digest);
        // What is too large for the others may still stay in memory, if there is room.
        let fits = |tier: &dyn Tier| bytes.len() <= LARGEST || tier.name() == CacheHit::Memory;
        self.tiers
            .iter()
            .filter(|tier| fits(tier.as_ref()))
            .for_each(|tier| tier.put(digest, &bytes));
    }

    /// What went wrong with a tier since the last call, in words for the user; each trouble is told once.
    pub fn trouble(&self) -> Option<String> {
        self.tiers.iter().find_map(|tier| tier.trouble())
    }

    /// How full the tiers are, nearest first.
    pub async fn figures(&self) -> Vec<TierFigures> {
        let mut all = Vec::new();
        for tier in self.tiers.iter() {
            all.push(tier.figures().await);
        }
        all
    }

    /// The tiers, nearest first.
    pub fn tiers(&self) -> &[Box<dyn Tier>] {
        &self.tiers
    }

    /// Waits, for a short while, until what was put is where it belongs.
    pub async fn close(&self) {
        for tier in self.tiers.iter() {
            tier.close().await;
        }
    }

    /// What the bytes of a tier are; it forgets what is damaged, or too old to be offered to anybody.
    fn read(&self, tier: &dyn Tier, digest: Digest, bytes: &[u8], now: Timestamp) -> Option<Hit> {
        let hit =
            Entry::decode(digest, bytes).map(|entry| Hit::new(entry, tier.name(), self.ttl, now));
        let hit = hit.filter(|hit| hit.age < self.ttl.saturating_mul(STALE));
        if hit.is_none() {
            tier.remove(digest);
        }
        hit
    }
}

#[cfg(test)]
mod tests;
