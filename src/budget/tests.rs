//! Budgets from the outside.

mod admission;
mod alerts;
mod calendar;
mod interleavings;
mod raises;

use jiff::tz::TimeZone;

use super::*;
use crate::chat::Usd;

fn budget(limits: Limits) -> Budget {
    Budget {
        limits,
        zone: TimeZone::UTC,
    }
}

fn per_day(text: &str) -> Budget {
    budget(Limits {
        per_day: Some(usd(text)),
        ..Limits::default()
    })
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}
