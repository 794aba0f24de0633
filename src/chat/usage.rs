//! Tokens used, in four disjoint buckets.
//!
//! Owns: [`Usage`].
//! Refuses: any provider's own way of counting; `provider` normalises before it makes a `Usage`.
//! Invariant: the buckets do not overlap, so a price is a plain sum of products; `reasoning` lies inside `output`.

use serde::{Deserialize, Serialize};

/// Where a usage figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UsageSource {
    /// The server returned it.
    Provider,
    /// Counted here, because the server returned none.
    Counted,
}

/// Tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input read at the full price.
    pub(crate) uncached_input: u64,
    /// Input read from the provider's prompt cache.
    pub(crate) cached_input: u64,
    /// Input written to the provider's prompt cache, where that is charged apart.
    pub(crate) cache_write: u64,
    /// Everything generated, reasoning included.
    pub(crate) output: u64,
    /// The part of `output` that was reasoning, for display.
    pub(crate) reasoning: u64,
    pub(crate) source: UsageSource,
}

impl Usage {
    /// A count made here: nothing is known of caches or reasoning.
    pub fn counted(input: u64, output: u64) -> Self {
        Self {
            uncached_input: input,
            cached_input: 0,
            cache_write: 0,
            output,
            reasoning: 0,
            source: UsageSource::Counted,
        }
    }

    /// All input tokens, whatever they cost.
    pub(crate) fn input(&self) -> u64 {
        self.uncached_input
            .saturating_add(self.cached_input)
            .saturating_add(self.cache_write)
    }
}
