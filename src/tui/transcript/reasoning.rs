//! What the model thought before it answered: a part of its own that folds away.
//!
//! Owns: [`Reasoning`]: its text, how long it took, what it cost, and how much of it is shown.
//! Refuses: to be a part of the answer; a copy of the message is without it.
//! Invariant: a piece costs the work of its own paragraph, however long the thought; while it comes, the last rows are
//! on view, and once the answer begins it folds, unless the user has said otherwise.

use std::time::{Duration, Instant};

use ratatui::text::{Line, Span};

use super::view::View;
use crate::chat::{Cost, SafeText, Sanitiser};
use crate::tui::format::{seconds, thousands};
use crate::tui::wrap;

/// Rows on view while it comes.
const TAIL: usize = 6;
/// A paragraph longer than this, in bytes, is broken where it is, so that it is not laid out again with every piece.
const LONG: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Reasoning {
    sanitiser: Sanitiser,
    pub(super) text: SafeText,
    /// 0: the provider did not say.
    pub(super) tokens: u64,
    pub(super) cost: Option<Cost>,
    /// When its first piece came, if it streamed here, and how long it has gone on.
    began: Option<Instant>,
    lasted: Duration,
    /// The user's word: unfolded or folded; `None`: as it goes.
    unfolded: Option<bool>,
    rows: ReasoningRows,
}

/// The rows laid out so far.
#[derive(Debug, Default)]
struct ReasoningRows {
    lines: Vec<Line<'static>>,
    /// Lines that can no longer change, and the bytes that they show.
    settled: usize,
    done: usize,
    laid: u64,
}

/// How much is on view.
enum Unfolded {
    Nothing,
    Tail,
    All,
}

impl Reasoning {
    pub(super) fn push(&mut self, raw: &str) {
        let safe = self.sanitiser.push(raw);
        self.text.push(&safe);
    }

    /// A piece came at this time.
    pub(super) fn clock(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        self.lasted = now.saturating_duration_since(began);
    }

    pub(super) fn finish(&mut self) {
        let rest = self.sanitiser.finish();
        self.text.push(&rest);
    }

    /// Characters that were made visible.
    pub(super) fn altered(&self) -> usize {
        self.sanitiser.altered()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tokens == 0
    }

    /// Folds what is unfolded and the other way round. A tail on view unfolds to the whole.
    pub(super) fn toggle(&mut self) {
        self.unfolded = Some(self.unfolded != Some(true));
    }

    pub(super) fn forget(&mut self) {
        self.rows = ReasoningRows {
            laid: self.rows.laid,
            ..ReasoningRows::default()
        };
    }

    /// How many bytes have been laid out so far, over and over ones included.
    #[cfg(test)]
    pub(super) fn laid_bytes(&self) -> u64 {
        self.rows.laid
    }

    /// `▸ thought for 12 s · 1,204 tokens · $0.0012`.
    pub(super) fn head(&self, view: View, thinking: bool) -> Line<'static> {
        let fold = match self.shown(thinking) {
            _ if self.text.is_empty() => "·",
            Unfolded::Nothing => "▸",
            Unfolded::Tail | Unfolded::All => "▾",
        };
        let mut words = format!("{fold} {}", if thinking { "thinking" } else { "thought" });
        if self.lasted.as_secs() > 0 {
            words.push_str(" for ");
            words.push_str(&seconds(self.lasted));
        }
        if self.tokens > 0 {
            words.push_str(" · ");
            words.push_str(&thousands(self.tokens));
            words.push_str(if self.tokens == 1 {
                " token"
            } else {
                " tokens"
            });
        }
        if let Some(cost) = self.cost.filter(|_| self.tokens > 0) {
            words.push_str(" · ");
            words.push_str(&cost.to_string());
        }
        let mut line = wrap::cut(&Line::styled(words, view.palette.dim), view.body_width());
        line.spans.insert(0, Span::raw(" ".repeat(view.indent())));
        line
    }

    /// Makes the rows that are on view, and says how many they are.
    pub(super) fn lay_out(&mut self, view: View, thinking: bool) -> usize {
        if !matches!(self.shown(thinking), Unfolded::Nothing) {
            self.rows.lay_out(self.text.as_str(), view);
        }
        self.lines(thinking).len()
    }

    /// The rows on view, which have been laid out.
    pub(super) fn lines(&self, thinking: bool) -> &[Line<'static>] {
        let all = self.rows.lines.as_slice();
        match self.shown(thinking) {
            Unfolded::Nothing => &[],
            Unfolded::Tail => &all[all.len().saturating_sub(TAIL)..],
            Unfolded::All => all,
        }
    }

    fn shown(&self, thinking: bool) -> Unfolded {
        match (self.unfolded, thinking) {
            (Some(true), _) => Unfolded::All,
            (None, true) => Unfolded::Tail,
            (None, false) | (Some(false), _) => Unfolded::Nothing,
        }
    }
}

