//! Pieces of an answer on their way to the front end, gathered to the frames of a screen.
//!
//! Owns: how often a front end is told, and when reading may rest meanwhile: at once after a pause, once a frame in a
//! flood, of which the rest lies where the system keeps it.
//! Refuses: to wait for anything; `live` has the timer, and asks for one only while something waits here.
//! Invariant: no piece is lost or told twice, and within text and within reasoning the order stays.

use std::time::Duration;

use tokio::time::Instant;

use crate::gateway::stream::output_cap::Side;

/// Shortest time between two tellings, unless the gateway was made with another. Text that comes thirty times a second
/// reads as smoothly as text that comes sixty times, at half the work.
pub(in crate::gateway) const FRAME: Duration = Duration::from_millis(33);
/// Shortest time between two tellings of the figures: nobody reads digits that change faster.
const FIGURES: Duration = Duration::from_millis(200);
/// So many pieces in one telling are a flood.
const FLOOD: u32 = 3;

/// What has arrived and was not told yet.
#[derive(Debug)]
pub(in crate::gateway) struct Frames {
    /// From one telling to the next; zero: every piece is told by itself.
    gap: Duration,
    text: String,
    reasoning: String,
    /// Pieces that wait, and whether the last telling was one of a flood.
    pieces: u32,
    flood: bool,
    last: Option<Instant>,
    figures: Option<Instant>,
}

impl Frames {
    pub(in crate::gateway) fn every(gap: Duration) -> Self {
        let (text, reasoning) = (String::new(), String::new());
        Self {
            gap,
            text,
            reasoning,
            pieces: 0,
            flood: false,
            last: None,
            figures: None,
        }
    }

    pub(in crate::gateway) fn push(&mut self, side: Side, piece: String) {
        if piece.is_empty() {
            return;
        }
        self.pieces += 1;
        let waiting = match side {
            Side::Text => &mut self.text,
            Side::Reasoning => &mut self.reasoning,
        };
        if waiting.is_empty() {
            *waiting = piece;
        } else {
            waiting.push_str(&piece);
        }
    }

    /// When what waits is to be told, with all that lies ready by then; `None`: nothing waits.
    pub(in crate::gateway) fn due(&self, now: Instant) -> Option<Instant> {
        (self.pieces > 0).then(|| self.last.map_or(now, |last| last + self.gap))
    }

    /// Whether what waits is to be told now, whatever else lies ready: a stream may never pause.
    pub(in crate::gateway) fn late(&self, now: Instant) -> bool {
        self.pieces > 0 && self.last.is_none_or(|last| now >= last + self.gap * 2)
    }

    /// Until when nothing need be read; `None`: read on.
    pub(in crate::gateway) fn rests(&self, now: Instant) -> Option<Instant> {
        let next = self
            .last
            .filter(|_| self.flood && self.pieces == 0)
            .map(|last| last + self.gap);
        next.filter(|next| *next > now)
    }

    /// What waits, reasoning and text. The next frame begins.
    pub(in crate::gateway) fn take(&mut self, now: Instant) -> (String, String) {
        self.last = Some(now);
        self.flood = std::mem::take(&mut self.pieces) >= FLOOD;
        (
            std::mem::take(&mut self.reasoning),
            std::mem::take(&mut self.text),
        )
    }

