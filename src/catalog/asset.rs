//! The written form of the catalogue: `assets/models.toml`, and price lists of the same form.
//!
//! Owns: the tables, the reading of prices from their text, and errors with line and column. The asset itself comes as
//! JSON that `build.rs` writes: the same tables, read in a tenth of the time at every start.
//! Refuses: unknown keys, prices as floats, prices of 0 (which may mean free, unknown or not applicable).
//! Invariant: every name that a row uses (source, dialect) is defined in the same text; no model is listed twice.

mod prices;
mod rows;

use std::collections::{BTreeMap, HashSet};
#[cfg(test)]
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
#[cfg(test)]
use toml::de::DeTable;

use self::prices::{LongRow, OffPeakRow, PriceRow, PriceTerms, TierRow};
use self::rows::{Day, Misfit, SourceRow};
use super::model::{Dialect, Lifecycle, Model, PromptCache};
use crate::chat::{Effort, ModelId};
use crate::tokens::ImageRule;
use crate::tokens::encoding::{Encoding, UnknownEncoding};

/// What a text in the catalogue's form holds.
pub(super) struct Listing {
    pub(crate) models: Vec<Model>,
    pub(crate) providers: BTreeMap<String, Assumption>,
}

/// What is assumed of a provider's model that is not listed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Assumption {
    pub(crate) dialect: Dialect,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) prompt_cache: Option<PromptCache>,
}

#[cfg(test)]
/// The text is not a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {cause}")]
pub(crate) struct ListingError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// In characters, counted from 1.
    pub(crate) column: usize,
    /// One line.
    pub(crate) cause: String,
}

#[cfg(test)]
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

/// Reads the text of the asset, with line and column of a fault: the program reads what `build.rs` made of it.
#[cfg(test)]
pub(super) fn read(text: &str) -> Result<Listing, ListingError> {
    let file: AssetFile = toml::from_str(text)
        .map_err(|error| ListingError::at(text, error.span(), error.message()))?;
    file.into_listing()
        .map_err(|fault| ListingError::at(text, fault.span(text), &fault.cause))
}

/// The compiled-in catalogue. A test says why it cannot be read; no user could repair it.
pub(super) fn built_in() -> Option<Listing> {
    let file: AssetFile =
        serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/models.json"))).ok()?;
    file.into_listing().ok()
}

/// A fault that shows only once the rows are looked at together.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the compiled-in rows are faultless, as a test shows"
    )
)]
struct AssetFault {
    row: AssetRow,
    key: &'static str,
    cause: String,
}

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the compiled-in rows are faultless, as a test shows"
    )
)]
enum AssetRow {
    /// Counted from 0.
    Model(usize),
    Provider(String),
}

impl AssetFault {
    fn new(row: AssetRow, misfit: Misfit) -> Self {
        Self {
            row,
            key: misfit.key,
            cause: misfit.cause,
        }
    }

    #[cfg(test)]
    /// Where the value is in the text. Only a faulty row needs it, so it is searched for when there is a fault.
    fn span(&self, text: &str) -> Option<Range<usize>> {
        let top = DeTable::parse(text).ok()?;
        let row = match &self.row {
            AssetRow::Model(n) => top.get_ref().get("model")?.get_ref().as_array()?.get(*n)?,
            AssetRow::Provider(name) => top
                .get_ref()
                .get("provider")?
                .get_ref()
                .as_table()?
                .get(name.as_str())?,
        };
        Some(row.get_ref().as_table()?.get(self.key)?.span())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetFile {
    #[serde(default)]
    source: BTreeMap<String, SourceRow>,
    #[serde(default)]
    dialect: BTreeMap<String, Dialect>,
    #[serde(default)]
    provider: BTreeMap<String, ProviderRow>,
    model: Vec<AssetModelRow>,
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
struct AssetModelRow {
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

impl AssetFile {
    fn into_listing(self) -> Result<Listing, AssetFault> {
        let AssetFile {
            source,
            dialect,
            provider,
            model,
        } = self;
        let prompt_caches = provider
            .iter()
            .filter_map(|(name, row)| Some((name.clone(), row.prompt_cache?.into())))
            .collect();
        let known = NamedTables {
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
            models.push(model.map_err(|misfit| AssetFault::new(AssetRow::Model(n), misfit))?);
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
            Err(misfit) => Err(AssetFault::new(AssetRow::Provider(name), misfit)),
        };
        let providers = provider
            .into_iter()
            .map(assume)
            .collect::<Result<_, AssetFault>>()?;
        Ok(Listing { models, providers })
    }
}

/// The tables that rows refer to by name.
struct NamedTables {
    source: BTreeMap<String, SourceRow>,
    dialect: BTreeMap<String, Dialect>,
    prompt_caches: BTreeMap<String, PromptCache>,
}

impl NamedTables {
    fn dialect(&self, name: &str) -> Result<Dialect, Misfit> {
        let found = self.dialect.get(name).cloned();
        found.ok_or_else(|| Misfit::new("dialect", format!("there is no table [dialect.{name}]")))
    }

    fn source(&self, name: &str) -> Result<&SourceRow, Misfit> {
        let found = self.source.get(name);
        found.ok_or_else(|| Misfit::new("source", format!("there is no line `{name}` in [source]")))
    }
}

impl AssetModelRow {
    fn price_terms(&self) -> PriceTerms<'_> {
        PriceTerms {
            id: &self.id,
            price: self.price.as_ref(),
            free: self.free,
            long: self.long.as_ref(),
            tiers: self.tiers.as_ref(),
            off_peak: self.off_peak.as_ref(),
            price_until: self.price_until,
            then: self.then.as_ref(),
        }
    }

    fn into_model(self, known: &NamedTables) -> Result<Model, Misfit> {
        let source = known.source(&self.source)?;
        let mut dialect = known.dialect(&self.dialect)?;
        if !self.efforts.is_empty() {
            dialect.efforts.clone_from(&self.efforts);
        }
        let (price, dated) = self.price_terms().prices(source)?;
        // Without a price for cached input we do not know that the model caches prompts, and a warm prefix saves nothing.
        let caches_prompts = self
            .price
            .as_ref()
            .is_some_and(|row| row.cached_input.is_some());
        let prompt_cache = known
            .prompt_caches
            .get(self.id.provider())
            .copied()
            .filter(|_| caches_prompts);
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
                Some(row) => Lifecycle::Retired {
                    since: row.since.0.to_string(),
                    instead: row.instead,
                },
                None if self.deprecated => Lifecycle::Deprecated,
                None => Lifecycle::Current,
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
