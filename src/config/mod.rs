//! Settings: the file, the environment and the flags become one checked [`Config`].
//!
//! Owns: [`Config`] and its built-in values, the configuration file (reading, showing, writing), the environment snapshot.
//! Refuses: secrets; a key source is kept as written, and `provider` resolves it. No I/O except on the file itself.
//! Invariant: a [`Config`] that [`load`] returned has passed every rule; everything the file may say is in one key table.

mod agreement;
mod compound;
pub mod edit;
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

pub use edit::EXAMPLE;
pub use env::Env;
pub use error::{ConfigError, FaultLocation};
pub use ladder::LadderRung;
pub use layers::{Loaded, Locations, Origin, Overrides, Provenance, load, locate};
pub use rules::ENCODINGS;
pub use settings::{
    BudgetConfig, CacheConfig, Config, KeyEntry, KeySource, LimitsConfig, ModelEntry,
    NetworkConfig, OnLimit, ProviderConfig, RedisConfig, RouterConfig, SloConfig, Theme, UiConfig,
};
pub use show::{EffectiveSetting, settings, show};
pub use value::{parse_bytes, parse_duration};
