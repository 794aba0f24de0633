//! One model: what it takes, what it can do, how requests to it are written.
//!
//! Owns: [`Model`], its [`Dialect`], its [`Lifecycle`], and the prices that hold up to a day only.
//! Refuses: any use of these facts; requests are mapped in `provider`, models are chosen in `router`.
//! Invariant: a value that is not stated is `None`, never a guess; efforts are offered only where they have an effect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Price;
use crate::chat::{Effort, ModelId, ServiceTier, Timestamp};
use crate::tokens::ImageRule;
use crate::tokens::encoding::Encoding;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) id: ModelId,
    /// Tokens that input and output share; the two below are separate bounds.
    pub(crate) context: Option<u64>,
    pub(crate) max_input: Option<u64>,
    pub(crate) max_output: Option<u64>,
    /// `None`: no public one, a count is an estimate.
    pub(crate) encoding: Option<Encoding>,
    /// The encoding is that of related models, not stated for this one.
    pub(crate) encoding_assumed: bool,
    /// `None`: no rule for images is published.
    pub(crate) images: Option<ImageRule>,
    pub(crate) tools: bool,
    pub(crate) vision: bool,
    pub(crate) reasoning: bool,
    /// It is stated whether it reasons; otherwise it may reason without showing it.
    pub(crate) reasoning_stated: bool,
    pub(crate) dialect: Dialect,
    /// `None`: unknown (`n/a`). A price with an end is here only after [`Catalog::at`](super::Catalog::at).
    pub(crate) price: Option<Price>,
    /// The prices before and after a known day.
    pub(crate) dated: Option<DatedPrice>,
    /// How the provider keeps the start of a prompt; `None`: not stated.
    pub(crate) prompt_cache: Option<PromptCache>,
    pub(crate) status: Lifecycle,
    /// Where the figures come from.
    pub(crate) source: String,
    /// The day of the source, `YYYY-MM-DD`; empty when it has none.
    pub(crate) as_of: String,
    /// Where sources disagree about money, and what was assumed; may be empty.
    pub(crate) note: String,
}

/// How a provider keeps the start of a prompt, so that the same start is cheaper to read next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PromptCache {
    /// How long it is kept after it was last read.
    pub(crate) lifetime: Duration,
    /// Prompts shorter than this many tokens are not kept.
    pub(crate) minimum_tokens: u64,
}

/// A price that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatedPrice {
    /// The first instant at which `before` no longer applies.
    pub(crate) until: Timestamp,
    pub(crate) before: Price,
    /// `None`: what it costs afterwards is not known.
    pub(crate) after: Option<Price>,
}

impl DatedPrice {
    /// The price at `now`, if it is known.
    pub(crate) fn at(&self, now: Timestamp) -> Option<&Price> {
        if now < self.until {
            Some(&self.before)
        } else {
            self.after.as_ref()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Current,
    /// Still served, to be replaced.
    Deprecated,
    /// Served no more since that day (`YYYY-MM-DD`).
    Retired {
        since: String,
        instead: Option<ModelId>,
    },
}

/// How requests to a model are written. The default is what all compatible servers understand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dialect {
    pub(crate) output_cap: OutputCap,
    pub(crate) temperature: TemperatureRule,
    pub(crate) system: SystemRole,
    /// The efforts that may be sent; empty: the field is never sent.
    pub(crate) efforts: Vec<Effort>,
    pub(crate) api: ModelApi,
    /// Ask for usage at the end of a stream (`stream_options.include_usage`).
    pub(crate) stream_usage: bool,
    pub(crate) tier_field: TierField,
    /// The service tier that the user chose for the model.
    #[serde(skip)]
    pub(crate) service_tier: Option<ServiceTier>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            output_cap: OutputCap::default(),
            temperature: TemperatureRule::default(),
            system: SystemRole::default(),
            efforts: Vec::new(),
            api: ModelApi::default(),
            stream_usage: true,
            tier_field: TierField::default(),
            service_tier: None,
        }
    }
}

impl Dialect {
    /// The service tier to write into a request; `None`: the field is left out.
    pub(crate) fn tier_to_send(&self) -> Option<ServiceTier> {
        let tier = match self.tier_field {
            TierField::Ignored => None,
            TierField::Always => self.service_tier.or(Some(ServiceTier::Default)),
            TierField::OnRequest | TierField::AtHome => self.service_tier,
        };
        // `auto` is what a request without the field means, and some servers take no other word for it.
        tier.filter(|tier| *tier != ServiceTier::Auto)
    }
}

/// When the service tier is written into a request. Without it, a project's own setting decides at OpenAI, and that may
/// be `priority`, at twice the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TierField {
    /// When the user chose one: other servers may reject the field.
    #[default]
    OnRequest,
    Always,
    /// Always at the provider's own address, on request where the user changed it, because another server may answer there.
    AtHome,
    /// The server ignores it, so none can be chosen.
    Ignored,
}

/// The name of the field that caps the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutputCap {
    #[default]
    MaxTokens,
    MaxCompletionTokens,
}

/// Which temperatures may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TemperatureRule {
    #[default]
    Any,
    UpToOne,
    /// Only together with the effort `none`.
    OnlyWithoutEffort,
    Never,
}

/// The role under which the system prompt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SystemRole {
    #[default]
    System,
    Developer,
    /// No role: put it in front of the first message of the user.
    FoldIntoUser,
}

/// The endpoint that serves the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelApi {
    #[default]
    Chat,
    Responses,
}

impl Model {
    /// The price at `now`: where a price has ended, the next one, or none; with the time of day.
    pub(crate) fn price_at(&self, now: Timestamp) -> Option<Price> {
        let price = match &self.dated {
            Some(dated) => dated.at(now),
            None => self.price.as_ref(),
        };
        price.cloned().map(|price| price.at(now))
    }

    /// Makes requests ask for this service tier from now on.
    pub(super) fn choose_tier(&mut self, tier: ServiceTier) {
        self.dialect.service_tier = Some(tier);
        self.prices_mut().for_each(|price| price.tier = tier);
    }

    /// Its price now, and those before and after a known day.
    pub(super) fn prices_mut(&mut self) -> impl Iterator<Item = &mut Price> {
        let dated = self
            .dated
            .as_mut()
            .map(|dated| [Some(&mut dated.before), dated.after.as_mut()]);
        dated.into_iter().flatten().flatten().chain(&mut self.price)
    }

    /// A model of which only the name is known, with the default dialect.
    pub(crate) fn unknown(id: ModelId) -> Self {
        Self {
            id,
            context: None,
            max_input: None,
            max_output: None,
            encoding: None,
            encoding_assumed: false,
            images: None,
            tools: false,
            vision: false,
            reasoning: false,
            reasoning_stated: false,
            dialect: Dialect::default(),
            price: None,
            dated: None,
            prompt_cache: None,
            status: Lifecycle::Current,
            source: String::new(),
            as_of: String::new(),
            note: String::new(),
        }
    }
}
