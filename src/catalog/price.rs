//! What a model's tokens cost.
//!
//! Owns: [`Price`] and its arithmetic: what was used, the worst that may be used, and how much output a sum buys.
//! Refuses: floating point; guessing a price that is not stated (such a model has no `Price`).
//! Invariant: for any input up to `input_upper` and any output up to `output_cap`, neither `cost` nor what is settled
//! for a tier that was asked for exceeds `worst`, at any time of day.

mod rates;
pub(crate) mod terms;

use serde::{Deserialize, Serialize};

use self::rates::Rates;
use self::terms::{OffPeak, TermPrice, TierPrices};
use crate::chat::{ServiceTier, Timestamp, Usage, Usd};

/// No list knows of a tier that costs more than this many times the listed price.
const DEAREST_TIER: u64 = 2;

/// Prices per TOKEN. One US dollar per million tokens is one million pico-dollars per token.
///
/// The four parts and `long` are the listed price: that of the standard service tier, at the peak of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) input: Usd,
    /// Input read from the provider's cache; absent: as `input`.
    pub(crate) cached_input: Option<Usd>,
    /// Input written to the provider's cache; absent: as `input`.
    pub(crate) cache_write: Option<Usd>,
    pub(crate) output: Usd,
    /// The prices of a long request.
    pub(crate) long: Option<LongContext>,
    /// Free of charge, because the user says so or by nature; every price is then zero.
    pub(crate) free: bool,
    /// The service tier that is asked for.
    #[serde(default)]
    pub(crate) tier: ServiceTier,
    /// What other service tiers cost.
    #[serde(default)]
    pub(crate) tiers: TierPrices,
    /// When it costs less; `None`: at no time of the day.
    #[serde(default)]
    pub(crate) off_peak: Option<OffPeak>,
    pub(crate) origin: PriceOrigin,
    /// Who states it; empty for a price of the user's own.
    #[serde(default)]
    pub(crate) source: String,
    /// The day the price was seen, `YYYY-MM-DD`; empty when its source bears no date.
    pub(crate) as_of: String,
}

/// Prices per token of the WHOLE request once its input is longer than `above`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LongContext {
    /// Input tokens; exactly this many is still short.
    pub(crate) above: u64,
    pub(crate) input: Usd,
    pub(crate) cached_input: Option<Usd>,
    pub(crate) cache_write: Option<Usd>,
    pub(crate) output: Usd,
}

/// Who said what the price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PriceOrigin {
    Catalogue,
    User,
}

/// A price per million tokens that is finer than a pico-dollar per token, or below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a price is US dollars per million tokens, not below zero and with at most six decimals, such as 0.25"
)]
pub(crate) struct NotAPrice;

/// The price of one token, from US dollars per million tokens.
pub(crate) fn per_token(per_million: Usd) -> Result<Usd, NotAPrice> {
    const MILLION: i128 = 1_000_000;
    let pico = per_million.pico();
    if pico < 0 || pico % MILLION != 0 {
        return Err(NotAPrice);
    }
    Ok(Usd::from_pico(pico / MILLION))
}

/// US dollars per million tokens, for display, from the price of one token.
pub(crate) fn per_million(per_token: Usd) -> Usd {
    per_token.times(1_000_000)
}

/// How a request was served, as far as that is known when it is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served<'a> {
    /// The service tier that the answer names.
    pub(crate) tier: Option<&'a str>,
    /// When the request was sent, and when the answer was complete.
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// One way of being billed: a share of the listed price for the tier, and one for the time of day.
type RatePair = (Option<TermPrice>, Option<TermPrice>);

impl Price {
    /// A price for input and output, and nothing else.
    pub(crate) fn flat(input: Usd, output: Usd, origin: PriceOrigin) -> Self {
        Self {
            input,
            cached_input: None,
            cache_write: None,
            output,
            long: None,
            free: false,
            tier: ServiceTier::Default,
            tiers: TierPrices::default(),
            off_peak: None,
            origin,
            source: String::new(),
            as_of: String::new(),
        }
    }

    /// Free of charge.
    pub(crate) fn free(origin: PriceOrigin, as_of: impl Into<String>) -> Self {
        Self {
            free: true,
            as_of: as_of.into(),
            ..Self::flat(Usd::ZERO, Usd::ZERO, origin)
        }
    }

    /// The same price, looked at in that moment: [`cost`](Self::cost) and [`expected`](Self::expected) follow it.
    #[must_use]
    pub(crate) fn at(mut self, now: Timestamp) -> Self {
        if let Some(off_peak) = &mut self.off_peak {
            off_peak.now = off_peak.holds_at(now);
        }
        self
    }

    /// What these tokens cost at the tier that is asked for, now, to the pico-dollar.
    pub(crate) fn cost(&self, usage: &Usage) -> Usd {
        self.rates(usage.input(), self.usual()).cost(usage)
    }

    /// What a request is likely to cost: all of its input at the full price.
    pub(crate) fn expected(&self, input: u64, output: u64) -> Usd {
        self.cost(&Usage::counted(input, output))
    }

