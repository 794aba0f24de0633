//! Settings: the file, the environment and the flags become one checked [`Config`].
//!
//! Owns: [`Config`] and its built-in values, the configuration file (reading, showing, writing), the environment snapshot.
//! Refuses: secrets; a key source is kept as written, and `provider` resolves it. No I/O except on the file itself.
//! Invariant: a [`Config`] that [`load`] returned has passed every rule; everything the file may say is in one key table.

mod agreement;
mod compound;
pub(crate) mod edit;
mod env;
mod error;
mod file;
mod kind;
mod ladder;
mod layers;
mod network;
mod rules;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod value;

#[cfg(test)]
pub(crate) use edit::EXAMPLE;
pub use env::Env;
pub(crate) use error::ConfigError;
pub use ladder::LadderRung;
pub(crate) use layers::{Loaded, Origin, Provenance, locate};
pub use layers::{Overrides, load};
#[cfg(test)]
pub(crate) use rules::ENCODINGS;
#[cfg(test)]
pub(crate) use settings::BudgetConfig;
#[cfg(test)]
pub(crate) use settings::CacheConfig;
#[cfg(test)]
pub(crate) use settings::RouterConfig;
#[cfg(test)]
pub(crate) use settings::SloConfig;
#[cfg(test)]
pub(crate) use settings::UiConfig;
pub use settings::{Config, KeyEntry, KeySource, ModelEntry, OnLimit, ProviderConfig, RedisConfig};
pub(crate) use settings::{LimitsConfig, NetworkConfig, Theme};
pub(crate) use show::{EffectiveSetting, settings, show};
pub(crate) use value::parse_duration;
