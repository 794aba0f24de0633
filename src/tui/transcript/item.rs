//! One item of the transcript and its lines.
//!
//! Owns: what is kept of a prompt, an answer, a notice and a failure, and how each is laid out.
//! Refuses: scrolling and selection.
//! Invariant: `height` is the number of lines when `exact`, else an estimate; text in here is safe.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::foot::Foot;
use super::head::Head;
use super::reasoning::Reasoning;
use super::view::View;
use crate::chat::text::sanitise;
use crate::chat::{MessageId, SafeText};
use crate::tui::markdown::AnswerText;
use crate::tui::theme::Palette;
use crate::tui::wrap;

#[derive(Debug)]
pub(super) enum ItemBody {
    /// Shown as typed, under this name.
    Words {
        name: &'static str,
        text: SafeText,
        lines: Vec<Line<'static>>,
    },
    /// A notice or failure: a mark, a sentence, and perhaps a hint below.
    Remark {
        mark: &'static str,
        style: fn(&Palette) -> Style,
        text: SafeText,
        hint: SafeText,
        lines: Vec<Line<'static>>,
    },
    Answer(Box<AnswerItem>),
}

#[derive(Debug)]
pub(super) struct AnswerItem {
    pub(super) head: Head,
    pub(super) foot: Foot,
    pub(super) text: AnswerText,
    pub(super) reasoning: Reasoning,
    pub(super) streaming: bool,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: Option<MessageId>,
    pub(super) body: ItemBody,
    pub(super) height: usize,
    pub(super) exact: bool,
    /// The lines above the body; empty: to be made.
    top: Vec<Line<'static>>,
    /// The lines below it.
    bottom: Vec<Line<'static>>,
    /// Line breaks in the source, for the estimate.
    breaks: usize,
}

impl Item {
    pub(super) fn new(id: Option<MessageId>, body: ItemBody, view: View) -> Self {
        let mut item = Self {
            id,
            body,
            height: 0,
            exact: false,
            top: Vec::new(),
            bottom: Vec::new(),
            breaks: 0,
        };
        item.breaks = memchr::memchr_iter(b'\n', item.source().as_str().as_bytes()).count();
        item.estimate(view);
        item
    }

    pub(super) fn words(id: Option<MessageId>, name: &'static str, raw: &str, view: View) -> Self {
        Self::new(
            id,
            ItemBody::Words {
                name,
                text: sanitise(raw),
                lines: Vec::new(),
            },
            view,
        )
    }

    /// Whether it is part of the chat, and so can be selected and copied.
    pub(super) fn is_message(&self) -> bool {
        !matches!(self.body, ItemBody::Remark { .. })
    }

    /// Whether it is an answer that still comes.
    pub(super) fn streams(&self) -> bool {
        matches!(&self.body, ItemBody::Answer(answer) if answer.streaming)
    }

    /// The source text, safe.
    pub(super) fn source(&self) -> &SafeText {
        match &self.body {
            ItemBody::Words { text, .. } | ItemBody::Remark { text, .. } => text,
            ItemBody::Answer(answer) => answer.text.source(),
        }
    }

    /// Makes up a height from the length alone.
    pub(super) fn estimate(&mut self, view: View) {
        self.exact = false;
        self.height = 3 + self.breaks + self.source().len() / view.body_width();
    }

    /// The answer changed, by this piece of source if by any. The lines above it stand as long as only text is added.
    pub(super) fn changed(&mut self, piece: &str, had_text: bool) {
        if piece.is_empty() || !had_text {
            self.top.clear();
        }
        let breaks = memchr::memchr_iter(b'\n', piece.as_bytes()).count();
        self.breaks += breaks;
        self.height += breaks;
        self.exact = false;
    }

    #[cfg(test)]
    pub(super) fn has_top(&self) -> bool {
        !self.top.is_empty()
    }

    /// Drops the lines; the height stays.
    pub(super) fn forget(&mut self) {
        self.exact = false;
        self.top = Vec::new();
        self.bottom = Vec::new();
        match &mut self.body {
            ItemBody::Words { lines, .. } | ItemBody::Remark { lines, .. } => *lines = Vec::new(),
            ItemBody::Answer(answer) => {
                answer.text.forget();
                answer.reasoning.forget();
            }
        }
    }

