//! The input and the queue above it.
//!
//! Owns: the prompt mark, the rows of the draft, the terminal's own cursor.
//! Refuses: wrapping; the composer does that.
//! Invariant: the cursor stands where the next letter goes, also while an answer streams.

use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;

use crate::chat::text::one_line;
use crate::tui::app::{App, Focus};
use crate::tui::canvas::Canvas;
use crate::tui::composer::{RowWindow, shown};
use crate::tui::layout::QUEUE_ROWS;
use crate::tui::overlay::Overlay;
use crate::tui::wrap;

/// The mark before the first row, and as much space before the others.
const MARK: &str = " › ";
const INDENT: u16 = 3;

/// The rows of the input for this screen.
pub(crate) struct Measured(RowWindow);

impl Measured {
    pub(crate) fn height(&self) -> u16 {
        u16::try_from(self.0.rows.len()).unwrap_or(u16::MAX)
    }
}

pub(crate) fn measure(app: &mut App, area: Rect) -> Measured {
    let most = (area.height / 3).max(1);
    // One cell stays free for the cursor behind a full row.
    let width = area.width.saturating_sub(INDENT + 1).max(1);
    Measured(app.composer.window(usize::from(width), usize::from(most)))
}

pub(crate) fn draw(canvas: &mut Canvas, app: &App, area: Rect, Measured(window): &Measured) {
    if area.height == 0 {
        return;
    }
    let text = app.composer.text();
    let focused = app.focus == Focus::Input && matches!(app.overlay, Overlay::None);
    let mark = if focused {
        app.palette.accent
    } else {
        app.palette.dim
    };
    for (y, range) in (area.y..area.bottom()).zip(&window.rows) {
        let first = range.start == 0;
        let last_shown = y + 1 == area.bottom();
        let lead = match (
            first,
            window.above && y == area.y,
            window.below && last_shown,
        ) {
            (true, ..) => MARK,
            (_, true, _) => " ↑ ",
            (_, _, true) => " ↓ ",
            _ => "   ",
        };
        let content: String = text[range.clone()].graphemes(true).map(shown).collect();
        let line = Line::from(vec![
            Span::styled(lead, mark),
            Span::styled(content, app.palette.text),
        ]);
        canvas.line(
            Rect {
                y,
                height: 1,
                ..area
            },
            line,
        );
    }
    if text.is_empty() {
        let words = if app.busy() {
            "type the next prompt: Enter queues it"
        } else {
            "ask something"
        };
        let place = Rect {
            x: area.x + INDENT.min(area.width),
            width: area.width.saturating_sub(INDENT),
            height: 1,
            ..area
        };
        canvas.line(place, Span::styled(words, app.palette.dim));
    }
    if focused {
        let (x, y) = window.cursor;
        let x = area
            .x
            .saturating_add(INDENT)
            .saturating_add(u16::try_from(x).unwrap_or(u16::MAX))
            .min(area.right().saturating_sub(1));
        let y = area
            .y
            .saturating_add(u16::try_from(y).unwrap_or(0))
            .min(area.bottom().saturating_sub(1));
        canvas.set_cursor(Position { x, y });
    }
}

pub(crate) fn queue(canvas: &mut Canvas, app: &App, area: Rect) {
    let width = usize::from(area.width);
    let more = app.queue.len().saturating_sub(QUEUE_ROWS);
    for (i, y) in (area.y..area.bottom()).enumerate() {
        let words = match app.queue.get(i) {
            Some(_) if i == QUEUE_ROWS => format!(" and {more} more"),
            Some(prompt) => format!(" queued: {}", one_line(&head(prompt))),
            None => break,
        };
        let line = wrap::cut(&Line::from(Span::styled(words, app.palette.dim)), width);
        canvas.line(
            Rect {
                y,
                height: 1,
                ..area
            },
            line,
        );
    }
}

/// As much of a prompt as one row could show.
fn head(prompt: &str) -> String {
    prompt.chars().take(500).collect()
}
