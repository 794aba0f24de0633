//! Whether somebody is there again, found out for nothing.
//!
//! Owns: the question for the list of models that goes before the one request of a half-open circuit.
//! Refuses: to ask when nobody waits for the answer: there is no probing in the background, so idle stays idle.
//! Invariant: what it costs the user is at most [`LIMIT`]; it costs no money and needs no reservation.
//!
//! A request to a server that does not answer is booked in full, for nobody knows what it did with it. So a server that
//! was down a moment ago is first asked for its list of models, which is free: when that comes to nothing, no money was
//! touched. When anything at all is answered, the server is there, and the real request shows whether it works.
//! A trial beside another address that works always asks first: a user is to lose two seconds by it at most, not an
//! answer. Where nothing else works, every second time the real request goes without asking: there are servers whose list
//! hangs while their models answer, and a broken list keeps nobody out for longer than one opening of the circuit.

use std::time::Duration;

use crate::gateway::attempt::run::RungEnd;
use crate::gateway::exchange::{ExchangeRun, interrupted};
use crate::gateway::upstream::endpoints::EndpointPermit;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::provider::guide::OFFLINE;
use crate::provider::{Endpoint, ErrorClass, WireError};

/// Longest time to wait for the list.
const LIMIT: Duration = Duration::from_secs(2);

impl ExchangeRun {
    /// Whether the real request may go; `false`: nobody is there, and the circuit knows.
    pub(in crate::gateway) async fn is_there(
        &self,
        endpoint: &Endpoint,
        key: &SelectedKey,
        pass: &EndpointPermit<'_>,
    ) -> Result<bool, RungEnd> {
        let asks = pass.trial || pass.probes.is_some_and(asks_first);
        if !asks || endpoint.provider() == OFFLINE {
            return Ok(true);
        }
        let listed = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(RungEnd::Stop(interrupted())),
            listed = tokio::time::timeout(LIMIT, self.gateway.wire.models(endpoint, key.secret.as_ref())) => listed,
        };
        let nobody = match &listed {
            Err(_) => true,
            Ok(listed) => listed.as_ref().is_err_and(is_nobody),
        };
        if nobody {
            tracing::debug!(host = endpoint.host(), "still down");
            pass.found_nobody(self.now(), self.gateway.parts.random.unit());
        }
        Ok(!nobody)
    }
}

/// The first, third, fifth time in a row.
fn asks_first(times: u32) -> bool {
    times % 2 == 1
}

/// No answer at all, or that of a gateway whose server is away.
fn is_nobody(error: &WireError) -> bool {
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
    fn who_is_there() {
        for (class, status, nobody) in [
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
            assert_eq!(is_nobody(&error), nobody, "{error:?}");
        }
    }
}
