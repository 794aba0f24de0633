//! Talking to model servers: presets, keys, the wire, and what comes back, free of every server's quirks.
//!
//! Owns: async-openai and reqwest (nowhere else), the mapping of requests, the decoding of streams, the class of an error.
//! Refuses: retries, fail-over, budgets; one call here is one request on the wire, or none.
//! Invariant: memory is bounded whatever a server sends, no task is spawned for a stream (drop = cancel), and a key goes
//! to its own provider only.

pub mod chunk;
pub mod classify;
pub mod client;
pub mod decode;
pub mod endpoint;
pub mod error;
pub mod error_body;
pub mod guide;
pub mod key;
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
