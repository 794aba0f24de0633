//! How the request under way is doing, and how the providers are.
//!
//! Owns: the last [`Link`] of each provider, and the pause before the next attempt.
//! Refuses: words and colours; clocks of its own.
//! Invariant: bounded, whatever the core says; a pause ends by its time, by data, or with the turn.

use std::time::{Duration, Instant};

use crate::protocol::{Circuit, Link};

/// Providers that are remembered.
const LINKS: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    /// The one in use last.
    links: Vec<Link>,
    pause: Option<Pause>,
}

/// The next request waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) why: String,
    pub(crate) until: Instant,
}

impl ConnectionState {
    /// The newest word about a provider.
    pub(crate) fn linked(&mut self, link: Link) {
        self.links.retain(|known| known.provider != link.provider);
        if self.links.len() >= LINKS {
            self.links.remove(0);
        }
        self.links.push(link);
    }

    pub(crate) fn paused(&mut self, why: String, ms: u64, now: Instant) {
        // A longer pause than a day is not worth counting down, and must not overflow the clock.
        let length = Duration::from_millis(ms).min(Duration::from_hours(24));
        self.pause = Some(Pause {
            why,
            until: now + length,
        });
    }

    /// Something came, or the turn is over.
    pub(crate) fn go_on(&mut self) {
        self.pause = None;
    }

    /// The pause that still lasts, and how long it will.
    pub(crate) fn pause(&self, now: Instant) -> Option<(&str, Duration)> {
        let pause = self.pause.as_ref().filter(|pause| pause.until > now)?;
        Some((&pause.why, pause.until.saturating_duration_since(now)))
    }

    /// The provider in use.
    pub(crate) fn current(&self) -> Option<&Link> {
        self.links.last()
    }

    /// Those of which something should be known, the one in use first.
    pub(crate) fn abnormal(&self) -> impl Iterator<Item = &Link> {
        self.links
            .iter()
            .rev()
            .filter(|link| link.circuit != Circuit::Closed || link.waiting > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(provider: &str, circuit: Circuit, waiting: u64) -> Link {
        Link {
            provider: provider.to_owned(),
            circuit,
            waiting,
            plain: false,
        }
    }

    #[test]
    fn the_newest_word_of_each_provider_counts() {
        let mut wire = ConnectionState::default();
        wire.linked(link("a", Circuit::HalfOpen, 0));
        wire.linked(link("b", Circuit::Closed, 0));
        assert_eq!(wire.current().map(|link| link.provider.as_str()), Some("b"));
        assert_eq!(
            wire.abnormal()
                .map(|link| link.provider.as_str())
                .collect::<Vec<_>>(),
            ["a"]
        );
        wire.linked(link("a", Circuit::Closed, 0));
        assert_eq!(wire.abnormal().count(), 0);
        for n in 0..1_000 {
            wire.linked(link(&n.to_string(), Circuit::HalfOpen, 1));
        }
        assert_eq!(wire.abnormal().count(), LINKS);
    }

    #[test]
    fn a_pause_ends_by_its_time_or_by_data() {
        let (mut wire, now) = (ConnectionState::default(), Instant::now());
        wire.paused("rate limited".to_owned(), 4_000, now);
        let left = |wire: &ConnectionState, ms: u64| {
            wire.pause(now + Duration::from_millis(ms))
                .map(|(_, left)| left.as_millis())
        };
        assert_eq!(
            (left(&wire, 0), left(&wire, 3_999), left(&wire, 4_000)),
            (Some(4_000), Some(1), None)
        );
        wire.go_on();
        assert_eq!(left(&wire, 0), None);
        wire.paused("for ever".to_owned(), u64::MAX, now);
        assert!(left(&wire, 1).is_some());
    }
}
