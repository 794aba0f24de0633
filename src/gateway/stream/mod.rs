//! The answer as it arrives.
//!
//! Owns: reading it, passing it on to the front end and to the store, where it is cut, and what is still read after a stop.
//! Refuses: a second request, and deciding what the answer costs.
//! Invariant: what was shown is stored, whole or cut.

pub(in crate::gateway) mod accumulator;
pub(in crate::gateway) mod drain;
pub(in crate::gateway) mod output_cap;
pub(in crate::gateway) mod reader;
pub(in crate::gateway) mod recorder;
pub(in crate::gateway) mod reporter;