    /// Makes the lines and with them the true height.
    pub(super) fn lay_out(&mut self, view: View) {
        if self.exact {
            return;
        }
        let palette = &view.palette;
        let body = match &mut self.body {
            ItemBody::Words { name, text, lines } => {
                self.top = vec![wrap::cut(
                    &Line::styled(*name, palette.user),
                    view.head_width(),
                )];
                *lines = wrap::words(
                    &[Span::styled(text.as_str(), palette.text)],
                    view.body_width(),
                );
                lines.len()
            }
            ItemBody::Remark {
                mark,
                style,
                text,
                hint,
                lines,
            } => {
                let styled = |text: String, style| {
                    wrap::words(&[Span::styled(text, style)], view.head_width())
                };
                *lines = styled(format!("{mark} {text}"), style(palette));
                if !hint.is_empty() {
                    lines.extend(styled(format!("→ {hint}"), palette.dim));
                }
                lines.len()
            }
            ItemBody::Answer(answer) => {
                if self.top.is_empty() {
                    self.top.push(answer.head.line(view.head_width(), palette));
                    let old = answer
                        .head
                        .warning()
                        .map(|words| Line::styled(words, palette.warning));
                    self.top
                        .extend(old.map(|line| wrap::cut(&line, view.head_width())));
                    self.top.extend(answer.alteration(view));
                    if !answer.reasoning.is_empty() {
                        self.top
                            .push(answer.reasoning.head(view, answer.thinking()));
                    }
                }
                let thoughts = if answer.reasoning.is_empty() {
                    0
                } else {
                    // A blank line parts it from the answer.
                    answer.reasoning.lay_out(view, answer.thinking()) + 1
                };
                self.bottom = answer.foot.lines(view.body_width(), palette);
                answer.text.set_view(view.body_width(), view.palette);
                thoughts + answer.text.lines().len()
            }
        };
        self.height = self.top.len() + body + self.bottom.len() + 1;
        self.exact = true;
    }

    /// Lines `from..to` as they stand on the screen. The item has been laid out.
    pub(super) fn lines(
        &mut self,
        from: usize,
        to: usize,
        selected: bool,
        view: View,
        out: &mut Vec<Line<'static>>,
    ) {
        let gutter = match (view.gutter(), selected) {
            (0, _) => Span::raw(""),
            (_, true) => Span::styled("▌", view.palette.accent),
            (_, false) => Span::raw(" "),
        };
        let (thoughts, body, indent): (Option<&[_]>, &[Line<'static>], usize) = match &mut self.body
        {
            ItemBody::Words { lines, .. } => (None, lines, view.indent()),
            ItemBody::Remark { lines, .. } => (None, lines, 0),
            ItemBody::Answer(answer) => {
                let thinking = answer.thinking();
                let thoughts =
                    (!answer.reasoning.is_empty()).then(|| answer.reasoning.lines(thinking));
                (thoughts, answer.text.lines(), view.indent())
            }
        };
        // Top, thoughts and the blank line behind them, body, bottom.
        let blank = Line::default();
        let top = self.top.len();
        let below = top + thoughts.map_or(0, |lines| lines.len() + 1);
        for n in from..to.min(self.height) {
            let (line, indent) = match (n.checked_sub(top), n.checked_sub(below)) {
                (None, _) => (self.top.get(n), 0),
                (Some(n), None) => (
                    Some(thoughts.and_then(|lines| lines.get(n)).unwrap_or(&blank)),
                    indent,
                ),
                (_, Some(n)) => (
                    body.get(n).or_else(|| self.bottom.get(n - body.len())),
                    indent,
                ),
            };
            let mut spans = vec![gutter.clone()];
            // The blank line after an item belongs to none.
            if let Some(line) = line {
                if indent > 0 {
                    spans.push(Span::raw(&"  "[..indent]));
                }
                spans.extend(line.spans.iter().cloned());
            } else {
                spans.clear();
            }
            out.push(Line::from(spans));
        }
    }
}

impl AnswerItem {
    /// Nothing but reasoning has come.
    fn thinking(&self) -> bool {
        self.streaming && self.text.source().is_empty()
    }

    /// Tells of characters that were made visible, once the answer is whole.
    fn alteration(&self, view: View) -> Option<Line<'static>> {
        let altered = self.text.altered() + self.reasoning.altered();
        let (noun, verb) = if altered == 1 {
            ("character", "is")
        } else {
            ("characters", "are")
        };
        let line = format!("! {altered} control or invisible {noun} {verb} shown by name");
        let line = Line::styled(line, view.palette.warning);
        (altered > 0 && !self.streaming).then(|| wrap::cut(&line, view.head_width()))
    }
}
