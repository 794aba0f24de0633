//! The wire: one request out, one answer in, nothing in between.
//!
//! Owns: the HTTP clients (one pool for every key), the headers of a request, the reading of refusals.
//! Refuses: redirects, retries, decompression, and keys that belong to another provider.
//! Invariant: a call is at most one request; of a refusal at most [`REFUSAL_CAP`] bytes are read.

use std::time::Duration;

use async_openai::config::{Config, OpenAIConfig};
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Response};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::classify::classify;
use super::endpoint::Endpoint;
use super::error::{ErrorClass, Sent, WireError};
use super::mask::Mask;
use super::meta::ResponseMeta;
use super::secret::Secret;
use super::stream::{ReplyStream, Waits};
use crate::chat::Clock;

/// The most bytes of a refusal that are read, and how long they are waited for.
pub const REFUSAL_CAP: usize = 64 * 1024;
const REFUSAL_WAIT: Duration = Duration::from_secs(5);
const POOL_IDLE: Duration = Duration::from_secs(90);
const USER_AGENT: &str = concat!("chat-agent/", env!("CARGO_PKG_VERSION"));

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
}

/// The connections to all providers.
#[derive(Debug)]
pub struct Wire {
    connect_timeout: Duration,
    clock: Clock,
    /// Each is built when first needed: reading the machine's certificates takes time that a start does not have, and
    /// a server on loopback needs none of them (nor the proxy).
    remote: OnceCell<Client>,
    loopback: OnceCell<Client>,
}

impl Wire {
    pub fn new(connect_timeout: Duration, clock: Clock) -> Self {
        Self { connect_timeout, clock, remote: OnceCell::new(), loopback: OnceCell::new() }
    }

    /// Sends one chat request and waits for its headers. The time limit for the first token runs from here on.
    pub async fn open(&self, endpoint: &Endpoint, key: Option<&Secret>, call: Call) -> Result<ReplyStream, WireError> {
        let mask = endpoint.mask(key);
        let config = config(endpoint, key)?;
        let accept = if call.stream { "text/event-stream" } else { "application/json" };
        let request = self
            .client(endpoint)
            .await?
            .post(config.url("/chat/completions"))
            .headers(headers(&config, key))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept)
            .body(call.body);
        let sent_at = Instant::now();
        let Ok(sent) = timeout_at(sent_at + call.first_token, request.send()).await else {
            let message = format!("{} did not answer within {} s", endpoint.host(), call.first_token.as_secs_f32());
            return Err(WireError::new(ErrorClass::FirstTokenTimeout, Sent::MaybeBilled, message));
        };
        let response = sent.map_err(|error| not_sent(error, endpoint.host(), &mask))?;
        let response = accept_status(response, endpoint.host(), &mask, &self.clock).await?;
        if let Some(encoding) = response.headers().get(CONTENT_ENCODING).filter(|value| *value != "identity") {
            let encoding = mask.excerpt(&String::from_utf8_lossy(encoding.as_bytes()));
            let message = format!("{} sent a compressed answer ({encoding}) that nobody asked for", endpoint.host());
            return Err(WireError::new(ErrorClass::NotSse, Sent::MaybeBilled, message));
        }
        let meta =
            ResponseMeta::of(response.status().as_u16(), response.headers(), sent_at.elapsed(), self.clock.now());
        let cause_mask = mask.clone();
        let pieces = response.bytes_stream().map(move |piece| piece.map_err(|error| cause_mask.excerpt(&root(error))));
        let waits = Waits { sent_at, first_token: call.first_token, idle: call.idle };
        Ok(ReplyStream::new(Box::pin(pieces), meta, mask, waits))
    }

    /// The names of the models that the provider offers, in its order.
    pub async fn models(&self, endpoint: &Endpoint, key: Option<&Secret>) -> Result<Vec<String>, WireError> {
        let config = config(endpoint, key)?;
        let client = self.client(endpoint).await?.clone();
        super::models::list(client, config, key, endpoint, &self.clock).await
    }

    async fn client(&self, endpoint: &Endpoint) -> Result<&Client, WireError> {
        let local = endpoint.is_plain() && endpoint.is_loopback();
        let (cell, connect_timeout) = (if local { &self.loopback } else { &self.remote }, self.connect_timeout);
        let failed = |cause: String| {
            let message = format!("cannot prepare encrypted connections: {cause}");
            WireError::new(ErrorClass::Connect, Sent::Nothing, message)
        };
        // Off the async threads: the certificates are files, many of them.
        let built = || async move {
            let built = tokio::task::spawn_blocking(move || build(connect_timeout, local)).await;
            built.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(root(error)))
        };
        cell.get_or_try_init(built).await
    }
}

