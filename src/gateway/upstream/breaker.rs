//! Whether an endpoint is asked at all: the circuit breaker.
//!
//! Owns: the outcomes of the last minute, when too many of them failed, and how long no request is let through then.
//! Refuses: to send, to wait, and to read a clock: it takes `now` and `dice`.
//! Invariant: a half-open circuit lets exactly one request through; its outcome decides, and when the request is given up
//! without one, the next request may go.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::Timestamp;
use crate::protocol::Circuit;

/// Outcomes older than this say nothing any more.
const WINDOW: Duration = Duration::from_mins(1);
/// With fewer outcomes than this the circuit stays closed.
const MIN_OUTCOMES: usize = 5;
/// At most this many are kept; when there are more in a minute, the newest decide.
const MAX_OUTCOMES: usize = 100;
/// How long the circuit is open the first time; doubled each time that the probe fails too.
const FIRST_OPENING: Duration = Duration::from_secs(5);
/// The longest of these times.
const MAX_OPENING: Duration = Duration::from_mins(2);
/// The longest time for which a server's `Retry-After` is honoured.
pub(in crate::gateway) const MAX_RETRY_AFTER: Duration = Duration::from_mins(10);

/// What a request showed about the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// It gave an answer.
    Succeeded,
    /// It answered and refused the request or the account: this says nothing about its health.
    Refused,
    /// It, or the way to it, failed; the time is its `Retry-After`.
    Failed(Option<Duration>),
}

/// What a process that ends passes on about an endpoint that fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::gateway) struct Outage {
    /// When, and whether it failed; oldest first.
    pub(in crate::gateway) recent: Vec<(Timestamp, bool)>,
    /// Until when the circuit is open, and how often in a row it has opened.
    pub(in crate::gateway) open: Option<(Timestamp, u32)>,
    /// When a trial of this endpoint failed last although another one worked.
    #[serde(default)]
    pub(in crate::gateway) lost: Option<Timestamp>,
}

impl Outage {
    /// The time of its newest failure, or of the end of its open circuit.
    pub(in crate::gateway) fn newest(&self) -> Timestamp {
        let until = self.open.map(|(until, _)| until);
        self.recent
            .last()
            .map(|(at, _)| *at)
            .into_iter()
            .chain(until)
            .max()
            .unwrap_or_default()
    }
}

/// The right to make one request. Its holder records the outcome, or releases it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct BreakerPermit {
    /// Set for the one request of a half-open circuit: how often in a row the circuit has opened.
    pub(crate) probe: Option<u32>,
    /// The state change it was given after: its outcome says nothing about a later state.
    epoch: u64,
}

/// Why no request is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CircuitRejection {
    /// A probe is under way.
    Probing,
    /// The circuit is open until this time.
    Until(Timestamp),
}

impl BreakerPermit {
    /// Consumes the permit, so that it is used once.
    fn into_epoch(self) -> u64 {
        self.epoch
    }
}

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// When, and whether it failed; oldest first.
    recent: VecDeque<(Timestamp, bool)>,
    state: BreakerState,
    epoch: u64,
}

#[derive(Debug, Default, Clone, Copy)]
enum BreakerState {
    #[default]
    Closed,
    /// `times` in a row, since its last good answer.
    Open {
        since: Timestamp,
        until: Timestamp,
        times: u32,
    },
    Probing {
        times: u32,
    },
}

impl Breaker {
    pub(crate) fn state(&self, now: Timestamp) -> Circuit {
        match self.state {
            BreakerState::Closed => Circuit::Closed,
            BreakerState::Open { since, until, .. } if is_open(since, until, now) => {
                Circuit::Open { until }
            }
            BreakerState::Open { .. } | BreakerState::Probing { .. } => Circuit::HalfOpen,
        }
    }

    /// Why no request may be made now; `None` when one may.
    pub(crate) fn rejection(&self, now: Timestamp) -> Option<CircuitRejection> {
        match (self.state, self.state(now)) {
            (_, Circuit::Open { until }) => Some(CircuitRejection::Until(until)),
            (BreakerState::Probing { .. }, _) => Some(CircuitRejection::Probing),
            _ => None,
        }
    }

