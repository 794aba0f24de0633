//! The addresses of one provider: how quick each is, whether it works, and which one is asked next.
//!
//! Owns: an average and a circuit for each address, the choice among them, and [`EndpointPermit`], the right to send to one.
//! Refuses: to send, and to know what an address is; it works on places in a list.
//! Invariant: nothing is sent to an address without a pass; a pass that is dropped gives back what it took.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chat::Timestamp;
use crate::gateway::upstream::breaker::{Breaker, Outcome, Shut, Ticket};
use crate::gateway::upstream::breaker_store::{News, Outage};
use crate::protocol::Circuit;

/// In this time an average loses all but a third of its weight: what was slow, or failed, long ago gets another chance.
const FADES: Duration = Duration::from_mins(10);
/// The least weight of a new measurement.
const NEWS: f64 = 0.3;
/// What a failure counts as, in seconds: more than any answer that comes.
const FAILED: f64 = 10.0;
/// An address on which a trial was lost is not tried again for so long, while another one works.
const SPARED: Duration = Duration::from_mins(10);
/// What is assumed of an address that was not measured yet, in seconds: little, so that it will be.
const UNKNOWN: f64 = 0.001;

/// The average time from a request to its headers, of which newer ones say more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    measured: Option<(f64, Timestamp)>,
}

impl Pace {
    /// Takes one more measurement.
    pub fn take(&mut self, seconds: f64, now: Timestamp) {
        let average = self.measured.map_or(seconds, |(average, at)| {
            let news = (1.0 - faded(now.since(at))).max(NEWS);
            average * (1.0 - news) + seconds * news
        });
        self.measured = Some((average, now));
    }

    /// The average, in seconds, as far as it still says something.
    pub fn seconds(&self, now: Timestamp) -> f64 {
        self.measured.map_or(UNKNOWN, |(average, at)| {
            (average * faded(now.since(at))).max(UNKNOWN)
        })
    }
}

/// What is left of the weight of something so old: 1 at once, 1/e after [`FADES`].
fn faded(age: Duration) -> f64 {
    (-age.as_secs_f64() / FADES.as_secs_f64()).exp()
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    pub circuit: Circuit,
    pub seconds: f64,
    /// Requests that are on their way there.
    pub in_flight: u32,
}

/// Power of two choices: of two addresses by chance among those whose circuit is closed, the one that promises to answer
/// first. What may work again (half-open) is chosen when nothing else is left; before that it is tried, see
/// [`Endpoints::trial`]. `dice` are uniform in 0..1.
pub fn choose(standings: &[Standing], past: &[usize], dice: [f64; 2]) -> Option<usize> {
    let there = |circuit: fn(Circuit) -> bool| -> Vec<usize> {
        let fit = |at: &usize| !past.contains(at) && circuit(standings[*at].circuit);
        (0..standings.len()).filter(fit).collect()
    };
    let mut left = there(|circuit| circuit == Circuit::Closed);
    if left.is_empty() {
        left = there(|circuit| circuit == Circuit::HalfOpen);
    }
    let mut draw = |dice: f64| (!left.is_empty()).then(|| left.remove(at(dice, left.len())));
    let (one, other) = (draw(dice[0])?, draw(dice[1]));
    let cost = |at: usize| standings[at].seconds * f64::from(standings[at].in_flight + 1);
    Some(
        other
            .filter(|other| cost(*other) < cost(one))
            .unwrap_or(one),
    )
}

/// A place in a list of `n`, which is not empty.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small list"
)]
fn at(dice: f64, n: usize) -> usize {
    ((dice.clamp(0.0, 1.0) * n as f64) as usize).min(n - 1)
}

/// The addresses of one provider, by place.
#[derive(Debug)]
pub(in crate::gateway) struct Endpoints {
    places: Vec<Mutex<Place>>,
    /// What other processes know was asked for.
    heard: AtomicBool,
}

#[derive(Debug, Default)]
struct Place {
    breaker: Breaker,
    pace: Pace,
    in_flight: u32,
    /// When a trial failed last though the server had said that it was there.
    lost: Option<Timestamp>,
    /// Other processes were told of trouble here, or have told of it.
    told: bool,
}

