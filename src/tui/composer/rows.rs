//! The draft as rows on the screen.
//!
//! Owns: soft wrapping of the part that is looked at, with a memory of the rows already found.
//! Refuses: the text itself; drawing.
//! Invariant: a key costs the rows near it, not the length of the draft; no row is wider than asked, but for a
//! single grapheme that is wider than the screen.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::chat::text;

/// Lines whose rows are remembered; more than any screen shows.
const REMEMBERED: usize = 512;

/// The width until the first frame says.
const UNMEASURED: usize = 80;

/// A change of the text: at `at`, `removed` bytes became `inserted`; `breaks`: line breaks came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) at: usize,
    pub(crate) removed: usize,
    pub(crate) inserted: usize,
    pub(crate) breaks: bool,
}

/// Rows of one line between two line breaks; offsets from its start.
#[derive(Debug)]
struct WrappedLine {
    start: usize,
    end: usize,
    starts: Vec<usize>,
    complete: bool,
}

/// The rows on view: byte ranges, and the cursor's place among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RowWindow {
    pub(crate) rows: Vec<Range<usize>>,
    pub(crate) cursor: (usize, usize),
    /// More stands above or below.
    pub(crate) above: bool,
    pub(crate) below: bool,
}

#[derive(Debug, Default)]
pub(crate) struct SoftWrap {
    width: usize,
    lines: Vec<WrappedLine>,
    /// Start of the first row on view.
    top: usize,
}

/// A row: the line it is in (by its start) and its number there.
type At = (usize, usize);

impl SoftWrap {
    pub(crate) fn edited(&mut self, edit: Edited) {
        let end = edit.at + edit.removed;
        self.lines.retain_mut(|line| {
            if line.end < edit.at {
                return true;
            }
            if line.start > end {
                line.start = line.start - edit.removed + edit.inserted;
                line.end = line.end - edit.removed + edit.inserted;
                return true;
            }
            if edit.breaks {
                return false;
            }
            line.end = line.end - edit.removed + edit.inserted;
            // The row of the change may give its first word back to the row before.
            let row = line.starts.partition_point(|s| line.start + s < edit.at);
            line.starts.truncate(row.saturating_sub(1).max(1));
            line.complete = false;
            true
        });
    }

    /// The rows to show in `height` rows of `width` cells, scrolled no further than the cursor needs.
    pub(crate) fn window(
        &mut self,
        text: &str,
        cursor: usize,
        width: usize,
        height: usize,
    ) -> RowWindow {
        self.set_width(width);
        let height = height.max(1);
        let here = self.locate(text, cursor);
        let mut above = Vec::new();
        let mut distance = None;
        let mut at = here;
        loop {
            if self.range(text, at).start == self.top {
                distance = Some(above.len());
            }
            match self.before(text, at) {
                Some(earlier) if above.len() + 1 < height => above.push(earlier),
                more => {
                    if more.is_none() && self.top == 0 {
                        distance = distance.or(Some(above.len()));
                    }
                    break;
                }
            }
            at = *above.last().unwrap_or(&here);
        }
        let mut below = Vec::new();
        while below.len() + 1 < height {
            let Some(later) = self.after(text, *below.last().unwrap_or(&here)) else {
                break;
            };
            below.push(later);
        }
        let from_top = distance.unwrap_or(if self.top > cursor { 0 } else { height - 1 });
        let y = from_top
            .max((height - 1).saturating_sub(below.len()))
            .min(above.len());
        let mut rows: Vec<At> = above[..y].iter().rev().copied().collect();
        rows.push(here);
        rows.extend(below.into_iter().take(height - 1 - y));
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        let rows: Vec<_> = rows.into_iter().map(|at| self.range(text, at)).collect();
        self.top = rows[0].start;
        let x = cells_of(&text[rows[y].start..cursor]);
        RowWindow {
            above: self.before(text, first).is_some(),
            below: self.after(text, last).is_some(),
            rows,
            cursor: (x, y),
        }
    }

