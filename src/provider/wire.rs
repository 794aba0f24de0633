//! The wire: one request out, one answer in, nothing in between.
//!
//! Owns: the request and its headers, the reading of refusals, what a failure to connect is called.
//! Refuses: redirects, retries, packed answers, and keys that belong to another provider.
//! Invariant: a call is at most one request; of a refusal at most [`REFUSAL_CAP`] bytes are read.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::Response;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
    LOCATION,
};
use tokio::time::{Instant, timeout_at};

use super::classify::classify;
use super::client::{Clients, Network};
use super::endpoint::Endpoint;
use super::error::{ErrorClass, Sent, WireError};
use super::mask::Mask;
use super::meta::ResponseMeta;
use super::secret::Secret;
use super::send_guard::SendGuard;
use super::stream::{ReplyStream, Waits};
use super::unpacked::{self, Body, Packing};
use crate::chat::{Clock, Timestamp};

/// The most bytes of a refusal that are read, and how long they are waited for.
pub const REFUSAL_CAP: usize = 64 * 1024;
const REFUSAL_WAIT: Duration = Duration::from_secs(5);

/// One request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The JSON body (see `mapping`).
    pub body: Bytes,
    pub stream: bool,
    /// From sending to the first token; for a whole answer in one piece, to the whole of it.
    pub first_token: Duration,
    /// Between two events of a stream.
    pub idle: Duration,
    /// Tells whether it has left.
    pub send_guard: SendGuard,
}

/// A server's first word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// From nothing to the head of its answer.
    pub took: Duration,
    /// HTTP/2 rather than HTTP/1.1.
    pub http2: bool,
    /// Its clock.
    pub date: Option<Timestamp>,
}

/// The connections to all providers.
#[derive(Debug)]
pub struct Wire {
    clients: Clients,
    clock: Clock,
}

impl Wire {
    pub fn new(network: Network, clock: Clock) -> Self {
        Self {
            clients: Clients::new(network),
            clock,
        }
    }

    /// Sends one chat request and waits for its headers. The time limit for the first token runs from here on.
    pub async fn open(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret>,
        call: Call,
    ) -> Result<ReplyStream, WireError> {
        let mask = endpoint.mask(key);
        let headers = headers(endpoint, key)?;
        let accept = if call.stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let request = self
            .clients
            .of(endpoint)
            .await?
            .post(format!("{}/chat/completions", endpoint.base_url()))
            .headers(headers)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept)
            .body(call.send_guard.body(call.body));
        let sent_at = Instant::now();
        let Ok(sent) = timeout_at(sent_at + call.first_token, request.send()).await else {
            if call.send_guard.call_back() {
                let message = format!(
                    "{} was not reached within {} s",
                    endpoint.host(),
                    call.first_token.as_secs_f32()
                );
                return Err(WireError::new(ErrorClass::Connect, Sent::Nothing, message));
            }
            let message = format!(
                "{} did not answer within {} s",
                endpoint.host(),
                call.first_token.as_secs_f32()
            );
            return Err(WireError::new(
                ErrorClass::FirstTokenTimeout,
                Sent::MaybeBilled,
                message,
            ));
        };
        let response =
            sent.map_err(|error| not_sent(error, endpoint.host(), self.through(endpoint), &mask))?;
        let response = accept_status(response, endpoint.host(), &mask, &self.clock).await?;
        if let Some(encoding) = response
            .headers()
            .get(CONTENT_ENCODING)
            .filter(|value| *value != "identity")
        {
            let encoding = mask.excerpt(&String::from_utf8_lossy(encoding.as_bytes()));
            let message = format!(
                "{} sent a compressed answer ({encoding}) that nobody asked for",
                endpoint.host()
            );
            return Err(WireError::new(
                ErrorClass::NotSse,
                Sent::MaybeBilled,
                message,
            ));
        }
        let meta = ResponseMeta::of(
            response.status().as_u16(),
            response.headers(),
            sent_at.elapsed(),
            self.clock.now(),
        );
        let cause_mask = mask.clone();
        let pieces = response
            .bytes_stream()
            .map(move |piece| piece.map_err(|error| cause_mask.excerpt(&root(error))));
        let waits = Waits {
            sent_at,
            first_token: call.first_token,
            idle: call.idle,
        };
        Ok(ReplyStream::new(Box::pin(pieces), meta, mask, waits))
    }

    /// The names of the models that the provider offers, in its order.
    pub async fn models(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret>,
    ) -> Result<Vec<String>, WireError> {
        let headers = headers(endpoint, key)?;
        let client = self.clients.of(endpoint).await?;
        super::models::list(
            client,
            headers,
            key,
            endpoint,
            self.through(endpoint),
            &self.clock,
        )
        .await
    }

    /// Opens a connection to be kept for the next request, unless there is one. It is asked for with `HEAD` and without a
    /// key: so it cannot be billed, and only a whole request tells a proxy, TLS and HTTP/2 alike that it is wanted. What the
    /// server answers does not matter. A server that cannot be reached is said nothing of: the request itself will tell.
    pub async fn connect_ahead(&self, endpoint: &Endpoint) {
        if let Err(error) = self.probe(endpoint).await {
            tracing::debug!(host = endpoint.host(), %error, "no connection was made ahead");
        }
    }

    /// Whether a connection to this server would have to be made first, and that takes time; at most once for as long as
    /// one is kept.
    pub fn is_cold(&self, endpoint: &Endpoint) -> bool {
        !endpoint.is_loopback() && !self.clients.touch(endpoint)
    }

    /// Reaches the server and hears its first word, which costs nothing.
    pub async fn probe(&self, endpoint: &Endpoint) -> Result<Greeting, WireError> {
        let client = self.clients.of(endpoint).await?;
        let (mask, limit) = (endpoint.mask(None), self.network().connect_timeout);
        let began = Instant::now();
        let request = client
            .head(endpoint.base_url())
            .header(ACCEPT_ENCODING, "identity")
            .timeout(limit * 2);
        let response = request.send().await;
        let response = response
            .map_err(|error| not_sent(error, endpoint.host(), self.through(endpoint), &mask))?;
        Ok(Greeting {
            took: began.elapsed(),
            http2: response.version() == reqwest::Version::HTTP_2,
            date: super::meta::date(response.headers()),
        })
    }

    /// The proxy in front of a server, as it is shown.
    pub fn through(&self, endpoint: &Endpoint) -> Option<String> {
        self.network().proxies.shown(endpoint)
    }

    /// How servers are reached.
    pub fn network(&self) -> &Network {
        self.clients.network()
    }

    /// Closes the connections that are kept.
    pub async fn close(&self) {
        self.clients.close().await;
    }
}

