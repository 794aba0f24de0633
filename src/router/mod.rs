//! Chooses the model and says why: one pure function.
//!
//! Owns: the order of the ladder, what disqualifies a rung, health and pace, the output cap that fits the task and the
//! money left, the reason in words.
//! Refuses: looking anything up or reserving money; the caller passes models, counts and what is left.
//! Invariant: a pinned model is never changed; every rung of a plan fits what was left when it was made.

mod choice;
mod kind;
mod ladder;
mod length;
mod pace;
mod plan;
mod query;
mod sizing;
#[cfg(test)]
mod tests;

pub(crate) use kind::{QuestionKind, kind};
pub(crate) use ladder::check_ladder;
pub(crate) use length::{FIRST_GUESS, expected_output, spread, task_cap};
pub(crate) use pace::{PaceInput, PaceWindow};
pub(crate) use plan::{Plan, PlanRefusal, Rung, plan};
pub(crate) use query::{Candidate, Downgrade, Query};
pub(crate) use sizing::{MINIMUM_OUTPUT, Skip};
