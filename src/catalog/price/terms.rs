//! What changes the listed price: the service tier, and the time of day.
//!
//! Owns: [`TermPrice`], [`TierPrices`], [`OffPeak`].
//! Refuses: the clock; a moment is handed in.
//! Invariant: a tier without a stated price has none here; it is never taken for the standard one.

use serde::{Deserialize, Serialize};

use crate::chat::{ServiceTier, Timestamp, Usd};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Clocks differ: this close to the hour at which a price changes, either price may apply. In milliseconds.
const EDGE: i64 = 60_000;

/// A price per token under other terms, beside the listed one. What is not stated (cached input, cache writes, long
/// requests, and the output where it is `None`) is by as much dearer or cheaper as the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TermPrice {
    pub(crate) input: Usd,
    pub(crate) output: Option<Usd>,
}

/// What the other service tiers cost; `None`: no price is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct TierPrices {
    pub(crate) flex: Option<TermPrice>,
    pub(crate) batch: Option<TermPrice>,
    pub(crate) priority: Option<TermPrice>,
    pub(crate) fast: Option<TermPrice>,
}

impl TierPrices {
    /// The price of a tier other than the standard one. `fast` and `priority` are two names for one thing
    /// (openrouter.ai, service tiers), so a price under one name holds for the other.
    pub(crate) fn of(&self, tier: ServiceTier) -> Option<TermPrice> {
        match tier {
            ServiceTier::Default | ServiceTier::Auto => None,
            ServiceTier::Flex => self.flex,
            ServiceTier::Batch => self.batch,
            ServiceTier::Priority => self.priority.or(self.fast),
            ServiceTier::Fast => self.fast.or(self.priority),
        }
    }

    /// The tiers that have a price, under their own names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ServiceTier, TermPrice)> {
        let all = [
            (ServiceTier::Flex, self.flex),
            (ServiceTier::Batch, self.batch),
            (ServiceTier::Priority, self.priority),
            (ServiceTier::Fast, self.fast),
        ];
        all.into_iter()
            .filter_map(|(tier, share)| Some((tier, share?)))
    }
}

/// Hours of the day in which it costs less. The listed price is that of the peak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OffPeak {
    #[serde(flatten)]
    pub(crate) share: TermPrice,
    /// When the listed price holds, every day: first hour, and the hour at which it ends, in UTC.
    pub(crate) peak_hours: Vec<(u8, u8)>,
    /// Whether the moment that the price was looked up for lies outside the peak.
    pub(crate) now: bool,
}

impl OffPeak {
    /// Whether the peak is over at that moment.
    pub(crate) fn holds_at(&self, at: Timestamp) -> bool {
        !self
            .peaks(at, at)
            .any(|(start, end)| start <= at.0 && at.0 < end)
    }

    /// `Some(true)`: off-peak from beginning to end, `Some(false)`: at peak from beginning to end, `None`: some of
    /// either, or too close to the hour to tell.
    pub(super) fn throughout(&self, from: Timestamp, to: Timestamp) -> Option<bool> {
        if to < from || to.0.saturating_sub(from.0) > DAY {
            return None;
        }
        let (first, last) = (from.0.saturating_sub(EDGE), to.0.saturating_add(EDGE));
        if self
            .peaks(from, to)
            .any(|(start, end)| start <= first && last < end)
        {
            return Some(false);
        }
        let touched = self
            .peaks(from, to)
            .any(|(start, end)| start <= last && first < end);
        (!touched).then_some(true)
    }

    /// The peaks of the days around these moments, as instants in milliseconds.
    fn peaks(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (i64, i64)> {
        let days =
            from.0.div_euclid(DAY).saturating_sub(1)..=to.0.div_euclid(DAY).saturating_add(1);
        days.flat_map(move |day| {
            let hour = move |hour: u8| {
                day.saturating_mul(DAY)
                    .saturating_add(i64::from(hour) * HOUR)
            };
            self.peak_hours
                .iter()
                .map(move |(start, end)| (hour(*start), hour(*end)))
        })
    }
}
