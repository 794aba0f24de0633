//! Which key of a provider is used next.
//!
//! Owns: for each key whether it may be used now, on which models it cools, and how much of its rate limits is left.
//! Refuses: the clock and the keys; it works on indices and takes `now`.
//! Invariant: a key that is exhausted or cooling on a model is never picked for it; what is left of rate limits only
//! orders the others. Setting the clock back never keeps a key out of use.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chat::Timestamp;
use crate::gateway::upstream::rate_limits::Headroom;
use crate::provider::ResponseMeta;

/// The state of a provider's keys, by index.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    slots: Vec<KeySlot>,
    /// Where the next search starts, so that equal keys take turns.
    next: usize,
}

#[derive(Debug, Default, Clone)]
struct KeySlot {
    /// The source holds no key, or one that an earlier slot holds too.
    absent: bool,
    exhausted: Option<Exhausted>,
    /// As the server named it; `None` before the first answer, and for servers that do not say.
    organization: Option<String>,
    models: BTreeMap<String, ModelState>,
}

/// A key that must not be used at all.
#[derive(Debug, Clone)]
struct Exhausted {
    why: String,
    /// `None`: until the user acts.
    period: Option<Period>,
}

/// Rate limits belong to a key and a model.
#[derive(Debug, Default, Clone)]
struct ModelState {
    cooling: Period,
    /// The server knows no such model, at least not for this key.
    missing: Period,
    headroom: Headroom,
}

/// Has a start, because without one a clock that is set back would make it last for ever. Empty by default.
#[derive(Debug, Default, Clone, Copy)]
struct Period {
    since: Timestamp,
    until: Timestamp,
}

impl Period {
    fn holds(self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }

    /// From now until `until`; a period under way that ends later stays.
    fn extended(self, now: Timestamp, until: Timestamp) -> Self {
        if self.holds(now) && self.until >= until {
            self
        } else {
            Self { since: now, until }
        }
    }
}

/// Which key to use for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyChoice {
    /// Use the key with this index.
    Key(usize),
    /// Every key that is not exhausted is cooling; the first is free after this time.
    Wait(Duration),
    /// The caller skips every key that could be used.
    AllSkipped,
    /// Every key is exhausted; `index` is the last of them. `temporary`: it recovers without the user.
    Exhausted {
        index: usize,
        why: String,
        temporary: bool,
    },
    /// There are no keys.
    NoKeys,
}

impl KeySlot {
    fn is_usable(&self, now: Timestamp) -> bool {
        let is_over = |exhausted: &Exhausted| exhausted.period.is_some_and(|p| !p.holds(now));
        !self.absent && self.exhausted.as_ref().is_none_or(is_over)
    }

    /// When it stops cooling on this model; `None`: it does not cool.
    fn cools_until(&self, model: &str, now: Timestamp) -> Option<Timestamp> {
        let cooling = self.models.get(model)?.cooling;
        cooling.holds(now).then_some(cooling.until)
    }

    fn lacks(&self, model: &str, now: Timestamp) -> bool {
        self.models
            .get(model)
            .is_some_and(|state| state.missing.holds(now))
    }

    fn share_left(&self, model: &str, now: Timestamp) -> u64 {
        self.models
            .get(model)
            .map_or(Headroom::PLENTY, |state| state.headroom.share_left(now))
    }

    fn on_model(&mut self, model: &str) -> &mut ModelState {
        self.models.entry(model.to_owned()).or_default()
    }
}

