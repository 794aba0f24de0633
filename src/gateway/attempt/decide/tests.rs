use super::*;
use crate::provider::Sent;

fn error(class: ErrorClass, status: Option<u16>) -> WireError {
    WireError {
        status,
        ..WireError::new(class, Sent::Refused, "no")
    }
}

/// A pinned model, one key, one address: nowhere else to go.
const ALONE: Situation = Situation {
    retries_left: 3,
    retries: 0,
    here: 0,
    other_rung: false,
    larger_rung: false,
    other_key: false,
    other_endpoint: false,
    affordable: true,
    dice: 1.0,
};

const AGAIN: Next = Next::Again(Duration::from_millis(500));

#[test]
fn the_error_table() {
    use ErrorClass as E;
    use KeyFate::{Bar, Cool, Keep};
    use Next::{GiveUp, LargerRung, LowerRung, OtherEndpoint, OtherKey};
    let key = Situation {
        other_key: true,
        ..ALONE
    };
    let rung = Situation {
        other_rung: true,
        ..ALONE
    };
    let larger = Situation {
        larger_rung: true,
        ..rung
    };
    let address = Situation {
        other_endpoint: true,
        ..ALONE
    };
    let all = Situation {
        other_key: true,
        other_endpoint: true,
        ..larger
    };
    let later = |situation| Situation {
        here: 1,
        ..situation
    };
    let slowly = Next::Again(Duration::from_secs(2));
    for (class, status, situation, next, fate) in [
        (E::InvalidRequest, Some(400), all, GiveUp, Keep),
        (
            E::UnsupportedParameter { name: "x".into() },
            Some(400),
            all,
            GiveUp,
            Keep,
        ),
        (E::ContextTooLong, Some(400), ALONE, GiveUp, Keep),
        (E::ContextTooLong, Some(400), rung, GiveUp, Keep),
        (E::ContextTooLong, Some(413), larger, LargerRung, Keep),
        (E::ContentFilter, Some(400), all, GiveUp, Keep),
        (E::InvalidKey, Some(401), key, OtherKey, Bar),
        (E::InvalidKey, Some(401), address, LowerRung, Bar),
        (E::Forbidden, Some(403), all, OtherKey, Bar),
        (E::Forbidden, Some(403), rung, LowerRung, Bar),
        (E::QuotaExceeded, Some(429), ALONE, LowerRung, Bar),
        (E::NoCredit, Some(402), key, OtherKey, Bar),
        (E::ModelNotFound, Some(404), all, LowerRung, Keep),
        (E::RateLimited, Some(429), ALONE, slowly.clone(), Cool(COOL)),
        (
            E::RateLimited,
            Some(429),
            later(rung),
            slowly.clone(),
            Cool(COOL),
        ),
        (E::RateLimited, Some(429), address, slowly, Cool(COOL)),
        (E::RateLimited, Some(429), all, OtherKey, Cool(COOL)),
        (E::ServerError, Some(500), ALONE, AGAIN, Keep),
        (E::ServerError, Some(500), later(ALONE), AGAIN, Keep),
        (E::ServerError, Some(500), all, AGAIN, Keep),
        (E::ServerError, Some(500), later(all), OtherEndpoint, Keep),
        (E::ServerError, Some(500), later(rung), LowerRung, Keep),
        (
            E::Overloaded,
            Some(529),
            later(address),
            OtherEndpoint,
            Keep,
        ),
        (E::Timeout, Some(408), ALONE, AGAIN, Keep),
        (E::Timeout, Some(409), later(rung), LowerRung, Keep),
        (E::Connect, None, ALONE, AGAIN, Keep),
        (E::Connect, None, address, OtherEndpoint, Keep),
        (E::Connect, None, rung, AGAIN, Keep),
        (E::Cut, None, ALONE, AGAIN, Keep),
        (E::Cut, None, later(address), OtherEndpoint, Keep),
        (E::Cut, Some(200), ALONE, GiveUp, Keep),
        (E::Cut, Some(200), rung, LowerRung, Keep),
        (E::Truncated, Some(200), address, OtherEndpoint, Keep),
        (E::InStream, Some(200), key, GiveUp, Keep),
        (E::NotSse, Some(200), rung, LowerRung, Keep),
        (E::FirstTokenTimeout, None, ALONE, LowerRung, Keep),
        (E::FirstTokenTimeout, None, key, LowerRung, Keep),
        (E::FirstTokenTimeout, None, all, OtherEndpoint, Keep),
        (E::Redirected, Some(307), all, GiveUp, Keep),
        (E::TooLarge, Some(200), all, GiveUp, Keep),
    ] {
        let decision = decide(&error(class.clone(), status), situation);
        assert_eq!(
            decision,
            Decision { next, key: fate },
            "{class:?} {status:?} {situation:?}"
        );
    }
}

