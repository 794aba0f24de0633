//! What may be spent: limits per scope, and the one place where a request is let through or refused.
//!
//! Owns: limits and scopes, the calendar windows, admission.
//! Refuses: prices and estimates (it takes amounts), SQL (it asks `store`), the clock and the time zone (handed in).
//! Invariant: settled + reserved <= limit for every limit at every admission, for any number of processes, because
//! looking and reserving are one immediate transaction. What may have been billed counts in full until it is known.

mod admission;
mod limits;
mod windows;

pub use admission::{Admission, Budget, Status};
pub use limits::{Limits, Scope};
pub use windows::windows;

pub use crate::store::{Booked, Hold, OpenItem, Settlement, Windows};

#[cfg(test)]
mod tests;
