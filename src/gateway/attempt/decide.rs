//! What to do about a failed attempt: the error table as one pure function.
//!
//! Owns: for each class of error, whether to try again, where, what becomes of the key, and what the breaker records.
//! Refuses: to wait or to send; the attempt loop does that, and it is the only one in the program.
//! Invariant: nothing is sent again once a part of the answer has arrived; a filter's refusal is never routed around.

use std::time::Duration;

use crate::gateway::attempt::backoff::{self, Cause};
use crate::gateway::upstream::breaker::{MAX_RETRY_AFTER, RequestOutcome};
use crate::provider::{ErrorClass, Sent, WireError};

/// How long a key is left alone after a rate limit that named no time.
const COOL: Duration = Duration::from_secs(10);

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) next: Next,
    pub(crate) key: KeyFate,
}

/// Where the request goes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same model at the same address again, after a wait.
    Again(Duration),
    /// The same model at once, with another key.
    OtherKey,
    /// The same model at once, at another address of the provider.
    OtherEndpoint,
    /// The next rung of the plan, if there is one.
    LowerRung,
    /// The next rung of the plan that takes a longer question.
    LargerRung,
    /// The exchange fails.
    GiveUp,
}

/// What becomes of the key that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFate {
    Keep,
    /// Leave it alone for a while.
    Cool(Duration),
    /// Do not use it again in this run.
    Bar,
}

/// The state of the exchange that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Attempts that may still be made after this one, over all causes, rungs and addresses.
    pub(crate) retries_left: u32,
    /// Retries made so far.
    pub(crate) retries: u32,
    /// Attempts before this one that failed at the same address with the same model.
    pub(crate) here: u32,
    /// The plan has another model to go to.
    pub(crate) other_rung: bool,
    /// And one of them takes a longer question.
    pub(crate) larger_rung: bool,
    /// Another key of the provider could be used now.
    pub(crate) other_key: bool,
    /// Another address of the provider could be asked now, and was not yet left on this rung.
    pub(crate) other_endpoint: bool,
    /// The provider's budget for retries has one left.
    pub(crate) affordable: bool,
    /// Uniform in 0..1.
    pub(crate) dice: f64,
}

/// Decides about an attempt that failed before any part of the answer arrived.
pub(crate) fn decide(error: &WireError, situation: Situation) -> Decision {
    let next = match overruled(by_class(error, situation), error, situation) {
        Next::GiveUp => Next::GiveUp,
        _ if situation.retries_left == 0 => Next::GiveUp,
        Next::Again(_) | Next::OtherKey | Next::OtherEndpoint if !situation.affordable => {
            Next::LowerRung
        }
        next => next,
    };
    Decision {
        next,
        key: key_fate(error),
    }
}

fn by_class(error: &WireError, situation: Situation) -> Next {
    use ErrorClass as E;
    match error.class {
        E::InvalidKey | E::Forbidden | E::NoCredit | E::QuotaExceeded | E::RateLimited
            if situation.other_key =>
        {
            Next::OtherKey
        }
        E::InvalidKey | E::Forbidden | E::NoCredit | E::QuotaExceeded | E::ModelNotFound => {
            Next::LowerRung
        }
        E::ContextTooLong if situation.larger_rung => Next::LargerRung,
        // Inside an answer the request had been accepted, and a second one may be a second bill.
        E::RateLimited if error.sent == Sent::MaybeBilled => Next::LowerRung,
        E::RateLimited => again(error, situation),
        // Nothing was sent, and waiting for this address makes no sense.
        E::Connect if situation.other_endpoint => Next::OtherEndpoint,
        // One more try, then another address or rung; with no other, as often as the user allows.
        E::Overloaded | E::ServerError | E::Timeout | E::Connect => once_more(error, situation),
        // The connection broke before any response.
        E::Cut if error.status.is_none() => once_more(error, situation),
        // Never the silent address again: a second request there is a second bill and as long a wait. Another key does not
        // help, since it is the address that is silent.
        E::FirstTokenTimeout => elsewhere(situation),
        // A response had begun without any answer: the same address may bill for that twice.
        E::Cut | E::Truncated | E::IdleTimeout | E::InStream | E::NotSse
            if has_elsewhere(situation) =>
        {
            elsewhere(situation)
        }
        _ => Next::GiveUp,
    }
}

/// The server's header `x-should-retry` wins over the table, except that it can neither force a second bill nor get
/// round a filter.
fn overruled(next: Next, error: &WireError, situation: Situation) -> Next {
    let bills_nothing = error.sent == Sent::Refused && error.class != ErrorClass::ContentFilter;
    match (error.should_retry, next) {
        (Some(false), Next::Again(_)) => Next::LowerRung,
        (Some(true), Next::GiveUp) if bills_nothing => again(error, situation),
        (_, next) => next,
    }
}

fn once_more(error: &WireError, situation: Situation) -> Next {
    if situation.here > 0 && has_elsewhere(situation) {
        elsewhere(situation)
    } else {
        again(error, situation)
    }
}

fn has_elsewhere(situation: Situation) -> bool {
    situation.other_endpoint || situation.other_rung
}

/// The same model first, at another address; then another model.
fn elsewhere(situation: Situation) -> Next {
    if situation.other_endpoint {
        Next::OtherEndpoint
    } else {
        Next::LowerRung
    }
}

fn again(error: &WireError, situation: Situation) -> Next {
    let limited = error.class == ErrorClass::RateLimited;
    let cause = if limited {
        Cause::RateLimit
    } else {
        Cause::Trouble
    };
    // A wait that is too long is not slept through: another rung is asked, or the exchange fails. A rate limit is the
    // account's, at every address.
    let otherwise = if limited {
        Next::LowerRung
    } else {
        elsewhere(situation)
    };
    backoff::wait(
        cause,
        situation.retries + 1,
        error.retry_after,
        situation.dice,
    )
    .map_or(otherwise, Next::Again)
}

/// Whether the server, or the way to it, is to blame. A fault of the request or the account says nothing about the
/// server, and neither does a rate limit.
pub(crate) fn is_servers_fault(error: &WireError) -> bool {
    use ErrorClass as E;
    matches!(
        error.class,
        E::Overloaded
            | E::ServerError
            | E::Timeout
            | E::Connect
            | E::FirstTokenTimeout
            | E::IdleTimeout
            | E::Cut
            | E::Truncated
            | E::InStream
            | E::NotSse
    )
}

/// What the breaker of the address records; `None`: the request never got that far.
pub(crate) fn outcome(error: &WireError) -> Option<RequestOutcome> {
    let conflict = error.class == ErrorClass::Timeout && error.status != Some(408);
    if is_servers_fault(error) && !conflict {
        return Some(RequestOutcome::Failed(error.retry_after));
    }
    (error.status.is_some() || error.sent != Sent::Nothing).then_some(RequestOutcome::Refused)
}

fn key_fate(error: &WireError) -> KeyFate {
    match error.class {
        ErrorClass::InvalidKey
        | ErrorClass::Forbidden
        | ErrorClass::NoCredit
        | ErrorClass::QuotaExceeded => KeyFate::Bar,
        ErrorClass::RateLimited => {
            KeyFate::Cool(error.retry_after.unwrap_or(COOL).min(MAX_RETRY_AFTER))
        }
        _ => KeyFate::Keep,
    }
}

#[cfg(test)]
mod tests;
