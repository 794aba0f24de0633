//! One model: what it takes, what it can do, how it wants to be asked.
//!
//! Owns: [`Model`], its [`Dialect`], its [`Status`], and the prices that hold up to a day only.
//! Refuses: any use of these facts; requests are mapped in `provider`, models are chosen in `router`.
//! Invariant: a value that nobody states is `None`, never a guess; efforts are offered only where they have an effect.

use serde::Deserialize;

use super::Price;
use crate::chat::{Effort, ModelId, Timestamp, Usd};
use crate::tokens::encoding::Encoding;

#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub id: ModelId,
    /// Tokens that input and output share; likewise the two below, each its own bound.
    pub context: Option<u64>,
    pub max_input: Option<u64>,
    pub max_output: Option<u64>,
    /// `None`: no public one, a count is an estimate.
    pub encoding: Option<Encoding>,
    /// The encoding is that of the model's kin, not stated for the model itself.
    pub encoding_assumed: bool,
    pub tools: bool,
    pub vision: bool,
    pub reasoning: bool,
    pub dialect: Dialect,
    /// `None`: unknown (`n/a`). A price with an end is here only after [`Catalog::at`](super::Catalog::at).
    pub price: Option<Price>,
    /// The prices before and after a known day.
    pub dated: Option<DatedPrice>,
    pub tiers: TierPrices,
    pub status: Status,
    /// Where the figures come from.
    pub source: String,
    /// The day of the source, `YYYY-MM-DD`; empty when it bears none.
    pub as_of: String,
    /// Where sources disagree about money, and what was assumed; may be empty.
    pub note: String,
}

/// A price that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedPrice {
    /// The first instant at which `before` holds no more.
    pub until: Timestamp,
    pub before: Price,
    /// `None`: what it costs afterwards is not known.
    pub after: Option<Price>,
}

impl DatedPrice {
    /// The price at `now`, if it is known.
    pub fn at(&self, now: Timestamp) -> Option<&Price> {
        if now < self.until { Some(&self.before) } else { self.after.as_ref() }
    }
}

/// Input prices per token of the other service tiers, for reference; requests are sent at the standard tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierPrices {
    pub flex: Option<Usd>,
    pub batch: Option<Usd>,
    pub priority: Option<Usd>,
    pub fast: Option<Usd>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Current,
    /// Still served, to be replaced.
    Deprecated,
    /// Served no more since that day (`YYYY-MM-DD`).
    Retired {
        since: String,
        instead: Option<ModelId>,
    },
}

/// How a model wants to be asked. The default is the common ground of compatible servers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    pub output_cap: OutputCap,
    pub temperature: TemperatureRule,
    pub system: SystemRole,
    /// The efforts that may be sent; empty: the field is never sent.
    pub efforts: Vec<Effort>,
    pub api: Api,
    /// Ask for usage at the end of a stream (`stream_options.include_usage`).
    pub stream_usage: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            output_cap: OutputCap::default(),
            temperature: TemperatureRule::default(),
            system: SystemRole::default(),
            efforts: Vec::new(),
            api: Api::default(),
            stream_usage: true,
        }
    }
}

/// The name of the field that caps the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputCap {
    #[default]
    MaxTokens,
    MaxCompletionTokens,
}

/// Which temperatures may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemperatureRule {
    #[default]
    Any,
    UpToOne,
    /// Only together with the effort `none`.
    OnlyWithoutEffort,
    Never,
}

/// The role under which the system prompt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    #[default]
    System,
    Developer,
    /// None at all: put it in front of the first message of the user.
    FoldIntoUser,
}

/// The endpoint that serves the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    #[default]
    Chat,
    Responses,
}

impl Model {
    /// A model of which nothing is known but its name, asked in the common way.
    pub fn unknown(id: ModelId) -> Self {
        Self {
            id,
            context: None,
            max_input: None,
            max_output: None,
            encoding: None,
            encoding_assumed: false,
            tools: false,
            vision: false,
            reasoning: false,
            dialect: Dialect::default(),
            price: None,
            dated: None,
            tiers: TierPrices::default(),
            status: Status::Current,
            source: String::new(),
            as_of: String::new(),
            note: String::new(),
        }
    }
}
