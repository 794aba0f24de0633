//! Which key of a provider is used next.
//!
//! Owns: for each key whether it may be used now, on which models it cools, and how much of its rate limits is left.
//! Refuses: the clock and the keys; it works on places in a list and takes `now`.
//! Invariant: a key that is out or cooling on a model is never picked for it; what is left only orders the others.
//! A clock that was set back keeps no key out of use.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chat::Timestamp;
use crate::gateway::upstream::rate_limits::Headroom;
use crate::provider::ResponseMeta;

/// The keys of one provider, by place.
#[derive(Debug, Default)]
pub struct KeyRing {
    slots: Vec<Slot>,
    next: usize,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    /// The source of this place holds no key, or one that another place holds too.
    absent: bool,
    out: Option<Out>,
    /// As the server named it; `None` before the first answer, and where servers do not say.
    organization: Option<String>,
    models: BTreeMap<String, OnModel>,
}

/// A key that is not to be used at all.
#[derive(Debug, Clone)]
struct Out {
    why: String,
    /// `None`: until the user acts.
    during: Option<Span>,
}

/// Rate limits are those of a key and a model.
#[derive(Debug, Default, Clone)]
struct OnModel {
    cools: Span,
    /// The server knows no such model, at least not for this key.
    missing: Span,
    headroom: Headroom,
}

/// A time with a beginning, for without one a clock that was set back would make it last for ever. Empty by default.
#[derive(Debug, Default, Clone, Copy)]
struct Span {
    since: Timestamp,
    until: Timestamp,
}

impl Span {
    fn holds(self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }

    /// From now until `until`, or for longer if that was said before.
    fn at_least(self, now: Timestamp, until: Timestamp) -> Self {
        if self.holds(now) && self.until >= until {
            self
        } else {
            Self { since: now, until }
        }
    }
}

/// What the ring offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Use the key at this place.
    Key(usize),
    /// Every key that is not out is cooling; the first is free after this time.
    Wait(Duration),
    /// None of the others could be used; those that are left were passed over.
    Passed,
    /// Every key is out; the last of them, why, and whether that passes by itself some day.
    Out {
        place: usize,
        why: String,
        passes: bool,
    },
    /// There are none.
    Empty,
}

impl Slot {
    fn in_use(&self, now: Timestamp) -> bool {
        !self.absent
            && self
                .out
                .as_ref()
                .is_none_or(|out| out.during.is_some_and(|during| !during.holds(now)))
    }

    /// The end of its cooling; `None`: it does not cool.
    fn cools_until(&self, model: &str, now: Timestamp) -> Option<Timestamp> {
        self.models
            .get(model)
            .map(|on| on.cools)
            .filter(|cools| cools.holds(now))
            .map(|cools| cools.until)
    }

    fn lacks(&self, model: &str, now: Timestamp) -> bool {
        self.models
            .get(model)
            .is_some_and(|on| on.missing.holds(now))
    }

    fn share_left(&self, model: &str, now: Timestamp) -> u64 {
        self.models
            .get(model)
            .map_or(Headroom::PLENTY, |on| on.headroom.share_left(now))
    }
}

impl KeyRing {
    pub fn new(keys: usize) -> Self {
        Self {
            slots: vec![Slot::default(); keys],
            next: 0,
        }
    }

    /// The key for a request to `model`, past these places: of those that may be used the one with the most left of its
    /// rate limits; among equals the next in turn. Of its requests, one is counted as gone.
    ///
    /// A key for which the server knew no such model goes last: another account may have it.
    pub fn pick(&mut self, model: &str, now: Timestamp, past: &[usize]) -> Pick {
        let lack = |(_, slot): &(usize, &Slot)| slot.lacks(model, now);
        let without: Vec<usize> = self
            .slots
            .iter()
            .enumerate()
            .filter(lack)
            .map(|(at, _)| at)
            .collect();
        if !without.is_empty()
            && let key @ Pick::Key(_) = self.pick_past(model, now, &[past, &without[..]].concat())
        {
            return key;
        }
        self.pick_past(model, now, past)
    }

    fn pick_past(&mut self, model: &str, now: Timestamp, past: &[usize]) -> Pick {
        let count = self.slots.len();
        if self.slots.iter().all(|slot| slot.absent) {
            return Pick::Empty;
        }
        let mut best: Option<(u64, usize)> = None;
        let mut soonest: Option<Timestamp> = None;
        for at in (0..count).map(|step| (self.next + step) % count) {
            let slot = &self.slots[at];
            if !slot.in_use(now) || past.contains(&at) {
                continue;
            }
            if let Some(until) = slot.cools_until(model, now) {
                soonest = Some(soonest.map_or(until, |s| s.min(until)));
                continue;
            }
            let left = slot.share_left(model, now);
            if best.is_none_or(|(most, _)| left > most) {
                best = Some((left, at));
            }
        }
        match (best, soonest) {
            (Some((_, at)), _) => {
                self.next = (at + 1) % count;
                if let Some(on) = self.slots[at].models.get_mut(model) {
                    on.headroom.spend(now);
                }
                Pick::Key(at)
            }
            (None, Some(at)) => Pick::Wait(at.since(now)),
            (None, None) if !past.is_empty() => Pick::Passed,
            (None, None) => self.last_out(),
        }
    }