#[test]
fn nothing_goes_beyond_the_retries_and_their_budget() {
    use ErrorClass as E;
    let all = Situation {
        other_rung: true,
        larger_rung: true,
        other_key: true,
        other_endpoint: true,
        ..ALONE
    };
    for class in [
        E::ServerError,
        E::RateLimited,
        E::InvalidKey,
        E::Connect,
        E::ModelNotFound,
        E::ContextTooLong,
    ] {
        let error = error(class, Some(500));
        assert_eq!(
            decide(
                &error,
                Situation {
                    retries_left: 0,
                    ..all
                }
            )
            .next,
            Next::GiveUp,
            "{:?}",
            error.class
        );
        let storm = decide(
            &error,
            Situation {
                affordable: false,
                ..all
            },
        )
        .next;
        // Another model may be at another provider; whether it may be asked is looked at there.
        assert!(
            matches!(storm, Next::LowerRung | Next::LargerRung),
            "{:?}: {storm:?}",
            error.class
        );
    }
}

#[test]
fn the_servers_own_word_wins() {
    use ErrorClass as E;
    let told = |class, status, should_retry| WireError {
        should_retry: Some(should_retry),
        ..error(class, Some(status))
    };
    assert_eq!(
        decide(&told(E::ServerError, 500, false), ALONE).next,
        Next::LowerRung
    );
    assert_eq!(
        decide(&told(E::InvalidRequest, 400, true), ALONE).next,
        AGAIN
    );
    assert_eq!(
        decide(&told(E::ContentFilter, 400, true), ALONE).next,
        Next::GiveUp,
        "a filter is a filter"
    );
    let billed = WireError {
        sent: Sent::MaybeBilled,
        ..told(E::NotSse, 200, true)
    };
    assert_eq!(
        decide(&billed, ALONE).next,
        Next::GiveUp,
        "not twice for one answer"
    );
}

#[test]
fn no_wait_is_longer_than_a_minute() {
    use ErrorClass as E;
    let long = |class| WireError {
        retry_after: Some(Duration::from_secs(61)),
        ..error(class, Some(429))
    };
    let address = Situation {
        other_endpoint: true,
        ..ALONE
    };
    assert_eq!(decide(&long(E::RateLimited), address).next, Next::LowerRung);
    assert_eq!(
        decide(&long(E::Overloaded), address).next,
        Next::OtherEndpoint
    );
    assert_eq!(decide(&long(E::Overloaded), ALONE).next, Next::LowerRung);
}

#[test]
fn no_servers_word_keeps_a_key_out_for_longer_than_a_circuit() {
    for (asked, cools) in [(90, 90), (600, 600), (31_622_400, 600)] {
        let asked = Some(Duration::from_secs(asked));
        let limited = WireError {
            retry_after: asked,
            ..error(ErrorClass::RateLimited, Some(429))
        };
        assert_eq!(
            decide(&limited, ALONE).key,
            KeyFate::Cool(Duration::from_secs(cools)),
            "{asked:?}"
        );
    }
}

#[test]
fn what_the_circuit_hears() {
    use ErrorClass as E;
    let fails = Some(RequestOutcome::Failed(None));
    for (class, status, expected) in [
        (E::ServerError, Some(500), fails),
        (E::Overloaded, Some(503), fails),
        (E::Timeout, Some(408), fails),
        (E::Timeout, Some(409), Some(RequestOutcome::Refused)),
        (E::Timeout, Some(425), Some(RequestOutcome::Refused)),
        (E::Connect, None, fails),
        (E::FirstTokenTimeout, None, fails),
        (E::Cut, Some(200), fails),
        (E::IdleTimeout, Some(200), fails),
        (E::RateLimited, Some(429), Some(RequestOutcome::Refused)),
        (E::QuotaExceeded, Some(429), Some(RequestOutcome::Refused)),
        (E::ContentFilter, Some(400), Some(RequestOutcome::Refused)),
        (E::InvalidRequest, Some(400), Some(RequestOutcome::Refused)),
    ] {
        assert_eq!(
            outcome(&error(class.clone(), status)),
            expected,
            "{class:?} {status:?}"
        );
    }
    let unsent = WireError::new(E::InvalidKey, Sent::Nothing, "not a key of this provider");
    assert_eq!(outcome(&unsent), None, "it never left");
    let asked = WireError {
        retry_after: Some(Duration::from_secs(9)),
        ..error(E::Overloaded, Some(503))
    };
    assert_eq!(
        outcome(&asked),
        Some(RequestOutcome::Failed(asked.retry_after))
    );
}
