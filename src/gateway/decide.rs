//! What to do about a failed attempt: the error table as one pure function.
//!
//! Owns: for each class of error, whether to try again, where, and what becomes of the key.
//! Refuses: to wait or to send; the attempt loop does that, and it is the only one in the program.
//! Invariant: nothing is sent again once a part of the answer has arrived; a filter's refusal is never routed around.

use std::time::Duration;

use super::backoff;
use crate::provider::{ErrorClass, WireError};

/// How long a key is left alone after a rate limit that named no time.
const COOL: Duration = Duration::from_secs(10);

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub next: Next,
    pub key: KeyFate,
}

/// Where the request goes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The same model again, after a wait.
    Again(Duration),
    /// The same model at once, with another key.
    OtherKey,
    /// The next rung of the plan, if there is one.
    LowerRung,
    /// The user hears of it.
    GiveUp,
}

/// What becomes of the key that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFate {
    Keep,
    /// Leave it alone for a while.
    Cool(Duration),
    /// Do not use it again in this run.
    Bar,
}

/// The state of the exchange that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// Attempts that may still be made after this one, over all causes.
    pub retries_left: u32,
    /// Retries made so far.
    pub retries: u32,
    /// Retries made of the same model at the same provider.
    pub on_rung: u32,
    /// The plan has another model to go to.
    pub other_rung: bool,
    /// Another key of the provider could be used now.
    pub other_key: bool,
    /// Uniform in 0..1.
    pub dice: f64,
}

/// Decides about an attempt that failed before any part of the answer arrived.
pub fn decide(error: &WireError, situation: Situation) -> Decision {
    let key = key_fate(error);
    if situation.retries_left == 0 {
        return Decision { next: Next::GiveUp, key };
    }
    let next = match error.class {
        ErrorClass::InvalidKey | ErrorClass::Forbidden | ErrorClass::NoCredit | ErrorClass::QuotaExceeded => {
            if situation.other_key {
                Next::OtherKey
            } else {
                Next::LowerRung
            }
        }
        ErrorClass::ModelNotFound | ErrorClass::FirstTokenTimeout => Next::LowerRung,
        ErrorClass::RateLimited if situation.other_key => Next::OtherKey,
        ErrorClass::RateLimited => again(error, situation),
        // One more try, then the next model; with no other model, as often as the user allows.
        ErrorClass::Overloaded | ErrorClass::ServerError | ErrorClass::Timeout | ErrorClass::Connect => {
            if situation.other_rung && situation.on_rung > 0 { Next::LowerRung } else { again(error, situation) }
        }
        // The connection broke before any response; afterwards nobody knows what a second try would bill.
        ErrorClass::Cut if error.status.is_none() => again(error, situation),
        _ => Next::GiveUp,
    };
    Decision { next: overruled(next, error, situation), key }
}

/// The server's own word (`x-should-retry`) wins over the table, except that it can never force what would bill twice.
fn overruled(next: Next, error: &WireError, situation: Situation) -> Next {
    match (error.should_retry, next) {
        (Some(false), Next::Again(_)) => Next::LowerRung,
        (Some(true), Next::GiveUp) if error.status.is_some() => again(error, situation),
        (_, next) => next,
    }
}

fn again(error: &WireError, situation: Situation) -> Next {
    // A wait longer than anybody watches is not slept through: another rung, or the user, hears of it.
    backoff::wait(situation.retries + 1, error.retry_after, situation.dice).map_or(Next::LowerRung, Next::Again)
}

fn key_fate(error: &WireError) -> KeyFate {
    match error.class {
        ErrorClass::InvalidKey | ErrorClass::Forbidden | ErrorClass::NoCredit | ErrorClass::QuotaExceeded => {
            KeyFate::Bar
        }
        ErrorClass::RateLimited => KeyFate::Cool(error.retry_after.unwrap_or(COOL)),
        _ => KeyFate::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Sent;

    fn error(class: ErrorClass, status: Option<u16>) -> WireError {
        WireError { status, ..WireError::new(class, Sent::Refused, "no") }
    }

    const FIRST: Situation =
        Situation { retries_left: 3, retries: 0, on_rung: 0, other_rung: false, other_key: false, dice: 1.0 };

    #[test]
    fn the_error_table() {
        use ErrorClass as E;
        let again = Next::Again(Duration::from_millis(500));
        let with_key = Situation { other_key: true, ..FIRST };
        let with_rung = Situation { other_rung: true, ..FIRST };
        let second = Situation { on_rung: 1, ..with_rung };
        let spent = Situation { retries_left: 0, ..with_rung };
        for (class, status, situation, next, key) in [
            (E::InvalidRequest, Some(400), FIRST, Next::GiveUp, KeyFate::Keep),
            (E::ContextTooLong, Some(400), with_rung, Next::GiveUp, KeyFate::Keep),
            (E::ContentFilter, Some(400), with_rung, Next::GiveUp, KeyFate::Keep),
            (E::InvalidKey, Some(401), with_key, Next::OtherKey, KeyFate::Bar),
            (E::InvalidKey, Some(401), FIRST, Next::LowerRung, KeyFate::Bar),
            (E::QuotaExceeded, Some(429), FIRST, Next::LowerRung, KeyFate::Bar),
            (E::NoCredit, Some(402), with_key, Next::OtherKey, KeyFate::Bar),
            (E::ModelNotFound, Some(404), with_key, Next::LowerRung, KeyFate::Keep),
            (E::RateLimited, Some(429), FIRST, again.clone(), KeyFate::Cool(COOL)),
            (E::RateLimited, Some(429), with_key, Next::OtherKey, KeyFate::Cool(COOL)),
            (E::ServerError, Some(500), FIRST, again.clone(), KeyFate::Keep),
            (E::ServerError, Some(500), with_rung, again.clone(), KeyFate::Keep),
            (E::ServerError, Some(500), second, Next::LowerRung, KeyFate::Keep),
            (E::Overloaded, Some(503), spent, Next::GiveUp, KeyFate::Keep),
            (E::Connect, None, FIRST, again.clone(), KeyFate::Keep),
            (E::Cut, None, FIRST, again, KeyFate::Keep),
            (E::Cut, Some(200), FIRST, Next::GiveUp, KeyFate::Keep),
            (E::FirstTokenTimeout, None, FIRST, Next::LowerRung, KeyFate::Keep),
            (E::Redirected, Some(307), with_rung, Next::GiveUp, KeyFate::Keep),
        ] {
            let decision = decide(&error(class.clone(), status), situation);
            assert_eq!(decision, Decision { next, key }, "{class:?} {status:?} {situation:?}");
        }
    }

    #[test]
    fn the_servers_own_word_wins() {
        let told =
            |should_retry| WireError { should_retry: Some(should_retry), ..error(ErrorClass::ServerError, Some(500)) };
        assert_eq!(decide(&told(false), FIRST).next, Next::LowerRung);
        let odd = WireError { should_retry: Some(true), ..error(ErrorClass::InvalidRequest, Some(400)) };
        assert_eq!(decide(&odd, FIRST).next, Next::Again(Duration::from_millis(500)));
    }

    #[test]
    fn nobody_is_made_to_wait_longer_than_a_minute() {
        let long =
            WireError { retry_after: Some(Duration::from_secs(61)), ..error(ErrorClass::RateLimited, Some(429)) };
        assert_eq!(decide(&long, FIRST).next, Next::LowerRung);
    }
}