/// The right to send one request to the address at `place`.
#[derive(Debug)]
pub(in crate::gateway) struct EndpointPermit<'a> {
    endpoints: &'a Endpoints,
    pub(in crate::gateway) place: usize,
    /// It is the one request that a half-open circuit lets through, and which in a row of those.
    pub(in crate::gateway) probes: Option<u32>,
    /// It is a trial, made beside another address that works.
    pub(in crate::gateway) trial: bool,
    given: Timestamp,
    /// `None`: the outcome has been told.
    ticket: Mutex<Option<Ticket>>,
}

impl Endpoints {
    /// As many as the provider has addresses; the guide has one of its own.
    pub(in crate::gateway) fn new(addresses: usize) -> Self {
        Self {
            places: (0..addresses.max(1)).map(|_| Mutex::default()).collect(),
            heard: AtomicBool::new(false),
        }
    }

    pub(in crate::gateway) fn len(&self) -> usize {
        self.places.len()
    }

    /// Asks for the right to send: to the same address again, if one is named and it is not shut, else to the one that
    /// promises most, past those that were left.
    pub(in crate::gateway) fn enter(
        &self,
        again: Option<usize>,
        past: &[usize],
        now: Timestamp,
        dice: [f64; 2],
    ) -> Result<EndpointPermit<'_>, Shut> {
        if let Some(pass) = again.and_then(|place| self.pass(place, now).ok()) {
            return Ok(pass);
        }
        let mut past = past.to_vec();
        // Whoever comes second finds the place in a half-open circuit taken, and looks for another.
        while let Some(place) = choose(&self.standings(now), &past, dice) {
            match self.pass(place, now) {
                Ok(entered) => return Ok(entered),
                Err(_) => past.push(place),
            }
        }
        Err(self.shut(now))
    }

    /// The right to try an address that may work again, where another one works and can be asked if this one does not.
    /// Without such trials an address that has recovered would stay out for as long as any other works.
    pub(in crate::gateway) fn trial(
        &self,
        past: &[usize],
        now: Timestamp,
    ) -> Option<EndpointPermit<'_>> {
        let standings = self.standings(now);
        let are = |circuit: Circuit| {
            let fit = |at: &usize| !past.contains(at) && standings[*at].circuit == circuit;
            (0..standings.len()).filter(fit).collect::<Vec<_>>()
        };
        if are(Circuit::Closed).is_empty() {
            return None;
        }
        let mut due = are(Circuit::HalfOpen)
            .into_iter()
            .filter(|at| !self.place(*at).is_spared(now));
        let mut entered = due.find_map(|at| self.pass(at, now).ok())?;
        entered.trial = true;
        Some(entered)
    }

    /// Whether nobody has asked yet what other processes know; from now on somebody has.
    pub(in crate::gateway) fn is_unheard(&self) -> bool {
        !self.heard.swap(true, Relaxed)
    }

    /// Takes in what another process knew of an address.
    pub(in crate::gateway) fn recall(&self, place: usize, outage: &Outage, now: Timestamp) {
        let mut known = self.place(place);
        known.breaker.recall(outage, now);
        known.lost = known.lost.or(outage.lost);
        known.told = true;
    }

    /// What other processes should know of an address and do not.
    pub(in crate::gateway) fn news(&self, place: usize) -> Option<News> {
        let mut known = self.place(place);
        let outage = known.breaker.outage().map(|outage| Outage {
            lost: known.lost,
            ..outage
        });
        let before = std::mem::replace(&mut known.told, outage.is_some());
        outage.map(News::Trouble).or(before.then_some(News::Over))
    }

    /// Whether one that is not among `past` might be asked now.
    pub(in crate::gateway) fn has_other(&self, past: &[usize], now: Timestamp) -> bool {
        (0..self.len())
            .any(|place| !past.contains(&place) && self.place(place).breaker.shut(now).is_none())
    }

    /// The circuit of the provider as a whole: the best there is.
    pub(in crate::gateway) fn circuit(&self, now: Timestamp) -> Circuit {
        let best = |circuit: &Circuit| match circuit {
            Circuit::Closed => (0, Timestamp::default()),
            Circuit::HalfOpen => (1, Timestamp::default()),
            Circuit::Open { until } => (2, *until),
        };
        self.standings(now)
            .into_iter()
            .map(|standing| standing.circuit)
            .min_by_key(best)
            .unwrap_or_default()
    }

    /// Why nobody may send anywhere.
    fn shut(&self, now: Timestamp) -> Shut {
        let each = (0..self.len()).filter_map(|place| self.place(place).breaker.shut(now));
        each.min().unwrap_or(Shut::Until(now))
    }

    fn pass(&self, place: usize, now: Timestamp) -> Result<EndpointPermit<'_>, Shut> {
        let mut known = self.place(place);
        let ticket = known.breaker.admit(now)?;
        known.in_flight += 1;
        drop(known);
        let (probes, ticket) = (ticket.probe, Mutex::new(Some(ticket)));
        Ok(EndpointPermit {
            endpoints: self,
            place,
            probes,
            trial: false,
            given: now,
            ticket,
        })
    }

    fn standings(&self, now: Timestamp) -> Vec<Standing> {
        let standing = |place: usize| {
            let known = self.place(place);
            let (circuit, seconds) = (known.breaker.state(now), known.pace.seconds(now));
            Standing {
                circuit,
                seconds,
                in_flight: known.in_flight,
            }
        };
        (0..self.len()).map(standing).collect()
    }

    fn place(&self, place: usize) -> MutexGuard<'_, Place> {
        self.places[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request was lost on it not long ago.
    fn is_spared(&self, now: Timestamp) -> bool {
        self.lost
            .is_some_and(|lost| (lost..lost.plus(SPARED)).contains(&now))
    }
}