/// The headers that every request to this endpoint carries. A configured header replaces ours of the same name.
fn headers(endpoint: &Endpoint, key: Option<&Secret>) -> Result<HeaderMap, WireError> {
    let refused = |class, message| WireError::new(class, Sent::Nothing, message);
    if key.is_some_and(|key| !key.may_go_to(endpoint.provider())) {
        let message = format!(
            "the key belongs to another provider than {}: it was not sent",
            endpoint.provider()
        );
        return Err(refused(ErrorClass::InvalidKey, message));
    }
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let bearer = HeaderValue::try_from(format!("Bearer {}", key.expose()))
            .map_err(|error| refused(ErrorClass::InvalidKey, error.to_string()))?;
        headers.insert(AUTHORIZATION, bearer);
    }
    headers.extend(endpoint.headers().iter().cloned());
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(headers)
}

/// Passes a success on and turns everything else into its error.
pub(super) async fn accept_status(
    response: Response,
    host: &str,
    mask: &Mask,
    clock: &Clock,
) -> Result<Response, WireError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    if status.is_redirection() {
        let target = headers
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .and_then(|to| response.url().join(to).ok());
        let to = target.and_then(|to| {
            to.host_str().map(|name| match to.port() {
                Some(port) => format!("{name}:{port}"),
                None => name.to_owned(),
            })
        });
        let to = to.map_or_else(|| "an unknown place".to_owned(), |to| mask.excerpt(&to));
        let message = format!(
            "{host} answered {} and wants the request to go to {to}; it was not sent there",
            status.as_u16()
        );
        let error = WireError::new(ErrorClass::Redirected, Sent::Refused, message);
        return Err(WireError {
            status: Some(status.as_u16()),
            ..error
        });
    }
    let packing = Packing::of(&headers);
    let body = if packing == Packing::Foreign {
        Vec::new()
    } else {
        read_refusal(response, packing).await
    };
    Err(classify(
        status.as_u16(),
        &headers,
        &body,
        mask,
        clock.now(),
    ))
}

/// The beginning of a refusal; what does not arrive in time, or is too much, is left.
async fn read_refusal(mut response: Response, packing: Packing) -> Vec<u8> {
    let (Body::Whole(body) | Body::More(body) | Body::Cut(body, _)) =
        unpacked::read(&mut response, REFUSAL_CAP, Instant::now() + REFUSAL_WAIT).await;
    packing.open(body, REFUSAL_CAP)
}

/// A request that got no response. `through` is the proxy in front of the host, as it is shown.
pub(super) fn not_sent(
    error: reqwest::Error,
    host: &str,
    through: Option<String>,
    mask: &Mask,
) -> WireError {
    let (class, sent, what) = if error.is_builder() {
        (ErrorClass::InvalidRequest, Sent::Nothing, "cannot be asked")
    } else if error.is_connect() {
        (ErrorClass::Connect, Sent::Nothing, "cannot be reached")
    } else if is_no_http(&error) {
        // No break that may pass: it answers so every time, and may bill for it every time.
        (
            ErrorClass::NotSse,
            Sent::MaybeBilled,
            "answered with something that cannot be read as HTTP",
        )
    } else {
        (
            ErrorClass::Cut,
            Sent::MaybeBilled,
            "closed the connection before it answered",
        )
    };
    let through = through.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
    let cause = in_words(mask.excerpt(&root(error)));
    WireError::new(class, sent, format!("{host} {what}{through}: {cause}"))
}

/// Whether what came back could not be read: another protocol, or a head beyond all measure.
fn is_no_http(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse)
}

/// The innermost cause, which is the one that says something; never the address, which may hold what is not for logs.
pub(super) fn root(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What the TLS library says of a certificate, with the mend.
pub(super) fn in_words(cause: String) -> String {
    let known = [
        (
            "UnknownIssuer",
            "is from an authority that is not trusted here (network.extra_ca_file names more)",
        ),
        (
            "expired",
            "has expired, or the clock of this machine is wrong",
        ),
        (
            "not valid yet",
            "is not valid yet, or the clock of this machine is wrong",
        ),
        (
            "not valid for name",
            "is for another host: check the address",
        ),
    ];
    let found = known
        .iter()
        .find(|(said, _)| cause.contains("certificate") && cause.contains(said));
    found.map_or(cause, |(_, words)| format!("its certificate {words}"))
}

#[cfg(test)]
mod tests;
