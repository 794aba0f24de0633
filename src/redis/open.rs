//! Opening a connection: one server or a cluster, in the clear or through TLS.
//!
//! Owns: the crate's settings, its time limits, and the certificates that a server is checked against.
//! Refuses: retries and reconnecting in the background; the next call connects again.
//! Invariant: a certificate is always checked; more authorities are trusted beside the system's, never in their place.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, RedisError, TlsCertificates, Value};

use super::failure::Away;
use super::settings::RedisSettings;

/// Reads the authorities that a server's certificate may come from, all of them, in PEM. The error is one line for the
/// user.
pub(crate) type Roots = Arc<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>;

#[derive(Clone)]
pub(super) enum ServerConnection {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

/// Connects; each step of it takes at most `limit`.
pub(super) async fn open(
    settings: &RedisSettings,
    roots: Option<Roots>,
    limit: Duration,
) -> Result<ServerConnection, Away> {
    let certificates = match roots.filter(|_| settings.url.starts_with("rediss:")) {
        Some(roots) => Some(read(roots).await?),
        None => None,
    };
    let url = settings.url.as_str();
    if settings.cluster {
        let mut builder = ClusterClientBuilder::new([url])
            .connection_timeout(limit)
            .response_timeout(limit)
            .overall_response_timeout(Some(limit))
            .retries(1)
            .max_connection_attempts(NonZeroUsize::MIN);
        if let Some(certificates) = certificates {
            builder = builder.certs(certificates);
        }
        return Ok(ServerConnection::Cluster(
            builder.build()?.get_async_connection().await?,
        ));
    }
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(limit))
        .set_response_timeout(Some(limit));
    let client = match certificates {
        Some(certificates) => Client::build_with_tls(url, certificates)?,
        None => Client::open(url)?,
    };
    Ok(ServerConnection::One(
        ConnectionManager::new_with_config(client, config).await?,
    ))
}

async fn read(roots: Roots) -> Result<TlsCertificates, Away> {
    let pem = tokio::task::spawn_blocking(move || roots()).await;
    let pem = pem.unwrap_or_else(|_| Err("its certificates cannot be read".to_owned()));
    pem.map(|pem| TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    })
    .map_err(Away::Unreachable)
}

impl ServerConnection {
    pub(super) async fn query(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}