    /// Lets a request through, or says why not.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Result<BreakerPermit, CircuitRejection> {
        if let Some(shut) = self.rejection(now) {
            return Err(shut);
        }
        if let BreakerState::Open { times, .. } = self.state {
            self.transition(BreakerState::Probing { times });
        }
        let probe = if let BreakerState::Probing { times } = self.state {
            Some(times)
        } else {
            None
        };
        Ok(BreakerPermit {
            probe,
            epoch: self.epoch,
        })
    }

    /// Records the outcome of a request. `dice` is uniform in 0..1.
    pub(crate) fn record(
        &mut self,
        permit: BreakerPermit,
        outcome: RequestOutcome,
        now: Timestamp,
        dice: f64,
    ) {
        if permit.into_epoch() != self.epoch {
            return;
        }
        match (self.state, outcome) {
            (BreakerState::Probing { times }, RequestOutcome::Failed(asked)) => {
                self.open(times.saturating_add(1), asked, now, dice);
            }
            (BreakerState::Probing { .. }, _) => {
                self.recent.clear();
                self.transition(BreakerState::Closed);
            }
            (BreakerState::Closed, RequestOutcome::Succeeded) => self.count(now, false),
            (BreakerState::Closed, RequestOutcome::Failed(asked)) => {
                self.count(now, true);
                let failed = self.recent.iter().filter(|(_, failed)| *failed).count();
                if self.recent.len() >= MIN_OUTCOMES && failed * 2 >= self.recent.len() {
                    self.open(1, asked, now, dice);
                }
            }
            (BreakerState::Closed, RequestOutcome::Refused) | (BreakerState::Open { .. }, _) => {}
        }
    }

    /// Takes back the permit of a request that was not made, or whose outcome is unknown.
    pub(crate) fn release(&mut self, permit: BreakerPermit, now: Timestamp) {
        if let (BreakerState::Probing { times }, true) =
            (self.state, permit.into_epoch() == self.epoch)
        {
            // Open with its time over: the next request is let through as the probe.
            self.transition(BreakerState::Open {
                since: now,
                until: now,
                times,
            });
        }
    }

    /// What another process should know; `None` when the endpoint works.
    pub(in crate::gateway) fn outage(&self) -> Option<Outage> {
        let open = match self.state {
            BreakerState::Closed => None,
            BreakerState::Open { until, times, .. } => Some((until, times)),
            BreakerState::Probing { times } => Some((Timestamp::default(), times)),
        };
        let in_trouble = open.is_some() || self.recent.back().is_some_and(|(_, failed)| *failed);
        let newest = self.recent.len().saturating_sub(2 * MIN_OUTCOMES);
        in_trouble.then(|| Outage {
            recent: self.recent.range(newest..).copied().collect(),
            open,
            lost: None,
        })
    }

    /// Takes over what another process knew, unless something is known here already.
    pub(in crate::gateway) fn restore(&mut self, outage: &Outage, now: Timestamp) {
        if self.epoch > 0 || !self.recent.is_empty() {
            return;
        }
        let (known, most) = (
            outage.recent.iter().copied(),
            now.plus(MAX_RETRY_AFTER.max(MAX_OPENING)),
        );
        self.recent.extend(
            known
                .filter(|(at, _)| *at <= now && now.since(*at) <= WINDOW)
                .take(2 * MIN_OUTCOMES),
        );
        // No circuit sets a later time, so it comes from a wrong clock.
        if let Some((until, times)) = outage.open.filter(|(until, _)| *until <= most) {
            self.transition(BreakerState::Open {
                since: now,
                until,
                times,
            });
        }
    }

    fn count(&mut self, now: Timestamp, failed: bool) {
        self.recent.push_back((now, failed));
        while self.recent.len() > MAX_OUTCOMES
            || self
                .recent
                .front()
                .is_some_and(|(at, _)| now.since(*at) > WINDOW)
        {
            self.recent.pop_front();
        }
    }

    fn open(&mut self, times: u32, asked: Option<Duration>, now: Timestamp, dice: f64) {
        let until = now.plus(opening(times, asked, dice));
        self.transition(BreakerState::Open {
            since: now,
            until,
            times,
        });
    }

    fn transition(&mut self, state: BreakerState) {
        self.state = state;
        self.epoch += 1;
    }
}

/// Whether an open circuit is open now. A clock that was set back must not keep it open.
fn is_open(since: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    (since..until).contains(&now)
}

/// How long it stays open the `times`-th time in a row: doubling, with up to a quarter of jitter so that waiting clients
/// do not return at once, and no less than the server asked for.
fn opening(times: u32, asked: Option<Duration>, dice: f64) -> Duration {
    let step = FIRST_OPENING.saturating_mul(1 << times.saturating_sub(1).min(10));
    let spread = step
        .mul_f64(1.0 + dice.clamp(0.0, 1.0) / 4.0)
        .min(MAX_OPENING);
    spread.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
