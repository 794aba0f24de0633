//! When to draw, and how much.
//!
//! Owns: the pace of frames: keys, and the first and the last piece of an answer, are drawn at once; everything else
//! waits until thirty frames a second are not exceeded, and longer where a frame takes long.
//! Refuses: drawing; a clock of its own.
//! Invariant: without a wish there is no deadline, so an idle screen never wakes.

use std::time::{Duration, Instant};

/// The least time between two frames that can wait. Text that comes thirty times a second reads as smoothly as text that
/// comes sixty times, at half the work.
const GAP: Duration = Duration::from_millis(33);
/// The share of the time that frames which can wait may take is one part in this many.
const SHARE: u32 = 4;

/// What a change wants drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redraw {
    Nothing,
    /// The rows below the rule (queue, input, receipt, hints), at once: a key was typed.
    Foot,
    /// Everything, at once.
    Now,
    /// Everything, with the next frame.
    Soon,
}

/// Decides when the next frame is due.
#[derive(Debug, Default)]
pub(crate) struct FrameClock {
    wanted: Option<Wish>,
    /// When the last frame was begun, and how long it took.
    last: Option<(Instant, Duration)>,
}

#[derive(Debug, Clone, Copy)]
struct Wish {
    whole: bool,
    at_once: bool,
}

impl FrameClock {
    /// Something visible has changed.
    pub(crate) fn want(&mut self, redraw: Redraw) {
        if redraw == Redraw::Nothing {
            return;
        }
        let before = self.wanted;
        self.wanted = Some(Wish {
            whole: redraw != Redraw::Foot || before.is_some_and(|wish| wish.whole),
            at_once: redraw != Redraw::Soon || before.is_some_and(|wish| wish.at_once),
        });
    }

    /// When the next frame is to be drawn; `None`: never, as things are.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let wish = self.wanted?;
        Some(self.last.map_or(now, |(begun, took)| {
            // Even keys must leave time for reading what comes next.
            begun
                + if wish.at_once {
                    took * 2
                } else {
                    GAP.max(took * SHARE)
                }
        }))
    }

    /// Whether to draw now.
    pub(crate) fn due(&self, now: Instant) -> bool {
        self.next(now).is_some_and(|at| at <= now)
    }

    /// Whether nothing but the foot has changed.
    pub(crate) fn foot_only(&self) -> bool {
        self.wanted.is_some_and(|wish| !wish.whole)
    }

    /// A frame was begun then, and took so long.
    pub(crate) fn drawn(&mut self, begun: Instant, took: Duration) {
        self.wanted = None;
        self.last = Some((begun, took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_is_drawn_at_once_and_a_storm_thirty_times_a_second() {
        let start = Instant::now();
        let mut clock = FrameClock::default();
        assert_eq!(clock.next(start), None, "idle");
        let mut frames = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            clock.want(Redraw::Soon);
            if clock.due(now) {
                assert!(ms > 0 || frames == 0);
                clock.drawn(now, Duration::ZERO);
                frames += 1;
            }
        }
        assert!((28..=31).contains(&frames), "{frames}");
        let later = start + Duration::from_secs(5);
        assert!(clock.next(later).is_some());
        clock.drawn(later, Duration::ZERO);
        assert_eq!(clock.next(later), None, "idle again");
    }

    #[test]
    fn frames_that_take_long_are_few() {
        let start = Instant::now();
        for (took, gap) in [(1, 33), (8, 33), (10, 40), (50, 200)] {
            let mut clock = FrameClock::default();
            clock.drawn(start, Duration::from_millis(took));
            clock.want(Redraw::Soon);
            let next = clock.next(start).map(|at| (at - start).as_millis());
            assert_eq!(next, Some(gap), "a frame of {took} ms");
        }
    }

    #[test]
    fn a_key_waits_for_no_frame_and_takes_what_waits_along() {
        let start = Instant::now();
        let mut clock = FrameClock::default();
        clock.drawn(start, Duration::from_millis(1));
        clock.want(Redraw::Foot);
        assert!(clock.foot_only());
        let soon = start + Duration::from_millis(2);
        assert_eq!(
            clock.next(start),
            Some(soon),
            "a frame leaves as much time as it took"
        );
        clock.want(Redraw::Soon);
        assert_eq!(clock.next(start), Some(soon));
        assert!(!clock.foot_only(), "the stream is drawn with the key");
        clock.drawn(soon, Duration::ZERO);
        clock.want(Redraw::Soon);
        clock.want(Redraw::Now);
        assert!(clock.due(soon) && !clock.foot_only());
        clock.want(Redraw::Nothing);
        clock.drawn(soon, Duration::ZERO);
        clock.want(Redraw::Nothing);
        assert_eq!(clock.next(soon), None);
    }
}
