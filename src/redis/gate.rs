//! Whether Redis is asked at all.
//!
//! Owns: the count of failures in a row, and the time for which a broken server is left alone.
//! Refuses: the clock; `now` is handed in.
//! Invariant: a server that is down costs its waiting once, not once per request; after the pause one call tries it.

use std::time::{Duration, Instant};

/// Failures in a row after which it is left alone.
const FAILURES: u32 = 3;
/// For how long.
const PAUSE: Duration = Duration::from_secs(30);

/// The circuit before the server.
#[derive(Debug, Default)]
pub(super) struct Gate {
    failures: u32,
    /// When the next call is let through.
    closed_until: Option<Instant>,
}

impl Gate {
    /// Whether a call may be made now. At the end of the pause only one may, until it is known how it went; if nobody
    /// hears of it, the next one may after another pause.
    pub(super) fn lets_through(&mut self, now: Instant) -> bool {
        match self.closed_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.closed_until = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// Whether the server is left alone. Lets nothing through.
    pub(super) fn is_closed(&self, now: Instant) -> bool {
        self.closed_until.is_some_and(|until| now < until)
    }

    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// A call failed. One that took all the patience there is weighs as much as three: nobody waits a second time.
    pub(super) fn failed(&mut self, late: bool, now: Instant) {
        self.failures = self
            .failures
            .saturating_add(if late { FAILURES } else { 1 });
        if self.failures >= FAILURES {
            self.closed_until = Some(now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quick_failures_or_a_late_one_close_it_for_half_a_minute() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut gate = Gate::default();
        for _ in 0..2 {
            gate.failed(false, at(0));
            assert!(gate.lets_through(at(0)), "two are an accident");
        }
        gate.failed(false, at(0));
        assert!(!gate.lets_through(at(29)));
        assert!(gate.lets_through(at(30)), "one looks whether it is back");
        assert!(!gate.lets_through(at(31)), "and only one");
        gate.failed(false, at(31));
        assert!(!gate.lets_through(at(60)));
        assert!(gate.lets_through(at(61)));
        gate.worked();
        assert!(gate.lets_through(at(61)) && gate.lets_through(at(61)));
        gate.failed(true, at(62));
        assert!(!gate.lets_through(at(62)), "the waiting is paid once");
    }

    #[test]
    fn a_success_between_starts_the_count_anew() {
        let now = Instant::now();
        let mut gate = Gate::default();
        for _ in 0..10 {
            gate.failed(false, now);
            gate.failed(false, now);
            gate.worked();
        }
        assert!(gate.lets_through(now));
    }
}
