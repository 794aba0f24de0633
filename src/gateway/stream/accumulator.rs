//! What has arrived of an answer: counted, and waiting to be shown.
//!
//! Owns: [`StreamState`], the state of a streaming answer, and when the front end is told of it.
//! Refuses: to read the stream, to store and to settle.
//! Invariant: all output is counted, shown or not; no piece is lost or shown twice; within text and within reasoning the
//! order stays.

use std::time::Duration;

use tokio::time::Instant;

use crate::chat::{Delta, Reply};
use crate::gateway::stream::output_cap::{OutputCapMeter, Side};
use crate::tokens::{self, TokenCount, Tokenizer};

/// The longest that pieces are joined while more of them lie ready: a stream may never pause.
const LONGEST_JOIN: Duration = Duration::from_millis(33);
/// Shortest time between two events with figures: digits that change faster cannot be read.
const FIGURES_EVERY: Duration = Duration::from_millis(200);

/// The state of a streaming answer.
pub(in crate::gateway) struct StreamState {
    tokenizer: Tokenizer,
    pub(in crate::gateway) reply: Reply,
    pub(in crate::gateway) meter: OutputCapMeter,
    /// When the first piece came.
    pub(in crate::gateway) first_piece: Option<std::time::Instant>,
    /// What came after the answer was cut: not shown, and billed all the same.
    unseen: String,
    unshown: Unshown,
    figures_at: Option<Instant>,
}

/// Pieces that the front end was not told of yet: all that lay ready to be read at once.
#[derive(Debug, Default)]
struct Unshown {
    text: String,
    reasoning: String,
    /// When the first of them came; `None` when there are none.
    since: Option<Instant>,
}

impl StreamState {
    pub(in crate::gateway) fn new(tokenizer: Tokenizer, cap: u64) -> Self {
        Self {
            tokenizer,
            reply: Reply::default(),
            meter: OutputCapMeter::new(tokenizer, cap),
            first_piece: None,
            unseen: String::new(),
            unshown: Unshown::default(),
            figures_at: None,
        }
    }

    /// Takes a piece of text or reasoning that is to be shown.
    pub(in crate::gateway) async fn push(&mut self, side: Side, piece: &str) {
        self.first_piece.get_or_insert_with(std::time::Instant::now);
        self.meter.push(side, piece).await;
        if piece.is_empty() {
            return;
        }
        self.unshown.since.get_or_insert_with(Instant::now);
        match side {
            Side::Text => self.unshown.text.push_str(piece),
            Side::Reasoning => self.unshown.reasoning.push_str(piece),
        }
    }

    /// Takes what comes after the cut for the bill only.
    pub(in crate::gateway) fn push_unseen(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) | Delta::Reasoning(text) => {
                self.reply.stale = true;
                self.unseen.push_str(text);
            }
            other => self.reply.push(other),
        }
    }

    pub(in crate::gateway) fn has_unshown(&self) -> bool {
        self.unshown.since.is_some()
    }

    /// Whether what waits is to be shown now, though more lies ready.
    pub(in crate::gateway) fn is_overdue(&self) -> bool {
        self.unshown
            .since
            .is_some_and(|since| since.elapsed() >= LONGEST_JOIN)
    }

    /// The reasoning and the text to show now.
    pub(in crate::gateway) fn take_unshown(&mut self) -> (String, String) {
        let Unshown {
            text, reasoning, ..
        } = std::mem::take(&mut self.unshown);
        (reasoning, text)
    }

    /// Whether the figures are to be shown now; `true` at most every [`FIGURES_EVERY`].
    pub(in crate::gateway) fn figures_due(&mut self, now: Instant) -> bool {
        let due = self
            .figures_at
            .is_none_or(|last| now >= last + FIGURES_EVERY);
        if due {
            self.figures_at = Some(now);
        }
        due
    }

    /// Our count of all that arrived, for when the server does not say. A usage before the end is no final word.
    pub(in crate::gateway) async fn counted(&self, complete: bool) -> TokenCount {
        if complete && self.reply.usage.is_some() {
            return TokenCount::default();
        }
        let texts = [
            self.reply.text.clone(),
            self.reply.reasoning.clone(),
            self.unseen.clone(),
        ];
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        let encoding = self.tokenizer.encoding();
        let work = move || texts.iter().map(|text| tokens::count(encoding, text)).sum();
        let tokens = tokio::task::spawn_blocking(work).await.unwrap_or(bytes);
        let upper = if matches!(self.tokenizer, Tokenizer::Guess(_)) {
            bytes
        } else {
            tokens
        };
        TokenCount {
            tokens,
            upper,
            exact: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;

    fn state() -> StreamState {
        StreamState::new(Tokenizer::Known(Encoding::O200kBase), 100)
    }

    #[tokio::test]
    async fn pieces_that_wait_are_joined_and_shown_once() {
        let mut state = state();
        state.push(Side::Text, "").await;
        assert!(!state.has_unshown(), "an empty piece is not shown");
        for (side, piece) in [
            (Side::Text, "a"),
            (Side::Reasoning, "hm"),
            (Side::Text, "b"),
        ] {
            state.push(side, piece).await;
        }
        assert!(state.has_unshown());
        assert_eq!(state.take_unshown(), ("hm".to_owned(), "ab".to_owned()));
        assert!(!state.has_unshown());
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_of_a_stream_that_never_pauses_are_shown_in_time() {
        let mut state = state();
        assert!(!state.is_overdue(), "nothing waits");
        state.push(Side::Text, "a").await;
        tokio::time::advance(Duration::from_millis(32)).await;
        state.push(Side::Text, "b").await;
        assert!(!state.is_overdue());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(state.is_overdue());
        state.take_unshown();
        assert!(!state.is_overdue());
    }

    #[test]
    fn figures_are_shown_at_once_and_five_times_a_second() {
        let (mut state, began) = (state(), Instant::now());
        let shown: Vec<u64> = (0..60)
            .map(|n| n * 17)
            .filter(|at| state.figures_due(began + Duration::from_millis(*at)))
            .collect();
        assert_eq!(shown, [0, 204, 408, 612, 816]);
    }
}
