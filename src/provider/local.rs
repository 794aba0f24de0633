//! The servers of known kinds that run on this machine.
//!
//! Owns: asking the local presets, at their usual addresses, for their models.
//! Refuses: to send a key: what listens there need not be what it seems.
//! Invariant: it runs only when the user asks for it, and ends in time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Provider, Wire};

/// A server of a known kind that runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalServer {
    pub(crate) provider: String,
    /// Host and port.
    pub(crate) host: String,
    pub(crate) models: Vec<String>,
}

/// Asks all of them at once; those that answered within `limit`, in the order of the providers.
pub(crate) async fn local_servers(
    wire: &Wire,
    providers: &[Provider],
    limit: Duration,
) -> Vec<LocalServer> {
    let ask = |provider: &Provider| {
        let endpoint = provider.endpoints.first().cloned();
        let name = provider.name.clone();
        async move {
            let endpoint = endpoint.filter(super::endpoint::Endpoint::is_loopback)?;
            let listed = timeout(limit, wire.models(&endpoint, None)).await;
            Some(LocalServer {
                provider: name,
                host: endpoint.host().to_owned(),
                models: listed.ok()?.ok()?,
            })
        }
    };
    let local = providers.iter().filter(|provider| provider.local);
    join_all(local.map(ask))
        .await
        .into_iter()
        .flatten()
        .collect()
}
