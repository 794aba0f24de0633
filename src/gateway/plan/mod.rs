//! Which model is asked, and whether the question fits it.
//!
//! Owns: what a plan is made of, fitting a chat into a window, comparing models, and the ways out of a limit.
//! Refuses: to hold money; a plan is made and thrown away.
//! Invariant: planning the same question twice, with nothing changed in between, gives the same plan.

pub(in crate::gateway) mod compare;
pub(in crate::gateway) mod count;
pub(in crate::gateway) mod inputs;
pub(in crate::gateway) mod models;
pub(in crate::gateway) mod plan_error;
pub(in crate::gateway) mod planned;
pub(in crate::gateway) mod planner;
pub(in crate::gateway) mod ways_out;
pub(in crate::gateway) mod window_fit;
