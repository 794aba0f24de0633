//! How our types are stored in the cells of a row.
//!
//! Owns: the conversion into a cell and back for money, counts, JSON and ids.
//! Refuses: to store a rounded amount in place of one that does not fit.
//! Invariant: what was written reads back equal; money that does not fit is an error, never a rounded amount.

use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::chat::{CostKind, Usage, UsageSource, Usd};

/// Pico-dollars as the ledger holds them: not negative, up to 9.2 million dollars.
pub(super) fn pico(usd: Usd) -> Result<i64, StoreError> {
    i64::try_from(usd.pico())
        .ok()
        .filter(|pico| *pico >= 0)
        .ok_or(StoreError::Money)
}

pub(super) fn usd(pico: i64) -> Usd {
    Usd::from_pico(i128::from(pico))
}

/// Tokens, milliseconds: figures, not money. Nothing real comes near the end of the range.
pub(super) fn figure(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Io(error.to_string()))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::cell(what))
}

pub(super) fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::cell(what))
}

pub(super) fn kind_name(kind: CostKind) -> &'static str {
    match kind {
        CostKind::Billed => "billed",
        CostKind::Exact => "exact",
        CostKind::Estimated => "estimated",
        CostKind::Unknown => "unknown",
        CostKind::Free => "free",
    }
}

pub(super) fn parse_kind(name: &str) -> Result<CostKind, StoreError> {
    let kinds = [
        CostKind::Billed,
        CostKind::Exact,
        CostKind::Estimated,
        CostKind::Unknown,
        CostKind::Free,
    ];
    kinds
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
        .ok_or_else(|| StoreError::cell("kind"))
}

/// The six columns of a usage, in the order of the schema; all null when there is none.
pub(super) type UsageCells = (
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<&'static str>,
);

pub(super) fn usage_cells(usage: Option<&Usage>) -> UsageCells {
    let Some(u) = usage else {
        return (None, None, None, None, None, None);
    };
    let source = match u.source {
        UsageSource::Provider => "provider",
        UsageSource::Counted => "counted",
    };
    (
        Some(figure(u.uncached_input)),
        Some(figure(u.cached_input)),
        Some(figure(u.cache_write)),
        Some(figure(u.output)),
        Some(figure(u.reasoning)),
        Some(source),
    )
}
