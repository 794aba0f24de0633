//! Breaking styled text into lines: the one place that knows how wide things are.
//!
//! Owns: widths, grapheme clusters, tabs, word wrapping, hard wrapping, cutting.
//! Refuses: making text safe; what comes in has been through [`crate::chat::text`].
//! Invariant: from two cells up no line is wider than asked for; a cluster is cut only when it alone is wider than the
//! line. Time is linear in the text.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Tabs go to the next multiple of this.
pub(crate) const TAB: usize = 4;

/// The grapheme clusters of a text, each with the cells it takes. A tab takes one here; who lays out expands it.
pub(crate) fn clusters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        // One ASCII character followed by another is a cluster by itself: no need to ask the tables.
        let ascii =
            bytes.first().is_some_and(u8::is_ascii) && bytes.get(1).is_none_or(u8::is_ascii);
        let cluster = if ascii {
            &rest[..1]
        } else {
            rest.graphemes(true).next()?
        };
        rest = &rest[cluster.len()..];
        Some((cluster, if ascii { 1 } else { cluster.width() }))
    })
}

/// The cells a text without tabs or line breaks takes on the screen.
pub(crate) fn width(text: &str) -> usize {
    clusters(text).map(|(_, cells)| cells).sum()
}

/// The cells a line takes on the screen.
pub(crate) fn line_width(line: &Line<'_>) -> usize {
    line.spans.iter().map(|span| width(&span.content)).sum()
}

/// A line under construction: neighbours of one style share a span.
#[derive(Debug, Default)]
struct RowBuilder {
    spans: Vec<Span<'static>>,
    cells: usize,
}

impl RowBuilder {
    fn push(&mut self, text: &str, cells: usize, style: Style) {
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(text),
            _ => self.spans.push(Span::styled(text.to_owned(), style)),
        }
        self.cells += cells;
    }

    fn append(&mut self, run: &mut Run<'_>) {
        for (text, style) in run.parts.drain(..) {
            self.push(text, 0, style);
        }
        self.cells += std::mem::take(&mut run.cells);
    }

    fn take(&mut self) -> Line<'static> {
        self.cells = 0;
        Line::from(std::mem::take(&mut self.spans))
    }
}

/// A part of the text that waits for its line, where it stands in the text.
#[derive(Debug, Default)]
struct Run<'a> {
    parts: Vec<(&'a str, Style)>,
    cells: usize,
}

impl<'a> Run<'a> {
    fn push(&mut self, text: &'a str, cells: usize, style: Style) {
        self.parts.push((text, style));
        self.cells += cells;
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.cells = 0;
    }
}

/// Breaks `spans` between words into lines of at most `width` cells; a `\n` always breaks. Spaces at the start of a
/// line of the source stay, those at a break go. Wide characters may break anywhere but before closing punctuation.
/// Words that are too long are cut. No text at all is no line.
pub(crate) fn words(spans: &[Span<'_>], width: usize) -> Vec<Line<'static>> {
    let mut wrapper = WordWrapper {
        width: width.max(1),
        ..WordWrapper::default()
    };
    for span in spans {
        let mut rest = &*span.content;
        while !rest.is_empty() {
            let (run, after) = rest.split_at(letters(rest, wrapper.room()));
            if !run.is_empty() {
                wrapper.take_letters(run, span.style);
                rest = after;
            } else if let Some((cluster, cells)) = clusters(rest).next() {
                wrapper.take(cluster, cells, span.style);
                rest = &rest[cluster.len()..];
            }
        }
    }
    wrapper.finish()
}

/// How many ASCII letters and marks a text starts with, each a cluster by itself; at most so many.
fn letters(text: &str, most: usize) -> usize {
    let bytes = text.as_bytes();
    let run = bytes
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_graphic())
        .count();
    // What follows may stand on the last one.
    if bytes.get(run).is_none_or(u8::is_ascii) {
        run
    } else {
        run - run.min(1)
    }
}

#[derive(Debug, Default)]
struct WordWrapper<'a> {
    width: usize,
    lines: Vec<Line<'static>>,
    line: RowBuilder,
    /// Spaces that count only when a word follows on the same line.
    spaces: Run<'a>,
    word: Run<'a>,
    /// The word ends in a wide cluster, after which a line may break.
    loose: bool,
    /// The line began with a break of the text, not one of ours.
    fresh: bool,
    /// Something has been taken since the last break.
    open: bool,
}

impl<'a> WordWrapper<'a> {
    /// How many letters the word can take without a look at each of them.
    fn room(&self) -> usize {
        if self.loose {
            0
        } else {
            self.width - self.word.cells.min(self.width)
        }
    }

    /// Takes letters for which there is room: no line breaks between them.
    fn take_letters(&mut self, letters: &'a str, style: Style) {
        self.fresh |= !self.open && self.lines.is_empty();
        self.open = true;
        self.word.push(letters, letters.len(), style);
    }

