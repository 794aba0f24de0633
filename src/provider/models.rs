//! The list of a provider's models, through async-openai with our own transport.
//!
//! Owns: the tower service that replaces the crate's retrying transport.
//! Refuses: retries; answers without an end.
//! Invariant: one call is one request; statuses, headers and bodies of refusals are kept.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Response};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::error::{ErrorClass, Sent, WireError};
use super::failure::{accept_status, not_sent, root};
use super::mask::Mask;
use super::secret::Secret;
use super::unpacked::{self, Packing, ReadBody};
use crate::chat::Clock;

/// The longest list that is accepted, in bytes, decompressed (the largest known one is about 1 MB).
const LIST_CAP: usize = 32 * 1024 * 1024;
const LIST_WAIT: Duration = Duration::from_secs(30);

/// Address and headers for async-openai. Its own configuration would read what is not set from the environment.
struct EndpointConfig {
    base_url: String,
    headers: HeaderMap,
    /// Always empty: the key is in the headers.
    no_key: SecretString,
}

impl Config for EndpointConfig {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

/// Sends what async-openai has built: once, and with limits.
#[derive(Clone)]
struct Transport {
    client: Client,
    host: String,
    /// The proxy in front of it.
    through: Option<String>,
    mask: Mask,
    clock: Clock,
}

impl tower::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move {
            let request = factory.build().await?;
            Ok(transport.send(request).await?)
        })
    }
}

impl Transport {
    async fn send(&self, request: reqwest::Request) -> Result<Response, WireError> {
        let sent = self.client.execute(request).await;
        let sent =
            sent.map_err(|error| not_sent(error, &self.host, self.through.clone(), &self.mask))?;
        let mut response = accept_status(sent, &self.host, &self.mask, &self.clock).await?;
        let packing = Packing::of(response.headers());
        let body = match unpacked::read(&mut response, LIST_CAP, Instant::now() + LIST_WAIT).await {
            ReadBody::Whole(body) => body,
            ReadBody::More(_) => return Err(self.too_long()),
            ReadBody::Cut(_, error) => {
                let cause = error.map_or_else(
                    || "it took too long".to_owned(),
                    |e| self.mask.excerpt(&root(e)),
                );
                return Err(self.error(
                    ErrorClass::Cut,
                    &format!("broke off its list of models: {cause}"),
                ));
            }
        };
        if packing == Packing::Foreign {
            return Err(self.error(
                ErrorClass::NotSse,
                "sent its list of models packed in a way that the request did not ask for",
            ));
        }
        // A small body may decompress to a large one: do that off the async threads.
        let opened = tokio::task::spawn_blocking(move || packing.open(body, LIST_CAP + 1))
            .await
            .unwrap_or_default();
        if opened.len() > LIST_CAP {
            return Err(self.too_long());
        }
        Ok(http::Response::new(opened).into())
    }

    fn too_long(&self) -> WireError {
        self.error(ErrorClass::TooLarge, "sent a list of models above 32 MiB")
    }

    /// A request for a list is never billed, even if it fails.
    fn error(&self, class: ErrorClass, what: &str) -> WireError {
        WireError::new(class, Sent::Refused, format!("{} {what}", self.host))
    }
}

pub(super) async fn list(
    client: Client,
    mut headers: HeaderMap,
    key: Option<&Secret>,
    endpoint: &Endpoint,
    through: Option<String>,
    clock: &Clock,
) -> Result<Vec<String>, WireError> {
    let transport = Transport {
        client,
        host: endpoint.host().to_owned(),
        through,
        mask: endpoint.mask(key),
        clock: clock.clone(),
    };
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(unpacked::OFFERED));
    let config = EndpointConfig {
        base_url: endpoint.base_url().to_owned(),
        headers,
        no_key: SecretString::default(),
    };
    let openai = async_openai::Client::with_config(config).with_http_service(transport.clone());
    let asked = tokio::time::timeout(LIST_WAIT, async {
        openai.models().list_byot::<Value>().await
    })
    .await;
    let listed = asked.map_err(|_| {
        transport.error(
            ErrorClass::FirstTokenTimeout,
            "sent no list of models in 30 s",
        )
    })?;
    let value = listed.map_err(|error| match error {
        OpenAIError::Boxed(inner) => match inner.downcast::<WireError>() {
            Ok(error) => *error,
            Err(other) => transport.error(
                ErrorClass::NotSse,
                &transport.mask.excerpt(&other.to_string()),
            ),
        },
        _ => transport.error(
            ErrorClass::NotSse,
            "sent something else than a list of models",
        ),
    })?;
    names(&value).ok_or_else(|| {
        transport.error(
            ErrorClass::NotSse,
            "sent something else than a list of models",
        )
    })
}

/// The ids in `{"data":[{"id":..}]}`, or in a bare list (Together). Google writes `models/` before each.
fn names(value: &Value) -> Option<Vec<String>> {
    let items = value.get("data").unwrap_or(value).as_array()?;
    let id = |item: &Value| item.get("id").and_then(Value::as_str).map(str::to_owned);
    let bare = |id: String| {
        id.strip_prefix("models/")
            .map_or_else(|| id.clone(), str::to_owned)
    };
    Some(items.iter().filter_map(id).map(bare).collect())
}
