//! The addresses of one provider: how quick each is, whether it works, and which one is asked next.
//!
//! Owns: an average and a circuit for each address, the choice among them, and [`EndpointPermit`], the right to send to one.
//! Refuses: to send, and to know what an address is; it works on indices into a list.
//! Invariant: nothing is sent to an address without a permit; a permit that is dropped gives back what it took.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chat::Timestamp;
use crate::gateway::upstream::breaker::{
    Breaker, BreakerPermit, CircuitRejection, Outage, RequestOutcome,
};
use crate::protocol::Circuit;

/// In this time an average loses all but a third of its weight, so that an address that was slow long ago is asked again.
const DECAY: Duration = Duration::from_mins(10);
/// The least weight of a new measurement.
const MIN_WEIGHT: f64 = 0.3;
/// What a failure counts as, in seconds: more than any answer that comes.
const FAILURE_SECONDS: f64 = 10.0;
/// How long an address is not tried again after a failed trial, while another one works.
const TRIAL_PAUSE: Duration = Duration::from_mins(10);
/// What is assumed of an address that was not measured yet: little, so that it is chosen and measured.
const UNMEASURED_SECONDS: f64 = 0.001;

/// The average time from a request to its headers; newer measurements weigh more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct LatencyAverage {
    measured: Option<(f64, Timestamp)>,
}

impl LatencyAverage {
    /// Adds a measurement.
    pub(crate) fn record(&mut self, seconds: f64, now: Timestamp) {
        let average = self.measured.map_or(seconds, |(average, at)| {
            let news = (1.0 - faded(now.since(at))).max(MIN_WEIGHT);
            average * (1.0 - news) + seconds * news
        });
        self.measured = Some((average, now));
    }

    /// The average in seconds, faded by its age.
    pub(crate) fn seconds(&self, now: Timestamp) -> f64 {
        self.measured.map_or(UNMEASURED_SECONDS, |(average, at)| {
            (average * faded(now.since(at))).max(UNMEASURED_SECONDS)
        })
    }
}

/// The weight left at this age: 1 at once, 1/e after [`DECAY`].
fn faded(age: Duration) -> f64 {
    (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

/// What the choice among addresses depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndpointHealth {
    pub(crate) circuit: Circuit,
    pub(crate) seconds: f64,
    /// Requests under way.
    pub(crate) in_flight: u32,
}

/// Power of two choices: of two random addresses whose circuit is closed, the one expected to answer first. A half-open
/// one is chosen only when no other is left; before that it gets trials, see [`Endpoints::trial`]. `dice` are uniform
/// in 0..1.
pub(crate) fn choose(healths: &[EndpointHealth], past: &[usize], dice: [f64; 2]) -> Option<usize> {
    let there = |circuit: fn(Circuit) -> bool| -> Vec<usize> {
        let fit = |at: &usize| !past.contains(at) && circuit(healths[*at].circuit);
        (0..healths.len()).filter(fit).collect()
    };
    let mut left = there(|circuit| circuit == Circuit::Closed);
    if left.is_empty() {
        left = there(|circuit| circuit == Circuit::HalfOpen);
    }
    let mut draw = |dice: f64| (!left.is_empty()).then(|| left.remove(at(dice, left.len())));
    let (one, other) = (draw(dice[0])?, draw(dice[1]));
    let cost = |at: usize| healths[at].seconds * f64::from(healths[at].in_flight + 1);
    Some(
        other
            .filter(|other| cost(*other) < cost(one))
            .unwrap_or(one),
    )
}

/// A random index into a list of `n`, which is not empty.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small list"
)]
fn at(dice: f64, n: usize) -> usize {
    ((dice.clamp(0.0, 1.0) * n as f64) as usize).min(n - 1)
}

/// What the store is to be told of an address.
#[derive(Debug)]
pub(in crate::gateway) enum BreakerChange {
    Failing(Outage),
    Recovered,
}

/// The state of one provider's addresses, by index.
#[derive(Debug)]
pub(in crate::gateway) struct Endpoints {
    states: Vec<Mutex<EndpointState>>,
    /// The state that other processes left was taken over.
    restored: AtomicBool,
}

/// What is known of one address.
#[derive(Debug, Default)]
struct EndpointState {
    breaker: Breaker,
    latency: LatencyAverage,
    in_flight: u32,
    /// When a trial request failed last although the probe had succeeded.
    lost: Option<Timestamp>,
    /// The store has a row about this address.
    persisted: bool,
}