    /// Whether the figures are to be told along with what was taken now.
    pub(in crate::gateway) fn figures(&mut self, now: Instant) -> bool {
        let due = self.figures.is_none_or(|last| now >= last + FIGURES);
        if due {
            self.figures = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// What is told, and when, of pieces that come at these milliseconds; `live` is played here: it reads what lies ready
    /// unless it rests, and has a timer.
    fn told(gap: u64, pieces: &[(u64, &str)]) -> Vec<(u64, String)> {
        let began = Instant::now();
        let (mut frames, mut told, mut pieces) = (
            Frames::every(millis(gap)),
            Vec::new(),
            pieces.iter().peekable(),
        );
        let mut at = 0;
        while pieces.peek().is_some() || frames.due(began).is_some() {
            let now = began + millis(at);
            let mut tell = |frames: &mut Frames| told.push((at, frames.take(now).1));
            while frames.rests(now).is_none()
                && let Some((_, piece)) = pieces.next_if(|(came, _)| *came <= at)
            {
                frames.push(Side::Text, (*piece).to_owned());
                if frames.late(now) {
                    tell(&mut frames);
                }
            }
            if frames.due(now).is_some_and(|due| due <= now) {
                tell(&mut frames);
            }
            at += 1;
        }
        told
    }

    fn expect(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected
            .iter()
            .map(|(at, text)| (*at, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn the_first_piece_and_a_trickle_are_told_at_once() {
        assert_eq!(
            told(33, &[(0, "a"), (40, "b"), (500, "c")]),
            expect(&[(0, "a"), (40, "b"), (500, "c")])
        );
        assert_eq!(
            told(33, &[(7, ""), (9, "a"), (20, "b")]),
            expect(&[(9, "a"), (42, "b")]),
            "and no piece is empty"
        );
    }

    #[test]
    fn a_flood_is_told_once_a_frame_and_its_rest_with_the_next() {
        let flood: Vec<(u64, &str)> = (0..100).map(|n| (n, "x")).collect();
        let told = told(33, &flood);
        let texts: usize = told.iter().map(|(_, text)| text.len()).sum();
        assert_eq!((told.len(), texts, told[0].1.as_str()), (4, 100, "x"));
        assert!(
            told.windows(2).all(|two| two[1].0 - two[0].0 >= 33),
            "{told:?}"
        );
    }

    #[test]
    fn reading_rests_between_the_frames_of_a_flood_and_only_there() {
        let (mut frames, began) = (Frames::every(millis(33)), Instant::now());
        let mut telling = |at: u64, pieces: u32| {
            let now = began + millis(at);
            (0..pieces).for_each(|_| frames.push(Side::Text, "x".to_owned()));
            frames.take(now);
            frames
                .rests(now)
                .map(|until| u64::try_from((until - began).as_millis()).unwrap())
        };
        assert_eq!(
            telling(0, 1),
            None,
            "the first piece: what comes close behind it may be all"
        );
        assert_eq!(telling(33, 2), None, "a quick model is no flood");
        assert_eq!(telling(66, 3), Some(99));
        assert_eq!(telling(99, 700), Some(132));
        assert_eq!(telling(140, 1), None, "it has ebbed");
        assert_eq!(frames.rests(began + millis(200)), None);
    }

    #[test]
    fn a_stream_that_never_pauses_is_told_all_the_same() {
        let (mut frames, began) = (Frames::every(millis(33)), Instant::now());
        frames.push(Side::Text, "a".to_owned());
        assert!(frames.late(began), "the first piece");
        frames.take(began);
        assert!(!frames.late(began + millis(99)), "nothing waits");
        frames.push(Side::Text, "b".to_owned());
        assert_eq!(
            [33, 65, 66].map(|at| frames.late(began + millis(at))),
            [false, false, true]
        );
    }

    #[test]
    fn without_a_gap_every_piece_is_told_by_itself() {
        let pieces: Vec<(u64, &str)> = ["a", "b", "c", "d", "e"].map(|piece| (3, piece)).to_vec();
        assert_eq!(told(0, &pieces), expect(&pieces));
    }

    #[test]
    fn figures_are_told_five_times_a_second_and_at_once() {
        let (mut frames, began) = (Frames::every(FRAME), Instant::now());
        let told: Vec<u64> = (0..60)
            .map(|n| n * 17)
            .filter(|at| frames.figures(began + millis(*at)))
            .collect();
        assert_eq!(told, [0, 204, 408, 612, 816]);
    }

    #[test]
    fn nothing_wakes_when_nothing_waits() {
        let (mut frames, now) = (Frames::every(FRAME), Instant::now());
        assert_eq!(frames.due(now), None);
        frames.push(Side::Reasoning, "hm".to_owned());
        frames.push(Side::Text, "a".to_owned());
        assert_eq!(frames.due(now), Some(now));
        assert_eq!(frames.take(now), ("hm".to_owned(), "a".to_owned()));
        assert_eq!(frames.due(now), None);
    }
}
