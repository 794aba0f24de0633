//! The one gate for foreign text: nothing a model, a file or a server says reaches a terminal but through here.
//!
//! Owns: [`SafeText`], the functions that make one, and the streaming [`Sanitiser`].
//! Refuses: styling; it only decides which characters may be shown and how the others are made visible.
//! Invariant: a `SafeText` holds no control character but line feed and tab, no bidirectional control, nothing invisible.
//!
//! The policy, character by character, is the table in `class.rs`; what depends on the neighbours is in `machine.rs`.

mod class;
mod machine;
mod safe;
#[cfg(test)]
mod tests;
mod whole;

pub(crate) use class::is_plain;
pub(crate) use machine::Sanitiser;
pub(crate) use safe::SafeText;
pub(crate) use whole::{one_line, sanitise, truncate};
