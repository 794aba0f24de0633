//! Whether one model can take the request, and with which output cap.

use std::fmt;

use super::{Candidate, Downgrade, Query};
use crate::catalog::{Lifecycle, Model, ModelApi};
use crate::chat::{Scope, Usd};
use crate::protocol::{Estimate, Left};

/// An output cap that we chose is never smaller than this, in tokens: an answer of a few words is useless.
pub(crate) const MINIMUM_OUTPUT: u64 = 256;

/// The request on one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    pub(super) estimate: Estimate,
    /// There is room for an answer of usual length, or a short one must do because no lower rung may be taken.
    pub(super) useful: bool,
}

/// Why a model was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    /// No key, or a setting it does not take; in words.
    Unusable(String),
    Retired {
        since: String,
        instead: Option<String>,
    },
    /// It answers on the Responses API only.
    ResponsesOnly,
    /// The input and the smallest answer do not fit its window.
    Context { needs: u64, holds: u64 },
    /// The user asked for more output than it can write.
    OutputTooLong { asked: u64, most: u64 },
    /// Its price is unknown, so neither a budget nor `auto` can work with it.
    Unpriced,
    /// The dearest outcome does not fit what is left.
    OverBudget { worst: Usd, left: Usd, scope: Scope },
}

impl Skip {
    /// Whether more money would help.
    pub(crate) fn is_budget(&self) -> bool {
        matches!(self, Self::OverBudget { .. })
    }

    /// The dearest this request could have become.
    pub(crate) fn worst(&self) -> Option<Usd> {
        match self {
            Self::OverBudget { worst, .. } => Some(*worst),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Unusable(_) => "choose another model with --model or Alt-P".to_owned(),
            Self::Retired {
                instead: Some(instead),
                ..
            } => format!("use {instead}"),
            Self::Retired { instead: None, .. } | Self::ResponsesOnly => {
                "choose another model".to_owned()
            }
            Self::Context { .. } => {
                "shorten the input, start a new chat, or choose a model with a larger window"
                    .to_owned()
            }
            Self::OutputTooLong { most, .. } => format!("ask for at most {most} with --max-output"),
            Self::Unpriced => {
                "give it a price, or free = true, under [[models]] in the configuration".to_owned()
            }
            Self::OverBudget { .. } => {
                "raise the limit, shorten the input, or choose a cheaper model".to_owned()
            }
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(why) => f.write_str(why),
            Self::Retired { since, .. } => write!(f, "was retired on {since}"),
            Self::ResponsesOnly => {
                f.write_str("answers only on the Responses API, which is not supported yet")
            }
            Self::Context { needs, holds } => write!(f, "holds {holds} tokens, this needs {needs}"),
            Self::OutputTooLong { asked, most } => {
                write!(f, "writes at most {most} tokens, {asked} were asked for")
            }
            Self::Unpriced => f.write_str("has no known price, so no limit could hold"),
            Self::OverBudget { worst, left, scope } => {
                let left = left.max(&Usd::ZERO);
                write!(
                    f,
                    "could cost ${}, ${} left {}",
                    worst.short(),
                    left.short(),
                    scope.in_words()
                )
            }
        }
    }
}

/// Sizes the request on one candidate.
pub(super) fn size(candidate: &Candidate<'_>, query: &Query<'_>) -> Result<Fit, Skip> {
    let model = candidate.model;
    usable(candidate)?;
    let room = room(candidate)?;
    let own = room.min(model.max_output.unwrap_or(u64::MAX));
    let wanted = match query.params.max_output {
        Some(asked) if asked > own => return Err(Skip::OutputTooLong { asked, most: own }),
        Some(asked) => asked,
        None => own
            .min(query.default_cap)
            .min(candidate.task_cap.unwrap_or(u64::MAX)),
    };
    let cap = affordable(candidate, query, wanted)?;
    let expected = candidate.expected_output.min(cap);
    let price = model.price.as_ref();
    let estimate = Estimate {
        input_tokens: candidate.input.tokens,
        output_tokens: expected,
        output_cap: cap,
        expected_usd: price.map(|p| p.expected(candidate.input.tokens, expected)),
        worst_usd: price.map(|p| p.worst(candidate.input.upper, cap)),
        exact_count: candidate.input.exact,
        band_permille: candidate.band_permille,
    };
    let usual = candidate
        .expected_output
        .saturating_mul(2)
        .max(MINIMUM_OUTPUT);
    Ok(Fit {
        estimate,
        useful: cap >= wanted.min(usual) || query.downgrade == Downgrade::Never,
    })
}

fn usable(candidate: &Candidate<'_>) -> Result<(), Skip> {
    let model = candidate.model;
    if let Lifecycle::Retired { since, instead } = &model.status {
        let instead = instead.as_ref().map(ToString::to_string);
        return Err(Skip::Retired {
            since: since.clone(),
            instead,
        });
    }
    if model.dialect.api == ModelApi::Responses {
        return Err(Skip::ResponsesOnly);
    }
    candidate
        .unusable
        .clone()
        .map_or(Ok(()), |why| Err(Skip::Unusable(why)))
}

/// Tokens of output that the window leaves.
fn room(candidate: &Candidate<'_>) -> Result<u64, Skip> {
    let Model {
        context, max_input, ..
    } = candidate.model;
    let input = candidate.input.tokens;
    let smallest = MINIMUM_OUTPUT.min(candidate.model.max_output.unwrap_or(u64::MAX));
    if let Some(most) = *max_input
        && input > most
    {
        return Err(Skip::Context {
            needs: input,
            holds: most,
        });
    }
    match *context {
        Some(holds) if input.saturating_add(smallest) > holds => Err(Skip::Context {
            needs: input.saturating_add(smallest),
            holds,
        }),
        Some(holds) => Ok(holds - input),
        None => Ok(u64::MAX),
    }
}

/// The largest cap up to `wanted` that the money left allows. A cap that the user asked for is taken whole or not at all.
fn affordable(candidate: &Candidate<'_>, query: &Query<'_>, wanted: u64) -> Result<u64, Skip> {
    let auto = *query.selection == crate::chat::Selection::Auto;
    let Some(price) = &candidate.model.price else {
        return if auto || candidate.left.is_some() {
            Err(Skip::Unpriced)
        } else {
            Ok(wanted)
        };
    };
    let Some(Left { scope, usd }) = &candidate.left else {
        return Ok(wanted);
    };
    let least = query
        .params
        .max_output
        .unwrap_or(MINIMUM_OUTPUT.min(wanted));
    let cap = price
        .affordable_output(candidate.input.upper, *usd)
        .unwrap_or(0)
        .min(wanted);
    let enough = cap >= least && price.worst(candidate.input.upper, cap) <= *usd;
    if enough || price.free {
        return Ok(if price.free { wanted } else { cap });
    }
    Err(Skip::OverBudget {
        worst: price.worst(candidate.input.upper, least),
        left: *usd,
        scope: *scope,
    })
}
