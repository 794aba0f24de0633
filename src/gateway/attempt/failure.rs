//! Failures of an attempt, in words for the user.

use crate::chat::{Failure, FailureKind, ModelId};
use crate::gateway::attempt::decide::is_servers_fault;
use crate::gateway::stream::reader::StreamEnding;
use crate::gateway::upstream::rate_limits::LONGEST_WAIT;
use crate::provider::{Endpoint, WireError};

/// What the user reads about an answer with a hole in it.
const DAMAGED: &str = "a part of the answer came in pieces that cannot be read";

/// The failure of a request: which model, what went wrong, and what to do.
pub(in crate::gateway) fn failure(model: &ModelId, error: &WireError) -> Failure {
    let kind = if is_servers_fault(error) {
        FailureKind::Unavailable
    } else {
        FailureKind::Request
    };
    let status = error
        .status
        .map_or_else(String::new, |status| format!(" ({status})"));
    let failure = Failure::new(kind, format!("{model}{status}: {}", error.message));
    match (
        error.retry_after.filter(|asked| *asked > LONGEST_WAIT),
        error.hint(),
    ) {
        (Some(asked), _) => failure.hint(format!(
            "it asks to be left alone for {} s; choose another model",
            asked.as_secs()
        )),
        (None, Some(hint)) => failure.hint(hint),
        (None, None) => failure,
    }
}

/// The outcome of an attempt that brought an answer, in a few words for the record.
pub(in crate::gateway) fn outcome(ending: &StreamEnding, output_cap: u64) -> String {
    match ending {
        StreamEnding::Whole => "ok".to_owned(),
        StreamEnding::Damaged => DAMAGED.to_owned(),
        StreamEnding::Stopped => "stopped".to_owned(),
        StreamEnding::Broken(error) => error.message.clone(),
        StreamEnding::PastCap { .. } => {
            format!("kept writing past the cap of {output_cap} tokens it was given; it was cut")
        }
    }
}

/// Why an answer of which a part came is no whole one. `None`: it is whole, or the user stopped it.
pub(in crate::gateway) fn cut(
    ending: &StreamEnding,
    model: &ModelId,
    endpoint: Option<&Endpoint>,
    outcome: &str,
) -> Option<Failure> {
    match ending {
        // A part has arrived, so it is a cut answer, whatever the error.
        StreamEnding::Broken(error) => Some(Failure {
            kind: FailureKind::Cut,
            ..failure(model, error)
        }),
        StreamEnding::PastCap { .. } => {
            let host = endpoint.map_or("its server", Endpoint::host);
            let failure = Failure::new(FailureKind::Cut, format!("{model} at {host} {outcome}"));
            Some(failure.hint(
                "choose another model or another server, for this one cannot be held to a price",
            ))
        }
        StreamEnding::Damaged => {
            Some(Failure::new(FailureKind::Cut, format!("{model}: {DAMAGED}")).hint("ask again"))
        }
        StreamEnding::Whole | StreamEnding::Stopped => None,
    }
}

/// Every key was passed over because of its own limit.
pub(in crate::gateway) fn no_key_has_room() -> Failure {
    Failure::new(FailureKind::Budget, "no key has money left for this")
        .hint("`chat-agent budget show` lists their limits")
}
