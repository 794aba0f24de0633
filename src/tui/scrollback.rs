//! The transcript as the rest of the screen sees it.
//!
//! Owns: the [`Transcript`], and the messages of the user that one can go back to.
//! Refuses: layout and markdown; they are the transcript's.
//! Invariant: an answer that was started is finished or abandoned before the next one starts.

use std::time::Instant;

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::canvas::Canvas;
use super::theme::Palette;
use super::transcript::{Head, Transcript};
use crate::chat::{Failure, MessageId, Role};
use crate::protocol::{Answer, Entry, Notice, Progress, Started};

#[derive(Debug)]
pub(crate) struct Scrollback {
    transcript: Transcript,
    palette: Palette,
    prompts: Vec<(MessageId, String)>,
    /// The answer that streams, and the bytes of text and reasoning that came.
    streaming: Option<(MessageId, usize, usize)>,
    answer: Option<String>,
}

impl Scrollback {
    pub(crate) fn new(palette: Palette) -> Self {
        Self {
            transcript: Transcript::new(80, palette),
            palette,
            prompts: Vec::new(),
            streaming: None,
            answer: None,
        }
    }

    /// Shows another chat.
    pub(crate) fn open(&mut self, entries: &[Entry]) {
        self.streaming = None;
        self.transcript.load(entries);
        self.prompts = entries
            .iter()
            .filter(|e| e.role == Role::User)
            .map(|e| (e.id.clone(), e.text.clone()))
            .collect();
        self.answer = entries
            .iter()
            .rfind(|e| e.role == Role::Assistant)
            .map(|e| e.text.clone());
    }

    pub(crate) fn prompted(&mut self, id: &MessageId, text: &str) {
        self.abandon();
        self.transcript.push_prompt(id.clone(), text);
        self.prompts.push((id.clone(), text.to_owned()));
    }

    pub(crate) fn started(&mut self, started: &Started) {
        self.abandon();
        self.transcript
            .start_answer(started.id.clone(), Head::started(started));
        self.streaming = Some((started.id.clone(), 0, 0));
    }

    /// Takes a piece of the text; returns whether it is the first.
    pub(crate) fn text(&mut self, id: &MessageId, text: &str) -> bool {
        let streaming = self.streaming.as_mut().filter(|(own, ..)| own == id);
        let first = streaming.is_some_and(|(_, length, _)| grow(length, text));
        self.transcript.push_text(id, text);
        first
    }

    /// Takes a piece of the reasoning; returns whether it is the first.
    pub(crate) fn reasoning(&mut self, id: &MessageId, text: &str, now: Instant) -> bool {
        let streaming = self.streaming.as_mut().filter(|(own, ..)| own == id);
        let first = streaming.is_some_and(|(_, _, length)| grow(length, text));
        self.transcript.push_thought(id, text, now);
        first
    }

    pub(crate) fn progress(&mut self, progress: &Progress) {
        self.transcript
            .set_progress(&progress.id, progress.cost, progress.usage.reasoning);
    }

    /// What going on with a cut answer would do.
    pub(crate) fn offer(&mut self, id: &MessageId, offer: Option<&str>) {
        self.transcript.set_offer(id, offer);
    }

    /// The answer is whole. What did not stream of it (all, from a cache) is shown now.
    pub(crate) fn finished(&mut self, answer: &Answer) {
        let (text, reasoning) = match self.streaming.take() {
            Some((id, text, reasoning)) if id == answer.id => (text, reasoning),
            other => {
                self.streaming = other;
                self.abandon();
                self.transcript
                    .start_answer(answer.id.clone(), Head::finished(&answer.facts));
                (0, 0)
            }
        };
        self.transcript.push_reasoning(
            &answer.id,
            answer.reasoning.get(reasoning..).unwrap_or_default(),
        );
        self.transcript
            .push_text(&answer.id, answer.text.get(text..).unwrap_or_default());
        self.transcript.finish_answer(&answer.id, &answer.facts);
        self.answer = Some(answer.text.clone());
    }

    pub(crate) fn failed(&mut self, failure: &Failure) {
        self.abandon();
        self.transcript.push_failure(failure);
    }

    pub(crate) fn notice(&mut self, notice: &Notice) {
        self.transcript.push_notice(notice);
    }

    /// The messages of the user, oldest first.
    pub(crate) fn prompts(&self) -> impl DoubleEndedIterator<Item = (&MessageId, &str)> {
        self.prompts.iter().map(|(id, text)| (id, text.as_str()))
    }

    pub(crate) fn scroll(&mut self, rows: i32) {
        self.transcript.scroll(rows as isize);
    }

    pub(crate) fn page(&mut self, pages: i32) {
        self.transcript.scroll_pages(pages as isize);
    }

    pub(crate) fn top(&mut self) {
        self.transcript.scroll_to_start();
    }

    pub(crate) fn bottom(&mut self) {
        self.transcript.deselect();
        self.transcript.scroll_to_end();
    }

    pub(crate) fn next_message(&mut self) {
        self.transcript.select_next();
    }

    pub(crate) fn previous_message(&mut self) {
        self.transcript.select_previous();
    }

    pub(crate) fn toggle_reasoning(&mut self) {
        self.transcript.toggle_reasoning();
    }

    /// Its name for the toast, and the source of the selected message, else of the last answer.
    pub(crate) fn selected(&self) -> Option<(String, String)> {
        let what = if self.transcript.selected().is_some() {
            "the message"
        } else {
            "the last answer"
        };
        Some((what.to_owned(), self.transcript.copy_message()?))
    }

    pub(crate) fn last_answer(&self) -> Option<(String, String)> {
        Some(("the last answer".to_owned(), self.answer.clone()?))
    }

    pub(crate) fn whole(&self) -> Option<(String, String)> {
        let chat = self.transcript.copy_chat();
        (!chat.is_empty()).then(|| ("the chat".to_owned(), chat))
    }

    /// Code block `number`, from 1.
    pub(crate) fn block(&mut self, number: usize) -> Option<String> {
        self.transcript.copy_code(number).map(|block| block.source)
    }

    #[cfg(test)]
    pub(crate) fn laid_bytes(&self) -> u64 {
        self.transcript.laid_bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.transcript.is_empty()
    }

    pub(crate) fn draw(&mut self, canvas: &mut Canvas, area: Rect, focused: bool) {
        if area.is_empty() {
            return;
        }
        self.transcript
            .set_view(usize::from(area.width), self.palette);
        let lines = self.transcript.visible(usize::from(area.height));
        for (y, line) in (area.y..area.bottom()).zip(lines) {
            canvas.line(
                Rect {
                    y,
                    height: 1,
                    ..area
                },
                line,
            );
        }
        self.draw_below(canvas, area, focused);
    }

    /// Says that more stands below, so that a view scrolled up does not look as if the answer had stopped.
    fn draw_below(&self, canvas: &mut Canvas, area: Rect, focused: bool) {
        if self.transcript.is_at_end() || area.height < 2 {
            return;
        }
        let words = " ↓ more ";
        let width = 8.min(area.width);
        let place = Rect {
            x: area.right() - width,
            y: area.bottom() - 1,
            width,
            height: 1,
        };
        let style = if focused {
            self.palette.selection
        } else {
            self.palette.accent
        };
        canvas.line(place, Span::styled(words, style));
    }

    fn abandon(&mut self) {
        if let Some((id, ..)) = self.streaming.take() {
            self.transcript.abandon_answer(&id);
        }
    }
}

/// Adds the length of a piece; returns whether nothing came before it.
fn grow(length: &mut usize, piece: &str) -> bool {
    let first = *length == 0;
    *length += piece.len();
    first
}
