//! The memory tier: answers of this process, bounded by their size in bytes (moka, with TinyLFU admission).

use std::time::Duration;

use super::tier::{Bytes, Freed, Later, Tier, TierFigures};
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;

/// What an entry takes up beside its bytes: its key and moka's own records, as measured.
const OVERHEAD: usize = 200;

pub(super) struct MemoryTier {
    entries: moka::sync::Cache<[u8; 32], Bytes>,
    limit: u64,
}

impl MemoryTier {
    /// At most `limit` bytes, each entry for at most `keep`.
    pub(super) fn new(limit: u64, keep: Duration) -> Self {
        // moka panics on a lifetime beyond a thousand years.
        let keep = keep.min(Duration::from_hours(100 * 365 * 24));
        let weigh =
            |_: &[u8; 32], bytes: &Bytes| u32::try_from(bytes.len() + OVERHEAD).unwrap_or(u32::MAX);
        let entries = moka::sync::Cache::builder()
            .max_capacity(limit)
            .weigher(weigh)
            .time_to_live(keep)
            .build();
        Self { entries, limit }
    }
}

impl Tier for MemoryTier {
    fn name(&self) -> CacheHit {
        CacheHit::Memory
    }

    fn get<'a>(&'a self, digest: Digest, _: &'a Waiting) -> Later<'a, Option<Bytes>> {
        Box::pin(std::future::ready(self.entries.get(&digest.0)))
    }

    fn put(&self, digest: Digest, bytes: &Bytes) {
        self.entries.insert(digest.0, Bytes::clone(bytes));
    }

    fn remove(&self, digest: Digest) {
        self.entries.invalidate(&digest.0);
    }

    fn figures(&self) -> Later<'_, TierFigures> {
        self.entries.run_pending_tasks();
        let bytes = Some(self.entries.weighted_size());
        let figures = TierFigures {
            entries: Some(self.entries.entry_count()),
            live_bytes: bytes,
            kept_bytes: bytes,
            limit_bytes: Some(self.limit),
            ..TierFigures::of(self.name())
        };
        Box::pin(std::future::ready(figures))
    }

    fn clear(&self) -> Later<'_, Option<Freed>> {
        self.entries.run_pending_tasks();
        let freed = Freed {
            entries: self.entries.entry_count(),
            bytes: Some(self.entries.weighted_size()),
        };
        self.entries.invalidate_all();
        Box::pin(std::future::ready(Some(freed)))
    }
}
