//! A frame: each part of the screen in its place.
//!
//! Owns: [`draw`], the header, and how much of a frame is drawn ([`Extent`]).
//! Refuses: what stands in the other parts; those have files of their own below this one.
//! Invariant: a frame of the foot alone looks like a whole one.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{dialog, input, panel, rescue, status, welcome, words};
use crate::chat::text::one_line;
use crate::tui::app::{App, Focus};
use crate::tui::canvas::Canvas;
use crate::tui::layout::ScreenLayout;
use crate::tui::overlay::Overlay;
use crate::tui::wrap;

/// A smaller screen shows only that it is too small.
const LEAST: (u16, u16) = (16, 5);

/// How much of a frame to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// The rows below the rule; the rest stays as it is.
    Foot,
}

/// Draws a frame. One that no longer fits the frame before it is drawn whole, whatever was asked for.
pub(crate) fn draw(canvas: &mut Canvas, app: &mut App, extent: Extent) {
    let area = canvas.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        app.layout = None;
        if usize::from(area.width) >= "too small".len() && area.height > 0 {
            canvas.line(area, "too small");
        }
        return;
    }
    let input = input::measure(app, area);
    let layout = ScreenLayout::new(area, input.height(), app.queue.len(), app.panel_on);
    let same = app.layout.replace(layout) == Some(layout);
    let foot_only = extent == Extent::Foot && same && matches!(app.overlay, Overlay::None);
    if !(foot_only && canvas.keep(0..layout.queue.y)) {
        above(canvas, app, &layout);
    }
    input::queue(canvas, app, layout.queue);
    input::draw(canvas, app, layout.input, &input);
    status::receipt(canvas, app, layout.receipt);
    if let Some(area) = layout.hint {
        status::hint(canvas, app, area);
    }
    if !matches!(app.overlay, Overlay::None) {
        let above = Rect {
            height: layout
                .input
                .y
                .saturating_sub(area.y)
                .max(3)
                .min(area.height),
            ..area
        };
        dialog::draw(canvas, app, above);
    }
}

/// Everything above the queue.
fn above(canvas: &mut Canvas, app: &mut App, layout: &ScreenLayout) {
    if let Some(area) = layout.header {
        header(canvas, app, area);
    }
    if let Some(area) = layout.panel {
        panel::draw(canvas, app, area);
    }
    let mut body = layout.body;
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
    if let Some(area) = layout.status {
        status::figures(canvas, app, area);
    }
    if let Some(area) = layout.rule {
        let dashes = "─".repeat(usize::from(area.width));
        canvas.line(area, Span::styled(dashes, app.palette.dim));
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
