//! chat-agent: an interactive chat agent for the terminal that knows the price before it sends.

pub mod agent;
pub mod budget;
pub mod cache;
pub mod catalog;
pub mod chat;
pub mod config;
pub mod gateway;
pub mod protocol;
pub mod provider;
pub mod router;
pub mod store;
pub mod tokens;
pub mod tui;
