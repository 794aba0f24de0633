//! Whether an endpoint is asked at all: the circuit breaker.
//!
//! Owns: the outcomes of the last minute, when too many of them failed, and how long nobody asks then.
//! Refuses: to send, to wait, and to read a clock: it takes `now` and `dice`.
//! Invariant: in half-open exactly one request is out; its outcome decides, and if it never comes, its place is free again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::chat::Timestamp;
use crate::gateway::upstream::breaker_store::Outage;
use crate::protocol::Circuit;

/// Outcomes older than this say nothing any more.
const WINDOW: Duration = Duration::from_mins(1);
/// Fewer outcomes than this say nothing.
const TELLING: usize = 5;
/// As many are kept; at more than this in a minute the newest decide.
const KEPT: usize = 100;
/// How long the circuit is open the first time; twice as long each time that the one request let through fails too.
const FIRST: Duration = Duration::from_secs(5);
/// The longest of these.
const HIGHEST: Duration = Duration::from_mins(2);
/// A server may ask for more, but no server's word keeps a user out for longer than this.
pub(in crate::gateway) const ASKED: Duration = Duration::from_mins(10);

/// What a request told of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gave an answer.
    Works,
    /// It is there, and refused the request or the account: no word on its health while all is well.
    Refuses,
    /// It, or the way to it, failed; the time is what it asked to be left alone for.
    Fails(Option<Duration>),
}

/// The right to make one request. Whoever has it tells the outcome, or gives it back.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Ticket {
    /// It is the one request of a half-open circuit, and so many have been in a row.
    pub probe: Option<u32>,
    /// Between which two changes of the circuit it was given: what comes later says nothing of the time since.
    epoch: u64,
}

/// Why there is no right to make a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shut {
    /// One request is out to see whether it works again.
    Probed,
    /// Nothing is sent before this time.
    Until(Timestamp),
}

impl Ticket {
    /// Used once, and gone.
    fn into_epoch(self) -> u64 {
        self.epoch
    }
}

#[derive(Debug, Default)]
pub struct Breaker {
    /// When, and whether it failed; oldest first.
    recent: VecDeque<(Timestamp, bool)>,
    state: State,
    epoch: u64,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Closed,
    /// `times` in a row, since its last good answer.
    Open {
        since: Timestamp,
        until: Timestamp,
        times: u32,
    },
    Probed {
        times: u32,
    },
}

impl Breaker {
    /// How it stands.
    pub fn state(&self, now: Timestamp) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { since, until, .. } if is_shut(since, until, now) => {
                Circuit::Open { until }
            }
            State::Open { .. } | State::Probed { .. } => Circuit::HalfOpen,
        }
    }

    /// Why no request may be made now; `None`: one may.
    pub fn shut(&self, now: Timestamp) -> Option<Shut> {
        match (self.state, self.state(now)) {
            (_, Circuit::Open { until }) => Some(Shut::Until(until)),
            (State::Probed { .. }, _) => Some(Shut::Probed),
            _ => None,
        }
    }

    /// Asks for the right to make a request.
    pub fn admit(&mut self, now: Timestamp) -> Result<Ticket, Shut> {
        if let Some(shut) = self.shut(now) {
            return Err(shut);
        }
        if let State::Open { times, .. } = self.state {
            self.go(State::Probed { times });
        }
        let probe = if let State::Probed { times } = self.state {
            Some(times)
        } else {
            None
        };
        Ok(Ticket {
            probe,
            epoch: self.epoch,
        })
    }

    /// Takes the outcome of a request. `dice` is uniform in 0..1.
    pub fn on(&mut self, ticket: Ticket, outcome: Outcome, now: Timestamp, dice: f64) {
        if ticket.into_epoch() != self.epoch {
            return;
        }
        match (self.state, outcome) {
            (State::Probed { times }, Outcome::Fails(asked)) => {
                self.open(times.saturating_add(1), asked, now, dice)
            }
            (State::Probed { .. }, _) => {
                self.recent.clear();
                self.go(State::Closed);
            }
            (State::Closed, Outcome::Works) => self.count(now, false),
            (State::Closed, Outcome::Fails(asked)) => {
                self.count(now, true);
                let failed = self.recent.iter().filter(|(_, failed)| *failed).count();
                if self.recent.len() >= TELLING && failed * 2 >= self.recent.len() {
                    self.open(1, asked, now, dice);
                }
            }
            (State::Closed, Outcome::Refuses) | (State::Open { .. }, _) => {}
        }
    }

    /// Takes back the right to make a request that was not made, or of which nothing became known.
    pub fn give_back(&mut self, ticket: Ticket, now: Timestamp) {
        if let (State::Probed { times }, true) = (self.state, ticket.into_epoch() == self.epoch) {
            // As open as before, and its time is over: the next one is let through.
            self.go(State::Open {
                since: now,
                until: now,
                times,
            });
        }
    }

    /// What another process should know; `None`: it works.
    pub(in crate::gateway) fn outage(&self) -> Option<Outage> {
        let open = match self.state {
            State::Closed => None,
            State::Open { until, times, .. } => Some((until, times)),
            State::Probed { times } => Some((Timestamp::default(), times)),
        };
        let in_trouble = open.is_some() || self.recent.back().is_some_and(|(_, failed)| *failed);
        let newest = self.recent.len().saturating_sub(2 * TELLING);
        in_trouble.then(|| Outage {
            recent: self.recent.range(newest..).copied().collect(),
            open,
            lost: None,
        })
    }

    /// Takes in what another process knew, before anything is known here.
    pub(in crate::gateway) fn recall(&mut self, outage: &Outage, now: Timestamp) {
        if self.epoch > 0 || !self.recent.is_empty() {
            return;
        }
        let (known, most) = (outage.recent.iter().copied(), now.plus(ASKED.max(HIGHEST)));
        self.recent.extend(
            known
                .filter(|(at, _)| *at <= now && now.since(*at) <= WINDOW)
                .take(2 * TELLING),
        );
        // A time that no circuit could have set comes from a clock that was wrong.
        if let Some((until, times)) = outage.open.filter(|(until, _)| *until <= most) {
            self.go(State::Open {
                since: now,
                until,
                times,
            });
        }
    }

    fn count(&mut self, now: Timestamp, failed: bool) {
        self.recent.push_back((now, failed));
        while self.recent.len() > KEPT
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
        self.go(State::Open {
            since: now,
            until,
            times,
        });
    }

    fn go(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

/// A clock that was set back must not keep a circuit open.
fn is_shut(since: Timestamp, until: Timestamp, now: Timestamp) -> bool {
    (since..until).contains(&now)
}

/// How long it stays open the `times`-th time in a row: doubling, up to a quarter more by the dice so that not all who
/// wait come back at once, and no less than the server asked for.
fn opening(times: u32, asked: Option<Duration>, dice: f64) -> Duration {
    let step = FIRST.saturating_mul(1 << times.saturating_sub(1).min(10));
    let spread = step.mul_f64(1.0 + dice.clamp(0.0, 1.0) / 4.0).min(HIGHEST);
    spread.max(asked.unwrap_or_default().min(ASKED))
}

#[cfg(test)]
mod tests;
