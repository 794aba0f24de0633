//! The kit itself: a test that cannot trust its tools proves nothing.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

#[path = "kit/bill.rs"]
mod bill;
#[path = "kit/keys.rs"]
mod keys;
#[path = "kit/server.rs"]
mod server;
mod support;
#[path = "kit/terminal.rs"]
mod terminal;
