//! What an attempt may cost, and what it is booked at.
//!
//! Owns: reserving before anything is sent, settling or releasing afterwards, and writes that a stop can take back.
//! Refuses: to send anything.
//! Invariant: nothing is released that may have been billed, and each reservation is settled or released exactly once.

pub(in crate::gateway) mod account;
pub(in crate::gateway) mod cancellable_write;
pub(in crate::gateway) mod rows;
pub(in crate::gateway) mod settle;