    /// What an answer cost, and whether that is beyond doubt. Where it is not (a tier that has no price here, an answer
    /// across the hour at which the price changes), it is the dearest that it may have been.
    pub(crate) fn settled(&self, usage: &Usage, served: &Served<'_>) -> (Usd, bool) {
        let (tiers, named) = self.tiers_served(served.tier);
        let (hours, sure) = match &self.off_peak {
            None => (None, true),
            Some(off_peak) => match off_peak.throughout(served.from, served.to) {
                Some(true) => (Some(off_peak.share), true),
                Some(false) => (None, true),
                None => (None, false),
            },
        };
        let cost = |tier| self.rates(usage.input(), (tier, hours)).cost(usage);
        (
            tiers.into_iter().map(cost).fold(Usd::ZERO, Usd::max),
            named && sure,
        )
    }

    /// The most that a request can cost whose input is at most `input_upper` tokens and whose output is capped.
    pub(crate) fn worst(&self, input_upper: u64, output_cap: u64) -> Usd {
        self.asked()
            .into_iter()
            .map(|tier| self.bound(input_upper, output_cap, tier))
            .fold(Usd::ZERO, Usd::max)
    }

    /// The same at a tier that an answer named and that was not asked for; zero when it is no tier or has no price.
    pub(crate) fn worst_at(&self, tier: Option<&str>, input_upper: u64, output_cap: u64) -> Usd {
        let share = tier
            .and_then(ServiceTier::named)
            .and_then(|tier| self.tiers.of(tier));
        share.map_or(Usd::ZERO, |share| {
            self.bound(input_upper, output_cap, Some(share))
        })
    }

    /// The largest output cap whose [`worst`](Self::worst) fits into `left`; `None` when not even a cap of 0 does.
    pub(crate) fn affordable_output(&self, input_upper: u64, left: Usd) -> Option<u64> {
        self.asked()
            .into_iter()
            .flat_map(|tier| self.lengths(input_upper, tier))
            .map(|(rates, input)| rates.output_within(input, left))
            .try_fold(u64::MAX, |cap, within| Some(cap.min(within?)))
    }

    fn bound(&self, input_upper: u64, output_cap: u64, tier: Option<TermPrice>) -> Usd {
        let bounds = self
            .lengths(input_upper, tier)
            .map(|(rates, input)| rates.bound(input, output_cap));
        bounds.fold(Usd::ZERO, Usd::max)
    }

    /// What a request is billed by as long as nothing is known to the contrary.
    fn usual(&self) -> RatePair {
        (
            self.tiers.of(self.tier),
            self.off_peak
                .as_ref()
                .filter(|off_peak| off_peak.now)
                .map(|off_peak| off_peak.share),
        )
    }

    /// The tiers at which a request may be billed that asks for [`tier`](Self::tier): that one, and the standard one
    /// when the provider steps down to it. `auto` may become any.
    fn asked(&self) -> Vec<Option<TermPrice>> {
        let mut tiers = vec![None];
        match self.tier {
            ServiceTier::Default => {}
            ServiceTier::Auto => tiers.extend(self.tiers.iter().map(|(_, share)| Some(share))),
            tier => tiers.extend(self.tiers.of(tier).map(Some)),
        }
        tiers
    }

    /// The tiers that an answer may have been served at that names this one, and whether there is no doubt.
    fn tiers_served(&self, named: Option<&str>) -> (Vec<Option<TermPrice>>, bool) {
        let Some(name) = named.filter(|name| !name.is_empty()) else {
            return (self.asked(), self.tier == ServiceTier::Default);
        };
        match ServiceTier::named(name).map(|tier| (tier, self.tiers.of(tier))) {
            Some((ServiceTier::Default, _)) => (vec![None], true),
            Some((_, Some(share))) => (vec![Some(share)], true),
            _ => {
                let dearest = TermPrice {
                    input: self.input.times(DEAREST_TIER),
                    output: Some(self.output.times(DEAREST_TIER)),
                };
                (
                    self.tiers
                        .iter()
                        .map(|(_, share)| share)
                        .chain([dearest])
                        .map(Some)
                        .collect(),
                    false,
                )
            }
        }
    }

    fn rates(&self, input: u64, (tier, hours): RatePair) -> Rates {
        let rates = match &self.long {
            Some(long) if input > long.above => long.rates(),
            _ => self.listed(),
        };
        let listed = self.listed();
        [tier, hours]
            .iter()
            .flatten()
            .fold(rates, |rates, share| rates.under(share, &listed))
    }

    fn listed(&self) -> Rates {
        Rates {
            input: self.input,
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
            output: self.output,
        }
    }

    /// The prices by length that a request of at most `input_upper` tokens may fall under, each with its longest input.
    /// A request that turns out shorter than feared may be billed as a short one, so that counts too.
    fn lengths(
        &self,
        input_upper: u64,
        tier: Option<TermPrice>,
    ) -> impl Iterator<Item = (Rates, u64)> {
        let long = self
            .long
            .as_ref()
            .map(|long| long.above)
            .filter(|above| input_upper > *above);
        let ends = [Some(long.unwrap_or(input_upper)), long.map(|_| input_upper)];
        ends.into_iter()
            .flatten()
            .map(move |end| (self.rates(end, (tier, None)), end))
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
