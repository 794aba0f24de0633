//! One rung of the plan, attempt after attempt: the only retry loop of the program.
//!
//! Owns: the loop, what is done about an error, how long to wait, and the connection to an address.
//! Refuses: to classify errors (the provider does), to read the answer, and to settle it.
//! Invariant: the reservation of each attempt is released, booked, or handed on with its answer.

pub(in crate::gateway) mod backoff;
pub(in crate::gateway) mod connect;
pub(in crate::gateway) mod context;
pub(in crate::gateway) mod decide;
pub(in crate::gateway) mod end;
pub(in crate::gateway) mod failure;
pub(in crate::gateway) mod keys;
pub(in crate::gateway) mod log;
pub(in crate::gateway) mod run;