/// The right to send one request to the address at `index`.
#[derive(Debug)]
pub(in crate::gateway) struct EndpointPermit<'a> {
    endpoints: &'a Endpoints,
    pub(in crate::gateway) index: usize,
    /// Set for the one request that a half-open circuit lets through: how often in a row the circuit has opened.
    pub(in crate::gateway) probe: Option<u32>,
    /// It is a trial, made although another address works.
    pub(in crate::gateway) trial: bool,
    given: Timestamp,
    /// `None` once the outcome is recorded.
    breaker_permit: Mutex<Option<BreakerPermit>>,
}

impl Endpoints {
    /// One state for each address; at least one, for the guide's address is known only when it runs.
    pub(in crate::gateway) fn new(addresses: usize) -> Self {
        Self {
            states: (0..addresses.max(1)).map(|_| Mutex::default()).collect(),
            restored: AtomicBool::new(false),
        }
    }

    pub(in crate::gateway) fn len(&self) -> usize {
        self.states.len()
    }

    /// A permit for the address `again`, if its circuit lets a request through, else for the one expected to answer first
    /// that is not in `past`.
    pub(in crate::gateway) fn acquire(
        &self,
        again: Option<usize>,
        past: &[usize],
        now: Timestamp,
        dice: [f64; 2],
    ) -> Result<EndpointPermit<'_>, CircuitRejection> {
        if let Some(permit) = again.and_then(|index| self.permit(index, now).ok()) {
            return Ok(permit);
        }
        let mut past = past.to_vec();
        // Another exchange may have taken the one probe of a half-open circuit since `healths` was read.
        while let Some(index) = choose(&self.healths(now), &past, dice) {
            match self.permit(index, now) {
                Ok(entered) => return Ok(entered),
                Err(_) => past.push(index),
            }
        }
        Err(self.rejection(now))
    }

    /// A permit for a half-open address while another one works and can be asked if this one fails. Without such trials a
    /// recovered address would get no requests for as long as any other works.
    pub(in crate::gateway) fn trial(
        &self,
        past: &[usize],
        now: Timestamp,
    ) -> Option<EndpointPermit<'_>> {
        let healths = self.healths(now);
        let are = |circuit: Circuit| {
            let fit = |at: &usize| !past.contains(at) && healths[*at].circuit == circuit;
            (0..healths.len()).filter(fit).collect::<Vec<_>>()
        };
        if are(Circuit::Closed).is_empty() {
            return None;
        }
        let mut due = are(Circuit::HalfOpen)
            .into_iter()
            .filter(|at| !self.state(*at).is_paused(now));
        let mut entered = due.find_map(|at| self.permit(at, now).ok())?;
        entered.trial = true;
        Some(entered)
    }

    /// Whether the state of other processes is still to be taken over; `true` at the first call only.
    pub(in crate::gateway) fn begin_restore(&self) -> bool {
        !self.restored.swap(true, Relaxed)
    }

    /// Takes over what another process knew of an address.
    pub(in crate::gateway) fn restore(&self, index: usize, outage: &Outage, now: Timestamp) {
        let mut known = self.state(index);
        known.breaker.restore(outage, now);
        known.lost = known.lost.or(outage.lost);
        known.persisted = true;
    }

    /// What is to be written to the store for other processes; `None` when it has it.
    pub(in crate::gateway) fn take_change(&self, index: usize) -> Option<BreakerChange> {
        let mut known = self.state(index);
        let outage = known.breaker.outage().map(|outage| Outage {
            lost: known.lost,
            ..outage
        });
        let before = std::mem::replace(&mut known.persisted, outage.is_some());
        outage
            .map(BreakerChange::Failing)
            .or(before.then_some(BreakerChange::Recovered))
    }

    /// Whether an address that is not in `past` may be asked now.
    pub(in crate::gateway) fn has_other(&self, past: &[usize], now: Timestamp) -> bool {
        (0..self.len()).any(|index| {
            !past.contains(&index) && self.state(index).breaker.rejection(now).is_none()
        })
    }

    /// The circuit of the provider as a whole: that of its best address.
    pub(in crate::gateway) fn circuit(&self, now: Timestamp) -> Circuit {
        let best = |circuit: &Circuit| match circuit {
            Circuit::Closed => (0, Timestamp::default()),
            Circuit::HalfOpen => (1, Timestamp::default()),
            Circuit::Open { until } => (2, *until),
        };
        self.healths(now)
            .into_iter()
            .map(|health| health.circuit)
            .min_by_key(best)
            .unwrap_or_default()
    }

    /// Why no address may be asked.
    fn rejection(&self, now: Timestamp) -> CircuitRejection {
        let each = (0..self.len()).filter_map(|index| self.state(index).breaker.rejection(now));
        each.min().unwrap_or(CircuitRejection::Until(now))
    }

    fn permit(&self, index: usize, now: Timestamp) -> Result<EndpointPermit<'_>, CircuitRejection> {
        let mut known = self.state(index);
        let breaker_permit = known.breaker.admit(now)?;
        known.in_flight += 1;
        drop(known);
        let (probe, breaker_permit) = (breaker_permit.probe, Mutex::new(Some(breaker_permit)));
        Ok(EndpointPermit {
            endpoints: self,
            index,
            probe,
            trial: false,
            given: now,
            breaker_permit,
        })
    }

    fn healths(&self, now: Timestamp) -> Vec<EndpointHealth> {
        let health = |index: usize| {
            let known = self.state(index);
            let (circuit, seconds) = (known.breaker.state(now), known.latency.seconds(now));
            EndpointHealth {
                circuit,
                seconds,
                in_flight: known.in_flight,
            }
        };
        (0..self.len()).map(health).collect()
    }

    fn state(&self, index: usize) -> MutexGuard<'_, EndpointState> {
        self.states[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the first circuit of these providers lets a request through; `None` when one does so now.
pub(in crate::gateway) fn next_opening<'a>(
    providers: impl Iterator<Item = &'a Endpoints>,
    now: Timestamp,
) -> Option<Timestamp> {
    let open_until = |endpoints: &Endpoints| match endpoints.circuit(now) {
        Circuit::Open { until } => Some(until),
        Circuit::Closed | Circuit::HalfOpen => None,
    };
    let all: Option<Vec<_>> = providers.map(open_until).collect();
    all.and_then(|all| all.into_iter().min())
}

