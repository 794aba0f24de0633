//! Machines with a network that is away, a name server that is silent, or a disk that is full. Needs Linux name spaces.

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
