//! The models that are known: prices with dates, limits, abilities, and how requests to each are written.
//!
//! Owns: [`Catalog`], read from `assets/models.toml`, from lists of the same form, and from the user's `[[models]]`.
//! Refuses: the network and the clock; `now` is handed in, a refreshed list comes as text.
//! Invariant: a price is known with its date or absent; a 0 stands only where the user or the nature of a model says free.

pub mod asset;
pub mod entries;
mod lookup;
pub mod model;
mod nearest;
pub mod price;
pub mod resolve;
#[cfg(test)]
mod tests;

pub use asset::ListingError;
pub use entries::CatalogError;
pub use lookup::Catalog;
pub use model::{
    DatedPrice, Dialect, Lifecycle, Model, ModelApi, OutputCap, PromptCache, SystemRole,
    TemperatureRule, TierField,
};
pub use price::terms::{OffPeak, TermPrice, TierPrices};
pub use price::{LongContext, Price, PriceOrigin, Served};
pub use resolve::ResolveError;
