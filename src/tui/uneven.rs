//! Rows on which terminals disagree.
//!
//! Owns: which rows hold clusters (joined emoji, flags, skin tones) that some terminals draw wider or narrower than others.
//! Refuses: knowing which terminal is right.
//! Invariant: such a row is drawn whole when it changes and when it goes, so that nothing of it is left behind.

use std::collections::BTreeMap;

use ratatui::buffer::{Buffer, Cell};
use unicode_width::UnicodeWidthStr;

#[derive(Debug, Default)]
pub struct Uneven {
    /// As they were drawn last.
    rows: BTreeMap<u16, Vec<Cell>>,
}

/// A row to be drawn whole: cells with their columns, without those that a wide cell covers.
pub type Row = (u16, Vec<(u16, Cell)>);

impl Uneven {
    /// Takes note of a frame; returns the rows to be drawn once more, whole.
    pub fn changed(&mut self, buffer: &Buffer) -> Vec<Row> {
        let width = usize::from(buffer.area.width).max(1);
        let mut out = Vec::new();
        for (y, cells) in (0u16..).zip(buffer.content.chunks(width)) {
            let uneven = cells.iter().any(|cell| disputed(cell.symbol()));
            let before = self.rows.remove(&y);
            if before.is_none() && !uneven {
                continue;
            }
            if before.is_none_or(|before| before != cells) {
                out.push((y, uncovered(cells)));
            }
            if uneven {
                self.rows.insert(y, cells.to_vec());
            }
        }
        self.rows.retain(|y, _| *y < buffer.area.height);
        out
    }

    /// The screen was cleared.
    pub fn forget(&mut self) {
        self.rows.clear();
    }
}

fn uncovered(cells: &[Cell]) -> Vec<(u16, Cell)> {
    let mut next = 0;
    let mut out = Vec::with_capacity(cells.len());
    for (x, cell) in (0u16..).zip(cells) {
        if usize::from(x) >= next {
            next = usize::from(x) + cell.symbol().width().max(1);
            out.push((x, cell.clone()));
        }
    }
    out
}

/// Clusters whose width depends on whom one asks.
fn disputed(symbol: &str) -> bool {
    symbol.len() > 4
        && symbol
            .chars()
            .any(|c| matches!(c, '\u{200D}' | '\u{FE0F}' | '\u{20E3}' | '\u{1F1E6}'..='\u{1F1FF}' | '\u{1F3FB}'..='\u{1F3FF}'))
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn frame(lines: &[&str]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 3));
        for (y, line) in (0u16..).zip(lines) {
            buffer.set_string(0, y, line, ratatui::style::Style::default());
        }
        buffer
    }

    #[test]
    fn only_rows_with_disputed_clusters_are_drawn_again_and_once_more_when_they_go() {
        let mut uneven = Uneven::default();
        for (lines, rows) in [
            (["plain", "日本", "é👍"], vec![]),
            (["plain", "a👩\u{200d}👩\u{200d}👧b", "x"], vec![1]),
            (["other", "a👩\u{200d}👩\u{200d}👧b", "y"], vec![]),
            (["🇩🇪", "a👩\u{200d}👩\u{200d}👧c", "y"], vec![0, 1]),
            (["gone", "gone", "y"], vec![0, 1]),
            (["still", "plain", "y"], vec![]),
        ] {
            let changed = uneven.changed(&frame(&lines));
            assert_eq!(changed.iter().map(|(y, _)| *y).collect::<Vec<_>>(), rows, "{lines:?}");
        }
        let (_, cells) = uneven.changed(&frame(&["a🇩🇪b", "", ""])).remove(0);
        assert_eq!(
            cells.iter().take(3).map(|(x, cell)| (*x, cell.symbol())).collect::<Vec<_>>(),
            [(0, "a"), (1, "🇩🇪"), (3, "b")]
        );
    }
}