impl ReasoningRows {
    fn lay_out(&mut self, text: &str, view: View) {
        self.lines.truncate(self.settled);
        while let Some(length) = settled(&text[self.done..]) {
            let paragraph = &text[self.done..self.done + length];
            // Without its line break, which would be a row of its own; an empty paragraph is one.
            let words = paragraph.strip_suffix('\n').unwrap_or(paragraph);
            if words.is_empty() {
                self.lines.push(Line::default());
            } else {
                self.wrap(words, view);
            }
            self.done += length;
        }
        self.settled = self.lines.len();
        self.wrap(&text[self.done..], view);
    }

    fn wrap(&mut self, words: &str, view: View) {
        self.laid += words.len() as u64;
        self.lines.extend(wrap::words(
            &[Span::styled(words, view.palette.dim)],
            view.body_width(),
        ));
    }
}

/// The length of the first part of `rest` that nothing can change any more; `None`: there is none.
fn settled(rest: &str) -> Option<usize> {
    let line = memchr::memchr(b'\n', rest.as_bytes())
        .map(|at| at + 1)
        .filter(|end| *end <= LONG);
    // Only what is decided by the text itself, not by how much of it has come.
    if line.is_some() || rest.len() <= 2 * LONG {
        return line;
    }
    // Where a word ends; a word as long as this is cut.
    let space = rest.as_bytes()[LONG..2 * LONG]
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\n'));
    Some(space.map_or_else(|| rest.floor_char_boundary(2 * LONG), |at| LONG + at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Palette;

    fn all(reasoning: &mut Reasoning, view: View) -> Vec<String> {
        reasoning.lay_out(view, false);
        reasoning
            .lines(false)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn pieces_end_as_the_same_rows_as_the_whole() {
        let view = View {
            width: 40,
            palette: Palette::plain(),
        };
        let text = format!(
            "First,\n\nthen {}\nlast {}end",
            "a word and ".repeat(1_500),
            "x".repeat(20_000)
        );
        let mut whole = Reasoning {
            unfolded: Some(true),
            ..Reasoning::default()
        };
        whole.push(&text);
        let expected = all(&mut whole, view);
        for size in [1usize, 7, 4_000] {
            let mut pieces = Reasoning {
                unfolded: Some(true),
                ..Reasoning::default()
            };
            let mut rest = text.as_str();
            let mut n = 0;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.floor_char_boundary(size.min(rest.len())));
                pieces.push(piece);
                rest = after;
                n += 1;
                if n % 97 == 0 {
                    pieces.lay_out(view, false);
                }
            }
            assert_eq!(all(&mut pieces, view), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_long_thought_is_not_laid_out_again_with_every_piece() {
        let view = View {
            width: 80,
            palette: Palette::plain(),
        };
        let mut reasoning = Reasoning::default();
        for _ in 0..2_000 {
            reasoning.push(
                "a hundred bytes of a thought that has no paragraphs and goes on and on until somebody ends it ok. ",
            );
            reasoning.lay_out(view, true);
        }
        let (laid, length) = (reasoning.laid_bytes(), reasoning.text.len() as u64);
        assert!(laid <= length * 100, "{laid} bytes laid out for {length}");
        assert!(reasoning.rows.lines.len() > 2_000 && reasoning.lines(true).len() == TAIL);
    }
}
