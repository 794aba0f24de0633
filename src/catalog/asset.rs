//! The written form of the catalogue: `assets/models.toml`, and price lists of the same form.
//!
//! Owns: the tables, the reading of prices from their text, and errors with line and column. The asset itself comes as
//! JSON that `build.rs` writes: the same tables, read in a tenth of the time at every start.
//! Refuses: unknown keys, prices as floats, prices of 0 (which may mean free, unknown or not applicable).
//! Invariant: every name that a row uses (source, dialect) is defined in the same text; no model is listed twice.

mod prices;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::de::DeTable;

use self::prices::{LongRow, OffPeakRow, PriceRow, TierRow};
use super::model::{Dialect, Model, PromptCache, Status};
use crate::chat::{Effort, ModelId, Timestamp};
use crate::tokens::ImageRule;
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
    pub prompt_cache: Option<PromptCache>,
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
    let file: File = toml::from_str(text)
        .map_err(|error| ListingError::at(text, error.span(), error.message()))?;
    file.into_listing()
        .map_err(|fault| ListingError::at(text, fault.span(text), &fault.cause))
}

/// What is compiled in. Why it cannot be read is for a test to say: no user can mend it.
pub(super) fn built_in() -> Option<Listing> {
    let file: File =
        serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/models.json"))).ok()?;
    file.into_listing().ok()
}

/// A fault that shows only once the rows are looked at together.
struct Fault {
    row: Row,
    key: &'static str,
    cause: String,
}

enum Row {
    /// Counted from 0.
    Model(usize),
    Provider(String),
}

impl Fault {
    /// Where the value stands in the text. It is looked for only now: rows that fit together need no places.
    fn span(&self, text: &str) -> Option<Range<usize>> {
        let top = DeTable::parse(text).ok()?;
        let row = match &self.row {
            Row::Model(n) => top.get_ref().get("model")?.get_ref().as_array()?.get(*n)?,
            Row::Provider(name) => top
                .get_ref()
                .get("provider")?
                .get_ref()
                .as_table()?
                .get(name.as_str())?,
        };
        Some(row.get_ref().as_table()?.get(self.key)?.span())
    }
}

/// What is wrong in a row, and with which key; which row it is, the reader knows.
struct Misfit {
    key: &'static str,
    cause: String,
}

impl Misfit {
    fn new(key: &'static str, cause: impl Into<String>) -> Self {
        Self {
            key,
            cause: cause.into(),
        }
    }

    fn of(self, row: Row) -> Fault {
        Fault {
            row,
            key: self.key,
            cause: self.cause,
        }
    }
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

impl SourceRow {
    /// Its day as `YYYY-MM-DD`; empty when it bears none.
    fn day(&self) -> String {
        self.as_of.map_or_else(String::new, |day| day.0.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderRow {
    /// What is assumed of a model that is not listed.
    dialect: String,
    encoding: Option<EncodingName>,
    /// What holds for every model of the provider that has a price for cached input.
    prompt_cache: Option<PromptCacheRow>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
struct PromptCacheRow {
    minutes: u64,
    minimum_tokens: u64,
}

impl From<PromptCacheRow> for PromptCache {
    fn from(row: PromptCacheRow) -> Self {
        Self {
            lifetime: Duration::from_secs(row.minutes.saturating_mul(60)),
            minimum_tokens: row.minimum_tokens,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelRow {
    id: ModelId,
    dialect: String,
    price: Option<PriceRow>,
    #[serde(default)]
    free: bool,
    long: Option<LongRow>,
    tiers: Option<TierRow>,
    off_peak: Option<OffPeakRow>,
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
    images: Option<ImageRule>,
    #[serde(default)]
    deprecated: bool,
    retired: Option<RetiredRow>,
    source: String,
    #[serde(default)]
    note: String,
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
        day.filter(|day| day.to_string() == text)
            .map(Self)
            .ok_or_else(|| "a day is written YYYY-MM-DD".into())
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
        let File {
            source,
            dialect,
            provider,
            model,
        } = self;
        let prompt_caches = provider
            .iter()
            .filter_map(|(name, row)| Some((name.clone(), row.prompt_cache?.into())))
            .collect();
        let known = Known {
            source,
            dialect,
            prompt_caches,
        };
        let mut seen = HashSet::new();
        let mut models = Vec::with_capacity(model.len());
        for (n, row) in model.into_iter().enumerate() {
            let twice = || Misfit::new("id", format!("the model `{}` is listed twice", row.id));
            let first = seen.insert(row.id.clone()).then_some(()).ok_or_else(twice);
            let model = first.and_then(|()| row.into_model(&known));
            models.push(model.map_err(|misfit| misfit.of(Row::Model(n)))?);
        }
        let assume = |(name, row): (String, ProviderRow)| match known.dialect(&row.dialect) {
            Ok(dialect) => {
                let encoding = row.encoding.map(|name| name.0);
                Ok((
                    name,
                    Assumption {
                        dialect,
                        encoding,
                        prompt_cache: row.prompt_cache.map(Into::into),
                    },
                ))
            }
            Err(misfit) => Err(misfit.of(Row::Provider(name))),
        };
        let providers = provider
            .into_iter()
            .map(assume)
            .collect::<Result<_, Fault>>()?;
        Ok(Listing { models, providers })
    }
}

/// The tables that rows refer to by name.
struct Known {
    source: BTreeMap<String, SourceRow>,
    dialect: BTreeMap<String, Dialect>,
    prompt_caches: BTreeMap<String, PromptCache>,
}

impl Known {
    fn dialect(&self, name: &str) -> Result<Dialect, Misfit> {
        let found = self.dialect.get(name).cloned();
        found.ok_or_else(|| Misfit::new("dialect", format!("there is no table [dialect.{name}]")))
    }

    fn source(&self, name: &str) -> Result<&SourceRow, Misfit> {
        let found = self.source.get(name);
        found.ok_or_else(|| Misfit::new("source", format!("there is no line `{name}` in [source]")))
    }
}

impl ModelRow {
    fn into_model(self, known: &Known) -> Result<Model, Misfit> {
        let source = known.source(&self.source)?;
        let mut dialect = known.dialect(&self.dialect)?;
        if !self.efforts.is_empty() {
            dialect.efforts.clone_from(&self.efforts);
        }
        let (price, dated) = self.prices(source)?;
        // Without a price for cached input nothing says that the model takes part, and a warm prefix spares nothing.
        let takes_part = self
            .price
            .as_ref()
            .is_some_and(|row| row.cached_input.is_some());
        let prompt_cache = known
            .prompt_caches
            .get(self.id.provider())
            .copied()
            .filter(|_| takes_part);
        Ok(Model {
            prompt_cache,
            context: self.limits.context,
            max_input: self.limits.max_input,
            max_output: self.limits.max_output,
            encoding: self.encoding.map(|name| name.0),
            encoding_assumed: self.encoding_assumed,
            images: self.images,
            tools: self.can.contains(&Ability::Tools),
            vision: self.can.contains(&Ability::Vision),
            reasoning: self.can.contains(&Ability::Reasoning),
            reasoning_stated: true,
            dialect,
            price,
            dated,
            status: match self.retired {
                Some(row) => Status::Retired {
                    since: row.since.0.to_string(),
                    instead: row.instead,
                },
                None if self.deprecated => Status::Deprecated,
                None => Status::Current,
            },
            source: source.name.clone(),
            as_of: source.day(),
            note: self.note,
            id: self.id,
        })
    }
}

#[cfg(test)]
mod tests;