    /// The cursor one row up (`down`: down), at `x` cells; `None` at the edge.
    pub(crate) fn vertical(
        &mut self,
        text: &str,
        cursor: usize,
        x: usize,
        down: bool,
    ) -> Option<usize> {
        let here = self.locate(text, cursor);
        let there = if down {
            self.after(text, here)
        } else {
            self.before(text, here)
        }?;
        let range = self.range(text, there);
        let is_last = range.end == self.line(text, there.0).end;
        let (mut at, mut cells) = (range.start, 0);
        for grapheme in text[range.clone()].graphemes(true) {
            cells += width_of(grapheme);
            if cells > x || (!is_last && at + grapheme.len() == range.end) {
                break;
            }
            at += grapheme.len();
        }
        Some(at)
    }

    /// How far from its row's start the cursor stands, in cells.
    pub(crate) fn column(&mut self, text: &str, cursor: usize) -> usize {
        let here = self.locate(text, cursor);
        cells_of(&text[self.range(text, here).start..cursor])
    }

    fn set_width(&mut self, width: usize) {
        let width = width.max(1);
        if self.width != width || self.lines.len() > REMEMBERED {
            self.lines.clear();
            self.width = width;
        }
    }

    fn line(&mut self, text: &str, start: usize) -> &mut WrappedLine {
        let i = self
            .lines
            .iter()
            .position(|l| l.start == start)
            .unwrap_or_else(|| {
                let end = memchr::memchr(b'\n', &text.as_bytes()[start..])
                    .map_or(text.len(), |i| start + i);
                self.lines.push(WrappedLine {
                    start,
                    end,
                    starts: vec![0],
                    complete: false,
                });
                self.lines.len() - 1
            });
        &mut self.lines[i]
    }

    /// Finds rows of a line until `enough` says so or the line ends.
    fn extend(
        &mut self,
        text: &str,
        start: usize,
        enough: impl Fn(&WrappedLine) -> bool,
    ) -> &WrappedLine {
        let width = if self.width == 0 {
            UNMEASURED
        } else {
            self.width
        };
        let line = self.line(text, start);
        let content = &text[line.start..line.end];
        while !line.complete && !enough(line) {
            let from = line.starts.last().copied().unwrap_or(0);
            let next = row_end(content, from, width);
            if next < content.len() {
                line.starts.push(next);
            } else {
                line.complete = true;
            }
        }
        line
    }

    fn locate(&mut self, text: &str, at: usize) -> At {
        let start = memchr::memrchr(b'\n', &text.as_bytes()[..at]).map_or(0, |i| i + 1);
        let line = self.extend(text, start, |l| {
            l.starts.last().is_some_and(|s| start + s > at)
        });
        (
            start,
            line.starts
                .partition_point(|s| start + s <= at)
                .saturating_sub(1),
        )
    }

    fn range(&mut self, text: &str, (start, row): At) -> Range<usize> {
        let line = self.extend(text, start, |l| l.starts.len() > row + 1);
        let from = start + line.starts.get(row).copied().unwrap_or(0);
        from..line.starts.get(row + 1).map_or(line.end, |s| start + s)
    }

    fn before(&mut self, text: &str, (start, row): At) -> Option<At> {
        if row > 0 {
            return Some((start, row - 1));
        }
        let end = start.checked_sub(1)?;
        let start = memchr::memrchr(b'\n', &text.as_bytes()[..end]).map_or(0, |i| i + 1);
        let rows = self.extend(text, start, |_| false).starts.len();
        Some((start, rows - 1))
    }

    fn after(&mut self, text: &str, (start, row): At) -> Option<At> {
        let line = self.extend(text, start, |l| l.starts.len() > row + 1);
        if line.starts.len() > row + 1 {
            return Some((start, row + 1));
        }
        (line.end < text.len()).then_some((line.end + 1, 0))
    }
}

/// Where the row that begins at `from` ends: after the last space that fits, else after the last grapheme that fits.
fn row_end(line: &str, from: usize, width: usize) -> usize {
    let (mut cells, mut after_space) = (0, None);
    for (i, grapheme) in line[from..].grapheme_indices(true) {
        cells += width_of(grapheme);
        if cells > width {
            return from + after_space.unwrap_or(if i == 0 { grapheme.len() } else { i });
        }
        if grapheme == " " || grapheme == "\t" {
            after_space = Some(i + grapheme.len());
        }
    }
    line.len()
}