impl KeyRing {
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            slots: vec![KeySlot::default(); keys],
            next: 0,
        }
    }

    /// The key for a request to `model`, not one of `skip`: of the usable ones, the key with the most left of its rate
    /// limits; equal keys take turns. One of its requests is counted as used.
    ///
    /// A key for which the server knew no such model comes last: another account may have the model.
    pub(crate) fn pick(&mut self, model: &str, now: Timestamp, skip: &[usize]) -> KeyChoice {
        let lacking = |(_, slot): &(usize, &KeySlot)| slot.lacks(model, now);
        let without: Vec<usize> = self
            .slots
            .iter()
            .enumerate()
            .filter(lacking)
            .map(|(index, _)| index)
            .collect();
        if !without.is_empty()
            && let key @ KeyChoice::Key(_) =
                self.pick_of_others(model, now, &[skip, &without[..]].concat())
        {
            return key;
        }
        self.pick_of_others(model, now, skip)
    }

    fn pick_of_others(&mut self, model: &str, now: Timestamp, skip: &[usize]) -> KeyChoice {
        let count = self.slots.len();
        if self.slots.iter().all(|slot| slot.absent) {
            return KeyChoice::NoKeys;
        }
        let mut best: Option<(u64, usize)> = None;
        let mut soonest: Option<Timestamp> = None;
        for index in (0..count).map(|step| (self.next + step) % count) {
            let slot = &self.slots[index];
            if !slot.is_usable(now) || skip.contains(&index) {
                continue;
            }
            if let Some(until) = slot.cools_until(model, now) {
                soonest = Some(soonest.map_or(until, |s| s.min(until)));
                continue;
            }
            let left = slot.share_left(model, now);
            if best.is_none_or(|(most, _)| left > most) {
                best = Some((left, index));
            }
        }
        match (best, soonest) {
            (Some((_, index)), _) => {
                self.next = (index + 1) % count;
                if let Some(state) = self.slots[index].models.get_mut(model) {
                    state.headroom.spend(now);
                }
                KeyChoice::Key(index)
            }
            (None, Some(until)) => KeyChoice::Wait(until.since(now)),
            (None, None) if !skip.is_empty() => KeyChoice::AllSkipped,
            (None, None) => self.last_exhausted(),
        }
    }

    fn last_exhausted(&self) -> KeyChoice {
        let last = self
            .slots
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, slot)| !slot.absent)
            .find_map(|(index, slot)| Some((index, slot.exhausted.as_ref()?)));
        last.map_or(KeyChoice::NoKeys, |(index, exhausted)| {
            KeyChoice::Exhausted {
                index,
                why: exhausted.why.clone(),
                temporary: exhausted.period.is_some(),
            }
        })
    }

    /// Rests a key on one model until `until`; an earlier end never shortens a later one.
    pub(crate) fn cool(&mut self, index: usize, model: &str, now: Timestamp, until: Timestamp) {
        if let Some(slot) = self.slots.get_mut(index) {
            let state = slot.on_model(model);
            state.cooling = state.cooling.extended(now, until);
        }
    }

    /// Notes that the server knows no such model for a key.
    pub(crate) fn note_missing_model(
        &mut self,
        index: usize,
        model: &str,
        now: Timestamp,
        until: Timestamp,
    ) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.on_model(model).missing = Period { since: now, until };
        }
    }

    /// Whether no usable key has this model.
    pub(crate) fn all_lack(&self, model: &str, now: Timestamp) -> bool {
        let mut usable = self
            .slots
            .iter()
            .filter(|slot| slot.is_usable(now))
            .peekable();
        usable.peek().is_some() && usable.all(|slot| slot.lacks(model, now))
    }

    /// Takes a key out of use until the user replaces it.
    pub(crate) fn disable(&mut self, index: usize, why: &str) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.exhausted = Some(Exhausted {
                why: why.to_owned(),
                period: None,
            });
        }
    }

    /// Takes a key out of use until its quota starts anew. A disabled one stays disabled.
    pub(crate) fn suspend(&mut self, index: usize, now: Timestamp, until: Timestamp, why: &str) {
        if let Some(slot) = self.slots.get_mut(index) {
            let is_disabled = slot.exhausted.as_ref().is_some_and(|e| e.period.is_none());
            if !is_disabled {
                slot.exhausted = Some(Exhausted {
                    why: why.to_owned(),
                    period: Some(Period { since: now, until }),
                });
            }
        }
    }

    /// Suspends every key of the account that this one belongs to: those seen with its organization, or all keys when
    /// its organization is not known.
    pub(crate) fn suspend_account(
        &mut self,
        index: usize,
        now: Timestamp,
        until: Timestamp,
        why: &str,
    ) {
        let Some(organization) = self.slots.get(index).map(|slot| slot.organization.clone()) else {
            return;
        };
        for other in 0..self.slots.len() {
            let is_same = organization.is_none() || self.slots[other].organization == organization;
            if (is_same || other == index) && !self.slots[other].absent {
                self.suspend(other, now, until, why);
            }
        }
    }

    /// Forgets what was known of a key, because another one, or none, has taken its slot.
    pub(crate) fn reset(&mut self, index: usize, present: bool) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = KeySlot {
                absent: !present,
                ..KeySlot::default()
            };
        }
    }

    /// Sets whether the slot's key may be picked. What is known of it stays.
    pub(crate) fn set_present(&mut self, index: usize, present: bool) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.absent = !present;
        }
    }

    /// Takes in what the headers of an answer, or of a refusal, say of the key.
    pub(crate) fn learn(&mut self, index: usize, model: &str, meta: &ResponseMeta, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if meta.organization.is_some() {
            slot.organization.clone_from(&meta.organization);
        }
        // Forget what is over, so that the map stays small.
        slot.models.retain(|name, state| {
            name == model
                || state.cooling.holds(now)
                || state.missing.holds(now)
                || !state.headroom.is_full(now)
        });
        let seen = Headroom::seen(meta, now);
        if !seen.is_full(now) {
            slot.on_model(model).headroom = seen;
        } else if let Some(state) = slot.models.get_mut(model) {
            state.headroom = seen;
        }
    }

    /// Takes in what another machine has seen of a key. When nothing is left, the key cools until the first request is
    /// available again, but for `longest` at most: another machine's report may order keys and delay one for a moment,
    /// no more.
    pub(in crate::gateway) fn learn_from_peer(
        &mut self,
        index: usize,
        model: &str,
        reported: Headroom,
        longest: Duration,
        now: Timestamp,
    ) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let known = slot
            .models
            .get(model)
            .map(|state| state.headroom)
            .unwrap_or_default();
        if reported.is_full(now) || !reported.is_after(&known) {
            return;
        }
        slot.on_model(model).headroom = reported;
        if let Some(back) = reported.back_at(now) {
            self.cool(index, model, now, back.min(now.plus(longest)));
        }
    }

    /// Whether a key other than `index` could be used for `model` at `now`.
    pub(crate) fn has_other(
        &self,
        index: usize,
        model: &str,
        skip: &[usize],
        now: Timestamp,
    ) -> bool {
        let is_free = |(other, slot): (usize, &KeySlot)| {
            other != index
                && !skip.contains(&other)
                && slot.is_usable(now)
                && slot.cools_until(model, now).is_none()
        };
        self.slots.iter().enumerate().any(is_free)
    }
}

#[cfg(test)]
mod tests;
