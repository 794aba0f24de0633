//! The panel: what this reply does and what the day has cost.
//!
//! Owns: its words, which people and tests look for, and their places.
//! Refuses: figures of its own; a line without data behind it is not drawn.
//! Invariant: `~` is an estimate, `n/a` an unknown.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{wire, words};
use crate::chat::text::one_line;
use crate::chat::{CostKind, UsageSource, Usd};
use crate::protocol::{Meter, Panel};
use crate::tui::app::{App, Focus, ReplyFigures};
use crate::tui::canvas::Canvas;
use crate::tui::format::{bar, millis, millis_or_na, seconds, short, spark, speed, thousands};
use crate::tui::wrap;

/// Cells for the name of a figure, and for the figure.
const NAME: usize = 10;
const VALUE: usize = 10;
const SPARK: usize = 12;
const BAR: usize = 10;
/// Cells beside a figure where the panel is narrowest.
const WAIT: usize = 17;

pub(crate) fn draw(canvas: &mut Canvas, app: &mut App, area: Rect) {
    let focused = app.focus == Focus::Panel;
    let lines = lines(app);
    let height = usize::from(area.height);
    let most = lines.len().saturating_sub(height);
    app.panel_scroll = app
        .panel_scroll
        .min(u16::try_from(most).unwrap_or(u16::MAX));
    let frame_style = if focused {
        app.palette.accent
    } else {
        app.palette.dim
    };
    let rows = lines
        .into_iter()
        .skip(usize::from(app.panel_scroll))
        .map(Some)
        .chain(std::iter::repeat(None));
    for (y, line) in (area.y..area.bottom()).zip(rows) {
        let mut spans = vec![Span::styled("│ ", frame_style)];
        spans.extend(wrap::spans(&line.unwrap_or_default()));
        canvas.line(
            Rect {
                y,
                height: 1,
                ..area
            },
            wrap::cut(&Line::from(spans), usize::from(area.width)),
        );
    }
}

fn lines(app: &App) -> Vec<Line<'static>> {
    let mut out = PanelLines {
        name: app.palette.dim,
        value: app.palette.text,
        lines: Vec::new(),
    };
    out.lines
        .push(Line::styled("THIS REPLY", app.palette.heading));
    reply(app, &mut out);
    out.lines.push(Line::styled("BUDGET", app.palette.heading));
    let panel = app.panel.clone().unwrap_or_default();
    for (name, meter) in [
        ("session $", panel.session),
        ("today $", panel.today),
        ("month $", panel.month),
    ] {
        budget(app, &mut out, name, &meter);
    }
    for (name, meter) in [
        ("group $", panel.group_today),
        ("group mo $", panel.group_month),
    ] {
        if meter.limit.is_some() {
            budget(app, &mut out, name, &meter);
        }
    }
    for alert in &panel.alerts {
        out.warning("alert", &words::alert(alert), app.palette.warning);
    }
    standing(app, &panel, &mut out);
    out.lines
}

fn reply(app: &App, out: &mut PanelLines) {
    let recent = app.panel.as_ref();
    if let Some(reply) = &app.reply {
        out.row("model", &one_line(&reply.model.to_string()).into_string());
        let cached = if reply.cached {
            "from the cache · "
        } else {
            ""
        };
        out.row("why", &format!("{cached}{}", words::reason(&reply.route)));
    } else {
        out.row("model", &words::in_use(app));
    }
    let latency = app.reply.as_ref().map(|r| r.latency).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a chart")]
    let ttfts: Vec<f64> = recent
        .map(|p| p.recent_ttft_ms.iter().map(|ms| *ms as f64).collect())
        .unwrap_or_default();
    out.chart(
        "TTFT",
        &millis_or_na(latency.ttft_ms),
        &spark(&ttfts, SPARK),
        app.palette.accent,
    );
    let speeds = recent.map(|p| p.recent_tps.as_slice()).unwrap_or_default();
    out.chart(
        "tok/s",
        &speed(latency.tokens_per_second),
        &spark(speeds, SPARK),
        app.palette.accent,
    );
    let elapsed = match app.elapsed() {
        Some(elapsed) => seconds(elapsed),
        None if latency.total_ms > 0 => millis(latency.total_ms),
        None => "n/a".to_owned(),
    };
    match wire::waits(app) {
        // A long one has a row of its own: a name of a fault that is cut off says nothing.
        Some((words, style)) if wrap::width(&words) > WAIT => {
            out.row("elapsed", &elapsed);
            out.lines.push(Line::styled(words, style));
        }
        Some((words, style)) => out.chart("elapsed", &elapsed, &words, style),
        None => out.row("elapsed", &elapsed),
    }
    match &app.reply {
        Some(reply) => tokens(reply, out),
        None => out.row("in", "n/a"),
    }
}

fn tokens(reply: &ReplyFigures, out: &mut PanelLines) {
    if let Some(usage) = reply.usage {
        let about = if usage.source == UsageSource::Counted {
            "~"
        } else {
            ""
        };
        out.pairs(&[
            ("in", format!("{about}{}", thousands(usage.input()))),
            ("cached", thousands(usage.cached_input)),
        ]);
        out.pairs(&[
            ("out", format!("{about}{}", thousands(usage.output))),
            ("reasoning", thousands(usage.reasoning)),
        ]);
    } else {
        let about = if reply.estimate.exact_count { "" } else { "~" };
        out.pairs(&[
            (
                "in",
                format!("{about}{}", thousands(reply.estimate.input_tokens)),
            ),
            (
                "out",
                format!("~{}", thousands(reply.estimate.output_tokens)),
            ),
        ]);
    }
    let worst = reply
        .estimate
        .worst_usd
        .map_or_else(|| "n/a".to_owned(), Usd::short);
    let billed = if reply.cost.is_some_and(|cost| cost.kind == CostKind::Billed) {
        "billed · "
    } else {
        ""
    };
    out.chart(
        "reply $",
        &words::reply_cost(reply),
        &format!("{billed}max {worst}"),
        out.name,
    );
}

