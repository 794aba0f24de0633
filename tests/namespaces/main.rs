//! Machines with a network that is away, a name server that is silent, or a disk that is full. Needs Linux name spaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "the small functions of tests are tests, and their tables may be long"
)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod cache_damage;
mod name_server;
mod offline;

use std::process::ExitCode;

use support::need::{Need, run};

fn main() -> ExitCode {
    run([
        (Need::MountNamespace, cache_damage::tests()),
        (Need::NameServer, name_server::tests()),
        (Need::NetworkNamespace, offline::tests()),
    ])
}
