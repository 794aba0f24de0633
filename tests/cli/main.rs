//! The command line: what is typed, read, printed and returned.

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
