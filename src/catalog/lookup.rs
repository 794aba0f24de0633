//! [`Catalog`]: the models that are known, and how one is found.
//!
//! Owns: the rule for full names, bare names and aliases; names that are near; the price of an instant.
//! Refuses: accepting a name the catalogue does not know; the caller decides that for a provider of the user's own.
//! Invariant: a bare name never chooses between two providers that could both serve it.

use std::collections::BTreeMap;

#[cfg(test)]
use super::ListingError;
use super::asset::{self, Assumption, Listing};
use super::{CatalogError, Lifecycle, Model, ResolveError, entries, nearest};
use crate::chat::{ModelId, Timestamp};
use crate::config::ModelEntry;

/// How many near names an error lists.
const SUGGESTIONS: usize = 3;

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
    #[cfg(test)]
    pub(crate) fn from_toml(text: &str) -> Result<Self, ListingError> {
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
        let Self {
            models,
            aliases,
            assumptions,
        } = &mut self;
        entries::apply_all(entries, models, aliases, |id| unlisted(assumptions, id))?;
        Ok(self)
    }

    /// The model that `text` names: an alias, a full name, or a bare name that one usable provider has.
    ///
    /// A text with a slash is read as a full name first. It is read as a bare name (`meta-llama/...`) only when its
    /// first part is not a usable provider.
    pub(crate) fn resolve(
        &self,
        text: &str,
        usable: impl Fn(&str) -> bool,
    ) -> Result<ModelId, ResolveError> {
        let name = text.trim();
        if let Some(id) = self.aliases.get(name) {
            return Ok(id.clone());
        }
        let full = name.parse::<ModelId>().ok();
        if let Some(id) = full.as_ref().filter(|id| self.get(id).is_some()) {
            return Ok(id.clone());
        }
        let unknown = || ResolveError::Unknown {
            name: name.into(),
            nearest: self.nearest(name, SUGGESTIONS),
        };
        if full.is_some_and(|id| usable(id.provider())) {
            return Err(unknown());
        }
        let known: Vec<ModelId> = self
            .by_bare_name(name)
            .into_iter()
            .map(|model| model.id.clone())
            .collect();
        let mut at_hand: Vec<ModelId> = known
            .iter()
            .filter(|id| usable(id.provider()))
            .cloned()
            .collect();
        let name = name.to_owned();
        match at_hand.len() {
            1 => Ok(at_hand.remove(0)),
            0 if known.is_empty() => Err(unknown()),
            0 => Err(ResolveError::NoKey {
                name,
                full_names: known,
            }),
            _ => Err(ResolveError::Ambiguous {
                name,
                full_names: at_hand,
            }),
        }
    }

    pub(crate) fn get(&self, id: &ModelId) -> Option<&Model> {
        self.models.iter().find(|model| model.id == *id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// The models of that name at any provider. The last part of a name that holds slashes counts as its name too.
    pub(crate) fn by_bare_name(&self, name: &str) -> Vec<&Model> {
        let is_named =
            |id: &ModelId| id.model() == name || id.model().rsplit('/').next() == Some(name);
        self.models
            .iter()
            .filter(|model| is_named(&model.id))
            .collect()
    }

    /// Full names like `typed`, best first, at most `max`. Retired models are not offered.
    pub(crate) fn nearest(&self, typed: &str, max: usize) -> Vec<String> {
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
    pub(crate) fn unlisted(&self, id: &ModelId) -> Model {
        unlisted(&self.assumptions, id)
    }
}

fn unlisted(assumptions: &BTreeMap<String, Assumption>, id: &ModelId) -> Model {
    let assumed = assumptions.get(id.provider()).cloned().unwrap_or_default();
    Model {
        dialect: assumed.dialect,
        encoding: assumed.encoding,
        encoding_assumed: assumed.encoding.is_some(),
        prompt_cache: assumed.prompt_cache,
        ..Model::unknown(id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is compiled in was laid out by `build.rs`; the asset is what people read and change.
    #[test]
    fn what_is_compiled_in_is_what_is_written_in_the_asset() {
        let written = Catalog::from_toml(include_str!("../../assets/models.toml")).unwrap();
        let compiled = Catalog::builtin();
        assert_eq!(compiled.models, written.models);
        assert_eq!(compiled.assumptions, written.assumptions);
    }
}
