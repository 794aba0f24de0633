//! Answers kept in memory and on disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "the small functions of tests are tests, and their tables may be long"
)]

#[path = "../in_process/answers.rs"]
mod answers;
#[path = "../in_process/one_gateway.rs"]
mod one_gateway;
#[path = "../support/mod.rs"]
mod support;

mod cache_bad_redis;
mod cache_command;
mod cache_damage;
mod cache_flight;
mod cache_hits;
mod cache_owner;
mod cache_processes;
mod single_flight;
