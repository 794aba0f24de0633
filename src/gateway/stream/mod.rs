//! The answer as it arrives.
//!
//! Owns: reading it, what has arrived, where it is cut, and what is still read after a stop.
//! Refuses: a second request.
//! Invariant: what was shown is stored, whole or cut.

pub(in crate::gateway) mod accumulator;
pub(in crate::gateway) mod drain;
pub(in crate::gateway) mod frames;
pub(in crate::gateway) mod output_cap;
pub(in crate::gateway) mod reader;
