//! Blocks of code: a bar on the left, language and number on the right of the first line.
//!
//! Owns: [`CodeBlock`] and the rows of one.
//! Refuses: wrapping by words and colouring.
//! Invariant: the rows hold the source as it is but for tabs; `source` is what is copied.

use ratatui::text::{Line, Span};

use crate::chat::text;
use crate::tui::theme::Palette;
use crate::tui::wrap;

/// A block of code as it is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CodeBlock {
    /// The first word after the fence, safe and short; empty when there is none.
    pub(crate) lang: String,
    /// The code, each line with its line feed.
    pub(crate) source: String,
}

impl CodeBlock {
    /// An empty block; `info` is what stands after the fence.
    pub(super) fn new(info: &str) -> Self {
        let word = info.split_whitespace().next().unwrap_or("");
        Self {
            lang: text::truncate(word, 20).into_string(),
            source: String::new(),
        }
    }
}

/// The bar is left out where it would leave hardly any room.
const LEAST_WIDTH_WITH_BAR: usize = 6;

/// The rows of one line of code.
pub(super) fn rows(line: &str, width: usize, palette: &Palette) -> Vec<Line<'static>> {
    let bar = if width < LEAST_WIDTH_WITH_BAR {
        ""
    } else {
        "┃ "
    };
    let mark = Span::styled("↪", palette.dim);
    let mut rows = wrap::hard(
        line,
        width.saturating_sub(wrap::width(bar)),
        palette.code,
        &mark,
    );
    if !bar.is_empty() {
        for row in &mut rows {
            row.spans.insert(0, Span::styled(bar, palette.dim));
        }
    }
    rows
}

/// The rows of the first line of block `number`, with the label. Where code is in its way the label has a row of its own.
pub(super) fn first_rows(
    line: &str,
    lang: &str,
    number: usize,
    width: usize,
    palette: &Palette,
) -> Vec<Line<'static>> {
    let label = if lang.is_empty() {
        format!("[{number}]")
    } else {
        format!("{lang}  [{number}]")
    };
    let mut rows = rows(line, width, palette);
    let fits = rows.len() == 1 && wrap::line_width(&rows[0]) + 2 + wrap::width(&label) <= width;
    if !fits {
        rows.splice(0..0, self::rows("", width, palette));
    }
    if let Some(row) = rows.first_mut() {
        let room = width.saturating_sub(wrap::line_width(row));
        let label = wrap::cut(&Line::styled(label, palette.dim), room);
        row.push_span(" ".repeat(room - wrap::line_width(&label)));
        row.push_span(Span::styled(label.to_string(), palette.dim));
    }
    rows
}

/// The rows of a whole block.
pub(super) fn block(
    block: &CodeBlock,
    number: usize,
    width: usize,
    palette: &Palette,
) -> Vec<Line<'static>> {
    let mut lines = block.source.lines();
    let mut out = first_rows(
        lines.next().unwrap_or(""),
        &block.lang,
        number,
        width,
        palette,
    );
    out.extend(lines.flat_map(|line| rows(line, width, palette)));
    out
}
