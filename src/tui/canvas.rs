//! The screen as rows of lines, drawn where they changed.
//!
//! Owns: what each row was asked to show, its cells, and which cells differ from those on the terminal.
//! Refuses: writing to the terminal; `terminal` does.
//! Invariant: a row that is asked to show the same as before is neither made into cells nor compared, and its cells are
//! those that a fresh canvas would have.
//!
//! While an answer streams, two rows of forty change in a frame. Making cells is what costs: text must be cut into
//! clusters and each measured.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Widget;

/// All that a frame shows.
#[derive(Debug, Default)]
pub struct Canvas {
    size: Size,
    /// A frame of this size was finished.
    drawn: bool,
    rows: Vec<CanvasRow>,
    cursor: Option<Position>,
}

#[derive(Debug)]
struct CanvasRow {
    /// What it is to show, in this order, and what it showed in the frame before; `None`: its cells are blank.
    strokes: Vec<Stroke>,
    shown: Option<Vec<Stroke>>,
    cells: Buffer,
    before: Buffer,
    changed: bool,
    /// It stays as it is in this frame.
    kept: bool,
}

/// A line in a part of a row.
#[derive(Debug, Clone, PartialEq)]
struct Stroke {
    x: u16,
    width: u16,
    line: Line<'static>,
    /// Over all of the part, with or without text.
    over: Style,
}

impl Canvas {
    /// Begins a frame of this size. Another size than that of the frame before: nothing stands on the terminal.
    pub fn begin(&mut self, size: impl Into<Size>) {
        let size = size.into();
        if size != self.size {
            let row = |y| {
                CanvasRow::blank(Rect {
                    x: 0,
                    y,
                    width: size.width,
                    height: 1,
                })
            };
            self.size = size;
            self.drawn = false;
            self.rows = (0..size.height).map(row).collect();
        }
        for row in &mut self.rows {
            row.strokes.clear();
            row.kept = false;
        }
        self.cursor = None;
    }

    /// Leaves these rows as they are in this frame, whatever is drawn there; `false`: they were not drawn yet.
    pub(crate) fn keep(&mut self, rows: std::ops::Range<u16>) -> bool {
        let range = usize::from(rows.start)..usize::from(rows.end);
        let Some(rows) = self.rows.get_mut(range).filter(|_| self.drawn) else {
            return false;
        };
        for row in rows {
            row.kept = true;
        }
        true
    }

    /// The terminal was cleared.
    pub(crate) fn forget(&mut self) {
        self.size = Size::ZERO;
        self.drawn = false;
        self.rows.clear();
    }

    /// The size of the screen.
    pub fn area(&self) -> Rect {
        Rect::from((Position::ORIGIN, self.size))
    }

    /// Shows a line in the first row of `area`, over what is there.
    pub fn line(&mut self, area: Rect, line: impl Into<Line<'static>>) {
        self.marked(area, line, Style::new());
    }

    /// The same, with a style over all of the row in `area`.
    pub(crate) fn marked(&mut self, area: Rect, line: impl Into<Line<'static>>, over: Style) {
        let area = area.intersection(self.area());
        if area.is_empty() {
            return;
        }
        if let Some(row) = self.rows.get_mut(usize::from(area.y)) {
            row.strokes.push(Stroke {
                x: area.x,
                width: area.width,
                line: line.into(),
                over,
            });
        }
    }

    /// Takes everything off these rows.
    pub(crate) fn clear(&mut self, rows: std::ops::Range<u16>) {
        for y in rows {
            self.rows
                .get_mut(usize::from(y))
                .into_iter()
                .for_each(|row| row.strokes.clear());
        }
    }

    /// Where the terminal's own cursor stands; it is hidden in a frame that does not say.
    pub(crate) fn set_cursor(&mut self, at: Position) {
        self.cursor = Some(at);
    }

    pub(crate) fn cursor(&self) -> Option<Position> {
        self.cursor
    }

    /// Ends the frame: makes the cells of the rows that changed.
    pub fn finish(&mut self) {
        self.rows.iter_mut().for_each(CanvasRow::finish);
        self.drawn = true;
    }

    /// The cells that differ from those of the frame before.
    pub fn changes(&self) -> impl Iterator<Item = (u16, u16, &Cell)> {
        self.rows
            .iter()
            .filter(|row| row.changed)
            .flat_map(|row| row.before.diff_iter(&row.cells))
    }

