//! From a refused request to the class of its error: the error table as code.
//!
//! Owns: the order (code, then type, then message, then status) and the words that servers use.
//! Refuses: reading from the network; the caller passes the body, already cut to its cap.
//! Invariant: pure and total: any status, headers and bytes give an error, equal ones the same error.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::error::{ErrorClass, Sent, WireError};
use super::error_body::ErrorBody;
use super::mask::Mask;
use super::meta::{ResponseMeta, retry_after, should_retry};
use crate::chat::Timestamp;

/// The error that a status other than 2xx means. `now` is for a `retry-after` that is a date without a `date` beside it.
pub(crate) fn classify(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    mask: &Mask,
    now: Timestamp,
) -> WireError {
    let error = read_body(body);
    let text = mask.excerpt(&error.message);
    let message = if text.is_empty() {
        status_line(status)
    } else {
        format!("{}: {text}", status_line(status))
    };
    let class = class(status, &error);
    WireError {
        of_account: class == ErrorClass::QuotaExceeded && is_of_account(&error),
        class,
        status: Some(status),
        message,
        retry_after: retry_after(headers, now).or(error.retry_delay),
        should_retry: should_retry(headers),
        // A gateway that timed out (504, 524) does not know whether the model went on, and an invalid status is not a
        // refusal.
        sent: if matches!(status, 504 | 524) || !(300..600).contains(&status) {
            Sent::MaybeBilled
        } else {
            Sent::Refused
        },
        meta: Some(Box::new(ResponseMeta::of(
            status,
            headers,
            Duration::ZERO,
            now,
        ))),
    }
}

/// A project's limit applies to its keys only; every other quota applies to the organisation.
fn is_of_account(error: &ErrorBody) -> bool {
    let project = |word: &Option<String>| {
        word.as_deref()
            .is_some_and(|word| word.starts_with("project_"))
    };
    !project(&error.code) && !project(&error.kind)
}

/// The error object of an answer whose status was success. `streamed`: a part of the answer came before it.
pub(crate) fn in_answer(error: &ErrorBody, streamed: bool, mask: &Mask) -> WireError {
    let status = error.code_as_status();
    let class = match status {
        _ if streamed => ErrorClass::InStream,
        Some(status) => class(status, error),
        None => by_words(0, error).unwrap_or(ErrorClass::InStream),
    };
    // The request was accepted and may be billed: a server error is no reason to send it there again.
    let class = match class {
        ErrorClass::ServerError | ErrorClass::Overloaded | ErrorClass::Timeout => {
            ErrorClass::InStream
        }
        class => class,
    };
    let text = mask.excerpt(&error.message);
    let code = error
        .code
        .as_deref()
        .or(error.kind.as_deref())
        .map(|code| mask.excerpt(code))
        .unwrap_or_default();
    let message = match (text.is_empty(), code.is_empty()) {
        (false, _) => format!("the server reported an error instead of going on: {text}"),
        (true, false) => format!("the server reported an error instead of going on: {code}"),
        (true, true) => "the server reported an error without saying which".to_owned(),
    };
    WireError {
        status,
        retry_after: error.retry_delay,
        ..WireError::new(class, Sent::MaybeBilled, message)
    }
}

fn read_body(body: &[u8]) -> ErrorBody {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with('<') {
        return ErrorBody {
            message: page_text(text),
            ..ErrorBody::default()
        };
    }
    ErrorBody::of_text(text)
}

/// What a web page says: its title, else its text without the tags.
pub(crate) fn page_text(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|open| {
        let from = open + lower[open..].find('>')? + 1;
        let to = from + lower[from..].find("</title")?;
        Some(page[from..to].trim()).filter(|title| !title.is_empty())
    });
    if let Some(title) = title {
        return title.to_owned();
    }
    let mut inside = false;
    let visible = page.chars().filter(|c| {
        let shown = !inside && *c != '<';
        inside = (inside || *c == '<') && *c != '>';
        shown
    });
    visible.take(4096).collect()
}

fn status_line(status: u16) -> String {
    let reason = reqwest::StatusCode::from_u16(status)
        .ok()
        .and_then(|code| code.canonical_reason());
    reason.map_or_else(
        || format!("the server answered {status}"),
        |why| format!("the server answered {status} {why}"),
    )
}

fn class(status: u16, error: &ErrorBody) -> ErrorClass {
    by_words(status, error).unwrap_or_else(|| by_status(status))
}

/// Code first, then type, then message; the status only where a message needs it.
fn by_words(status: u16, error: &ErrorBody) -> Option<ErrorClass> {
    let word = |word: &Option<String>| by_word(word.as_deref()?, error);
    word(&error.code)
        .or_else(|| word(&error.kind))
        .or_else(|| by_message(status, error))
}