impl EndpointPermit<'_> {
    /// It took so long to the headers of a response.
    pub(in crate::gateway) fn opened(&self, after: Duration, now: Timestamp) {
        let mut known = self.endpoints.place(self.place);
        if self.probes.is_some() {
            // How slow it was while it failed says nothing of an address that is back.
            known.pace = Pace::default();
        }
        known.pace.take(after.as_secs_f64(), now);
    }

    /// A question that costs nothing has found nobody there.
    pub(in crate::gateway) fn found_nobody(&self, now: Timestamp, dice: f64) {
        if let Some(ticket) = self.ticket().take() {
            self.endpoints
                .place(self.place)
                .breaker
                .on(ticket, Outcome::Fails(None), now, dice);
        }
    }

    /// A part of an answer is there: a half-open circuit is closed now, not when the answer ends. `true`: it was this
    /// part that closed it.
    pub(in crate::gateway) fn answers(&self, now: Timestamp) -> bool {
        let mut held = self.ticket();
        let Some(ticket) = held.take_if(|ticket| ticket.probe.is_some()) else {
            return false;
        };
        let mut known = self.endpoints.place(self.place);
        known.breaker.on(ticket, Outcome::Works, now, 0.0);
        known.lost = None;
        // How it ends counts like the end of any other.
        *held = known.breaker.admit(now).ok();
        true
    }

    /// Tells what became of the request; only the first word counts.
    pub(in crate::gateway) fn tell(&self, outcome: Outcome, now: Timestamp, dice: f64) {
        let Some(ticket) = self.ticket().take() else {
            return;
        };
        let mut known = self.endpoints.place(self.place);
        if let Outcome::Fails(_) = outcome {
            known.pace.take(FAILED, now);
            known.lost = self.trial.then_some(now).or(known.lost);
        }
        known.breaker.on(ticket, outcome, now, dice);
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EndpointPermit<'_> {
    fn drop(&mut self) {
        let ticket = self.ticket().take();
        let mut known = self.endpoints.place(self.place);
        known.in_flight = known.in_flight.saturating_sub(1);
        if let Some(ticket) = ticket {
            known.breaker.give_back(ticket, self.given);
        }
    }
}

#[cfg(test)]
mod tests;
