//! What the keys do, pressed in a real terminal.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

#[path = "screen_keys/editing.rs"]
mod editing;
#[path = "screen_keys/leaving.rs"]
mod leaving;
#[path = "screen_keys/reading.rs"]
mod reading;
mod support;
