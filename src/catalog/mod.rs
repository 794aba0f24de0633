//! The models that are known: prices with dates, limits, abilities, and how requests to each are written.
//!
//! Owns: [`Catalog`], read from `assets/models.toml`, from lists of the same form, and from the user's `[[models]]`.
//! Refuses: the network and the clock; `now` is handed in, a refreshed list comes as text.
//! Invariant: a price is known with its date or absent; a 0 stands only where the user or the nature of a model says free.

pub(crate) mod asset;
pub(crate) mod entries;
mod lookup;
pub(crate) mod model;
mod nearest;
pub(crate) mod price;
pub(crate) mod resolve;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use asset::ListingError;
pub(crate) use entries::CatalogError;
pub use lookup::Catalog;
#[cfg(test)]
pub(crate) use model::PromptCache;
pub(crate) use model::{
    DatedPrice, Dialect, Lifecycle, Model, ModelApi, OutputCap, SystemRole, TemperatureRule,
    TierField,
};
#[cfg(test)]
pub(crate) use price::terms::OffPeak;
pub(crate) use price::terms::TermPrice;
#[cfg(test)]
pub(crate) use price::terms::TierPrices;
pub(crate) use price::{Price, PriceOrigin, Served};
pub(crate) use resolve::ResolveError;
