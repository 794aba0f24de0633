//! The pace: whether spending at the present rate stays within the limits of the day and the month.
//!
//! Owns: the projection, and how many rungs `auto` goes down because of it.
//! Refuses: the clock and the ledger; it takes amounts and instants. `sizing` decides whether a request fits the money left.
//! Invariant: more spent never means a higher rung, and a change of spend by less than a fifth moves the level at most
//! once: a level that was taken because of a projection is left only well below it.

use crate::chat::{Scope, Timestamp, Usd};

/// A limit over a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaceWindow {
    pub(crate) scope: Scope,
    pub(crate) began_at: Timestamp,
    pub(crate) resets_at: Timestamp,
    /// What is settled. Reservations are left out: they are worst cases, and would send the second of two questions asked
    /// at once down the ladder. The hard limit counts them.
    pub(crate) spent: Usd,
    pub(crate) limit: Usd,
    /// Now, as it stands in a sentence about this window: `11:00`, `12 Nov`.
    pub(crate) by: String,
}

/// What the pace is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PaceInput {
    pub(crate) now: Timestamp,
    pub(crate) windows: Vec<PaceWindow>,
    /// The level in force at the last question of any process.
    pub(crate) held: u32,
}

/// How far down to go, and for which window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict<'a> {
    /// Rungs to go down from the best one.
    pub(super) level: u32,
    pub(super) window: Option<&'a PaceWindow>,
}

/// A window counts as at least this part gone (one third). At 00:01 a straight line through one expensive question would
/// point at a thousand times the limit, and the day would be over for the good rungs; with this, nothing steps down
/// before a third of the limit is spent, however early, and two rungs take two thirds. Later than that the line is drawn
/// through the real time: for a day it begins at 08:00, when most people's spending does.
const EARLY: i128 = 3;
/// A level is left when the projection is below this share of what led to it, in thousandths.
const RELEASE: u128 = 800;
/// No ladder is longer.
const LEVELS: u32 = 16;

impl PaceInput {
    pub(super) fn verdict(&self) -> Verdict<'_> {
        let tightest = self
            .windows
            .iter()
            .map(|w| (w.projected(self.now), w))
            .max_by_key(|(projected, _)| *projected);
        let level = level(
            self.held,
            tightest.as_ref().map_or(0, |(projected, _)| *projected),
        );
        Verdict {
            level,
            window: tightest.map(|(_, window)| window),
        }
    }
}

impl PaceWindow {
    /// What will have been spent at the end of the window, in thousandths of the limit. 0 for a limit of 0: there only
    /// what is free fits, and that is not paced.
    fn projected(&self, now: Timestamp) -> u128 {
        let length = i128::from(self.resets_at.0) - i128::from(self.began_at.0);
        let gone = (i128::from(now.0) - i128::from(self.began_at.0)).clamp(0, length.max(0));
        let (spent, limit) = (self.spent.pico().max(0), self.limit.pico());
        if length <= 0 || limit <= 0 {
            return 0;
        }
        let gone = gone.max(length / EARLY).max(1);
        let share =
            spent.saturating_mul(1000).saturating_mul(length) / limit.saturating_mul(gone).max(1);
        u128::try_from(share).unwrap_or(0)
    }

    /// `keeps the day's pace: $0.83 of $5.00 by 11:00`.
    pub(super) fn in_words(&self) -> String {
        format!(
            "keeps the {}'s pace: ${} of ${} by {}",
            self.scope,
            self.spent.short(),
            self.limit.short(),
            self.by
        )
    }
}

/// The level for a projection in thousandths of the limit. Level n is taken above 2^(n-1) times the limit: each rung of
/// a usual ladder costs a fraction of the one above it, so going down one halves the spending and more. It is left
/// below 0.8 times that.
fn level(held: u32, projected: u128) -> u32 {
    let reached = |release: u128| {
        (0..LEVELS)
            .take_while(|n| projected * 1000 > (1000u128 << n) * release)
            .count()
    };
    let levels = |release| u32::try_from(reached(release)).unwrap_or(LEVELS);
    held.clamp(levels(1000), levels(RELEASE))
}

#[cfg(test)]
mod tests;