    fn take(&mut self, cluster: &'a str, cells: usize, style: Style) {
        if cluster == "\n" {
            self.end_word();
            self.end_line();
            self.fresh = true;
            return;
        }
        if !self.open && self.lines.is_empty() {
            self.fresh = true;
        }
        match cluster {
            " " | "\t" => {
                self.open = true;
                self.end_word();
                let column = self.line.cells + self.spaces.cells;
                let cells = if cluster == "\t" {
                    TAB - column % TAB
                } else {
                    1
                };
                self.spaces.push(&"    "[..cells], cells, style);
            }
            _ if cells > self.width && cluster.chars().nth(1).is_some() => {
                for part in cluster.split_inclusive(|_: char| true) {
                    self.letter(part, part.width(), style);
                }
            }
            _ => self.letter(cluster, cells, style),
        }
    }

    fn letter(&mut self, cluster: &'a str, cells: usize, style: Style) {
        let may_break = (self.loose || cells >= 2) && !closes(cluster);
        if may_break {
            self.end_word();
        }
        if self.word.cells + cells > self.width && self.word.cells > 0 {
            // The word fills a whole line: put it there.
            self.end_word();
            self.end_line();
        }
        self.open = true;
        self.word.push(cluster, cells, style);
        self.loose = cells >= 2;
    }

    fn end_word(&mut self) {
        self.loose = false;
        if self.word.parts.is_empty() {
            return;
        }
        if self.line.cells + self.spaces.cells + self.word.cells <= self.width {
            // Between two lines of ours there are no spaces to keep.
            if self.line.cells > 0 || self.fresh {
                self.line.append(&mut self.spaces);
            }
        } else if self.line.cells > 0 {
            self.end_line();
            self.open = true;
        }
        self.spaces.clear();
        self.line.append(&mut self.word);
        self.fresh = false;
    }

    fn end_line(&mut self) {
        self.spaces.clear();
        self.lines.push(self.line.take());
        self.open = false;
        self.fresh = false;
    }

    fn finish(mut self) -> Vec<Line<'static>> {
        self.end_word();
        if self.open {
            self.end_line();
        }
        self.lines
    }
}

/// Punctuation that may not start a line.
fn closes(cluster: &str) -> bool {
    matches!(
        cluster,
        "、" | "。"
            | "，"
            | "．"
            | "！"
            | "？"
            | "："
            | "；"
            | "）"
            | "」"
            | "』"
            | "】"
            | "》"
            | "ー"
            | ","
            | "."
            | "!"
            | "?"
            | ":"
            | ";"
            | ")"
            | "]"
            | "}"
    )
}

/// Cuts one line of source into rows of at most `width` cells, wherever the width ends; tabs become spaces.
/// Rows after the first start with `mark`, when there is room for it.
pub(crate) fn hard(line: &str, width: usize, style: Style, mark: &Span<'_>) -> Vec<Line<'static>> {
    let width = width.max(1);
    let mark_cells = self::width(&mark.content);
    let mark = (mark_cells + 2 <= width).then_some(mark);
    let mut lines = Vec::new();
    let mut row = RowBuilder::default();
    let (mut column, mut empty) = (0, true);
    let mut put = |part: &str, cells: usize| {
        if row.cells + cells > width && !empty {
            lines.push(row.take());
            if let Some(mark) = mark {
                row.push(&mark.content, mark_cells, mark.style);
            }
        }
        row.push(part, cells, style);
        empty = false;
    };
    for (cluster, cells) in clusters(line) {
        if cluster == "\t" {
            let cells = TAB - column % TAB;
            (0..cells).for_each(|_| put(" ", 1));
            column += cells;
        } else if cells + mark_cells > width {
            cluster.chars().for_each(|c| {
                put(
                    c.encode_utf8(&mut [0; 4]),
                    self::width(c.encode_utf8(&mut [0; 4])),
                );
            });
            column += cells;
        } else {
            put(cluster, cells);
            column += cells;
        }
    }
    lines.push(row.take());
    lines
}

/// The spans of a line, each with its whole style: what the line says for all of them included.
pub(crate) fn spans<'a>(line: &'a Line<'_>) -> impl Iterator<Item = Span<'static>> + 'a {
    line.iter().map(|span| {
        Span::styled(
            span.content.clone().into_owned(),
            line.style.patch(span.style),
        )
    })
}

/// The first `width` cells of a styled line, the last one `…` when something was left off.
pub(crate) fn cut(line: &Line<'_>, width: usize) -> Line<'static> {
    if line_width(line) <= width {
        return spans(line).collect();
    }
    let room = width.saturating_sub(1);
    let mut row = RowBuilder::default();
    'spans: for span in spans(line) {
        for (cluster, cells) in clusters(&span.content) {
            if row.cells + cells > room {
                break 'spans;
            }
            row.push(cluster, cells, span.style);
        }
    }
    if width > 0 {
        let style = row.spans.last().map_or(Style::new(), |span| span.style);
        row.push("…", 1, style);
    }
    row.take()
}

#[cfg(test)]
mod tests;
