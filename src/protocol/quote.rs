//! What sending would do: the receipt, and the choices at a limit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Counterfactual, Estimate, Fitted, Kept, Route};
use crate::chat::{Effort, Failure, ModelId, Scope, Timestamp, Usd};

/// The line under the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The draft it belongs to.
    pub rev: u64,
    pub outcome: Result<Quote, Refused>,
}

/// Why nothing would be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    pub(crate) failure: Failure,
    /// What was considered, if it came to that.
    pub(crate) route: Option<Route>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            route: None,
        }
    }
}

/// What sending now would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    pub model: ModelId,
    pub(crate) route: Route,
    pub(crate) estimate: Estimate,
    /// Free of charge, because the user said so or because it runs on this machine.
    pub(crate) free: bool,
    /// The tightest limit and what is left of it.
    pub(crate) left: Option<Left>,
    pub(crate) context: Option<u64>,
    /// How long such answers of this model have been; `None` before there are enough.
    pub(crate) usual: Option<Spread>,
    /// What the same question would cost on the other favourites and rungs.
    pub(crate) others: Vec<Counterfactual>,
    /// What is done so that it fits the window; `None`: it fits as it is.
    pub(crate) fitted: Option<Fitted>,
    /// A prefix that another model's provider still has in its cache, and that this choice would not use.
    pub(crate) warm: Option<Warm>,
    /// The answer that would be given from the cache, or that another model has given to the same question.
    #[serde(default)]
    pub(crate) kept: Option<Kept>,
    /// The efforts that the model takes; empty: it takes none.
    #[serde(default)]
    pub(crate) efforts: Vec<Effort>,
}

/// The middle half of the lengths of past answers, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) low: u64,
    pub(crate) high: u64,
    /// How many answers it is taken from.
    pub(crate) answers: u64,
}

/// A prefix of this chat that a provider keeps for a while, so that reading it again is cheaper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Warm {
    pub(crate) model: ModelId,
    pub(crate) tokens: u64,
    /// When the provider may have forgotten it.
    pub(crate) until: Timestamp,
    /// What it saves in the next turn on that model.
    pub(crate) spares: Usd,
}

/// A question that does not fit a limit, and the choices of the user. Nothing was sent or stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtLimit {
    /// The question, for the front end to keep.
    pub text: Arc<str>,
    pub failure: Failure,
    pub(crate) route: Option<Route>,
    /// The best rung that fits.
    pub cheaper: Option<Quote>,
    /// Raising the limit for this question, by as much as it may cost at worst.
    pub(crate) raise: Option<Raise>,
}

/// A limit that is raised once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// The limit that is raised.
    pub scope: Scope,
    /// By how much.
    pub by: Usd,
}

/// The user's choice at [`AtLimit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WayOut {
    /// This model, for this question.
    Cheaper(ModelId),
    /// Raise the limit for this question.
    Raise(Raise),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) scope: Scope,
    pub(crate) usd: Usd,
}
