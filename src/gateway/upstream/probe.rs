//! A free request that shows whether a server is there again.
//!
//! Owns: the request for the list of models that goes before the one request of a half-open circuit.
//! Refuses: to probe in the background: without a waiting request the program stays idle.
//! Invariant: it delays the user by at most [`LIMIT`], costs no money and needs no reservation.
//!
//! A request to a server that does not answer is booked in full, since its price is unknown. So a server that was down
//! a moment ago is first asked for its list of models, which is free: when that fails, no money was touched. Any answer at
//! all means that the server is there, and the real request shows whether it works.
//! A trial while another address works always probes first: it may cost the user two seconds, but not an answer. Where no
//! other address works, every second attempt skips the probe: there are servers whose list hangs while their models
//! answer, and a broken list must not keep users out for longer than one opening of the circuit.

use std::time::Duration;

use crate::chat::{Clock, Random};
use crate::gateway::upstream::endpoints::EndpointPermit;
use crate::provider::guide::OFFLINE;
use crate::provider::{Endpoint, ErrorClass, Secret, Wire, WireError};

/// Longest time to wait for the list.
const LIMIT: Duration = Duration::from_secs(2);

/// Whether the real request may be sent. `false`: the server is away, and its breaker knows.
pub(in crate::gateway) async fn is_reachable(
    wire: &Wire,
    endpoint: &Endpoint,
    secret: Option<&Secret>,
    permit: &EndpointPermit<'_>,
    clock: &Clock,
    random: &Random,
) -> bool {
    let probes = permit.trial || permit.probe.is_some_and(probes_first);
    if !probes || endpoint.provider() == OFFLINE {
        return true;
    }
    let away = match tokio::time::timeout(LIMIT, wire.models(endpoint, secret)).await {
        Err(_) => true,
        Ok(listed) => listed.is_err_and(|error| is_away(&error)),
    };
    if away {
        tracing::debug!(host = endpoint.host(), "still down");
        permit.probe_failed(clock.now(), random.unit());
    }
    !away
}

/// The first, third, fifth time in a row.
fn probes_first(times: u32) -> bool {
    times % 2 == 1
}

/// No answer at all, or that of a gateway whose server is away.
fn is_away(error: &WireError) -> bool {
    match error.status {
        Some(status) => matches!(status, 502..=504),
        None => matches!(
            error.class,
            ErrorClass::Connect | ErrorClass::Cut | ErrorClass::FirstTokenTimeout
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Sent;

    #[test]
    fn which_errors_mean_that_the_server_is_away() {
        for (class, status, away) in [
            (ErrorClass::Connect, None, true),
            (ErrorClass::Cut, None, true),
            (ErrorClass::ServerError, Some(502), true),
            (ErrorClass::Overloaded, Some(503), true),
            (ErrorClass::ServerError, Some(500), false),
            (ErrorClass::ModelNotFound, Some(404), false),
            (ErrorClass::InvalidKey, Some(401), false),
            (ErrorClass::RateLimited, Some(429), false),
            (ErrorClass::NotSse, None, false),
        ] {
            let error = WireError {
                status,
                ..WireError::new(class, Sent::Refused, "no")
            };
            assert_eq!(is_away(&error), away, "{error:?}");
        }
    }
}
