//! When to draw.
//!
//! Owns: the pace of frames: at once on the first change, then at most sixty a second.
//! Refuses: drawing; a clock of its own.
//! Invariant: without a wish there is no deadline, so an idle screen never wakes.

use std::time::{Duration, Instant};

/// The least time between two frames.
const GAP: Duration = Duration::from_micros(16_667);

#[derive(Debug, Default)]
pub struct Pace {
    wanted: bool,
    last: Option<Instant>,
}

impl Pace {
    /// Something visible has changed.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// When the next frame is to be drawn; `None`: never, as things are.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.wanted.then(|| self.last.map_or(now, |last| last + GAP))
    }

    /// Whether to draw now.
    pub fn due(&self, now: Instant) -> bool {
        self.next(now).is_some_and(|at| at <= now)
    }

    pub fn drawn(&mut self, now: Instant) {
        self.wanted = false;
        self.last = Some(now);
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
                pace.drawn(now);
                frames += 1;
            }
        }
        assert!((50..=60).contains(&frames), "{frames}");
        let later = start + Duration::from_secs(5);
        assert_eq!(pace.next(later).is_some(), pace.wanted);
        pace.drawn(later);
        assert_eq!(pace.next(later), None, "idle again");
    }
}
