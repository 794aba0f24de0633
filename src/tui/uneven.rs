//! Rows on which terminals disagree.
//!
//! Owns: which rows hold clusters (joined emoji, flags, skin tones) that some terminals draw wider or narrower than others.
//! Refuses: knowing which terminal is right.
//! Invariant: such a row is drawn whole when it changes and when it goes, so that nothing of it is left behind.

use std::collections::BTreeMap;

use ratatui::buffer::Cell;
use unicode_width::UnicodeWidthStr;

#[derive(Debug, Default)]
pub(crate) struct DisputedRows {
    /// As they were drawn last.
    rows: BTreeMap<u16, Vec<Cell>>,
}

/// A row to be drawn whole: cells with their columns, without those that a wide cell covers.
pub(crate) type WholeRow = (u16, Vec<(u16, Cell)>);

impl DisputedRows {
    /// Takes note of a row that changed; returns it if it is to be drawn once more, whole.
    pub(crate) fn changed(&mut self, y: u16, cells: &[Cell]) -> Option<WholeRow> {
        let before = self.rows.remove(&y);
        let uneven = cells.iter().any(|cell| disputed(cell.symbol()));
        if uneven {
            self.rows.insert(y, cells.to_vec());
        }
        let stays = before.as_deref() == Some(cells);
        ((uneven || before.is_some()) && !stays).then(|| (y, uncovered(cells)))
    }

    /// The screen was cleared.
    pub(crate) fn forget(&mut self) {
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
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;

    /// The rows of a frame that are to be drawn whole.
    fn changed(uneven: &mut DisputedRows, lines: &[&str]) -> Vec<WholeRow> {
        let frame = frame(lines);
        (0u16..)
            .zip(frame.content.chunks(8))
            .filter_map(|(y, cells)| uneven.changed(y, cells))
            .collect()
    }

    fn frame(lines: &[&str]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 3));
        for (y, line) in (0u16..).zip(lines) {
            buffer.set_string(0, y, line, ratatui::style::Style::default());
        }
        buffer
    }

    #[test]
    fn only_rows_with_disputed_clusters_are_drawn_again_and_once_more_when_they_go() {
        let mut uneven = DisputedRows::default();
        for (lines, rows) in [
            (["plain", "日本", "é👍"], vec![]),
            (["plain", "a👩\u{200d}👩\u{200d}👧b", "x"], vec![1]),
            (["other", "a👩\u{200d}👩\u{200d}👧b", "y"], vec![]),
            (["🇩🇪", "a👩\u{200d}👩\u{200d}👧c", "y"], vec![0, 1]),
            (["gone", "gone", "y"], vec![0, 1]),
            (["still", "plain", "y"], vec![]),
        ] {
            let changed = changed(&mut uneven, &lines);
            assert_eq!(
                changed.iter().map(|(y, _)| *y).collect::<Vec<_>>(),
                rows,
                "{lines:?}"
            );
        }
        let (_, cells) = changed(&mut uneven, &["a🇩🇪b", "", ""]).remove(0);
        assert_eq!(
            cells
                .iter()
                .take(3)
                .map(|(x, cell)| (*x, cell.symbol()))
                .collect::<Vec<_>>(),
            [(0, "a"), (1, "🇩🇪"), (3, "b")]
        );
    }
}