fn budget(app: &App, out: &mut PanelLines, name: &str, meter: &Meter) {
    if app.panel.is_none() {
        return out.row(name, "n/a");
    }
    let (bar, limit) = match (words::share(meter), meter.limit) {
        (Some(share), Some(limit)) => (bar(share, BAR), limit.short()),
        _ => (String::new(), "no limit".to_owned()),
    };
    let style = match words::share(meter) {
        Some(share) if share >= 1.0 => app.palette.error,
        Some(share) if share >= 0.8 => app.palette.warning,
        Some(_) => app.palette.good,
        None => out.name,
    };
    out.lines.push(Line::from(vec![
        Span::styled(format!("{name:<NAME$}"), out.name),
        Span::styled(format!("{:<VALUE$}", words::spent(meter)), out.value),
        Span::styled(format!("{bar} "), style),
        Span::styled(limit, out.value),
    ]));
}

fn standing(app: &App, panel: &Panel, out: &mut PanelLines) {
    if let Some(quote) = words::quote(app) {
        let next = match (quote.free, quote.estimate.expected_usd) {
            (true, _) => "free".to_owned(),
            (false, Some(usd)) => format!("~{}", usd.short()),
            (false, None) => "n/a".to_owned(),
        };
        if app.price_alert.is_on() {
            out.warning(
                "next turn",
                &format!("{next}  twice what it was"),
                app.palette.warning,
            );
        } else {
            out.row("next turn", &next);
        }
    }
    let quote = words::quote(app);
    let window = quote
        .and_then(|q| q.context)
        .or_else(|| app.reply.as_ref().and_then(|r| r.context));
    let of = window.map_or_else(|| "n/a".to_owned(), short);
    let used = quote.map_or_else(|| "n/a".to_owned(), |q| short(q.estimate.input_tokens));
    out.row("context", &format!("{used} of {of}"));
    if let Some(warm) = words::warm(app) {
        out.row("warm", &warm);
    }
    if app.panel.is_none() {
        return;
    }
    let hits = if app.choice.cached {
        words::hits(panel)
    } else {
        "off".to_owned()
    };
    out.pairs(&[
        ("cache hit", hits),
        ("saved", panel.saved.short_sum(panel.saved_unknown)),
    ]);
    out.pairs(&[
        ("p50", millis_or_na(panel.p50_ms)),
        ("p95", millis_or_na(panel.p95_ms)),
    ]);
    let key = app
        .reply
        .as_ref()
        .map(|r| one_line(&r.key).into_string())
        .filter(|key| !key.is_empty());
    out.row("errors", &panel.errors.to_string());
    link(app, key, out);
}

/// The key in use and how it stands with the providers. Until the core says otherwise a circuit is closed.
fn link(app: &App, key: Option<String>, out: &mut PanelLines) {
    let current = app.wire.current();
    let circuit = if current.and_then(|link| wire::trouble(app, link)).is_none() {
        "closed"
    } else {
        ""
    };
    match (key, circuit) {
        (Some(key), "") => out.row("key", &key),
        (Some(key), closed) => out.pairs(&[("key", key), ("circuit", closed.to_owned())]),
        (None, "closed") if current.is_some() => out.row("circuit", "closed"),
        (None, _) => {}
    }
    for words in app
        .wire
        .abnormal()
        .filter_map(|link| wire::trouble(app, link))
    {
        out.warning("circuit", &words, app.palette.warning);
    }
    if current.is_some_and(|link| link.plain) {
        out.warning("http", wire::PLAIN, app.palette.warning);
    }
}

struct PanelLines {
    name: Style,
    value: Style,
    lines: Vec<Line<'static>>,
}

impl PanelLines {
    fn row(&mut self, name: &str, value: &str) {
        self.chart(name, value, "", self.name);
    }

    fn warning(&mut self, name: &str, value: &str, style: Style) {
        let name = Span::styled(format!("{name:<NAME$}"), self.name);
        self.lines.push(Line::from(vec![
            name,
            Span::styled(value.to_owned(), style),
        ]));
    }

    fn chart(&mut self, name: &str, value: &str, chart: &str, style: Style) {
        let value = if chart.is_empty() {
            value.to_owned()
        } else {
            format!("{value:<VALUE$} ")
        };
        self.lines.push(Line::from(vec![
            Span::styled(format!("{name:<NAME$}"), self.name),
            Span::styled(value, self.value),
            Span::styled(chart.to_owned(), style),
        ]));
    }

    /// Two figures side by side.
    fn pairs(&mut self, pairs: &[(&str, String)]) {
        let mut spans = Vec::new();
        for (i, (name, value)) in pairs.iter().enumerate() {
            let name = if i == 0 {
                format!("{name:<NAME$}")
            } else {
                format!(" {name} ")
            };
            spans.push(Span::styled(name, self.name));
            let last = i + 1 == pairs.len();
            let value = if last {
                value.clone()
            } else {
                format!("{value:<VALUE$}")
            };
            spans.push(Span::styled(value, self.value));
        }
        self.lines.push(Line::from(spans));
    }
}
