//! The written form of the catalogue: `assets/models.toml`, and price lists of the same form.
//!
//! Owns: the TOML tables, the reading of prices from their text, and errors with line and column.
//! Refuses: unknown keys, prices as floats, prices of 0 (which may mean free, unknown or not applicable).
//! Invariant: every name that a row uses (source, dialect) is defined in the same text; no model is listed twice.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::model::{DatedPrice, Dialect, Model, Status, TierPrices};
use super::price::{LongContext, NotAPrice, Price, PriceOrigin, per_token};
use crate::chat::{Effort, ModelId, Timestamp, Usd};
use crate::tokens::encoding::{Encoding, UnknownEncoding};

/// What a text in the catalogue's form holds.
pub(super) struct Listing {
    pub models: Vec<Model>,
    pub providers: BTreeMap<String, Assumption>,
}

/// What is assumed of a provider's model that is not listed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Assumption {
    pub dialect: Dialect,
    pub encoding: Option<Encoding>,
}

/// The text is not a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {cause}")]
pub struct ListingError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// One line.
    pub cause: String,
}

impl ListingError {
    fn at(text: &str, span: Option<Range<usize>>, cause: &str) -> Self {
        let start = span.map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            cause: cause.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

pub(super) fn read(text: &str) -> Result<Listing, ListingError> {
    let file: File = toml::from_str(text).map_err(|error| ListingError::at(text, error.span(), error.message()))?;
    file.into_listing().map_err(|Fault { span, cause }| ListingError::at(text, Some(span), &cause))
}

/// A fault that shows only once the rows are looked at together.
struct Fault {
    span: Range<usize>,
    cause: String,
}

fn fault<T>(at: &Spanned<T>, cause: impl Into<String>) -> Fault {
    Fault { span: at.span(), cause: cause.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    source: BTreeMap<String, SourceRow>,
    #[serde(default)]
    dialect: BTreeMap<String, Dialect>,
    #[serde(default)]
    provider: BTreeMap<String, ProviderRow>,
    model: Vec<ModelRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceRow {
    name: String,
    as_of: Option<Day>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderRow {
    dialect: Spanned<String>,
    encoding: Option<EncodingName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRow {
    id: Spanned<ModelId>,
    dialect: Spanned<String>,
    price: Option<PriceRow>,
    #[serde(default)]
    free: bool,
    long: Option<LongRow>,
    #[serde(default)]
    tiers: TierRow,
    price_until: Option<Day>,
    then: Option<PriceRow>,
    #[serde(default)]
    limits: LimitRow,
    #[serde(default)]
    can: Vec<Ability>,
    #[serde(default)]
    efforts: Vec<Effort>,
    encoding: Option<EncodingName>,
    #[serde(default)]
    encoding_assumed: bool,
    #[serde(default)]
    deprecated: bool,
    retired: Option<RetiredRow>,
    source: Spanned<String>,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRow {
    input: PerMillion,
    cached_input: Option<PerMillion>,
    cache_write: Option<PerMillion>,
    output: PerMillion,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongRow {
    above: u64,
    input: PerMillion,
    cached_input: Option<PerMillion>,
    cache_write: Option<PerMillion>,
    output: PerMillion,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TierRow {
    flex: Option<PerMillion>,
    batch: Option<PerMillion>,
    priority: Option<PerMillion>,
    fast: Option<PerMillion>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitRow {
    context: Option<u64>,
    max_input: Option<u64>,
    max_output: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetiredRow {
    since: Day,
    instead: Option<ModelId>,
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Ability {
    Reasoning,
    Tools,
    Vision,
}

/// The price of one token, written as US dollars per million.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct PerMillion(Usd);

impl TryFrom<String> for PerMillion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let written: Usd = text.parse().map_err(|_| NotAPrice.to_string())?;
        if written == Usd::ZERO {
            return Err("a price of 0 may mean free or unknown: leave it out, or write `free = true`".into());
        }
        per_token(written).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct EncodingName(Encoding);

impl TryFrom<String> for EncodingName {
    type Error = UnknownEncoding;

    fn try_from(text: String) -> Result<Self, UnknownEncoding> {
        text.parse().map(Self)
    }
}

/// A day as `YYYY-MM-DD`.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct Day(Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let day: Option<Date> = text.parse().ok();
        day.filter(|day| day.to_string() == text).map(Self).ok_or_else(|| "a day is written YYYY-MM-DD".into())
    }
}

impl Day {
    /// The first instant after this day, in UTC.
    fn end(self) -> Result<Timestamp, jiff::Error> {
        let next = self.0.tomorrow()?.to_zoned(TimeZone::UTC)?;
        Ok(Timestamp(next.timestamp().as_millisecond()))
    }
}

impl File {
    fn into_listing(self) -> Result<Listing, Fault> {
        let File { source, dialect, provider, model } = self;
        let known = Known { source, dialect };
        let mut seen = HashSet::new();
        let mut models = Vec::with_capacity(model.len());
        for row in model {
            if !seen.insert(row.id.get_ref().clone()) {
                return Err(fault(&row.id, format!("the model `{}` is listed twice", row.id.get_ref())));
            }
            models.push(row.into_model(&known)?);
        }
        let assume = |row: ProviderRow| {
            Ok(Assumption { dialect: known.dialect(&row.dialect)?, encoding: row.encoding.map(|name| name.0) })
        };
        let providers =
            provider.into_iter().map(|(name, row)| Ok((name, assume(row)?))).collect::<Result<_, Fault>>()?;
        Ok(Listing { models, providers })
    }
}

/// The tables that rows refer to by name.
struct Known {
    source: BTreeMap<String, SourceRow>,
    dialect: BTreeMap<String, Dialect>,
}

impl Known {
    fn dialect(&self, name: &Spanned<String>) -> Result<Dialect, Fault> {
        let found = self.dialect.get(name.get_ref()).cloned();
        found.ok_or_else(|| fault(name, format!("there is no table [dialect.{}]", name.get_ref())))
    }

    fn source(&self, name: &Spanned<String>) -> Result<&SourceRow, Fault> {
        let found = self.source.get(name.get_ref());
        found.ok_or_else(|| fault(name, format!("there is no line `{}` in [source]", name.get_ref())))
    }
}

impl ModelRow {
    fn into_model(self, known: &Known) -> Result<Model, Fault> {
        let source = known.source(&self.source)?;
        let as_of = source.as_of.map_or_else(String::new, |day| day.0.to_string());
        let mut dialect = known.dialect(&self.dialect)?;
        if !self.efforts.is_empty() {
            dialect.efforts.clone_from(&self.efforts);
        }
        let (price, dated) = self.prices(&as_of)?;
        Ok(Model {
            context: self.limits.context,
            max_input: self.limits.max_input,
            max_output: self.limits.max_output,
            encoding: self.encoding.map(|name| name.0),
            encoding_assumed: self.encoding_assumed,
            tools: self.can.contains(&Ability::Tools),
            vision: self.can.contains(&Ability::Vision),
            reasoning: self.can.contains(&Ability::Reasoning),
            dialect,
            price,
            dated,
            tiers: self.tiers.into(),
            status: match self.retired {
                Some(row) => Status::Retired { since: row.since.0.to_string(), instead: row.instead },
                None if self.deprecated => Status::Deprecated,
                None => Status::Current,
            },
            source: source.name.clone(),
            as_of,
            note: self.note,
            id: self.id.into_inner(),
        })
    }

    /// The price without an end, or the prices around one.
    fn prices(&self, as_of: &str) -> Result<(Option<Price>, Option<DatedPrice>), Fault> {
        let wrong = |cause: &str| Err(fault(&self.id, format!("`{}`: {cause}", self.id.get_ref())));
        let Some(row) = &self.price else {
            if self.long.is_some() || self.price_until.is_some() || self.then.is_some() {
                return wrong("`long`, `price_until` and `then` need a `price`");
            }
            return Ok((self.free.then(|| Price::free(PriceOrigin::Catalogue, as_of)), None));
        };
        if self.free {
            return wrong("it is either `free` or has a `price`");
        }
        if self.long.as_ref().is_some_and(|long| row.cache_write.is_some() && long.cache_write.is_none()) {
            // Else a long request would write its cache at the price of plain input, which is too little to reserve.
            return wrong("`price` has a `cache_write`, so `long` needs one");
        }
        let price = row.price(self.long.as_ref(), as_of);
        match (self.price_until, &self.then) {
            (None, None) => Ok((Some(price), None)),
            (None, Some(_)) => wrong("`then` needs `price_until`"),
            (Some(day), then) => {
                let until = day.end().map_err(|error| fault(&self.id, error.to_string()))?;
                let after = then.as_ref().map(|row| row.price(None, as_of));
                Ok((None, Some(DatedPrice { until, before: price, after })))
            }
        }
    }
}

impl PriceRow {
    fn price(&self, long: Option<&LongRow>, as_of: &str) -> Price {
        Price {
            input: self.input.0,
            cached_input: self.cached_input.map(|price| price.0),
            cache_write: self.cache_write.map(|price| price.0),
            output: self.output.0,
            long: long.map(|long| LongContext {
                above: long.above,
                input: long.input.0,
                cached_input: long.cached_input.map(|price| price.0),
                cache_write: long.cache_write.map(|price| price.0),
                output: long.output.0,
            }),
            free: false,
            origin: PriceOrigin::Catalogue,
            as_of: as_of.into(),
        }
    }
}

impl From<TierRow> for TierPrices {
    fn from(row: TierRow) -> Self {
        let each = |price: Option<PerMillion>| price.map(|price| price.0);
        Self { flex: each(row.flex), batch: each(row.batch), priority: each(row.priority), fast: each(row.fast) }
    }
}

#[cfg(test)]
mod tests;