    /// The rows that changed, whole.
    pub(crate) fn changed_rows(&self) -> impl Iterator<Item = (u16, &[Cell])> {
        self.rows
            .iter()
            .filter(|row| row.changed)
            .map(|row| (row.cells.area.y, row.cells.content()))
    }

    #[cfg(test)]
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[Cell]> {
        self.rows.iter().map(|row| row.cells.content())
    }
}

impl CanvasRow {
    fn blank(area: Rect) -> Self {
        let (cells, before) = (Buffer::empty(area), Buffer::empty(area));
        Self {
            strokes: Vec::new(),
            shown: None,
            cells,
            before,
            changed: false,
            kept: false,
        }
    }

    fn finish(&mut self) {
        if self.kept {
            self.changed = false;
            return;
        }
        let same = self
            .shown
            .as_ref()
            .map_or(self.strokes.is_empty(), |shown| *shown == self.strokes);
        self.changed = !same;
        if same {
            return;
        }
        std::mem::swap(&mut self.before, &mut self.cells);
        self.cells.reset();
        let area = self.cells.area;
        for stroke in &self.strokes {
            let place = Rect {
                x: stroke.x,
                width: stroke.width,
                ..area
            };
            paint(&stroke.line, place, &mut self.cells);
            self.cells.set_style(place, stroke.over);
        }
        let shown = self.shown.get_or_insert_default();
        std::mem::swap(shown, &mut self.strokes);
    }
}

