//! A markdown text that grows, laid out as it does.
//!
//! Owns: [`AnswerText`]: its source, its lines, and which of them can no longer change.
//! Refuses: parsing inside a segment; see `layout`.
//! Invariant: where segments end depends on whole lines of source alone, never on how the text was cut into pieces.
//!
//! A segment ends before a fence at the left edge, before a heading at the left edge, and before any line at the left
//! edge that follows a blank one and does not continue a list. Such a line closes every open block. Fences at the left
//! edge are segments of their own, laid out line by line, so that a long block of code is never laid out twice. A list
//! or a paragraph that has grown very long ends at its next item or line, and goes on below without a gap.

use ratatui::text::Line;

use super::code::{self, CodeBlock};
use super::laid_out::LaidOutText;
use super::layout;
use crate::chat::{SafeText, Sanitiser};
use crate::tui::theme::Palette;

/// A list or paragraph that is longer than this, in bytes, is settled in parts.
const LONG: usize = 4_096;

/// An answer, whole or still streaming.
#[derive(Debug, Clone)]
pub(crate) struct AnswerText {
    sanitiser: Sanitiser,
    source: SafeText,
    width: usize,
    palette: Palette,
    page: LaidOutText,
    state: StableBlocks,
    /// What to go back to before the tail is laid out again.
    settled: Settled,
    /// How much of the source is in `page`; `None`: nothing has been laid out for this view.
    shown: Option<usize>,
    #[cfg(test)]
    laid: u64,
}

/// Where the walk over the lines stands.
#[derive(Debug, Clone, Default)]
struct StableBlocks {
    /// The first byte that no settled line shows.
    start: usize,
    /// The first byte of the first incomplete line.
    scanned: usize,
    fence: Option<Fence>,
    /// The segment holds more than blank lines.
    ink: bool,
    list: bool,
    after_blank: bool,
    /// The segment goes on with the block that the last one ended in.
    joined: bool,
}

#[derive(Debug, Clone, Default)]
struct Settled {
    state: StableBlocks,
    lines: usize,
    blocks: usize,
    last_block: usize,
}

/// An open fence at the left edge.
#[derive(Debug, Clone)]
struct Fence {
    mark: char,
    length: usize,
    indent: usize,
    /// No line of code has been shown yet.
    empty: bool,
}

impl AnswerText {
    /// An empty answer for a view of `width` cells.
    pub(crate) fn new(width: usize, palette: Palette) -> Self {
        let mut answer = Self::from_safe(SafeText::default());
        answer.set_view(width, palette);
        answer
    }

    /// A whole text. The view is 80 cells until it is set.
    pub(crate) fn from_safe(source: SafeText) -> Self {
        Self {
            sanitiser: Sanitiser::default(),
            source,
            width: 80,
            palette: Palette::plain(),
            page: LaidOutText::default(),
            state: StableBlocks::default(),
            settled: Settled::default(),
            shown: None,
            #[cfg(test)]
            laid: 0,
        }
    }

    /// Appends a piece as it came from the model.
    pub(crate) fn push(&mut self, raw: &str) {
        let safe = self.sanitiser.push(raw);
        self.source.push(&safe);
    }

    /// The stream has ended: nothing is held back any more.
    pub(crate) fn finish(&mut self) {
        let safe = self.sanitiser.finish();
        self.source.push(&safe);
    }

    /// The markdown, made safe: what is copied.
    pub(crate) fn source(&self) -> &SafeText {
        &self.source
    }

    /// Characters that were made visible.
    pub(crate) fn altered(&self) -> usize {
        self.sanitiser.altered()
    }

    /// Shows the text in lines of `width` cells from now on.
    pub(crate) fn set_view(&mut self, width: usize, palette: Palette) {
        if (self.width, self.palette) != (width.max(1), palette) {
            self.width = width.max(1);
            self.palette = palette;
            self.forget();
        }
    }

    /// Drops the lines; they are laid out again when asked for.
    pub(crate) fn forget(&mut self) {
        self.page = LaidOutText::default();
        self.state = StableBlocks::default();
        self.settled = Settled::default();
        self.shown = None;
    }

    /// The lines of all that has come.
    pub(crate) fn lines(&mut self) -> &[Line<'static>] {
        self.lay_out();
        &self.page.lines
    }

    /// The blocks of code; the last may still grow.
    pub(crate) fn code_blocks(&mut self) -> &[CodeBlock] {
        self.lay_out();
        &self.page.code_blocks
    }

    #[cfg(test)]
    pub(crate) fn into_page(mut self) -> LaidOutText {
        self.lay_out();
        self.page
    }

    /// How many bytes of source have been laid out so far, over and over ones included.
    #[cfg(test)]
    pub(crate) fn laid_bytes(&self) -> u64 {
        self.laid
    }

    fn lay_out(&mut self) {
        let end = self.source.len();
        if self.shown == Some(end) {
            return;
        }
        self.roll_back();
        let source = std::mem::take(&mut self.source);
        let text = source.as_str();
        while let Some(length) = memchr::memchr(b'\n', &text.as_bytes()[self.state.scanned..]) {
            let start = self.state.scanned;
            self.state.scanned = start + length + 1;
            self.line(text, start, start + length);
        }
        self.settled = Settled {
            state: self.state.clone(),
            lines: self.page.lines.len(),
            blocks: self.page.code_blocks.len(),
            last_block: self
                .page
                .code_blocks
                .last()
                .map_or(0, |block| block.source.len()),
        };
        let start = self.state.scanned;
        if start < end {
            self.state.scanned = end;
            self.line(text, start, end);
        }
        match &self.state.fence {
            Some(fence) if fence.empty => self.code_line(""),
            Some(_) => {}
            None => self.segment(text, end),
        }
        self.source = source;
        self.shown = Some(end);
    }

