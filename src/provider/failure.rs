//! What becomes of a request that failed: a status that is no success, or no response at all.
//!
//! Owns: reading the body of a refusal, and the words for a failure to connect.
//! Refuses: sending, and deciding what to do next.
//! Invariant: of a refusal at most [`REFUSAL_CAP`] bytes are read; no message holds a URL or a key.

use std::error::Error as _;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::LOCATION;
use tokio::time::Instant;

use super::classify::classify;
use super::error::{ErrorClass, Sent, WireError};
use super::mask::Mask;
use super::unpacked::{self, Packing, ReadBody};
use crate::chat::Clock;

/// The most bytes of a refusal that are read, and how long they are waited for.
pub(crate) const REFUSAL_CAP: usize = 64 * 1024;
const REFUSAL_WAIT: Duration = Duration::from_secs(5);

/// Returns a successful response, and turns every other one into its error.
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

/// The beginning of a refusal's body; what arrives too late, or exceeds the cap, is not read.
async fn read_refusal(mut response: Response, packing: Packing) -> Vec<u8> {
    let (ReadBody::Whole(body) | ReadBody::More(body) | ReadBody::Cut(body, _)) =
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
        // Not a temporary failure: it answers so every time, and may bill for it every time.
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

/// Whether the response could not be read as HTTP: another protocol, or a head that is far too large.
fn is_no_http(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse)
}

/// The innermost cause, which is the most specific one. Never the URL, which may contain secrets.
pub(super) fn root(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The TLS library's error about a certificate, in words that say how to fix it.
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