/// Puts a line into cells as its own `render` does. Plain letters need not be cut into clusters and measured.
fn paint(line: &Line<'_>, place: Rect, cells: &mut Buffer) {
    if line.style != Style::new() {
        return line.render(place, cells);
    }
    let mut rest = place;
    for span in line {
        let text = &*span.content;
        let width = if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            for (x, at) in (rest.x..rest.right()).zip(0..text.len()) {
                cells[(x, rest.y)]
                    .set_symbol(&text[at..=at])
                    .set_style(span.style);
            }
            text.len()
        } else {
            let width = span.width();
            // Marks with nothing to stand on are not shown.
            if width > 0 {
                span.render(rest, cells);
            }
            width
        };
        let width = rest.width.min(u16::try_from(width).unwrap_or(u16::MAX));
        rest = Rect {
            x: rest.x + width,
            width: rest.width - width,
            ..rest
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::Color;
    use ratatui::text::Span;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const SIZE: Size = Size {
        width: 12,
        height: 4,
    };
    /// Of a line.
    const WIDTH: u16 = 6;

    /// Lines with their rows and columns.
    type Frame = Vec<(u16, u16, String, bool)>;

    fn draw(canvas: &mut Canvas, frame: &Frame) {
        canvas.begin(SIZE);
        for (x, y, text, marked) in frame {
            let over = if *marked {
                Style::new().bg(Color::Blue)
            } else {
                Style::new()
            };
            canvas.marked(
                Rect {
                    x: *x,
                    y: *y,
                    width: WIDTH,
                    height: 1,
                },
                Span::raw(text.clone()),
                over,
            );
        }
        canvas.finish();
    }

    fn frame(lines: &[(u16, u16, &str)]) -> Frame {
        lines
            .iter()
            .map(|(x, y, text)| (*x, *y, (*text).to_owned(), false))
            .collect()
    }

    #[test]
    fn a_row_that_stays_is_not_touched() {
        let mut canvas = Canvas::default();
        let changed = |canvas: &Canvas| canvas.changed_rows().map(|(y, _)| y).collect::<Vec<_>>();
        for (lines, rows) in [
            (vec![], vec![]),
            (vec![(0, 0, "a title"), (2, 2, "text")], vec![0, 2]),
            (vec![(0, 0, "a title"), (2, 2, "text")], vec![]),
            (vec![(0, 0, "a title"), (2, 2, "text.")], vec![2]),
            (vec![(0, 0, "a title"), (3, 2, "text.")], vec![2]),
            (vec![(0, 0, "a title")], vec![2]),
        ] {
            draw(&mut canvas, &frame(&lines));
            assert_eq!(changed(&canvas), rows, "{lines:?}");
        }
        canvas.forget();
        draw(&mut canvas, &frame(&[(0, 0, "a title")]));
        assert_eq!(changed(&canvas), [0], "the terminal is blank");
    }

    #[test]
    fn only_cells_that_differ_are_written() {
        let mut canvas = Canvas::default();
        draw(&mut canvas, &frame(&[(0, 1, "one")]));
        draw(&mut canvas, &frame(&[(0, 1, "once")]));
        let changes: Vec<_> = canvas
            .changes()
            .map(|(x, y, cell)| (x, y, cell.symbol().to_owned()))
            .collect();
        assert_eq!(changes, [(2, 1, "c".to_owned()), (3, 1, "e".to_owned())]);
    }

    #[test]
    fn a_dialog_takes_the_place_of_what_is_below() {
        let mut canvas = Canvas::default();
        canvas.begin(SIZE);
        canvas.line(
            Rect {
                x: 0,
                y: 1,
                width: 9,
                height: 1,
            },
            "below",
        );
        canvas.clear(1..9);
        canvas.line(
            Rect {
                x: 2,
                y: 1,
                width: 20,
                height: 1,
            },
            "dialog",
        );
        canvas.finish();
        let row: String = canvas
            .rows()
            .nth(1)
            .unwrap()
            .iter()
            .map(Cell::symbol)
            .collect();
        assert_eq!(row, "  dialog    ");
    }

    /// Frames of lines that do not overlap: what a wide cluster covers of another line is not defined.
    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let cluster = prop::sample::select(vec![
            "a",
            "b",
            " ",
            "é",
            "日",
            "👍",
            "❤\u{fe0f}",
            "🇩🇪",
            "👩\u{200d}🚀",
        ]);
        let text = prop::collection::vec(cluster, 0..7).prop_map(|clusters| clusters.concat());
        let lines = prop::collection::btree_map((0u16..2, 0u16..5), (text, any::<bool>()), 0..6);
        let frame = lines.prop_map(|lines| {
            lines
                .into_iter()
                .map(|((half, y), (text, marked))| (half * WIDTH, y, text, marked))
                .collect()
        });
        prop::collection::vec(frame, 1..12)
    }

    /// What stands in the cells of a terminal. A wide cluster blanks the cells that it covers.
    fn write(terminal: &mut [Vec<String>], canvas: &Canvas) {
        for (x, y, cell) in canvas.changes() {
            let row = &mut terminal[usize::from(y)];
            let (x, cells) = (usize::from(x), cell.symbol().width().max(1));
            row.iter_mut()
                .skip(x)
                .take(cells)
                .for_each(|cell| *cell = " ".to_owned());
            cell.symbol().clone_into(&mut row[x]);
        }
    }

    proptest! {
        #[test]
        fn a_line_is_painted_as_it_renders(
            parts in prop::collection::vec(("[a-z ~]{0,4}|[aé日\u{300}👍\t]{0,3}", 0u8..4), 0..5),
            width in 0u16..12,
        ) {
            let style = |n| Style::new().fg(Color::Indexed(n));
            let line: Line<'_> = parts.iter().map(|(text, n)| Span::styled(text.as_str(), style(*n))).collect();
            let area = Rect { x: 0, y: 0, width: 12, height: 1 };
            let place = Rect { x: 12 - width, width, ..area };
            let (mut painted, mut rendered) = (Buffer::empty(area), Buffer::empty(area));
            paint(&line, place, &mut painted);
            (&line).render(place, &mut rendered);
            prop_assert_eq!(painted, rendered);
        }

        #[test]
        fn what_stands_on_the_terminal_is_what_a_fresh_canvas_shows(frames in frames()) {
            let mut canvas = Canvas::default();
            let mut terminal = vec![vec![" ".to_owned(); usize::from(SIZE.width)]; usize::from(SIZE.height)];
            for frame in &frames {
                draw(&mut canvas, frame);
                write(&mut terminal, &canvas);
                let mut fresh = Canvas::default();
                draw(&mut fresh, frame);
                prop_assert!(canvas.rows().eq(fresh.rows()));
                for (y, row) in fresh.rows().enumerate() {
                    let mut covered = 0;
                    for (x, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.symbol().is_empty()) {
                        if x >= covered {
                            prop_assert_eq!(&terminal[y][x], cell.symbol(), "at {} {}", x, y);
                            covered = x + cell.symbol().width().max(1);
                        }
                    }
                }
            }
        }
    }
}