    /// Takes the lines of the tail back.
    fn roll_back(&mut self) {
        self.page.lines.truncate(self.settled.lines);
        self.page.code_blocks.truncate(self.settled.blocks);
        if let Some(block) = self.page.code_blocks.last_mut() {
            block.source.truncate(self.settled.last_block);
        }
        self.state = self.settled.state.clone();
    }

    /// Takes the line of source from `start` to `end`, its line feed not included.
    fn line(&mut self, text: &str, start: usize, end: usize) {
        let line = &text[start..end];
        let next = self.state.scanned;
        if let Some(fence) = &self.state.fence {
            if fence.is_closed_by(line) {
                if fence.empty {
                    self.code_line("");
                }
                self.state = StableBlocks {
                    start: next,
                    scanned: next,
                    ..StableBlocks::default()
                };
            } else {
                let spaces = indent(line).min(fence.indent);
                self.code_line(&line[spaces..]);
                if let Some(block) = self.page.code_blocks.last_mut() {
                    block.source.push_str(&line[spaces..]);
                    block.source.push('\n');
                }
            }
        } else if line.trim().is_empty() {
            self.state.after_blank = true;
            if !self.state.ink {
                self.state.start = next;
            }
        } else if let Some((fence, info)) = Fence::opened_by(line, self.state.list) {
            self.segment(text, start);
            self.page.gap();
            self.page.code_blocks.push(CodeBlock::new(info));
            self.state = StableBlocks {
                start: next,
                scanned: next,
                fence: Some(fence),
                ..StableBlocks::default()
            };
        } else {
            let boundary = self.state.ink && self.is_boundary(line);
            if boundary || self.is_long(line, start) {
                let joined = !boundary && !self.state.after_blank;
                self.segment(text, start);
                self.state = StableBlocks {
                    start,
                    scanned: next,
                    joined,
                    ..StableBlocks::default()
                };
            }
            self.state.ink = true;
            self.state.after_blank = false;
            self.state.list |= is_list_item(line);
        }
    }

    fn is_boundary(&self, line: &str) -> bool {
        if line.starts_with([' ', '\t']) {
            return false;
        }
        is_heading(line) || (self.state.after_blank && !(self.state.list && is_list_item(line)))
    }

    /// Whether a long list or paragraph can be parted before this line. A table cannot: its rows need its head.
    fn is_long(&self, line: &str, start: usize) -> bool {
        let part = if self.state.list {
            is_list_item(line)
        } else {
            !line.contains('|') && !is_underline(line)
        };
        self.state.ink && part && start - self.state.start > LONG && !line.starts_with([' ', '\t'])
    }

    /// Lays out the segment that ends before byte `end`.
    fn segment(&mut self, text: &str, end: usize) {
        if !self.state.ink {
            return;
        }
        let segment = &text[self.state.start..end];
        #[cfg(test)]
        {
            self.laid += segment.len() as u64;
        }
        let before = self.page.lines.len();
        if !self.state.joined {
            self.page.gap();
        }
        let gap = self.page.lines.len();
        layout::segment(segment, self.width, &self.palette, &mut self.page);
        if self.page.lines.len() == gap {
            self.page.lines.truncate(before);
        }
    }

    fn code_line(&mut self, line: &str) {
        #[cfg(test)]
        {
            self.laid += line.len() as u64 + 1;
        }
        let first = self
            .state
            .fence
            .as_mut()
            .is_some_and(|fence| std::mem::take(&mut fence.empty));
        let number = self.page.code_blocks.len();
        let rows = match self.page.code_blocks.last() {
            Some(block) if first => {
                code::first_rows(line, &block.lang, number, self.width, &self.palette)
            }
            _ => code::rows(line, self.width, &self.palette),
        };
        self.page.lines.extend(rows);
    }
}

impl Fence {
    /// The fence this line opens at the left edge, and what stands after it. In a list an indent of two or more belongs
    /// to an item.
    fn opened_by(line: &str, in_list: bool) -> Option<(Self, &str)> {
        let indent = indent(line);
        let body = &line[indent..];
        let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = body.trim_start_matches(mark);
        let length = body.len() - info.len();
        let at_edge = indent < if in_list { 2 } else { 4 };
        let fence = Self {
            mark,
            length,
            indent,
            empty: true,
        };
        (at_edge && length >= 3 && !(mark == '`' && info.contains('`'))).then_some((fence, info))
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let body = line.trim_start_matches(' ');
        let rest = body.trim_start_matches(self.mark);
        line.len() - body.len() < 4
            && body.len() - rest.len() >= self.length
            && rest.trim().is_empty()
    }
}

/// The spaces a line starts with.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - rest.len()))
        && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// What makes a heading of the paragraph above it.
fn is_underline(line: &str) -> bool {
    ['=', '-']
        .iter()
        .any(|mark| line.trim_end().chars().all(|c| c == *mark))
}

fn is_list_item(line: &str) -> bool {
    let body = line.trim_start_matches(' ');
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let rest = match digits {
        0 => body.strip_prefix(['-', '*', '+']),
        1..=9 => body[digits..].strip_prefix(['.', ')']),
        _ => None,
    };
    line.len() - body.len() < 4
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}