impl EndpointState {
    /// A trial failed not long ago.
    fn is_paused(&self, now: Timestamp) -> bool {
        self.lost
            .is_some_and(|lost| (lost..lost.plus(TRIAL_PAUSE)).contains(&now))
    }
}

impl EndpointPermit<'_> {
    /// Records the time from the request to the response's headers.
    pub(in crate::gateway) fn headers_after(&self, after: Duration, now: Timestamp) {
        let mut known = self.endpoints.state(self.index);
        if self.probe.is_some() {
            // Latencies from before the outage say nothing about the recovered address.
            known.latency = LatencyAverage::default();
        }
        known.latency.record(after.as_secs_f64(), now);
    }

    /// The probe found the server away.
    pub(in crate::gateway) fn probe_failed(&self, now: Timestamp, dice: f64) {
        if let Some(breaker_permit) = self.breaker_permit().take() {
            self.endpoints.state(self.index).breaker.record(
                breaker_permit,
                RequestOutcome::Failed(None),
                now,
                dice,
            );
        }
    }

    /// A piece of the answer arrived: a half-open circuit closes now, not when the answer ends. `true` when this piece
    /// closed it.
    pub(in crate::gateway) fn first_piece(&self, now: Timestamp) -> bool {
        let mut held = self.breaker_permit();
        let Some(breaker_permit) = held.take_if(|breaker_permit| breaker_permit.probe.is_some())
        else {
            return false;
        };
        let mut known = self.endpoints.state(self.index);
        known
            .breaker
            .record(breaker_permit, RequestOutcome::Succeeded, now, 0.0);
        known.lost = None;
        // The end of the answer counts like that of any other request.
        *held = known.breaker.admit(now).ok();
        true
    }

    /// Records the outcome of the request; only the first call counts.
    pub(in crate::gateway) fn record(&self, outcome: RequestOutcome, now: Timestamp, dice: f64) {
        let Some(breaker_permit) = self.breaker_permit().take() else {
            return;
        };
        let mut known = self.endpoints.state(self.index);
        if let RequestOutcome::Failed(_) = outcome {
            known.latency.record(FAILURE_SECONDS, now);
            known.lost = self.trial.then_some(now).or(known.lost);
        }
        known.breaker.record(breaker_permit, outcome, now, dice);
    }

    fn breaker_permit(&self) -> MutexGuard<'_, Option<BreakerPermit>> {
        self.breaker_permit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EndpointPermit<'_> {
    fn drop(&mut self) {
        let breaker_permit = self.breaker_permit().take();
        let mut known = self.endpoints.state(self.index);
        known.in_flight = known.in_flight.saturating_sub(1);
        if let Some(breaker_permit) = breaker_permit {
            known.breaker.release(breaker_permit, self.given);
        }
    }
}

#[cfg(test)]
mod tests;
