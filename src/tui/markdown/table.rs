//! Tables, shrunk to the width.
//!
//! Owns: [`Table`].
//! Refuses: cutting text; cells wrap, and a table with no room for its columns becomes a list of records.
//! Invariant: no line is wider than the width.

use pulldown_cmark::Alignment;
use ratatui::text::{Line, Span};

use crate::tui::theme::Palette;
use crate::tui::wrap;

type Cell = Vec<Span<'static>>;

/// A table being read: the first row is the head.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) alignments: Vec<Alignment>,
    pub(super) rows: Vec<Vec<Cell>>,
}

const BETWEEN: &str = " │ ";
/// Words up to this length are not cut: before that the table becomes records.
const WHOLE_WORD: usize = 12;

impl Table {
    pub(super) fn lay_out(&self, width: usize, palette: &Palette) -> Vec<Line<'static>> {
        let columns = self.alignments.len().max(1);
        let room = width.saturating_sub((columns - 1).saturating_mul(3));
        let natural = self.column_widths(columns, longest_line);
        let widths = shrink(&natural, room);
        let words = self.column_widths(columns, longest_word);
        let readable = widths
            .iter()
            .zip(&words)
            .all(|(width, word)| width >= word.min(&WHOLE_WORD));
        if !readable || widths.iter().sum::<usize>() > room {
            return self.records(width, palette);
        }
        let mut lines = Vec::new();
        for (n, row) in self.rows.iter().enumerate() {
            self.row(row, &widths, palette, &mut lines);
            if n == 0 {
                let rule: Vec<String> = widths.iter().map(|w| "─".repeat(*w)).collect();
                lines.push(Line::styled(rule.join("─┼─"), palette.dim));
            }
        }
        lines
    }

    /// For each column the most that `measure` finds in a cell; at least 1.
    fn column_widths(&self, columns: usize, measure: fn(&Cell) -> usize) -> Vec<usize> {
        let mut widths = vec![1; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = measure(cell).max(*width);
            }
        }
        widths
    }

    fn row(&self, row: &[Cell], widths: &[usize], palette: &Palette, out: &mut Vec<Line<'static>>) {
        let cells: Vec<Vec<Line<'static>>> = row
            .iter()
            .zip(widths)
            .map(|(cell, w)| wrap::words(cell, *w))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for n in 0..height {
            let mut line = Line::default();
            for (column, width) in widths.iter().enumerate() {
                if column > 0 {
                    line.push_span(Span::styled(BETWEEN, palette.dim));
                }
                let part = cells
                    .get(column)
                    .and_then(|lines| lines.get(n))
                    .cloned()
                    .unwrap_or_default();
                let spare = width.saturating_sub(wrap::line_width(&part));
                let left = match self.alignments.get(column) {
                    Some(Alignment::Right) => spare,
                    Some(Alignment::Center) => spare / 2,
                    _ => 0,
                };
                line.push_span(" ".repeat(left));
                line.spans.extend(part.spans);
                if column + 1 < widths.len() {
                    line.push_span(" ".repeat(spare - left));
                }
            }
            line.spans.retain(|span| !span.content.is_empty());
            out.push(line);
        }
    }

    /// Each row as lines of `head: cell`, a blank line between rows.
    fn records(&self, width: usize, palette: &Palette) -> Vec<Line<'static>> {
        let Some((head, rows)) = self.rows.split_first() else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        if rows.is_empty() {
            return head
                .iter()
                .flat_map(|cell| wrap::words(cell, width))
                .collect();
        }
        for row in rows {
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            for (name, cell) in head.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
                let mut spans = name.clone();
                spans.push(Span::styled(": ", palette.dim));
                spans.extend(cell.iter().cloned());
                lines.extend(wrap::words(&spans, width));
            }
        }
        lines
    }
}

/// The cells a cell takes with no line broken but where the text says so.
fn longest_line(cell: &Cell) -> usize {
    wrap::words(cell, usize::MAX)
        .iter()
        .map(wrap::line_width)
        .max()
        .unwrap_or(0)
}

/// The cells of the longest part that only cutting a word could break.
fn longest_word(cell: &Cell) -> usize {
    let (mut longest, mut word) = (0, 0);
    for (cluster, cells) in cell.iter().flat_map(|span| wrap::clusters(&span.content)) {
        word = match cluster {
            " " | "\t" | "\n" => 0,
            _ if cells > 1 => cells,
            _ => word + cells,
        };
        longest = word.max(longest);
    }
    longest
}

/// Cuts the widest columns down until all fit into `room`.
fn shrink(natural: &[usize], room: usize) -> Vec<usize> {
    let mut sorted = natural.to_vec();
    sorted.sort_unstable();
    let (mut left, mut most) = (room, usize::MAX);
    for (n, width) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - n);
        if *width > share {
            most = share;
            break;
        }
        left -= width;
    }
    natural
        .iter()
        .map(|width| (*width).min(most.max(1)))
        .collect()
}
