//! The HTTP clients: how connections are made, kept and closed.
//!
//! Owns: pool, time limits, trusted certificates, proxies; which client serves which server.
//! Refuses: redirects, retries, compression, and every way to trust a server without its certificate.
//! Invariant: a client is built when it is first needed; an idle connection never wakes this process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client, Proxy};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::error::{ErrorClass, Sent, WireError};
use super::failure::root;
use super::proxy::Proxies;
use crate::config::{self, Env};

/// A connection that was idle for so long is closed.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(90);
/// Idle connections kept to one server. More are opened while more requests run, and closed after them.
const POOL_SIZE: usize = 8;
/// The operating system probes a silent peer and gives it up after three tries, without waking this process.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TRIES: u32 = 3;
const USER_AGENT: &str = concat!("chat-agent/", env!("CARGO_PKG_VERSION"));

/// How servers are reached.
#[derive(Debug, Default)]
pub struct Network {
    /// For making a connection, with DNS and TLS.
    pub connect_timeout: Duration,
    /// Certificates (PEM) that are trusted beside the system's.
    pub extra_ca_file: Option<PathBuf>,
    /// Which proxy leads to which address.
    pub proxies: Proxies,
}

impl Network {
    pub(crate) fn of(config: &config::Config, env: &Env) -> Self {
        Self {
            connect_timeout: config.limits.connect_timeout,
            extra_ca_file: config.network.extra_ca_file.clone(),
            proxies: Proxies::of(env),
        }
    }
}

/// Two clients: reading the system's certificates would delay the start, and a server on loopback needs neither them nor
/// the proxy.
#[derive(Debug)]
pub(super) struct Clients {
    network: Arc<Network>,
    remote: Mutex<Option<Client>>,
    loopback: Mutex<Option<Client>>,
    /// When a connection to a server was last used, by base address: at most one entry for each endpoint.
    used: Shared<HashMap<String, Instant>>,
}

impl Clients {
    pub(super) fn new(network: Network) -> Self {
        let (remote, loopback) = (Mutex::default(), Mutex::default());
        Self {
            network: Arc::new(network),
            remote,
            loopback,
            used: Shared::default(),
        }
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The client for this server.
    pub(super) async fn of(&self, endpoint: &Endpoint) -> Result<Client, WireError> {
        self.touch(endpoint);
        let local = endpoint.is_plain() && endpoint.is_loopback();
        let mut slot = if local {
            self.loopback.lock().await
        } else {
            self.remote.lock().await
        };
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let built = if local {
            build_local(self.network.connect_timeout, POOL_IDLE).map_err(root)
        } else {
            // Off the async threads: reading the certificates opens many files.
            let network = Arc::clone(&self.network);
            let built = tokio::task::spawn_blocking(move || build_remote(&network)).await;
            built.unwrap_or_else(|error| Err(error.to_string()))
        };
        let client = built.map_err(|cause| {
            let message = format!("cannot prepare encrypted connections: {cause}");
            WireError::new(ErrorClass::Connect, Sent::Nothing, message)
        })?;
        Ok(slot.insert(client).clone())
    }

    /// Notes that a connection to this server is used now. Returns whether one was used so recently that it is still kept.
    pub(super) fn touch(&self, endpoint: &Endpoint) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let before = used.insert(endpoint.base_url().to_owned(), Instant::now());
        before.is_some_and(|at| at.elapsed() < POOL_IDLE)
    }

    /// Closes every idle connection in an orderly way: their tasks say goodbye to the servers when they next run.
    pub(super) async fn close(&self) {
        let (remote, loopback) = (
            self.remote.lock().await.take(),
            self.loopback.lock().await.take(),
        );
        if remote.is_some() || loopback.is_some() {
            drop((remote, loopback));
            // The first yield lets the connections see that the pool is gone, the second lets them write their goodbye.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
    }
}

/// HTTP/2 is used where a server offers it (ALPN), without pings: TCP keep-alive detects dead peers. An adaptive window
/// would ping as well, so it stays off.
fn builder(connect_timeout: Duration, idle: Duration) -> reqwest::ClientBuilder {
    // A second call fails because the provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(POOL_SIZE)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .tcp_keepalive_retries(KEEP_ALIVE_TRIES)
        .tcp_nodelay(true)
}

/// Between two programs of one machine there is no proxy, and plain HTTP needs no certificates.
fn build_local(connect_timeout: Duration, idle: Duration) -> reqwest::Result<Client> {
    builder(connect_timeout, idle)
        .no_proxy()
        .tls_certs_only([])
        .build()
}

fn build_remote(network: &Arc<Network>) -> Result<Client, String> {
    let own = network
        .extra_ca_file
        .as_deref()
        .map(certificates)
        .transpose()?
        .unwrap_or_default();
    let from = Arc::clone(network);
    let proxy = Proxy::custom(move |url| from.proxies.url_for(url));
    let built = builder(network.connect_timeout, POOL_IDLE)
        .proxy(proxy)
        .tls_certs_merge(own)
        .build();
    built.map_err(|error| match &network.extra_ca_file {
        Some(file) => format!(
            "{} (network.extra_ca_file = {})",
            root(error),
            file.display()
        ),
        None => root(error),
    })
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// One line that names the file, the cause and the setting.
pub(crate) fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let named = |cause: &str| {
        format!(
            "the certificates in {} {cause}; see network.extra_ca_file",
            file.display()
        )
    };
    let bytes = std::fs::read(file).map_err(|error| named(&format!("cannot be read: {error}")))?;
    match Certificate::from_pem_bundle(&bytes) {
        Ok(found) if found.is_empty() => Err(named("are none")),
        Ok(found) => Ok(found),
        Err(_) => Err(named("are not in PEM form")),
    }
}

/// The certificates that this system trusts and those of this file, as one PEM text, for connections that are not made by
/// this module. Reads files: call it where blocking is allowed.
///
/// # Errors
/// One line that names the file, the cause and the setting.
pub(crate) fn trusted_with(file: &Path) -> Result<Vec<u8>, String> {
    certificates(file)?;
    let named = |error| {
        format!(
            "the certificates in {} cannot be read: {error}",
            file.display()
        )
    };
    let mut pem = std::fs::read(file).map_err(named)?;
    for authority in rustls_native_certs::load_native_certs().certs {
        let body = STANDARD.encode(&authority);
        pem.extend_from_slice(
            format!("\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
                .as_bytes(),
        );
    }
    Ok(pem)
}

/// How many authorities this system trusts. Reads files: call it where blocking is allowed.
pub(crate) fn system_roots() -> usize {
    rustls_native_certs::load_native_certs().certs.len()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Sends one request, then reads what the server receives until the client closes the connection.
    #[tokio::test]
    async fn an_idle_connection_is_closed_after_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                lines.read_line(&mut line).unwrap();
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .unwrap();
            // Well before the time that connections are kept for outside of this test.
            lines.read_to_end(&mut Vec::new()).unwrap()
        });
        let client = build_local(Duration::from_secs(30), Duration::from_millis(50)).unwrap();
        let answer = client
            .get(format!("http://{address}/"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok");
        let received = tokio::task::spawn_blocking(move || server.join().unwrap())
            .await
            .unwrap();
        assert_eq!(
            received, 0,
            "the connection is closed in order, and nothing more is sent"
        );
        drop(client);
    }
}
