//! The wire: sends one request and receives one answer.
//!
//! Owns: the request and its headers.
//! Refuses: redirects, retries, packed answers, and keys that belong to another provider.
//! Invariant: a call is at most one request.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use tokio::time::{Instant, timeout_at};

use super::client::{Clients, Network};
use super::endpoint::Endpoint;
use super::error::{ErrorClass, Sent, WireError};
use super::failure::{accept_status, not_sent, root};
use super::meta::ResponseMeta;
use super::secret::Secret;
use super::send_guard::SendGuard;
use super::stream::{ReplyStream, Waits};
use crate::chat::{Clock, Timestamp};

/// One request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The JSON body (see `mapping`).
    pub body: Bytes,
    /// The answer comes in pieces.
    pub stream: bool,
    /// From sending to the first token; for a whole answer in one piece, to the whole of it.
    pub first_token: Duration,
    /// Between two events of a stream.
    pub idle: Duration,
    /// Tells whether it was sent.
    pub send_guard: SendGuard,
}

/// A server's response to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// From opening a connection to the head of the response.
    pub(crate) took: Duration,
    /// HTTP/2 rather than HTTP/1.1.
    pub http2: bool,
    /// The server's clock.
    pub(crate) date: Option<Timestamp>,
}

/// The connections to all providers.
#[derive(Debug)]
pub struct Wire {
    clients: Clients,
    clock: Clock,
}

impl Wire {
    /// Opens no connection.
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
                "{} sent a compressed answer ({encoding}), which the request did not ask for",
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

    /// Opens a connection for the next request, unless there is one. It sends `HEAD` without a key, which cannot be billed,
    /// because only a whole request makes the client set up proxy, TLS and HTTP/2. The response does not matter. A failure
    /// is not reported: the request itself will report it.
    pub async fn connect_ahead(&self, endpoint: &Endpoint) {
        if let Err(error) = self.probe(endpoint).await {
            tracing::debug!(host = endpoint.host(), %error, "no connection was made ahead");
        }
    }

    /// Whether a request to this server would have to open a connection first. Returns `true` at most once in the time for
    /// which a connection is kept.
    pub fn is_cold(&self, endpoint: &Endpoint) -> bool {
        !endpoint.is_loopback() && !self.clients.touch(endpoint)
    }

    /// Sends a `HEAD` request, which costs nothing, and measures the response.
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
    pub(crate) fn through(&self, endpoint: &Endpoint) -> Option<String> {
        self.network().proxies.shown(endpoint)
    }

    /// How servers are reached.
    pub(crate) fn network(&self) -> &Network {
        self.clients.network()
    }

    /// Closes the idle connections.
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

#[cfg(test)]
mod tests;
