//! What the outcome of one request means for its split turn.
//!
//! Owns: whether an answer is usable for its part, and how events and failures of a request are reported.
//! Refuses: sending; `run` does.
//! Invariant: an answer that was cut or filtered is never used for its part.

use crate::chat::{Cost, CostKind, Failure, FailureKind, Finish};
use crate::gateway::Spent;
use crate::protocol::{Answer, Event};

/// The text of an answer, if it is usable for its part.
pub(super) fn whole(answer: &Answer) -> Result<String, Failure> {
    let request = |cause: &str| Failure::new(FailureKind::Request, cause);
    match &answer.facts.finish {
        Some(Finish::Interrupted) => Err(Failure::new(FailureKind::Interrupted, "stopped")),
        Some(Finish::ContentFilter) => {
            Err(request("the provider's content filter stopped the answer")
                .hint("ask in another way"))
        }
        Some(Finish::Cut) | None => Err(request("the answer ended early").hint("ask again")),
        Some(_) if answer.text.trim().is_empty() => {
            Err(request("the answer was empty").hint("raise --max-output"))
        }
        Some(_) => Ok(answer.text.clone()),
    }
}

/// The failure, with the name of the request in front.
pub(super) fn named(name: &str, failure: Failure) -> Failure {
    Failure {
        message: format!("{}: {}", name.to_lowercase(), failure.message),
        ..failure
    }
}

/// How much of the turn was answered, and how to go on.
pub(super) fn way_on(done: usize, of: usize, cached: bool) -> String {
    let what = if cached {
        "asks only what is missing"
    } else {
        "asks all of them anew"
    };
    format!("{done} of {of} parts are answered and kept; asking again (in a chat: /retry) {what}")
}

/// The event of a request, with the route and the estimate of the whole turn.
pub(super) fn as_turn_event(event: Event, spent: &Spent) -> Event {
    match event {
        Event::Started(mut started) => {
            started.route.clone_from(&spent.route);
            (started.estimate, started.fitted) = (spent.estimate, Some(spent.fitted));
            Event::Started(started)
        }
        event => event,
    }
}

/// Both costs together while an answer streams: unknown if one is, free if both are, else an estimate.
pub(super) fn plus(a: Cost, b: Cost) -> Cost {
    match (a.usd, b.usd) {
        (Some(x), Some(y)) if a.kind == CostKind::Free && b.kind == CostKind::Free => {
            Cost::new(x + y, CostKind::Free)
        }
        (Some(x), Some(y)) => Cost::new(x + y, CostKind::Estimated),
        _ => Cost::UNKNOWN,
    }
}
