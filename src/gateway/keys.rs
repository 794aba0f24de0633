//! Which key of a provider is used next.
//!
//! Owns: for each key whether it may be used now; nothing of the keys themselves.
//! Refuses: the clock and the keys; it works on places in a list.
//! Invariant: a barred key is never picked again in this run; a cooling one not before its time.

use std::time::Duration;

use crate::chat::Timestamp;

/// The keys of one provider, by place.
#[derive(Debug, Default)]
pub struct KeyRing {
    slots: Vec<Slot>,
    next: usize,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    barred: Option<String>,
    cool_until: Timestamp,
}

/// What the ring offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Use the key at this place.
    Key(usize),
    /// Every key that is not barred is cooling; the first is free after this time.
    Wait(Duration),
    /// Every key is barred; why the last one was.
    Barred(String),
    /// There are none.
    Empty,
}

impl KeyRing {
    pub fn new(keys: usize) -> Self {
        Self { slots: vec![Slot::default(); keys], next: 0 }
    }

    /// The next key in turn that may be used at `now`.
    pub fn pick(&mut self, now: Timestamp) -> Pick {
        if self.slots.is_empty() {
            return Pick::Empty;
        }
        let count = self.slots.len();
        let order = (0..count).map(|step| (self.next + step) % count);
        let mut soonest: Option<Timestamp> = None;
        for at in order {
            let slot = &self.slots[at];
            if slot.barred.is_some() {
                continue;
            }
            if slot.cool_until <= now {
                self.next = (at + 1) % count;
                return Pick::Key(at);
            }
            soonest = Some(soonest.map_or(slot.cool_until, |s| s.min(slot.cool_until)));
        }
        match soonest {
            Some(at) => Pick::Wait(at.since(now)),
            None => Pick::Barred(self.slots.iter().rev().find_map(|s| s.barred.clone()).unwrap_or_default()),
        }
    }

    /// Leaves a key alone until `until`; an earlier end never shortens a later one.
    pub fn cool(&mut self, at: usize, until: Timestamp) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.cool_until = slot.cool_until.max(until);
        }
    }

    /// Drops a key for this run.
    pub fn bar(&mut self, at: usize, why: &str) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.barred = Some(why.to_owned());
        }
    }

    /// Whether a key other than `at` could be used at `now`.
    pub fn has_other(&self, at: usize, now: Timestamp) -> bool {
        let free = |(n, slot): (usize, &Slot)| n != at && slot.barred.is_none() && slot.cool_until <= now;
        self.slots.iter().enumerate().any(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn later(ms: u64) -> Timestamp {
        NOW.plus(Duration::from_millis(ms))
    }

    #[test]
    fn keys_take_turns_and_cooling_ones_are_passed_over() {
        let mut ring = KeyRing::new(3);
        assert_eq!([ring.pick(NOW), ring.pick(NOW)], [Pick::Key(0), Pick::Key(1)]);
        ring.cool(2, later(500));
        ring.cool(2, later(100));
        assert_eq!(ring.pick(NOW), Pick::Key(0));
        ring.cool(1, later(900));
        ring.bar(0, "401");
        assert!(!ring.has_other(0, NOW));
        assert_eq!(ring.pick(NOW), Pick::Wait(Duration::from_millis(500)), "the longer cooling holds");
        assert_eq!(ring.pick(later(500)), Pick::Key(2));
        ring.bar(1, "quota");
        ring.bar(2, "401");
        assert_eq!(ring.pick(later(9000)), Pick::Barred("401".into()));
        assert_eq!(KeyRing::new(0).pick(NOW), Pick::Empty);
    }
}
