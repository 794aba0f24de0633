//! The only place where the state changes.
//!
//! Owns: [`update`] and [`draft`]; only the files below change an [`App`](super::app::App).
//! Refuses: input, output, clocks.
//! Invariant: the same messages at the same times make the same state.

mod commands;
mod core;
mod dialog;
pub(crate) mod draft;
mod keys;
mod limit;
mod message;
mod rescue;
mod submit;
mod why;

pub(crate) use message::update;
