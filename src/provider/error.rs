//! The errors of a call to a server, in the classes that decide how to react.
//!
//! Owns: [`ErrorClass`], [`Sent`] and [`WireError`].
//! Refuses: reacting; the gateway retries, parks a key or opens a circuit.
//! Invariant: a message is one line, at most a few hundred characters, and holds no key.

use std::time::Duration;

use super::meta::ResponseMeta;

/// The rows of the error table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request is wrong.
    InvalidRequest,
    /// The server does not take this parameter (or this value of it).
    UnsupportedParameter {
        /// The parameter, as the server names it.
        name: String,
    },
    /// The input does not fit the model's window.
    ContextTooLong,
    /// A filter refused the words.
    ContentFilter,
    /// The key is not accepted.
    InvalidKey,
    /// The key may not do this.
    Forbidden,
    /// The account has no money.
    NoCredit,
    /// The server has no such model.
    ModelNotFound,
    /// Too many requests or tokens.
    RateLimited,
    /// A spending or usage limit of the account, not a rate: waiting a minute will not help.
    QuotaExceeded,
    /// The server is busy.
    Overloaded,
    /// The server failed.
    ServerError,
    /// 408, 409, 425: the same request may succeed at once.
    Timeout,
    /// No connection: DNS, TCP, TLS or proxy.
    Connect,
    /// No part of an answer came in time.
    FirstTokenTimeout,
    /// The answer paused for too long.
    IdleTimeout,
    /// The connection broke in the middle.
    Cut,
    /// The stream ended in order, but without a finish.
    Truncated,
    /// An error in the middle of an answer.
    InStream,
    /// The response is not an answer: a web page, or something unreadable.
    NotSse,
    /// The server redirects; we do not follow.
    Redirected,
    /// The answer, or one event of it, passed a size limit.
    TooLarge,
}

/// What may have been billed when a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Not a byte of the request reached the server.
    Nothing,
    /// The server refused it: nothing is billed for that.
    Refused,
    /// The server received the request, and what it did with it is unknown.
    MaybeBilled,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// What kind of error it is.
    pub class: ErrorClass,
    /// The HTTP status, when there was one.
    pub(crate) status: Option<u16>,
    /// One line, masked, without a full stop.
    pub message: String,
    /// How long the server asks us to wait, as it says it (no upper limit).
    pub(crate) retry_after: Option<Duration>,
    /// What the server says about retrying (`x-should-retry`); overrides the status.
    pub(crate) should_retry: Option<bool>,
    /// Whether the request may have been billed.
    pub sent: Sent,
    /// The quota belongs to the whole account, not to this key alone.
    pub(crate) of_account: bool,
    /// The metadata of a refusal, if there was a response.
    pub(crate) meta: Option<Box<ResponseMeta>>,
}

impl WireError {
    pub(crate) fn new(class: ErrorClass, sent: Sent, message: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            message: message.into(),
            retry_after: None,
            should_retry: None,
            sent,
            of_account: false,
            meta: None,
        }
    }

    /// What the user can do about it, if anything.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self.class {
            ErrorClass::InvalidRequest
            | ErrorClass::InStream
            | ErrorClass::ServerError
            | ErrorClass::Timeout
            | ErrorClass::Cut
            | ErrorClass::Truncated => return None,
            ErrorClass::UnsupportedParameter { .. } => {
                "leave this setting at its default for this model"
            }
            ErrorClass::ContextTooLong => {
                "shorten the chat (/compact, /fit) or choose a model with a larger context"
            }
            ErrorClass::ContentFilter => "the provider's filter refused it; reword the request",
            ErrorClass::InvalidKey => "check the key of this provider",
            ErrorClass::Forbidden => {
                "this key has no access; check the account's rights and region"
            }
            ErrorClass::NoCredit => "add credit at the provider or choose another one",
            ErrorClass::ModelNotFound => {
                "check the model's name and the provider's address (`chat-agent models`)"
            }
            ErrorClass::RateLimited => "wait a moment or choose another model",
            ErrorClass::QuotaExceeded => {
                "the account's own limit is reached; raise it at the provider"
            }
            ErrorClass::Overloaded => {
                "the provider is overloaded; try again or choose another model"
            }
            ErrorClass::Connect => "check the network, the address and the proxy",
            ErrorClass::FirstTokenTimeout => "try again, or raise limits.first_token_timeout",
            ErrorClass::IdleTimeout => "try again, or raise limits.idle_timeout",
            ErrorClass::NotSse => "check that the provider's address is an OpenAI-compatible API",
            ErrorClass::Redirected => {
                "set the provider's base_urls to the address that it really has"
            }
            ErrorClass::TooLarge => "ask for a shorter answer (--max-output)",
        })
    }
}

impl From<WireError> for async_openai::error::OpenAIError {
    fn from(error: WireError) -> Self {
        Self::Boxed(Box::new(error))
    }
}
