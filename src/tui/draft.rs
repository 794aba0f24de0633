//! When to tell the core about the draft.
//!
//! Owns: which revision was sent to be priced and which was saved, and when a receipt counts as late.
//! Refuses: the text.
//! Invariant: a receipt is asked for when the typing pauses, and twice a second while it does not, so that the last request
//! is for the newest text; a change is saved within a second; without a change there is no deadline.

use std::time::{Duration, Instant};

/// From the first unsaved change to saving.
const SAVE: Duration = Duration::from_millis(800);
/// A pause in the typing. A receipt costs more than drawing a key, and is not read between two keys.
const PAUSE: Duration = Duration::from_millis(120);
/// From one request for a receipt to the next while the typing does not pause.
const QUOTE: Duration = Duration::from_millis(500);
/// How long the receipt of an older draft is shown as if it were the new one's: until then most receipts have come, and
/// a line that dims and lights up again with every key is unrest.
const LATE: Duration = Duration::from_millis(900);

/// What the core knows of the draft.
#[derive(Debug, Default)]
pub(crate) struct DraftSync {
    priced: u64,
    saved: u64,
    unsaved_since: Option<Instant>,
    /// When a receipt was asked for last, the newest revision that was seen, and when.
    asked: Option<Instant>,
    seen: Option<(u64, Instant)>,
    /// Since when the receipt on the screen is that of an older draft, and whether that is shown.
    stale_since: Option<Instant>,
    late: bool,
}

impl DraftSync {
    /// Takes note of the draft as it is: its revision, its count of edits, and the revision of the receipt on the screen.
    pub(crate) fn observe(&mut self, rev: u64, edits: u64, receipt: Option<u64>, now: Instant) {
        if edits != self.saved {
            self.unsaved_since.get_or_insert(now);
        }
        if receipt.is_some_and(|shown| shown < rev) {
            self.stale_since.get_or_insert(now);
        }
    }

    /// Whether the draft is to be saved now.
    pub(crate) fn save_due(&self, now: Instant) -> bool {
        self.unsaved_since.is_some_and(|since| now >= since + SAVE)
    }

    /// The draft was saved after so many edits.
    pub(crate) fn saved(&mut self, edits: u64) {
        self.saved = edits;
        self.unsaved_since = None;
    }

    /// Whether to ask for the receipt of this revision now; if so, the time counts from here.
    pub(crate) fn ask(&mut self, rev: u64, now: Instant) -> bool {
        if rev <= self.priced {
            return false;
        }
        if self.seen.is_none_or(|(seen, _)| seen < rev) {
            self.seen = Some((rev, now));
        }
        let due = self.quote_at().is_some_and(|at| now >= at);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// The core took the request for this revision.
    pub(crate) fn priced(&mut self, rev: u64) {
        self.priced = self.priced.max(rev);
    }

    /// A receipt has come.
    pub(crate) fn answered(&mut self) {
        self.stale_since = None;
        self.late = false;
    }

    /// Whether the receipt has been that of an older draft for so long that it must look like it.
    pub(crate) fn is_late(&self) -> bool {
        self.late
    }

    /// Whether that becomes so now.
    pub(crate) fn grows_late(&mut self, now: Instant) -> bool {
        let grows = !self.late && self.stale_since.is_some_and(|since| now >= since + LATE);
        self.late |= grows;
        grows
    }

    /// When a receipt of the newest revision is to be asked for.
    fn quote_at(&self) -> Option<Instant> {
        let (_, changed) = self.seen?;
        let Some(asked) = self.asked else {
            return Some(changed);
        };
        // Also after a request that the core had no room for.
        Some((asked + QUOTE).min(changed.max(asked) + PAUSE))
    }

    /// When the next of these is due; `None`: nothing has changed.
    pub(crate) fn deadline(&self, rev: u64) -> Option<Instant> {
        let save = self.unsaved_since.map(|since| since + SAVE);
        let quote = self.quote_at().filter(|_| rev > self.priced);
        let late = self.stale_since.filter(|_| !self.late);
        [save, quote, late.map(|since| since + LATE)]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a receipt is asked for, in ms, of keys that come so many ms apart.
    fn asked(keys: u64, gap: u64) -> Vec<u64> {
        let (mut draft, start) = (DraftSync::default(), Instant::now());
        let mut asked = Vec::new();
        for ms in 0..keys * gap + 1_000 {
            let now = start + Duration::from_millis(ms);
            let rev = (ms / gap + 1).min(keys);
            draft.observe(rev, rev, None, now);
            if draft.ask(rev, now) {
                draft.priced(rev);
                asked.push(ms);
            }
        }
        asked
    }

    #[test]
    fn a_receipt_is_asked_for_at_the_first_key_twice_a_second_and_at_the_end() {
        assert_eq!(asked(1, 100), [0]);
        assert_eq!(asked(12, 100), [0, 500, 1_000, 1_220]);
        assert_eq!(
            asked(4, 300),
            [0, 420, 720, 1_020],
            "slow typing is priced key by key"
        );
    }

    #[test]
    fn a_request_that_the_core_had_no_room_for_is_made_again_after_a_moment() {
        let (mut draft, start) = (DraftSync::default(), Instant::now());
        let later = |ms| start + Duration::from_millis(ms);
        assert!(draft.ask(1, start));
        assert!(!draft.ask(1, later(119)), "the loop must not spin");
        assert!(draft.ask(1, later(120)));
    }

    #[test]
    fn a_receipt_is_late_when_none_has_come_for_long() {
        let (mut draft, start) = (DraftSync::default(), Instant::now());
        let later = |ms| start + Duration::from_millis(ms);
        draft.observe(2, 0, Some(1), start);
        assert!(!draft.grows_late(later(899)) && !draft.is_late());
        assert!(draft.grows_late(later(900)) && draft.is_late());
        assert!(!draft.grows_late(later(901)), "it is drawn once");
        draft.answered();
        assert!(!draft.is_late());
        assert_eq!(draft.deadline(2), None, "nothing is due");
    }
}
