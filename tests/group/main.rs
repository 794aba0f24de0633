//! What machines share over Redis: answers, budgets, cool-downs. Needs a redis-server.

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
#[macro_use]
mod support;

mod cache_command;
mod cache_machines;
mod network;
mod redis_answers;
mod redis_budget;
mod redis_cooldowns;
mod redis_keys;
mod redis_memory;
mod redis_purse;
mod redis_rest;
mod redis_servers;
mod redis_waiting;

use std::process::ExitCode;

use support::need::{Need, run};

fn main() -> ExitCode {
    let modules = [
        cache_command::tests(),
        cache_machines::tests(),
        network::tests(),
        redis_answers::tests(),
        redis_budget::tests(),
        redis_cooldowns::tests(),
        redis_keys::tests(),
        redis_memory::tests(),
        redis_purse::tests(),
        redis_rest::tests(),
        redis_servers::tests(),
        redis_waiting::tests(),
    ];
    run(modules.map(|tests| (Need::RedisServer, tests)))
}
