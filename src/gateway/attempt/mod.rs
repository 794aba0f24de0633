//! One rung of the plan, attempt after attempt: the only retry loop.
//!
//! Owns: the loop, what is done about an error, how long to wait, and the way to an address.
//! Refuses: to judge what an error is (the provider does) and to read the answer.
//! Invariant: each attempt is settled or released once.

pub(in crate::gateway) mod backoff;
pub(in crate::gateway) mod connect;
pub(in crate::gateway) mod decide;
pub(in crate::gateway) mod run;
