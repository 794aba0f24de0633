//! Talking to model servers: presets, keys, requests, and answers without the quirks of the servers.
//!
//! Owns: async-openai and reqwest (nowhere else), the mapping of requests, the decoding of streams, the class of an error.
//! Refuses: retries, fail-over, budgets; one call sends at most one request.
//! Invariant: memory is bounded for any response, no task is spawned for a stream (drop = cancel), and a key goes to its
//! own provider only.

pub(crate) mod chunk;
pub(crate) mod classify;
pub(crate) mod client;
pub mod decode;
pub(crate) mod endpoint;
pub(crate) mod error;
pub(crate) mod error_body;
mod failure;
pub(crate) mod guide;
pub(crate) mod key;
mod key_command;
mod keyring;
pub(crate) mod local;
pub(crate) mod mapping;
pub mod mask;
pub(crate) mod meta;
pub(crate) mod models;
pub mod preset;
pub(crate) mod proxy;
pub(crate) mod secret;
pub(crate) mod send_guard;
pub(crate) mod sse;
pub(crate) mod stream;
#[cfg(test)]
mod testing;
pub(crate) mod unpacked;
pub(crate) mod usage;
pub(crate) mod wire;

pub use client::Network;
pub use endpoint::{Endpoint, Provider, providers};
pub use error::{ErrorClass, Sent, WireError};
pub(crate) use local::{LocalServer, local_servers};
pub(crate) use meta::ResponseMeta;
pub use proxy::Proxies;
pub(crate) use secret::KeyError;
pub use secret::Secret;
pub use send_guard::SendGuard;
pub(crate) use stream::ReplyStream;
pub use wire::{Call, Wire};
