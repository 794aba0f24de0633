//! Whether Redis is called at all: a circuit breaker.
//!
//! Owns: the count of failures in a row, and the time for which a broken server is left alone.
//! Refuses: the clock; `now` is handed in.
//! Invariant: requests wait once for a server that is down, not each of them; after the pause one call tries it.

use std::time::{Duration, Instant};

/// Failures in a row after which the server is left alone.
const FAILURES: u32 = 3;
/// How long it is left alone.
const PAUSE: Duration = Duration::from_secs(30);

/// The circuit before the server.
#[derive(Debug, Default)]
pub(super) struct Gate {
    failures: u32,
    /// When the next call is let through.
    closed_until: Option<Instant>,
}

impl Gate {
    /// Whether a call may be made now. After the pause one call may try the server. If its
    /// outcome is never reported, the next call may try after another pause.
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

    /// A call failed. A late one counts as three, so that no second call waits in vain.
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
