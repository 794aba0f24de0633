//! Talking to model servers: presets, keys, requests, and answers without the quirks of the servers.
//!
//! Owns: async-openai and reqwest (nowhere else), the mapping of requests, the decoding of streams, the class of an error.
//! Refuses: retries, fail-over, budgets; one call sends at most one request.
//! Invariant: memory is bounded for any response, no task is spawned for a stream (drop = cancel), and a key goes to its
//! own provider only.

pub mod chunk;
pub mod classify;
pub mod client;
pub mod decode;
pub mod endpoint;
pub mod error;
pub mod error_body;
mod failure;
pub mod guide;
pub mod key;
mod key_command;
mod keyring;
pub mod local;
pub mod mapping;
pub mod mask;
pub mod meta;
pub mod models;
pub mod preset;
pub mod proxy;
pub mod secret;
pub mod send_guard;
pub mod sse;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod unpacked;
pub mod usage;
pub mod wire;

pub use client::Network;
pub use endpoint::{Endpoint, Provider, providers};
pub use error::{ErrorClass, Sent, WireError};
pub use local::{LocalServer, local_servers};
pub use mapping::MappingError;
pub use meta::ResponseMeta;
pub use proxy::Proxies;
pub use secret::{KeyError, Secret};
pub use send_guard::SendGuard;
pub use stream::ReplyStream;
pub use wire::{Call, Wire};
