//! The loopback listener.
//!
//! Owns: the port, the token that opens it, and every connection.
//! Refuses: other addresses than 127.0.0.1, and timers: without requests nothing here wakes up.
//! Invariant: when the [`GuideServer`] is dropped, the listener and all connections go with it.

use std::convert::Infallible;
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use super::api::GuideApi;

/// A wait between two pieces of a streamed answer that is pleasant to read.
pub(crate) const PACE: Duration = Duration::from_millis(6);

/// Connections served at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 64;
/// The pause after the system refused a connection (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The guide, listening. Dropping it ends the listener and its connections.
pub(crate) struct GuideServer {
    address: SocketAddr,
    token: String,
    accepting: JoinHandle<()>,
}

/// Starts the guide on a free port of 127.0.0.1. `count` gives the tokens of a text, for the usage figures and the
/// output cap; `pace` is the wait between pieces of a streamed answer ([`PACE`]; zero: none).
/// Fails outside a Tokio runtime, and if the system provides no port or no randomness.
pub(crate) fn serve(
    count: impl Fn(&str) -> u64 + Send + Sync + 'static,
    pace: Duration,
) -> io::Result<GuideServer> {
    let runtime = Handle::try_current().map_err(io::Error::other)?;
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let token = token()?;
    let api = Arc::new(GuideApi::new(token.clone(), Box::new(count), pace));
    Ok(GuideServer {
        address,
        token,
        accepting: runtime.spawn(accept(listener, api)),
    })
}

/// 256 bits from the system, in hexadecimal digits.
fn token() -> io::Result<String> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(io::Error::other)?;
    Ok(bits
        .iter()
        .fold(String::with_capacity(64), |mut token, byte| {
            let _ = write!(token, "{byte:02x}");
            token
        }))
}

impl GuideServer {
    /// The address for an OpenAI client: `http://127.0.0.1:PORT/v1`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bearer token that every request needs; new at each start. It is a key: never show it.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for GuideServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for GuideServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuideServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Owns the listener and the connections, so that ending this task ends them all.
async fn accept(listener: TcpListener, api: Arc<GuideApi>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_guide_connection(stream, Arc::clone(&api)));
                }
                Err(error) => {
                    tracing::debug!(%error, "the guide could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_guide_connection(stream: TcpStream, api: Arc<GuideApi>) {
    let service = service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(api.respond(request).await) }
    });
    // Pieces of an answer are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the guide broke");
    }
}
