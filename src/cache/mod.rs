//! Answers kept, so that the same question is not paid twice.
//!
//! Owns: what an entry is, which answers may be kept, and the tiers in order: memory, then disk.
//! Refuses: anything that must not be lost; every tier may be deleted at any time.
//! Invariant: fails open. No trouble in a tier fails a request; it becomes a miss and, once, a notice.

mod disk;
mod entry;
mod memory;

use std::path::Path;
use std::time::Duration;

pub use entry::{Entry, worth_keeping};

use crate::chat::Timestamp;
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use disk::Disk;
use memory::Memory;

/// Sizes and times of the cache.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Age at which an answer is forgotten.
    pub ttl: Duration,
    /// Bytes of answers held in memory.
    pub memory: u64,
    /// Bytes of answers held on disk.
    pub disk: u64,
}

/// The tiers, nearest first.
pub struct Cache {
    memory: Memory,
    disk: Disk,
    ttl: Duration,
}

/// An entry found, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub entry: Entry,
    pub tier: CacheHit,
    pub age: Duration,
}

impl Cache {
    /// A cache whose disk tier lies in `folder`. Nothing is opened before the first look-up.
    pub fn new(folder: &Path, settings: Settings) -> Self {
        Self {
            memory: Memory::new(settings.memory, settings.ttl),
            disk: Disk::new(folder.to_path_buf(), settings.disk),
            ttl: settings.ttl,
        }
    }

    /// Looks in every tier; a hit in a lower tier is copied upwards. Waits at most 250 ms for the disk.
    pub async fn get(&self, digest: Digest, now: Timestamp) -> Option<Hit> {
        if let Some(entry) = self.memory.get(digest) {
            return self.fresh(entry, CacheHit::Memory, now);
        }
        let entry = self.disk.get(digest).await?;
        let hit = self.fresh(entry, CacheHit::Disk, now);
        match &hit {
            Some(hit) => self.memory.put(digest, hit.entry.clone()),
            None => self.disk.remove(digest),
        }
        hit
    }

    /// Keeps an answer in every tier. Returns at once; the disk follows on its own thread.
    pub fn put(&self, digest: Digest, entry: &Entry) {
        self.memory.put(digest, entry.clone());
        self.disk.put(digest, entry);
    }

    /// What went wrong with a tier since the last call, in words for the user; each trouble is told once.
    pub fn trouble(&self) -> Option<String> {
        self.disk.trouble()
    }

    /// Writes out what is still in the air and closes the disk tier.
    pub async fn close(&self) {
        self.disk.close().await;
    }

    fn fresh(&self, entry: Entry, tier: CacheHit, now: Timestamp) -> Option<Hit> {
        let age = now.since(entry.at);
        (age < self.ttl).then_some(Hit { entry, tier, age })
    }
}

#[cfg(test)]
mod tests;
