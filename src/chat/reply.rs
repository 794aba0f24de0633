//! A reply as a fold of what the stream brings.
//!
//! Owns: [`Delta`] (what arrives), [`Reply`] (what it adds up to), [`Finish`] (how it ended).
//! Refuses: wire formats.
//! Invariant: a reply without a finish is not complete, whatever text it holds.

use serde::{Deserialize, Serialize};

use super::{Usage, Usd};

/// One step of a streamed answer, already free of the provider's quirks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More of the answer.
    Text(String),
    /// More of the reasoning.
    Reasoning(String),
    /// The server's count; each replaces the one before (never a sum).
    Usage(Usage),
    /// The server's last count cannot be one: what it counted before is withdrawn.
    NoUsage,
    /// The server's own price for the request (`usage.cost`): it wins over our arithmetic.
    Billed(Usd),
    /// The service tier that the server says it used.
    ServiceTier(String),
    /// Why the answer ended.
    Finish(Finish),
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model came to its end.
    Stop,
    /// The output cap was reached.
    Length,
    /// The provider's filter stopped it.
    ContentFilter,
    /// The model wants a tool called.
    ToolCalls,
    /// The connection, a time limit or the server cut it off.
    Cut,
    /// The user stopped it.
    Interrupted,
    /// A reason that this program does not know, as the server wrote it.
    #[serde(untagged)]
    Other(String),
}

impl Finish {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::ToolCalls => "tool_calls",
            Self::Cut => "cut",
            Self::Interrupted => "interrupted",
            Self::Other(reason) => reason,
        }
    }
}

/// What has arrived so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The answer so far.
    pub text: String,
    pub(crate) reasoning: String,
    /// Why it ended; `None`: it has not, or it was cut.
    pub finish: Option<Finish>,
    pub(crate) usage: Option<Usage>,
    pub(crate) billed: Option<Usd>,
    pub(crate) service_tier: Option<String>,
    /// Something was generated after the server's last count or price, so that neither is its last word.
    pub(crate) stale: bool,
}

impl Reply {
    /// Adds what arrived. The last usage, price, tier and finish win.
    pub fn push(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) => {
                self.stale |= !text.is_empty();
                self.text.push_str(text);
            }
            Delta::Reasoning(text) => {
                self.stale |= !text.is_empty();
                self.reasoning.push_str(text);
            }
            Delta::Usage(usage) => (self.usage, self.stale) = (Some(*usage), false),
            Delta::NoUsage => self.usage = None,
            Delta::Billed(usd) => (self.billed, self.stale) = (Some(*usd), false),
            Delta::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            Delta::Finish(finish) => self.finish = Some(finish.clone()),
        }
    }

    /// Forgets a count or price that came before the end of what was generated, or that counts none of it: some servers
    /// tell the input's usage first and nothing afterwards.
    pub(crate) fn keep_last_word(&mut self) {
        if self.stale {
            (self.usage, self.billed) = (None, None);
        }
        self.usage
            .take_if(|usage| usage.output == 0 && !self.text.is_empty());
    }
}
