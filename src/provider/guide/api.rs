//! From an HTTP request to an HTTP response.
//!
//! Owns: authentication, routes, the size limit of a request, and the pace of a streamed answer.
//! Refuses: sockets, and reading a body before the token was checked.
//! Invariant: every well-formed HTTP request gets a response in the protocol's form, errors included.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::answer::AnswerComposer;
use super::wire::{self, CompletionRequest, GuideAnswer, RequestError};
use crate::chat::Clock;

/// The largest request body, in bytes.
pub(super) const BODY_CAP: usize = 8 * 1024 * 1024;
/// The sum of all waits within one answer stays below this.
const MAX_PACING: Duration = Duration::from_millis(600);

pub(super) type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type CountTokens = dyn Fn(&str) -> u64 + Send + Sync;

/// What all connections share.
pub(super) struct GuideApi {
    token: String,
    count: Box<CountTokens>,
    pace: Duration,
    clock: Clock,
    /// Built when the first question comes.
    guide: OnceLock<AnswerComposer>,
    answers: AtomicU64,
}

impl GuideApi {
    pub(crate) fn new(token: String, count: Box<CountTokens>, pace: Duration) -> Self {
        let (guide, answers) = (OnceLock::new(), AtomicU64::new(1));
        Self {
            token,
            count,
            pace,
            clock: Clock::system(),
            guide,
            answers,
        }
    }

    pub(crate) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let mut response = match self.route(request).await {
            Ok(response) => response,
            Err(refusal) => whole(refusal.status, &refusal.body()),
        };
        let header = match response.status() {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "GET, POST")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }

    async fn route(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, RequestError> {
        if !self.is_authorized(request.headers().get(AUTHORIZATION)) {
            return Err(
                RequestError::new(401, "The token of the guide is missing or wrong.")
                    .code("invalid_api_key"),
            );
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/v1/models") => Ok(whole(200, &wire::models())),
            (&Method::POST, "/v1/chat/completions") => self.complete(request.into_body()).await,
            (method, path @ ("/v1/models" | "/v1/chat/completions")) => Err(RequestError::new(
                405,
                format!("{method} is not allowed at {path}."),
            )),
            (_, path) => Err(
                RequestError::new(404, format!("There is nothing at {path}.")).code("unknown_url"),
            ),
        }
    }

    /// Compares in constant time.
    fn is_authorized(&self, header: Option<&HeaderValue>) -> bool {
        let shown = header
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
            .unwrap_or_default();
        let token = self.token.as_bytes();
        shown.len() == token.len()
            && shown
                .iter()
                .zip(token)
                .fold(0, |wrong, (a, b)| wrong | (a ^ b))
                == 0
    }

    async fn complete(
        self: Arc<Self>,
        body: Incoming,
    ) -> Result<Response<ResponseBody>, RequestError> {
        let request = wire::read(&read(body).await?)?;
        let (stream, include_usage, pace) = (request.stream, request.include_usage, self.pace);
        // Counting a long prompt and the first search take time: do them off the async threads.
        let work = tokio::task::spawn_blocking(move || self.compose(&request));
        let answer = work.await.map_err(|_| RequestError::internal())?;
        Ok(if stream {
            streamed(answer.events(include_usage), pace)
        } else {
            whole(200, &answer.whole())
        })
    }

    fn compose(&self, request: &CompletionRequest) -> GuideAnswer {
        let full = self
            .guide
            .get_or_init(AnswerComposer::new)
            .answer(&request.questions);
        let text = request
            .cap
            .map_or(full.as_str(), |cap| wire::capped(&full, cap, &self.count));
        GuideAnswer {
            id: format!(
                "chatcmpl-guide-{}",
                self.answers.fetch_add(1, Ordering::Relaxed)
            ),
            created: self.clock.now().0 / 1000,
            finish: if text.len() < full.len() {
                "length"
            } else {
                "stop"
            },
            prompt_tokens: request.texts.iter().map(|text| (self.count)(text)).sum(),
            completion_tokens: (self.count)(text),
            text: text.to_owned(),
        }
    }
}

/// The whole body, unless it is larger than [`BODY_CAP`]; if its declared length is, it is not read at all.
async fn read(body: Incoming) -> Result<Bytes, RequestError> {
    let too_large = || {
        RequestError::new(
            413,
            format!(
                "The body of the request is larger than {} MiB.",
                BODY_CAP >> 20
            ),
        )
    };
    if body.size_hint().lower() > BODY_CAP as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_CAP).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(RequestError::new(
            400,
            "The body of the request could not be read.",
        )),
    }
}

fn whole(status: u16, body: &Value) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn streamed(events: Vec<Bytes>, pace: Duration) -> Response<ResponseBody> {
    let wait = wait(pace, events.len());
    let frames = stream::unfold(
        (VecDeque::from(events), Duration::ZERO),
        move |(mut left, delay)| async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let event = left.pop_front()?;
            Some((Ok(Frame::data(event)), (left, wait)))
        },
    );
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The wait before each event but the first: `pace`, or less when the answer is long.
fn wait(pace: Duration, events: usize) -> Duration {
    pace.min(MAX_PACING / u32::try_from(events).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_comes_faster() {
        let pace = Duration::from_millis(6);
        for (events, expected) in [
            (0, pace),
            (1, pace),
            (100, pace),
            (200, pace / 2),
            (usize::MAX, Duration::ZERO),
        ] {
            assert_eq!(wait(pace, events), expected, "{events}");
        }
        assert_eq!(wait(Duration::ZERO, 10), Duration::ZERO);
    }
}
