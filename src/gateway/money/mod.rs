//! What an attempt holds and what it is booked at.
//!
//! Owns: reserving, settling, and the writes that a stop can take back.
//! Refuses: to send anything.
//! Invariant: nothing is released that may have been billed.

pub(in crate::gateway) mod cancellable_write;
pub(in crate::gateway) mod reserve;
pub(in crate::gateway) mod settle;
