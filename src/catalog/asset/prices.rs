//! The price of a row: its tables, and how they become a [`Price`].
//!
//! Owns: prices as text, service tiers, hours of the day, and a price that ends.
//! Refuses: prices of 0, terms without a price to compare them with, impossible hours.
//! Invariant: every price has its source and its day.

use serde::Deserialize;

use super::rows::{Day, Misfit, SourceRow};
use crate::catalog::model::DatedPrice;
use crate::catalog::price::terms::{OffPeak, TermPrice, TierPrices};
use crate::catalog::price::{LongContext, NotAPrice, Price, PriceOrigin, per_token};
use crate::chat::{ModelId, Usd};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceRow {
    input: PerMillion,
    pub(super) cached_input: Option<PerMillion>,
    cache_write: Option<PerMillion>,
    output: PerMillion,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongRow {
    above: u64,
    input: PerMillion,
    cached_input: Option<PerMillion>,
    cache_write: Option<PerMillion>,
    output: PerMillion,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TierRow {
    flex: Option<TermPriceRow>,
    batch: Option<TermPriceRow>,
    priority: Option<TermPriceRow>,
    fast: Option<TermPriceRow>,
}

/// What is stated of a tier: the price of input, or that and the price of output.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum TermPriceRow {
    Input(PerMillion),
    Both {
        input: PerMillion,
        output: PerMillion,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OffPeakRow {
    input: PerMillion,
    peak_hours: Vec<(u8, u8)>,
}

/// The price of one token, written as US dollars per million.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
pub(super) struct PerMillion(Usd);

impl TryFrom<String> for PerMillion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let written: Usd = text.parse().map_err(|_| NotAPrice.to_string())?;
        if written == Usd::ZERO {
            return Err(
                "a price of 0 may mean free or unknown: leave it out, or write `free = true`"
                    .into(),
            );
        }
        per_token(written)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// What the row of a model says about its price.
pub(super) struct PriceTerms<'a> {
    pub(super) id: &'a ModelId,
    pub(super) price: Option<&'a PriceRow>,
    pub(super) free: bool,
    pub(super) long: Option<&'a LongRow>,
    pub(super) tiers: Option<&'a TierRow>,
    pub(super) off_peak: Option<&'a OffPeakRow>,
    pub(super) price_until: Option<Day>,
    pub(super) then: Option<&'a PriceRow>,
}

impl PriceTerms<'_> {
    /// The price without an end, or the prices around one.
    pub(super) fn prices(
        &self,
        source: &SourceRow,
    ) -> Result<(Option<Price>, Option<DatedPrice>), Misfit> {
        let wrong = |cause: &str| Err(Misfit::new("id", format!("`{}`: {cause}", self.id)));
        let Some(row) = self.price else {
            let terms = self.long.is_some() || self.tiers.is_some() || self.off_peak.is_some();
            if terms || self.price_until.is_some() || self.then.is_some() {
                return wrong(
                    "`long`, `tiers`, `off_peak`, `price_until` and `then` need a `price`",
                );
            }
            let free = || Price {
                source: source.name.clone(),
                ..Price::free(PriceOrigin::Catalogue, source.day())
            };
            return Ok((self.free.then(free), None));
        };
        if self.free {
            return wrong("it is either `free` or has a `price`");
        }
        if self
            .long
            .is_some_and(|long| row.cache_write.is_some() && long.cache_write.is_none())
        {
            // Otherwise a long request would write its cache at the price of plain input, and too little would be reserved.
            return wrong("`price` has a `cache_write`, so `long` needs one");
        }
        let price = Price {
            long: self.long.map(LongRow::long),
            tiers: self.tiers.map(TierRow::tiers).unwrap_or_default(),
            off_peak: self.off_peak.map(OffPeakRow::off_peak),
            ..row.price(source)
        };
        if let Some(off_peak) = &price.off_peak {
            let is_span = |(start, end): &(u8, u8)| start < end && *end <= 24;
            if !off_peak.peak_hours.iter().all(is_span) || off_peak.share.input > price.input {
                return wrong(
                    "`peak_hours` are pairs such as [1, 4] from 0 to 24, and off-peak is not dearer than peak",
                );
            }
        }
        match (self.price_until, self.then) {
            (None, None) => Ok((Some(price), None)),
            (None, Some(_)) => wrong("`then` needs `price_until`"),
            (Some(day), then) => {
                let until = Day::end(day).map_err(|error| Misfit::new("id", error.to_string()))?;
                // Tiers, long context and off-peak hours end with the price; the later ones are not known.
                let after = then.map(|row| row.price(source));
                Ok((
                    None,
                    Some(DatedPrice {
                        until,
                        before: price,
                        after,
                    }),
                ))
            }
        }
    }
}

impl PriceRow {
    fn price(&self, source: &SourceRow) -> Price {
        Price {
            cached_input: self.cached_input.map(|price| price.0),
            cache_write: self.cache_write.map(|price| price.0),
            source: source.name.clone(),
            as_of: source.day(),
            ..Price::flat(self.input.0, self.output.0, PriceOrigin::Catalogue)
        }
    }
}

impl LongRow {
    fn long(&self) -> LongContext {
        LongContext {
            above: self.above,
            input: self.input.0,
            cached_input: self.cached_input.map(|price| price.0),
            cache_write: self.cache_write.map(|price| price.0),
            output: self.output.0,
        }
    }
}

impl TierRow {
    fn tiers(&self) -> TierPrices {
        let share = |row: Option<TermPriceRow>| {
            row.map(|row| match row {
                TermPriceRow::Input(input) => TermPrice {
                    input: input.0,
                    output: None,
                },
                TermPriceRow::Both { input, output } => TermPrice {
                    input: input.0,
                    output: Some(output.0),
                },
            })
        };
        TierPrices {
            flex: share(self.flex),
            batch: share(self.batch),
            priority: share(self.priority),
            fast: share(self.fast),
        }
    }
}

impl OffPeakRow {
    fn off_peak(&self) -> OffPeak {
        let share = TermPrice {
            input: self.input.0,
            output: None,
        };
        OffPeak {
            share,
            peak_hours: self.peak_hours.clone(),
            now: false,
        }
    }
}
