//! The command line: what is typed, read, printed and returned.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "the small functions of tests are tests, and their tables may be long"
)]

#[path = "../in_process/gateways.rs"]
mod gateways;
#[path = "../support/mod.rs"]
mod support;

mod ask;
mod bad_input;
mod bad_keys;
mod count;
mod crash;
mod exit_codes;
mod manual;
mod output_cap;
mod overflow;
mod routing;
mod secrets;
mod sessions;
mod split_at_limit;
mod split_goes_on;
mod stats;
mod stuck_reader;
mod tokens_like_tiktoken;
