//! The models that are known: prices with dates, limits, abilities, and how requests to each are written.
//!
//! Owns: [`Catalog`], read from `assets/models.toml`, from lists of the same form, and from the user's `[[models]]`.
//! Refuses: the network and the clock; `now` is handed in, a refreshed list comes as text.
//! Invariant: a price is known with its date or absent; a 0 stands only where the user or the nature of a model says free.

pub mod asset;
pub mod entries;
pub mod model;
mod nearest;
pub mod price;
pub mod resolve;

use std::collections::BTreeMap;

pub use asset::ListingError;
pub use entries::CatalogError;
pub use model::{
    DatedPrice, Dialect, Lifecycle, Model, ModelApi, OutputCap, PromptCache, SystemRole,
    TemperatureRule, TierField,
};
pub use price::terms::{OffPeak, TermPrice, TierPrices};
pub use price::{LongContext, Price, PriceOrigin, Served};
pub use resolve::ResolveError;

use crate::chat::{ModelId, Timestamp};
use crate::config::ModelEntry;
use asset::{Assumption, Listing};

/// The models known, in the order of the asset, then those that the user added.
#[derive(Debug, Clone)]
pub struct Catalog {
    models: Vec<Model>,
    /// Short names from the user's `[[models]]`.
    aliases: BTreeMap<String, ModelId>,
    /// What is assumed of a provider's unlisted models.
    assumptions: BTreeMap<String, Assumption>,
}

impl Catalog {
    /// The compiled-in catalogue. Prices that end some day are absent until [`at`](Self::at) has looked at the date.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "it is compiled in, and a test reads it"
    )]
    pub fn builtin() -> Self {
        asset::built_in()
            .map(Self::of)
            .expect("the built-in catalogue reads")
    }

    /// A catalogue from a text in the form of `assets/models.toml`.
    pub fn from_toml(text: &str) -> Result<Self, ListingError> {
        asset::read(text).map(Self::of)
    }

    fn of(listing: Listing) -> Self {
        Self {
            models: listing.models,
            aliases: BTreeMap::new(),
            assumptions: listing.providers,
        }
    }

    /// The catalogue with the prices of that instant: where a price has ended, the next one, or none.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        for model in &mut self.models {
            model.price = model.price_at(now);
        }
        self
    }

    /// The catalogue with the user's entries: known models keep their place, new ones go to the end in the file's order.
    pub fn with_entries(mut self, entries: &[ModelEntry]) -> Result<Self, CatalogError> {
        entries::apply_all(&mut self, entries)?;
        Ok(self)
    }

    /// The model that `text` names: an alias, a full name, or a bare name that one usable provider has.
    ///
    /// A text with a slash is read as a full name first. It is read as a bare name (`meta-llama/...`) only when its
    /// first part is not a usable provider.
    pub fn resolve(
        &self,
        text: &str,
        usable: impl Fn(&str) -> bool,
    ) -> Result<ModelId, ResolveError> {
        resolve::resolve(self, text, usable)
    }

    pub fn get(&self, id: &ModelId) -> Option<&Model> {
        self.models.iter().find(|model| model.id == *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// The models of that name at any provider. The last part of a name that holds slashes counts as its name too.
    pub fn by_bare_name(&self, name: &str) -> Vec<&Model> {
        let is_named =
            |id: &ModelId| id.model() == name || id.model().rsplit('/').next() == Some(name);
        self.models
            .iter()
            .filter(|model| is_named(&model.id))
            .collect()
    }

    /// Full names like `typed`, best first, at most `max`. Retired models are not offered.
    pub fn nearest(&self, typed: &str, max: usize) -> Vec<String> {
        let mut near: Vec<(f64, &Model)> = self
            .models
            .iter()
            .filter(|model| !matches!(model.status, Lifecycle::Retired { .. }))
            .filter_map(|model| {
                Some((
                    nearest::likeness(typed, model.id.provider(), model.id.model())?,
                    model,
                ))
            })
            .collect();
        // Stable: among equals the order of the catalogue, which lists a provider's newest first.
        near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        near.into_iter()
            .take(max)
            .map(|(_, model)| model.id.to_string())
            .collect()
    }

    /// A model that is not listed, with what is assumed of its provider's models and no price.
    pub fn unlisted(&self, id: &ModelId) -> Model {
        let assumed = self
            .assumptions
            .get(id.provider())
            .cloned()
            .unwrap_or_default();
        Model {
            dialect: assumed.dialect,
            encoding: assumed.encoding,
            encoding_assumed: assumed.encoding.is_some(),
            prompt_cache: assumed.prompt_cache,
            ..Model::unknown(id.clone())
        }
    }
}

#[cfg(test)]
mod tests;
