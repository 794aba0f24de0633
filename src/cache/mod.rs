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
mod folder;
mod frame;
mod generations;
mod memory;
pub(crate) mod owner;
mod private_folder;
mod shared;
mod tier;
mod tiers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use entry::CachedAnswer;
#[cfg(test)]
pub(crate) use entry::LARGEST;
pub(crate) use entry::{repeatable, worth_keeping};
pub use flight::{Flight, Follower, LeadGuard};
pub use shared::SharedTier;
pub(crate) use tier::Verified;
pub use tier::{Bytes, Freed, Later, Lease, Tier, TierFigures};
pub use tiers::AnswerHit;

use crate::chat::Timestamp;
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;
use disk::DiskTier;
use flight::Flights;
use folder::CacheFolder;
use memory::MemoryTier;
use tiers::{STALE, Tiers};

/// As long as an answer of several thousand tokens takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Sizes and times of the cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// Age at which an answer is no longer given unasked.
    pub ttl: Duration,
    /// Bytes of answers held in memory.
    pub memory: u64,
    /// Bytes of answers held on disk.
    pub disk: u64,
    /// Longest wait for what lies on disk.
    pub patience: Duration,
}

/// The tiers, nearest first, and who fetches what none of them has. A clone is the same cache.
#[derive(Clone)]
pub struct Cache {
    tiers: Tiers,
    flights: Arc<Flights>,
    patience: Duration,
}

/// Starts the owner of a disk tier whose folder has answers, unless one runs: for a program that will look for an answer as
/// soon as it knows its question. Returns at once.
pub(crate) fn begin(folder: &Path, settings: CacheSettings, program: PathBuf) {
    disk::begin(CacheFolder::new(folder), settings.disk, program);
}

impl Cache {
    /// MemoryTier, a disk tier that lies in `folder`, and behind them the tiers that several machines share. Nothing is
    /// opened or started before the first look-up. `program` is started as the owner of the folder when there is none,
    /// see [`owner`]; without one the disk tier works only while another process owns it.
    pub fn new(
        folder: &Path,
        settings: CacheSettings,
        program: Option<PathBuf>,
        shared: Option<Box<dyn Tier>>,
    ) -> Self {
        let memory: Box<dyn Tier> = Box::new(MemoryTier::new(
            settings.memory,
            settings.ttl.saturating_mul(STALE),
        ));
        let disk: Box<dyn Tier> = Box::new(DiskTier::new(
            folder,
            settings.disk,
            settings.patience,
            program,
        ));
        Self::of(
            [memory, disk].into_iter().chain(shared).collect(),
            settings.ttl,
        )
    }

    /// Any tiers, nearest first.
    pub fn of(tiers: Vec<Box<dyn Tier>>, ttl: Duration) -> Self {
        Self {
            tiers: Tiers::new(tiers, ttl),
            flights: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// Changes the longest wait for an answer that another request fetches; the default is two minutes.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The longest wait for an answer that another request fetches. That one may be slow, or stopped with Ctrl-Z; after this
    /// time the waiting request asks for itself.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// The same cache, for one request: what other machines share is waited for only once, in all its looks together.
    #[must_use]
    pub(crate) fn within(&self, waiting: &Waiting) -> Self {
        Self {
            tiers: Tiers {
                waiting: Some(waiting.clone()),
                ..self.tiers.clone()
            },
            ..self.clone()
        }
    }

    /// Looks in every tier; a hit in a lower tier is copied upwards. Never finds an expired answer.
    pub async fn get(&self, digest: Digest, now: Timestamp) -> Option<AnswerHit> {
        self.tiers.look(digest, now, |_| true).await
    }

    /// As [`Self::get`], on this machine only: for look-ups without a request, such as one while a question is typed.
    pub(crate) async fn get_here(&self, digest: Digest, now: Timestamp) -> Option<AnswerHit> {
        self.tiers
            .look(digest, now, |tier| tier != CacheHit::Redis)
            .await
    }

    /// The newest answer that any tier still has, however old. For when nothing better can be had.
    pub async fn get_stale(&self, digest: Digest, now: Timestamp) -> Option<AnswerHit> {
        self.tiers.get_stale(digest, now).await
    }

    /// Keeps an answer in every tier; versions kept before stay behind it. Returns at once, the tiers follow on their own.
    pub fn put(&self, digest: Digest, entry: &CachedAnswer) {
        self.tiers.put(digest, entry);
    }

    /// Decides who fetches the answer to a question that is not in the cache. Waits no longer than a look-up does.
    pub async fn join(&self, digest: Digest) -> Flight {
        self.flights.join(&self.tiers, digest).await
    }

    /// What went wrong with a tier since the last call, in words for the user; each trouble is told once.
    pub fn trouble(&self) -> Option<String> {
        self.tiers.all.iter().find_map(|tier| tier.trouble())
    }

    /// How full the tiers are, nearest first.
    pub async fn figures(&self) -> Vec<TierFigures> {
        self.tiers.figures().await
    }

    /// The tiers, nearest first.
    pub(crate) fn tiers(&self) -> &[Box<dyn Tier>] {
        &self.tiers.all
    }

    /// Waits, for a short while, until what was put is where it belongs.
    pub async fn close(&self) {
        for tier in self.tiers.all.iter() {
            tier.close().await;
        }
    }
}

#[cfg(test)]
mod tests;
