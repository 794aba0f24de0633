//! The memory tier: answers of this process, bounded by their weight in bytes (moka: TinyLFU admission).

use std::time::Duration;

use super::Entry;
use crate::chat::request::Digest;

pub(super) struct Memory(moka::sync::Cache<[u8; 32], Entry>);

impl Memory {
    pub(super) fn new(bytes: u64, ttl: Duration) -> Self {
        // moka panics on a lifetime beyond a thousand years.
        let ttl = ttl.min(Duration::from_hours(100 * 365 * 24));
        let cache = moka::sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry| entry.weight())
            .time_to_live(ttl)
            .build();
        Self(cache)
    }

    pub(super) fn get(&self, digest: Digest) -> Option<Entry> {
        self.0.get(&digest.0)
    }

    pub(super) fn put(&self, digest: Digest, entry: Entry) {
        self.0.insert(digest.0, entry);
    }
}
