//! The four prices of one way of being billed, with nothing missing.

use super::terms::TermPrice;
use crate::chat::{Usage, Usd};

#[derive(Clone, Copy)]
pub(super) struct Rates {
    pub(crate) input: Usd,
    pub(crate) cached_input: Usd,
    pub(crate) cache_write: Usd,
    pub(crate) output: Usd,
}

impl Rates {
    /// The same under other terms: each price by as much dearer or cheaper as the listed one is. Rounded up.
    pub(crate) fn under(self, share: &TermPrice, listed: &Self) -> Self {
        let part = |price: Usd| price.in_proportion(share.input, listed.input);
        Self {
            input: part(self.input),
            cached_input: part(self.cached_input),
            cache_write: part(self.cache_write),
            output: match share.output {
                Some(output) => self.output.in_proportion(output, listed.output),
                None => part(self.output),
            },
        }
    }

    pub(crate) fn cost(self, usage: &Usage) -> Usd {
        self.input.times(usage.uncached_input)
            + self.cached_input.times(usage.cached_input)
            + self.cache_write.times(usage.cache_write)
            + self.output.times(usage.output)
    }

    fn dearest_input(self) -> Usd {
        self.input.max(self.cached_input).max(self.cache_write)
    }

    pub(crate) fn bound(self, input: u64, output: u64) -> Usd {
        self.dearest_input().times(input) + self.output.times(output)
    }

    /// The largest output whose bound fits into `left`; `None` when the input alone does not.
    pub(crate) fn output_within(self, input: u64, left: Usd) -> Option<u64> {
        let rest = (left - self.dearest_input().times(input)).pico();
        match (rest, self.output.pico()) {
            (..0, _) => None,
            (_, ..=0) => Some(u64::MAX),
            (rest, each) => Some(u64::try_from(rest / each).unwrap_or(u64::MAX)),
        }
    }
}
