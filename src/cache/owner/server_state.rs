//! What the connections of the owner share.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::leases::Leases;
use super::store_thread::StoreHandle;

/// Shared by all connections.
pub(super) struct ServerState {
    pub(super) disk_store: StoreHandle,
    pub(super) leases: Leases,
    pub(super) clients: AtomicU64,
    pub(super) limit: u64,
    pub(super) since: Instant,
    /// A client speaks a newer protocol, so this owner ends.
    pub(super) outdated: tokio::sync::Notify,
}
