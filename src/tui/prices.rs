//! Prices in words that the transcript and the views share.

use crate::chat::Usd;
use crate::protocol::Counterfactual;

/// What an answer would have cost elsewhere. The tokens are those of the model that gave it, so the price is no more
/// than about right.
pub(crate) fn elsewhere(other: &Counterfactual) -> String {
    match other.usd {
        None => "n/a".to_owned(),
        Some(Usd::ZERO) => "free".to_owned(),
        Some(usd) => format!("~${}", usd.short()),
    }
}
