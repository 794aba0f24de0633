//! Drawing the state.
//!
//! Owns: where everything stands on the screen.
//! Refuses: changing anything but what a frame measures (scroll positions, whether the panel fits).
//! Invariant: any size draws; foreign text is drawn only as safe text.
//!
//! ```text
//!  title                                                        auto → gpt-5-mini   header
//!  transcript                                              │ panel                  (from 100 columns)
//!  what is offered after a failure
//!  status line                                                                      (without the panel)
//! ───────────────────────────────────────────────────────────────────────────────
//!  queued prompts
//!  › input, at most a third of the height
//!  → receipt
//!  hints, or a notice
//! ```

mod dialog;
mod input;
mod limit;
mod lists;
mod panel;
mod rescue;
mod status;
mod welcome;
mod wire;
pub mod words;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::app::{App, Focus};
use super::canvas::Canvas;
use super::overlay::Overlay;
use super::wrap;
use crate::chat::text::one_line;

/// From here on there is room for the panel.
const WITH_PANEL: u16 = 100;
/// Less than this and nothing can be told.
const LEAST: (u16, u16) = (16, 5);

pub fn draw(canvas: &mut Canvas, app: &mut App) {
    let area = canvas.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        app.panel_shown = false;
        if usize::from(area.width) >= "too small".len() && area.height > 0 {
            canvas.line(area, "too small");
        }
        return;
    }
    let mut rows = Rows {
        area,
        top: area.y,
        bottom: area.bottom(),
    };
    // From the bottom up: what is needed to write comes first, the rest gets what is left.
    let small = area.height < 10;
    let hint = (!small).then(|| rows.take_bottom(1));
    let receipt = rows.take_bottom(1);
    let input = input::measure(app, area);
    let input_area = rows.take_bottom(input.height());
    let queue_area = rows.take_bottom(input::queue_height(app, rows.left()));
    let rule = (!small).then(|| rows.take_bottom(1));
    app.panel_shown = app.panel_on && area.width >= WITH_PANEL && rows.left() >= 4;
    let header_area = (rows.left() >= 3).then(|| rows.take_top(1));
    let status_area = (!app.panel_shown && rows.left() >= 3).then(|| rows.take_bottom(1));
    let mut body = rows.rest();

    if let Some(area) = header_area {
        header(canvas, app, area);
    }
    if app.panel_shown {
        let width = (area.width * 2 / 5).clamp(40, 48);
        let panel = Rect {
            x: area.right() - width,
            width,
            ..body
        };
        // A free column, so that a figure at the end of a line does not touch the panel.
        body.width -= width + 1;
        panel::draw(canvas, app, panel);
    }
    let offer_area = {
        let height = rescue::height(app, body.height);
        body.height -= height;
        Rect {
            y: body.bottom(),
            height,
            ..body
        }
    };
    rescue::draw(canvas, app, offer_area);
    if app.session.is_some() && app.log.is_empty() {
        welcome::draw(canvas, app, body);
    } else {
        app.log.draw(canvas, body, app.focus == Focus::Transcript);
    }
    if let Some(area) = status_area {
        status::figures(canvas, app, area);
    }
    if let Some(area) = rule {
        let dashes = "─".repeat(usize::from(area.width));
        canvas.line(area, Span::styled(dashes, app.palette.dim));
    }
    input::queue(canvas, app, queue_area);
    input::draw(canvas, app, input_area, &input);
    status::receipt(canvas, app, receipt);
    if let Some(area) = hint {
        status::hint(canvas, app, area);
    }
    if !matches!(app.overlay, Overlay::None) {
        let above = Rect {
            height: input_area.y.saturating_sub(area.y).max(3).min(area.height),
            ..area
        };
        dialog::draw(canvas, app, above);
    }
}

/// Rows handed out from both ends.
struct Rows {
    area: Rect,
    top: u16,
    bottom: u16,
}

impl Rows {
    fn left(&self) -> u16 {
        self.bottom - self.top
    }

    fn take_bottom(&mut self, height: u16) -> Rect {
        let height = height.min(self.left());
        self.bottom -= height;
        Rect {
            y: self.bottom,
            height,
            ..self.area
        }
    }

    fn take_top(&mut self, height: u16) -> Rect {
        let height = height.min(self.left());
        self.top += height;
        Rect {
            y: self.top - height,
            height,
            ..self.area
        }
    }

    fn rest(&self) -> Rect {
        Rect {
            y: self.top,
            height: self.left(),
            ..self.area
        }
    }
}

fn header(canvas: &mut Canvas, app: &App, area: Rect) {
    let title = match &app.session {
        None => "opening …".to_owned(),
        Some((_, title)) if title.trim().is_empty() => "new chat".to_owned(),
        Some((_, title)) => one_line(title).into_string(),
    };
    let model = words::in_use(app);
    let width = usize::from(area.width);
    let left = Line::from(vec![
        Span::raw(" "),
        Span::styled(title, app.palette.heading),
    ]);
    let right = Span::styled(format!("{model} "), app.palette.accent);
    ends(canvas, area, &left, &Line::from(right), width);
}

/// Two texts at the ends of one row; the right one is shown whole, the left one gets what is left.
fn ends(canvas: &mut Canvas, area: Rect, left: &Line<'_>, right: &Line<'_>, width: usize) {
    let right_width = wrap::line_width(right).min(width);
    let room = width.saturating_sub(right_width + 1);
    canvas.line(area, wrap::cut(left, room));
    let shift = u16::try_from(width - right_width).unwrap_or(0);
    let place = Rect {
        x: area.x + shift,
        width: area.width - shift,
        ..area
    };
    canvas.line(place, wrap::cut(right, right_width));
}