    fn last_out(&self) -> Pick {
        let seated = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.absent);
        let last = seated
            .rev()
            .find_map(|(at, slot)| Some((at, slot.out.as_ref()?)));
        last.map_or(Pick::Empty, |(place, out)| Pick::Out {
            place,
            why: out.why.clone(),
            passes: out.during.is_some(),
        })
    }

    /// Leaves a key alone on one model until `until`; an earlier end never shortens a later one.
    pub fn cool(&mut self, at: usize, model: &str, now: Timestamp, until: Timestamp) {
        if let Some(slot) = self.slots.get_mut(at) {
            let on = slot.models.entry(model.to_owned()).or_default();
            on.cools = on.cools.at_least(now, until);
        }
    }

    /// Notes that the server knows no such model for a key.
    pub fn miss(&mut self, at: usize, model: &str, now: Timestamp, until: Timestamp) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.models.entry(model.to_owned()).or_default().missing = Span { since: now, until };
        }
    }

    /// Whether no key that may be used has this model.
    pub fn all_lack(&self, model: &str, now: Timestamp) -> bool {
        let mut usable = self.slots.iter().filter(|slot| slot.in_use(now)).peekable();
        usable.peek().is_some() && usable.all(|slot| slot.lacks(model, now))
    }

    /// Drops a key until the user puts another one in its place.
    pub fn bar(&mut self, at: usize, why: &str) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.out = Some(Out {
                why: why.to_owned(),
                during: None,
            });
        }
    }

    /// Leaves a key alone until its quota starts anew. A dropped one stays dropped.
    pub fn park(&mut self, at: usize, now: Timestamp, until: Timestamp, why: &str) {
        if let Some(slot) = self.slots.get_mut(at) {
            let dropped = slot.out.as_ref().is_some_and(|out| out.during.is_none());
            if !dropped {
                slot.out = Some(Out {
                    why: why.to_owned(),
                    during: Some(Span { since: now, until }),
                });
            }
        }
    }

    /// Parks every key of the account that this one belongs to: those that were seen with its organisation, or all of
    /// them where nobody named one.
    pub fn park_account(&mut self, at: usize, now: Timestamp, until: Timestamp, why: &str) {
        let Some(organization) = self.slots.get(at).map(|slot| slot.organization.clone()) else {
            return;
        };
        for other in 0..self.slots.len() {
            let same = organization.is_none() || self.slots[other].organization == organization;
            if (same || other == at) && !self.slots[other].absent {
                self.park(other, now, until, why);
            }
        }
    }

    /// Another key stands at this place, or none: whatever was known of the old one is gone with it.
    pub fn renew(&mut self, at: usize, present: bool) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot {
                absent: !present,
                ..Slot::default()
            };
        }
    }

    /// Whether the key at this place may be picked there. What is known of it stays.
    pub fn seat(&mut self, at: usize, seated: bool) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.absent = !seated;
        }
    }

    /// Takes in what the headers of an answer, or of a refusal, say of the key.
    pub fn learn(&mut self, at: usize, model: &str, meta: &ResponseMeta, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if meta.organization.is_some() {
            slot.organization.clone_from(&meta.organization);
        }
        // What has passed is forgotten here, so that a ring holds no more than what is going on.
        slot.models.retain(|name, on| {
            name == model
                || on.cools.holds(now)
                || on.missing.holds(now)
                || !on.headroom.is_full(now)
        });
        let seen = Headroom::seen(meta, now);
        if !seen.is_full(now) {
            slot.models.entry(model.to_owned()).or_default().headroom = seen;
        } else if let Some(on) = slot.models.get_mut(model) {
            on.headroom = seen;
        }
    }

    /// Takes in what another machine was told of a key. Where nothing is left, the key cools until the first request is
    /// back, but for no longer than `most`: what others say may order keys and hold one back for a moment, no more.
    pub(in crate::gateway) fn hear(
        &mut self,
        at: usize,
        model: &str,
        heard: Headroom,
        most: Duration,
        now: Timestamp,
    ) {
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        let known = slot
            .models
            .get(model)
            .map(|on| on.headroom)
            .unwrap_or_default();
        if heard.is_full(now) || !heard.is_after(&known) {
            return;
        }
        slot.models.entry(model.to_owned()).or_default().headroom = heard;
        if let Some(back) = heard.back_at(now) {
            self.cool(at, model, now, back.min(now.plus(most)));
        }
    }

    /// Whether a key other than `at` could be used for `model` at `now`.
    pub fn has_other(&self, at: usize, model: &str, past: &[usize], now: Timestamp) -> bool {
        let free = |(n, slot): (usize, &Slot)| {
            n != at
                && !past.contains(&n)
                && slot.in_use(now)
                && slot.cools_until(model, now).is_none()
        };
        self.slots.iter().enumerate().any(free)
    }
}

#[cfg(test)]
mod tests;
