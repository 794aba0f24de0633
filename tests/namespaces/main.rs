//! On a network that is away or broken, made with Linux name spaces.

#[path = "../support/mod.rs"]
mod support;

mod name_server;
mod offline;
