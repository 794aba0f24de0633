//! Parameters that a model turned out not to accept, and how it is asked instead.
//!
//! Owns: the fix for a refusal that names a parameter, and applying fixes to a request.
//! Refuses: to send, to store (`compat_memory` does) and to guess: a refusal that names none of our parameters has no fix.
//! Invariant: an output cap is only ever renamed, and the user is told of each of their settings that is left out.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::{Dialect, OutputCap, SystemRole, TemperatureRule, TierField};
use crate::chat::{Effort, Params, ServiceTier};
use crate::provider::{ErrorClass, Sent, WireError};

/// One change to how a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::gateway) enum CompatFix {
    /// The cap goes under this name.
    Cap(OutputCap),
    /// The system text goes under this role.
    Role(SystemRole),
    NoTemperature,
    NoEffort,
    /// In place of an effort that the model does not have, the nearest that it named.
    Effort {
        of: Effort,
        instead: Effort,
    },
    /// Usage is then counted locally.
    NoStreamOptions,
    NoServiceTier,
}

/// The fixes of a model, at most one of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::gateway) struct CompatFixes(Vec<CompatFix>);

/// A request that was refused.
pub(in crate::gateway) struct RefusedRequest<'a> {
    pub(in crate::gateway) params: &'a Params,
    pub(in crate::gateway) dialect: &'a Dialect,
    /// It had a system text.
    pub(in crate::gateway) system: bool,
}

/// The change with which a refused request is sent again; `None`: there is none, or one of its kind was `tried`.
pub(in crate::gateway) fn fix_for(
    error: &WireError,
    sent: &RefusedRequest<'_>,
    tried: &CompatFixes,
) -> Option<CompatFix> {
    let ErrorClass::UnsupportedParameter { name } = &error.class else {
        return None;
    };
    // A refusal inside an answer may have been billed.
    if error.sent != Sent::Refused {
        return None;
    }
    let fix = match name.split(['.', '[']).next()? {
        // The other name, whichever was sent: only one of the two can be meant.
        "max_tokens" | "max_completion_tokens" => CompatFix::Cap(match sent.dialect.output_cap {
            OutputCap::MaxTokens => OutputCap::MaxCompletionTokens,
            OutputCap::MaxCompletionTokens => OutputCap::MaxTokens,
        }),
        "temperature" => sent.params.temperature.map(|_| CompatFix::NoTemperature)?,
        "reasoning_effort" | "reasoning" => effort(&error.message, sent.params.effort?),
        "stream_options" => sent
            .dialect
            .stream_usage
            .then_some(CompatFix::NoStreamOptions)?,
        // Another tier has another price than the reserved one: only the listed tier may be left out.
        "service_tier" if sent.dialect.tier_to_send() == Some(ServiceTier::Default) => {
            CompatFix::NoServiceTier
        }
        "messages" | "role" | "developer" | "system role" if sent.system => {
            CompatFix::Role(match sent.dialect.system {
                SystemRole::Developer => SystemRole::System,
                SystemRole::System => SystemRole::FoldIntoUser,
                SystemRole::FoldIntoUser => return None,
            })
        }
        _ => return None,
    };
    (!tried.has_kind(fix)).then_some(fix)
}

/// The nearest of the efforts that the refusal lists, the lower of two; no effort when it lists none.
fn effort(message: &str, of: Effort) -> CompatFix {
    const LISTS: [&str; 4] = ["supported values", "one of", "must be", "should be"];
    let message = message.to_lowercase();
    let list = LISTS
        .into_iter()
        .find_map(|words| message.split_once(words))
        .map_or("", |(_, list)| list);
    let listed = list
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter_map(|word| word.parse::<Effort>().ok());
    let rank = |effort: Effort| {
        Effort::ALL
            .iter()
            .position(|known| *known == effort)
            .unwrap_or_default()
    };
    let nearest = listed
        .filter(|listed| *listed != of)
        .min_by_key(|listed| (rank(*listed).abs_diff(rank(of)), *listed));
    nearest.map_or(CompatFix::NoEffort, |instead| CompatFix::Effort {
        of,
        instead,
    })
}

impl CompatFixes {
    pub(in crate::gateway) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a fix, in place of one of its kind.
    pub(in crate::gateway) fn add(&mut self, fix: CompatFix) {
        self.0.retain(|known| !same_kind(*known, fix));
        self.0.push(fix);
    }

    fn has_kind(&self, fix: CompatFix) -> bool {
        self.0.iter().any(|known| same_kind(*known, fix))
    }

    /// How the model is asked with these fixes, and what of the user's own settings that leaves out, in words that
    /// follow the model's name.
    pub(in crate::gateway) fn applied(
        &self,
        params: Params,
        dialect: &Dialect,
    ) -> (Params, Dialect, Vec<String>) {
        let (mut params, mut dialect, mut left_out) = (params, dialect.clone(), Vec::new());
        for fix in &self.0 {
            match *fix {
                CompatFix::Cap(name) => dialect.output_cap = name,
                CompatFix::Role(role) => dialect.system = role,
                CompatFix::NoTemperature => {
                    dialect.temperature = TemperatureRule::Never;
                    if let Some(temperature) = params.temperature.take() {
                        left_out.push(format!(
                            "takes no temperature: it was asked without your {temperature}"
                        ));
                    }
                }
                CompatFix::NoEffort => {
                    if let Some(effort) = params.effort.take() {
                        left_out.push(format!(
                            "takes no effort: it was asked without your `{effort}`"
                        ));
                    }
                }
                CompatFix::Effort { of, instead } if params.effort == Some(of) => {
                    params.effort = Some(instead);
                    dialect.efforts.push(instead);
                    left_out.push(format!(
                        "takes no effort `{of}`: it was asked with `{instead}`"
                    ));
                }
                CompatFix::Effort { .. } => {}
                CompatFix::NoStreamOptions => dialect.stream_usage = false,
                // A tier that the user has chosen since is still asked for.
                CompatFix::NoServiceTier => dialect.tier_field = TierField::OnRequest,
            }
        }
        (params, dialect, left_out)
    }
}

/// Whether the one takes the place of the other.
fn same_kind(one: CompatFix, other: CompatFix) -> bool {
    match (one, other) {
        (CompatFix::Effort { of: one, .. }, CompatFix::Effort { of: other, .. }) => one == other,
        _ => std::mem::discriminant(&one) == std::mem::discriminant(&other),
    }
}

impl fmt::Display for CompatFix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cap(OutputCap::MaxTokens) => {
                f.write_str("with max_tokens instead of max_completion_tokens")
            }
            Self::Cap(OutputCap::MaxCompletionTokens) => {
                f.write_str("with max_completion_tokens instead of max_tokens")
            }
            Self::Role(SystemRole::FoldIntoUser) => {
                f.write_str("with the system text in front of the first question")
            }
            Self::Role(SystemRole::System) => f.write_str("with the role system"),
            Self::Role(SystemRole::Developer) => f.write_str("with the role developer"),
            Self::NoTemperature => f.write_str("without temperature"),
            Self::NoEffort => f.write_str("without reasoning_effort"),
            Self::Effort { of, instead } => write!(f, "with the effort {instead} instead of {of}"),
            Self::NoStreamOptions => f.write_str("without stream_options"),
            Self::NoServiceTier => f.write_str("without service_tier"),
        }
    }
}

#[cfg(test)]
mod tests;
