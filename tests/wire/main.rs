//! Between the program and the servers: requests, streams, failures, retries, connections.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "the small functions of tests are tests, and their tables may be long"
)]

#[path = "../in_process/bill.rs"]
mod bill;
#[path = "../in_process/gateways.rs"]
mod gateways;
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod circuit;
mod connections;
mod degraded;
mod fail_over;
mod fault_streams;
mod faults;
mod hostile_server;
mod kept_offer;
mod keys;
mod kit;
mod mends;
mod models_on_the_wire;
mod network;
mod presets;
mod retries;
mod retry_budget;
mod stop_at_once;
mod stream_frames;
