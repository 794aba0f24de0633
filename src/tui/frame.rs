//! When to draw.
//!
//! Owns: the pace of frames: at once on the first change, then at most sixty a second, and fewer where one takes long.
//! Refuses: drawing; a clock of its own.
//! Invariant: without a wish there is no deadline, so an idle screen never wakes.

use std::time::{Duration, Instant};

/// The least time between two frames. An answer comes in fewer, as the core gathers it; this is for what is typed too.
const GAP: Duration = Duration::from_micros(16_667);
/// The share of the time that drawing may take is one part in this many, whatever there is to draw.
const SHARE: u32 = 4;

#[derive(Debug, Default)]
pub struct Pace {
    wanted: bool,
    /// When the last frame was begun, and the time until the next.
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// Something visible has changed.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// When the next frame is to be drawn; `None`: never, as things are.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.wanted
            .then(|| self.last.map_or(now, |(last, gap)| last + gap))
    }

    /// Whether to draw now.
    pub fn due(&self, now: Instant) -> bool {
        self.next(now).is_some_and(|at| at <= now)
    }

    /// A frame was begun then, and took so long.
    pub fn drawn(&mut self, begun: Instant, took: Duration) {
        self.wanted = false;
        self.last = Some((begun, GAP.max(took * SHARE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_is_drawn_at_once_and_a_storm_sixty_times_a_second() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.next(start), None, "idle");
        let mut frames = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            pace.want();
            if pace.due(now) {
                assert!(ms > 0 || frames == 0);
                pace.drawn(now, Duration::ZERO);
                frames += 1;
            }
        }
        assert!((50..=60).contains(&frames), "{frames}");
        let later = start + Duration::from_secs(5);
        assert_eq!(pace.next(later).is_some(), pace.wanted);
        pace.drawn(later, Duration::ZERO);
        assert_eq!(pace.next(later), None, "idle again");
    }

    #[test]
    fn frames_that_take_long_are_few() {
        let start = Instant::now();
        for (took, gap) in [(1, 16), (4, 16), (5, 20), (50, 200)] {
            let mut pace = Pace::default();
            pace.drawn(start, Duration::from_millis(took));
            pace.want();
            let next = pace.next(start).map(|at| (at - start).as_millis());
            assert_eq!(next, Some(gap), "a frame of {took} ms");
        }
    }
}
