//! What is known of the providers: their keys, addresses, limits and circuits.
//!
//! Owns: the state of each provider, shared by all exchanges.
//! Refuses: to know what is asked or what it costs.
//! Invariant: every key and address that is handed out is accounted for when it comes back.

pub(in crate::gateway) mod breaker;
pub(in crate::gateway) mod breaker_store;
pub(in crate::gateway) mod compat;
pub(in crate::gateway) mod compat_memory;
pub(in crate::gateway) mod endpoints;
pub(in crate::gateway) mod key_ring;
pub(in crate::gateway) mod key_store;
pub(in crate::gateway) mod peer_cooldowns;
pub(in crate::gateway) mod probe;
pub(in crate::gateway) mod provider_state;
pub(in crate::gateway) mod queue;
pub(in crate::gateway) mod rate_limits;
pub(in crate::gateway) mod retry_budget;
