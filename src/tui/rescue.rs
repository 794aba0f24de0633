//! What can be had for a question that no provider could be reached for.
//!
//! Owns: [`Rescue`]: the offer that stands, and whether a key may be meant for it.
//! Refuses: to be a dialog; the input stays in hand, and what stands in it is left alone.
//! Invariant: a key is consent only after a moment in which nothing was typed, so that what was on its way when the
//! offer came is text.

use std::time::{Duration, Instant};

use crate::protocol::{Degraded, Offer};

/// A key sooner than this after the offer, or after another key, is part of what was being typed.
const QUIET: Duration = Duration::from_millis(700);

#[derive(Debug)]
pub(crate) struct Rescue {
    pub(crate) offer: Offer,
    /// When it came, or the last key since.
    stirred: Instant,
}

impl Rescue {
    pub(crate) fn new(offer: Offer, now: Instant) -> Self {
        Self {
            offer,
            stirred: now,
        }
    }

    /// A key was pressed. Whether it may be meant for the offer.
    pub(crate) fn heeds(&mut self, now: Instant) -> bool {
        let quiet = now.saturating_duration_since(self.stirred) >= QUIET;
        self.stirred = now;
        quiet
    }

    /// Whether this way is open.
    pub(crate) fn has(&self, way: Degraded) -> bool {
        way != Degraded::Kept || self.offer.kept.is_some()
    }
}