fn build(connect_timeout: Duration, local: bool) -> reqwest::Result<Client> {
    // Whoever comes second finds it installed already, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true);
    // No proxy stands between two programs of one machine, and plain HTTP trusts no certificate.
    if local { builder.no_proxy().tls_certs_only([]).build() } else { builder.build() }
}

/// async-openai's configuration with every field set here, because each that is not set is read from the environment.
pub(super) fn config(endpoint: &Endpoint, key: Option<&Secret>) -> Result<OpenAIConfig, WireError> {
    if key.is_some_and(|key| !key.may_go_to(endpoint.provider())) {
        let message = format!("the key belongs to another provider than {}: it was not sent", endpoint.provider());
        return Err(WireError::new(ErrorClass::InvalidKey, Sent::Nothing, message));
    }
    let config = OpenAIConfig::new()
        .with_api_base(endpoint.base_url())
        .with_api_key(key.map_or("", Secret::expose))
        .with_org_id("")
        .with_project_id("");
    endpoint
        .headers()
        .iter()
        .try_fold(config, |config, (name, value)| config.with_header(name.clone(), value.as_bytes()))
        .map_err(|error| WireError::new(ErrorClass::InvalidRequest, Sent::Nothing, error.to_string()))
}

/// The crate's headers, but without an empty `Bearer` when there is no key.
fn headers(config: &OpenAIConfig, key: Option<&Secret>) -> HeaderMap {
    let mut headers = config.headers();
    tidy(&mut headers, key);
    headers
}

pub(super) fn tidy(headers: &mut HeaderMap, key: Option<&Secret>) {
    if headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().trim_ascii() == b"Bearer") && key.is_none() {
        headers.remove(AUTHORIZATION);
    }
    if let Some(value) = headers.get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
    headers.insert(ACCEPT_ENCODING, reqwest::header::HeaderValue::from_static("identity"));
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
        let target = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| response.url().join(to).ok());
        let to = target.and_then(|to| {
            to.host_str().map(|name| match to.port() {
                Some(port) => format!("{name}:{port}"),
                None => name.to_owned(),
            })
        });
        let to = to.map_or_else(|| "an unknown place".to_owned(), |to| mask.excerpt(&to));
        let message =
            format!("{host} answered {} and wants the request to go to {to}; it was not sent there", status.as_u16());
        let error = WireError::new(ErrorClass::Redirected, Sent::Refused, message);
        return Err(WireError { status: Some(status.as_u16()), ..error });
    }
    // Nobody asked for compression, so nobody can read it here: the status has to do.
    let readable = headers.get(CONTENT_ENCODING).is_none_or(|value| value == "identity");
    let body = if readable { read_refusal(response).await } else { Vec::new() };
    Err(classify(status.as_u16(), &headers, &body, mask, clock.now()))
}

/// The beginning of a refusal; what does not arrive in time, or is too much, is left.
async fn read_refusal(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let deadline = Instant::now() + REFUSAL_WAIT;
    while let Ok(Ok(Some(piece))) = timeout_at(deadline, response.chunk()).await {
        let room = REFUSAL_CAP - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() == REFUSAL_CAP {
            break;
        }
    }
    body
}

/// A request that got no response.
pub(super) fn not_sent(error: reqwest::Error, host: &str, mask: &Mask) -> WireError {
    let (class, sent, what) = if error.is_builder() {
        (ErrorClass::InvalidRequest, Sent::Nothing, "cannot be asked")
    } else if error.is_connect() {
        (ErrorClass::Connect, Sent::Nothing, "cannot be reached")
    } else {
        (ErrorClass::Cut, Sent::MaybeBilled, "closed the connection before it answered")
    };
    WireError::new(class, sent, format!("{host} {what}: {}", mask.excerpt(&root(error))))
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

#[cfg(test)]
mod tests;