/// A grapheme as it may be shown.
pub(crate) fn shown(grapheme: &str) -> Cow<'_, str> {
    match grapheme.as_bytes() {
        [b' '..=b'~'] => Cow::Borrowed(grapheme),
        [b'\t'] => Cow::Borrowed("    "),
        _ => Cow::Owned(text::sanitise(grapheme).as_str().replace('\n', "")),
    }
}

fn width_of(grapheme: &str) -> usize {
    match grapheme.as_bytes() {
        [b' '..=b'~'] => 1,
        _ => shown(grapheme).width(),
    }
}

fn cells_of(text: &str) -> usize {
    text.graphemes(true).map(width_of).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(text: &str, cursor: usize, width: usize, height: usize) -> Vec<String> {
        let window = SoftWrap::default().window(text, cursor, width, height);
        window
            .rows
            .into_iter()
            .map(|r| text[r].to_owned())
            .collect()
    }

    #[test]
    fn rows_break_at_words() {
        for (text, width, rows) in [
            ("one two three", 8, &["one two ", "three"][..]),
            ("abcdefgh", 3, &["abc", "def", "gh"]),
            ("a\n\nb", 3, &["a", "", "b"]),
            ("犬猫犬", 5, &["犬猫", "犬"]),
            ("犬", 1, &["犬"]),
            ("", 4, &[""]),
            ("a\n", 4, &["a", ""]),
        ] {
            assert_eq!(window(text, 0, width, 20), rows, "{text:?}");
        }
    }

    #[test]
    fn the_window_follows_the_cursor_and_no_further() {
        let text = "0\n1\n2\n3\n4\n5";
        let mut rows = SoftWrap::default();
        for (cursor, first, y) in [
            (0, 0, 0),
            (11, 6, 2),
            (8, 6, 1),
            (6, 6, 0),
            (4, 4, 0),
            (6, 4, 1),
        ] {
            let window = rows.window(text, cursor, 10, 3);
            assert_eq!(
                (window.rows[0].start, window.cursor.1),
                (first, y),
                "cursor {cursor}"
            );
        }
    }

    #[test]
    fn a_key_in_a_megabyte_wraps_only_what_is_near() {
        let mut text = "lorem ipsum ".repeat(90_000);
        let mut rows = SoftWrap::default();
        rows.window(&text, text.len(), 80, 10);
        let known = rows.lines[0].starts.len();
        text.push('x');
        rows.edited(Edited {
            at: text.len() - 1,
            removed: 0,
            inserted: 1,
            breaks: false,
        });
        assert!(
            rows.lines[0].starts.len() + 3 > known,
            "rows before the change are kept"
        );
        text.insert(0, 'x');
        rows.edited(Edited {
            at: 0,
            removed: 0,
            inserted: 1,
            breaks: false,
        });
        rows.window(&text, 1, 80, 10);
        assert!(
            rows.lines[0].starts.len() < 20,
            "rows after the view are not looked for"
        );
    }

    proptest! {
        #[test]
        fn remembered_rows_equal_fresh_rows(
            text in "[a-c \n犬]{0,60}", edits in prop::collection::vec((any::<u16>(), 0usize..6, "[a \n犬]{0,4}"), 0..8), width in 1usize..12,
        ) {
            let (mut text, mut rows) = (text, SoftWrap::default());
            let floor = |text: &str, mut at: usize| { while !text.is_char_boundary(at) { at -= 1; } at };
            for (at, removed, inserted) in edits {
                let at = floor(&text, usize::from(at) % (text.len() + 1));
                let end = floor(&text, (at + removed).min(text.len())).max(at);
                rows.window(&text, at, width, 5);
                let breaks = text[at..end].contains('\n') || inserted.contains('\n');
                text.replace_range(at..end, &inserted);
                rows.edited(Edited { at, removed: end - at, inserted: inserted.len(), breaks });
                let cursor = at + inserted.len();
                let kept = rows.window(&text, cursor, width, 100).rows;
                let fresh = SoftWrap::default().window(&text, cursor, width, 100).rows;
                prop_assert_eq!(kept, fresh);
            }
        }
    }
}
