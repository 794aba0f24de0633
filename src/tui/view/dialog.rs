//! Dialogs: a frame over the transcript, a field if there is one, and rows.
//!
//! Owns: their places and what a row of each looks like.
//! Refuses: keys.
//! Invariant: the selected row is on the screen.

use ratatui::layout::{Margin, Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::content::Content;
use super::{limit, lists};
use crate::chat::text::one_line;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::overlay::{Overlay, TextPage};
use crate::tui::wrap;

/// Draws the open dialog into `area`, the screen above the input.
pub(crate) fn draw(canvas: &mut Canvas, app: &mut App, area: Rect) {
    let inner_width = usize::from(area.width.saturating_sub(4));
    let content = match &app.overlay {
        Overlay::None => return,
        Overlay::Page(page) => read(app, page, inner_width),
        Overlay::Palette(list) => lists::commands(app, list),
        Overlay::Picker(picker) => lists::models(app, picker, inner_width),
        Overlay::Sessions(list) => lists::sessions(app, list),
        Overlay::Rewind(list) => lists::rewind(list),
        Overlay::HistorySearch(search) => lists::history(app, search),
        Overlay::Effort(levels) => lists::efforts(app, levels),
        Overlay::Limit(limit) => limit::content(app, limit, inner_width),
    };
    let scroll = show(canvas, app, area, &content);
    if let Overlay::Page(page) = &mut app.overlay {
        page.scroll = scroll;
    }
}

/// Returns the first row on view.
fn show(canvas: &mut Canvas, app: &App, area: Rect, content: &Content) -> usize {
    let fixed = u16::from(content.field.is_some()) + u16::from(content.head.is_some());
    let wanted = u16::try_from(content.rows.len())
        .unwrap_or(u16::MAX)
        .saturating_add(fixed + 2);
    let height = wanted.clamp(3, area.height.max(3)).min(area.height);
    let place = Rect {
        y: area.bottom() - height,
        height,
        ..area
    };
    let mut inner = border(canvas, app, place, &content.title);
    if inner.is_empty() {
        return content.scroll;
    }
    if let Some((mark, typed)) = &content.field {
        field(canvas, app, inner, mark, typed);
        inner = below(inner);
    }
    if let Some(head) = &content.head {
        if !inner.is_empty() {
            canvas.line(inner, wrap::cut(head, usize::from(inner.width)));
        }
        inner = below(inner);
    }
    let height = usize::from(inner.height);
    let most = content.rows.len().saturating_sub(height);
    let first = match content.selected {
        Some(selected) => (selected + 1).saturating_sub(height.max(1)),
        None => content.scroll,
    }
    .min(most);
    for (y, (i, row)) in (inner.y..inner.bottom()).zip(content.rows.iter().enumerate().skip(first))
    {
        let over = if content.selected == Some(i) {
            app.palette.selection
        } else {
            Style::new()
        };
        canvas.marked(
            Rect {
                y,
                height: 1,
                ..inner
            },
            wrap::cut(row, usize::from(inner.width)),
            over,
        );
    }
    first
}

/// Clears the rows of `place`, draws its border, and returns what is inside.
fn border(canvas: &mut Canvas, app: &App, place: Rect, title: &str) -> Rect {
    canvas.clear(place.y..place.bottom());
    let (accent, room) = (
        app.palette.accent,
        usize::from(place.width.saturating_sub(2)),
    );
    let title = wrap::cut(
        &Line::from(Span::styled(format!(" {title} "), app.palette.heading)),
        room,
    );
    let rest = "─".repeat(room.saturating_sub(wrap::line_width(&title)));
    let mut top = vec![Span::styled("┌", accent)];
    top.extend(title.spans);
    top.push(Span::styled(format!("{rest}┐"), accent));
    canvas.line(place, Line::from(top));
    let right = place.right().saturating_sub(1);
    for y in place.y + 1..place.bottom().saturating_sub(1) {
        for x in [place.x, right] {
            canvas.line(
                Rect {
                    x,
                    y,
                    width: 1,
                    height: 1,
                },
                Span::styled("│", accent),
            );
        }
    }
    let last = place.bottom().saturating_sub(1);
    if last > place.y {
        let bottom = format!("└{}┘", "─".repeat(room));
        canvas.line(Rect { y: last, ..place }, Span::styled(bottom, accent));
    }
    place.inner(Margin::new(1, 1))
}

fn below(area: Rect) -> Rect {
    let one = area.height.min(1);
    Rect {
        y: area.y + one,
        height: area.height - one,
        ..area
    }
}

fn field(canvas: &mut Canvas, app: &App, area: Rect, mark: &str, typed: &str) {
    let room = usize::from(area.width).saturating_sub(wrap::width(mark) + 1);
    // The end is what is being typed: cut the start away.
    let typed = one_line(&format!("{typed}.")).into_string();
    let mut tail = typed.strip_suffix('.').unwrap_or(&typed);
    while wrap::width(tail) > room {
        let Some((cluster, _)) = wrap::clusters(tail).next() else {
            break;
        };
        tail = &tail[cluster.len()..];
    }
    let line = Line::from(vec![
        Span::styled(mark.to_owned(), app.palette.accent),
        Span::raw(tail.to_owned()),
    ]);
    let end = u16::try_from(wrap::line_width(&line)).unwrap_or(u16::MAX);
    canvas.line(area, line);
    canvas.set_cursor(Position {
        x: area.x.saturating_add(end).min(area.right() - 1),
        y: area.y,
    });
}

fn read(app: &App, page: &TextPage, width: usize) -> Content {
    let left = page
        .lines
        .iter()
        .filter(|(_, r)| !r.is_empty())
        .map(|(l, _)| wrap::width(l))
        .max()
        .unwrap_or(0);
    let left = left.min(width / 2);
    let mut rows = Vec::new();
    for (name, text) in &page.lines {
        let (name, text) = (one_line(name), one_line(text));
        if text.is_empty() {
            rows.push(Line::styled(name.into_string(), app.palette.heading));
            continue;
        }
        let name = name.truncate(left).into_string();
        let pad = " ".repeat(left.saturating_sub(wrap::width(&name)) + 2);
        for (i, line) in wrap::words(
            &[Span::raw(text.into_string())],
            width.saturating_sub(left + 2).max(1),
        )
        .into_iter()
        .enumerate()
        {
            let lead = if i == 0 {
                format!("{name}{pad}")
            } else {
                " ".repeat(left + 2)
            };
            let mut spans = vec![Span::styled(lead, app.palette.accent)];
            spans.extend(line.spans);
            rows.push(Line::from(spans));
        }
    }
    Content {
        title: page.title.to_owned(),
        field: None,
        head: None,
        rows,
        selected: None,
        scroll: page.scroll,
    }
}
