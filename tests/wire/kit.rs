//! The scripted server itself: a test that cannot trust its tools proves nothing.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

mod bill;
mod server;
