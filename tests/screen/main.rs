//! The chat screen in a pseudo-terminal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "the small functions of tests are tests, and their tables may be long"
)]

#[path = "../support/mod.rs"]
mod support;

mod draft_kept;
mod idle;
mod kit;
mod readme_screens;
mod screen_budget;
mod screen_chat;
mod screen_hostile;
mod screen_keys;
mod screen_sizes;
mod screen_wire;
mod terminal_restored;
