//! What may be spent: limits per scope, and the one place where a request is let through or refused.
//!
//! Owns: limits and scopes, the calendar windows, admission, alerts, and the doubt about a clock that jumps.
//! Refuses: prices and estimates (it takes amounts), SQL (it asks `store`), the clock and the time zone (handed in).
//! Invariant: settled + reserved <= limit + raised for every limit at every admission, for any number of processes, because
//! checking and reserving are one immediate transaction. What may have been billed counts in full until it is known.

mod admission;
mod alerts;
mod clock;
mod group_budget;
mod lease;
mod lease_script;
mod limits;
mod no_lease;
mod status;
mod windows;

pub use admission::{Admission, Budget};
pub(crate) use alerts::{alerts, tell_alerts};
pub(crate) use clock::{Moved, check_clock};
pub use group_budget::GroupBudget;
pub(crate) use lease::{Grant, GroupFigures};
pub use limits::{DayMonth, GroupLimit, Limits};
pub(crate) use no_lease::NoLease;
pub(crate) use status::{ChargePlace, LimitsSnapshot, ScopeStatus, Spending};
pub(crate) use windows::moment_in_words;
pub use windows::windows;

pub use crate::chat::Scope;
pub use crate::store::Reservation;
#[cfg(test)]
pub(crate) use crate::store::Windows;

#[cfg(test)]
mod tests;
