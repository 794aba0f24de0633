//! What a model's tokens cost.
//!
//! Owns: [`Price`] and its arithmetic: what was used, the worst that may be used, and how much output a sum buys.
//! Refuses: floating point; guessing a price that nobody states (a model without one has no `Price`).
//! Invariant: for any input up to `input_upper` and any output up to `output_cap`, `cost` never exceeds `worst`.

use serde::{Deserialize, Serialize};

use crate::chat::{Usage, Usd};

/// Prices per TOKEN. One US dollar per million tokens is one million pico-dollars per token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    pub input: Usd,
    /// Input read from the provider's cache; absent: as `input`.
    pub cached_input: Option<Usd>,
    /// Input written to the provider's cache; absent: as `input`.
    pub cache_write: Option<Usd>,
    pub output: Usd,
    /// The prices of a long request.
    pub long: Option<LongContext>,
    /// Free of charge by the user's word or by nature; then every price is zero.
    pub free: bool,
    pub origin: PriceOrigin,
    /// The day the price was seen, `YYYY-MM-DD`; empty when its source bears no date.
    pub as_of: String,
}

/// Prices per token of the WHOLE request once its input is longer than `above`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongContext {
    /// Input tokens; exactly this many is still short.
    pub above: u64,
    pub input: Usd,
    pub cached_input: Option<Usd>,
    pub cache_write: Option<Usd>,
    pub output: Usd,
}

/// Who said what the price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceOrigin {
    Catalogue,
    User,
}

/// A price per million tokens that is finer than a pico-dollar per token, or below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a price is US dollars per million tokens, not below zero and with at most six decimals, such as 0.25")]
pub struct NotAPrice;

/// The price of one token, from US dollars per million tokens.
pub fn per_token(per_million: Usd) -> Result<Usd, NotAPrice> {
    const MILLION: i128 = 1_000_000;
    let pico = per_million.pico();
    if pico < 0 || pico % MILLION != 0 {
        return Err(NotAPrice);
    }
    Ok(Usd::from_pico(pico / MILLION))
}

/// US dollars per million tokens, for display, from the price of one token.
pub fn per_million(per_token: Usd) -> Usd {
    per_token.times(1_000_000)
}

/// The four prices of one tier, with nothing missing.
#[derive(Clone, Copy)]
struct Rates {
    input: Usd,
    cached_input: Usd,
    cache_write: Usd,
    output: Usd,
}

impl Rates {
    fn dearest_input(self) -> Usd {
        self.input.max(self.cached_input).max(self.cache_write)
    }

    fn bound(self, input: u64, output: u64) -> Usd {
        self.dearest_input().times(input) + self.output.times(output)
    }

    /// The largest output whose bound fits into `left`; `None` when the input alone does not.
    fn output_within(self, input: u64, left: Usd) -> Option<u64> {
        let rest = (left - self.dearest_input().times(input)).pico();
        match (rest, self.output.pico()) {
            (..0, _) => None,
            (_, ..=0) => Some(u64::MAX),
            (rest, each) => Some(u64::try_from(rest / each).unwrap_or(u64::MAX)),
        }
    }
}

impl Price {
    /// Free of charge.
    pub fn free(origin: PriceOrigin, as_of: impl Into<String>) -> Self {
        let zero = Usd::ZERO;
        Self {
            input: zero,
            cached_input: None,
            cache_write: None,
            output: zero,
            long: None,
            free: true,
            origin,
            as_of: as_of.into(),
        }
    }

    /// What these tokens cost, to the pico-dollar.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let rates = self.rates(usage.input());
        rates.input.times(usage.uncached_input)
            + rates.cached_input.times(usage.cached_input)
            + rates.cache_write.times(usage.cache_write)
            + rates.output.times(usage.output)
    }

    /// The most that a request can cost whose input is at most `input_upper` tokens and whose output is capped.
    pub fn worst(&self, input_upper: u64, output_cap: u64) -> Usd {
        self.tiers_within(input_upper).map(|(rates, input)| rates.bound(input, output_cap)).fold(Usd::ZERO, Usd::max)
    }

    /// The largest output cap whose [`worst`](Self::worst) fits into `left`; `None` when not even a cap of 0 does.
    pub fn affordable_output(&self, input_upper: u64, left: Usd) -> Option<u64> {
        self.tiers_within(input_upper)
            .map(|(rates, input)| rates.output_within(input, left))
            .try_fold(u64::MAX, |cap, within| Some(cap.min(within?)))
    }

    /// What a request is likely to cost: all of its input at the full price.
    pub fn expected(&self, input: u64, output: u64) -> Usd {
        let rates = self.rates(input);
        rates.input.times(input) + rates.output.times(output)
    }

    fn rates(&self, input: u64) -> Rates {
        match &self.long {
            Some(long) if input > long.above => long.rates(),
            _ => self.short_rates(),
        }
    }

    fn short_rates(&self) -> Rates {
        Rates {
            input: self.input,
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
            output: self.output,
        }
    }

    /// The tiers that a request of at most `input_upper` tokens may fall into, each with its longest input. A request
    /// that turns out shorter than feared may be billed by the short tier, so that one counts too.
    fn tiers_within(&self, input_upper: u64) -> impl Iterator<Item = (Rates, u64)> {
        let long = self.long.as_ref().filter(|long| input_upper > long.above);
        let short_end = long.map_or(input_upper, |long| long.above);
        std::iter::once((self.short_rates(), short_end)).chain(long.map(|long| (long.rates(), input_upper)))
    }
}

impl LongContext {
    fn rates(&self) -> Rates {
        Rates {
            input: self.input,
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
            output: self.output,
        }
    }
}

#[cfg(test)]
mod tests;
