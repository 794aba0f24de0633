//! What becomes of the answer to one request of a split turn.
//!
//! Owns: whether an answer can stand for its part, and how a failure is told of the request that it befell.
//! Refuses: to send; the run does.
//! Invariant: an answer that was cut or filtered never stands for its part.

use crate::chat::{Failure, FailureKind, Finish};
use crate::protocol::Answer;

/// The text of an answer that can stand for its part.
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

/// A failure of the request with this name.
pub(super) fn named(name: &str, failure: Failure) -> Failure {
    Failure {
        message: format!("{}: {}", name.to_lowercase(), failure.message),
        ..failure
    }
}

/// What there is of a turn that ended midway, and how to go on.
pub(super) fn way_on(done: usize, of: usize, cached: bool) -> String {
    let what = if cached {
        "asks only what is missing"
    } else {
        "asks all of them anew"
    };
    format!("{done} of {of} parts are answered and kept; asking again (in a chat: /retry) {what}")
}