fn by_word(word: &str, error: &ErrorBody) -> Option<ErrorClass> {
    Some(match word.to_ascii_lowercase().as_str() {
        "insufficient_quota"
        | "credit_balance_exhausted"
        | "organization_spend_limit_exceeded"
        | "project_spend_limit_exceeded"
        | "organization_usage_limit_exceeded"
        | "enforced_spend_limit_reached"
        | "billing_hard_limit_reached" => ErrorClass::QuotaExceeded,
        "context_length_exceeded" | "request_too_large" | "exceed_context_size_error" => {
            ErrorClass::ContextTooLong
        }
        "content_filter" | "content_policy_violation" | "moderation_blocked" | "cyber_policy" => {
            ErrorClass::ContentFilter
        }
        "invalid_api_key"
        | "api_key_invalid"
        | "authentication_error"
        | "invalid_authentication"
        | "account_deactivated"
        | "unauthenticated" => ErrorClass::InvalidKey,
        "permission_error" | "permission_denied" | "unsupported_country_region_territory" => {
            ErrorClass::Forbidden
        }
        "billing_not_active" | "insufficient_balance" | "billing_error" | "payment_required" => {
            ErrorClass::NoCredit
        }
        "model_not_found" | "model_not_available" | "not_found_error" => ErrorClass::ModelNotFound,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "slow_down"
        | "requests"
        | "tokens"
        | "too_many_requests" => ErrorClass::RateLimited,
        "overloaded_error" | "engine_overloaded" | "server_overloaded" | "capacity_exceeded" => {
            ErrorClass::Overloaded
        }
        "unsupported_parameter" | "unsupported_value" | "unknown_parameter" => {
            ErrorClass::UnsupportedParameter {
                name: parameter(error)?,
            }
        }
        _ => return None,
    })
}

fn by_message(status: u16, error: &ErrorBody) -> Option<ErrorClass> {
    let message = error.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    // 0 is an error inside an answer, 422 comes from validators, 500 from some local servers.
    let about_request = matches!(status, 0 | 400 | 413 | 422 | 500);
    let refused = matches!(status, 0 | 400..=403);
    if about_request
        && says(&[
            "maximum context length",
            "context length",
            "context window",
            "context size",
            "prompt is too long",
            "too many input tokens",
            "input token count",
        ])
    {
        return Some(ErrorClass::ContextTooLong);
    }
    if refused
        && says(&[
            "credit balance",
            "insufficient balance",
            "insufficient credit",
            "not enough credit",
        ])
    {
        return Some(ErrorClass::NoCredit);
    }
    if refused
        && says(&[
            "api key not valid",
            "invalid api key",
            "incorrect api key",
            "no api key",
            "invalid x-api-key",
        ])
    {
        return Some(ErrorClass::InvalidKey);
    }
    if refused
        && says(&[
            "content management policy",
            "content policy",
            "flagged",
            "moderation",
            "safety system",
        ])
    {
        return Some(ErrorClass::ContentFilter);
    }
    if about_request
        && says(&[
            "unsupported parameter",
            "unsupported value",
            "unrecognized",
            "does not support",
            "not supported",
            "extra inputs are not permitted",
            "unknown parameter",
            "unknown field",
            "unknown variant",
            "unexpected keyword",
            "is not one of",
        ])
    {
        return parameter(error).map(|name| ErrorClass::UnsupportedParameter { name });
    }
    (about_request
        && message.contains("model")
        && says(&["does not exist", "not found", "not a valid model"]))
    .then_some(ErrorClass::ModelNotFound)
}

/// The parameter that the server rejects: as it names it, or the first of ours in the message.
fn parameter(error: &ErrorBody) -> Option<String> {
    const OURS: [&str; 9] = [
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "reasoning_effort",
        "stream_options",
        "service_tier",
        "developer",
        "system role",
        "stream",
    ];
    let named = error.param.as_deref().filter(|name| {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.[]".contains(&b))
    });
    let message = error.message.to_lowercase();
    // `max_tokens` is rejected with the advice to use `max_completion_tokens`: the first one named is the rejected one.
    let at = |name: &'static str| Some((message.find(name)?, std::cmp::Reverse(name.len()), name));
    let mentioned = || OURS.into_iter().filter_map(at).min();
    named
        .map(str::to_owned)
        .or_else(|| mentioned().map(|(_, _, name)| name.to_owned()))
}

fn by_status(status: u16) -> ErrorClass {
    match status {
        300..=399 => ErrorClass::Redirected,
        401 => ErrorClass::InvalidKey,
        402 => ErrorClass::NoCredit,
        403 => ErrorClass::Forbidden,
        404 => ErrorClass::ModelNotFound,
        408 | 409 | 425 => ErrorClass::Timeout,
        413 => ErrorClass::ContextTooLong,
        429 => ErrorClass::RateLimited,
        498 | 503 | 529 => ErrorClass::Overloaded,
        500..=599 => ErrorClass::ServerError,
        _ => ErrorClass::InvalidRequest,
    }
}

#[cfg(test)]
mod tests;
