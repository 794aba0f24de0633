//! Service tiers: the ways in which a provider serves one and the same request, each at its own price.
//!
//! Owns: [`ServiceTier`], the names that requests and answers use for it.
//! Refuses: prices, which belong to the catalogue.
//! Invariant: an unknown name is no tier, and must not be priced as the standard one.

use serde::{Deserialize, Serialize};

/// The tier that a request asks for, or that an answer says it was served at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    /// The listed price.
    #[default]
    Default,
    /// Slower and cheaper, when there is room.
    Flex,
    /// Answered within a day, through the provider's batch service.
    Batch,
    /// Quicker and dearer.
    Priority,
    /// The same under the name that newer models use.
    Fast,
    /// The setting of the provider's project decides; this program does not know it.
    Auto,
}

impl ServiceTier {
    /// The tiers that a single request may ask for.
    pub(crate) const ALL: [Self; 5] = [
        Self::Default,
        Self::Flex,
        Self::Priority,
        Self::Fast,
        Self::Auto,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Flex => "flex",
            Self::Batch => "batch",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Auto => "auto",
        }
    }

    /// The tier that an answer names. `standard` is Anthropic's word for the listed price, `on_demand` Groq's
    /// (console.groq.com/docs/service-tiers). `auto` names none: it leaves open what was used.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "default" | "standard" | "on_demand" => Some(Self::Default),
            "flex" => Some(Self::Flex),
            "batch" => Some(Self::Batch),
            "priority" => Some(Self::Priority),
            "fast" => Some(Self::Fast),
            _ => None,
        }
    }
}
