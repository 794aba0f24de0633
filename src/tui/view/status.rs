//! The single lines: receipt, hints and notices, and the figures of a narrow screen.
//!
//! Owns: what is said on one row, and what is left off when it is short.
//! Refuses: more than a row.
//! Invariant: the price stands before the reason when both do not fit.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{wire, words};
use crate::chat::text;
use crate::protocol::{Circuit, Level};
use crate::tui::app::{App, Focus};
use crate::tui::canvas::Canvas;
use crate::tui::format::{millis_or_na, seconds, short, speed};
use crate::tui::overlay::Overlay;
use crate::tui::wrap;

fn row(canvas: &mut Canvas, area: Rect, words: String, style: Style) {
    let line = Line::from(Span::styled(words, style));
    canvas.line(area, wrap::cut(&line, usize::from(area.width)));
}

pub(crate) fn receipt(canvas: &mut Canvas, app: &App, area: Rect) {
    let Some(receipt) = &app.receipt else { return };
    let fresh = receipt.rev >= app.composer.rev() || !app.draft.is_late();
    match &receipt.outcome {
        Ok(quote) => {
            let style = if fresh {
                app.palette.text
            } else {
                app.palette.dim
            };
            let warning = if fresh {
                app.palette.warning
            } else {
                app.palette.dim
            };
            let parts = words::receipt(quote, app.choice.effort);
            let spans = arranged(&parts, usize::from(area.width)).into_iter().map(
                |(text, tone)| match tone {
                    Tone::Plain => Span::styled(text, style),
                    Tone::Warning => Span::styled(text, warning),
                    Tone::Aside => Span::styled(text, app.palette.dim),
                },
            );
            let line: Line<'_> = spans.collect();
            canvas.line(area, wrap::cut(&line, usize::from(area.width)));
        }
        Err(refused) => {
            let style = if fresh {
                app.palette.error
            } else {
                app.palette.dim
            };
            row(
                canvas,
                area,
                format!(" {}", text::one_line(&refused.failure.to_string())),
                style,
            );
        }
    }
}

/// How loud a part of the receipt is.
enum Tone {
    Plain,
    Warning,
    /// What may be overlooked.
    Aside,
}

/// The parts of a receipt in an order that keeps the price in sight.
fn arranged(parts: &words::ReceiptParts, width: usize) -> Vec<(String, Tone)> {
    let words::ReceiptParts {
        model,
        reason,
        tokens: [spread, single],
        price,
        left,
        warnings,
        before,
    } = parts;
    let cells = |tokens: &str| {
        [model, tokens, price, left, warnings]
            .into_iter()
            .map(wrap::width)
            .sum::<usize>()
    };
    let tokens = if cells(spread) < width {
        spread
    } else {
        single
    };
    let room = width.saturating_sub(cells(tokens) + wrap::width(before) + 4);
    // A reason cut to a few letters says nothing.
    let reason = if wrap::width(reason) <= room {
        format!(" ({reason})")
    } else if room >= 8 {
        format!(" ({})", text::truncate(reason, room))
    } else {
        String::new()
    };
    let head = (format!(" {model}{reason}"), Tone::Plain);
    let warned = (warnings.clone(), Tone::Warning);
    let aside = (before.clone(), Tone::Aside);
    if cells(tokens) < width {
        vec![
            head,
            (format!("{tokens}{price}{left}"), Tone::Plain),
            warned,
            aside,
        ]
    } else {
        vec![
            head,
            (price.clone(), Tone::Plain),
            warned,
            (format!("{left}{tokens}"), Tone::Plain),
            aside,
        ]
    }
}

/// A notice, else what the keys do here and now.
pub(crate) fn hint(canvas: &mut Canvas, app: &App, area: Rect) {
    if app.armed {
        return row(
            canvas,
            area,
            format!(" {} again quits", app.keymap.key("interrupt")),
            app.palette.warning,
        );
    }
    if let Some(toast) = &app.toast {
        let style = match toast.level {
            Level::Info => app.palette.accent,
            Level::Warning => app.palette.warning,
            Level::Error => app.palette.error,
        };
        return row(
            canvas,
            area,
            format!(" {}", text::one_line(&toast.text)),
            style,
        );
    }
    let hints = hints(app);
    let hints = hints.iter().filter(|(key, _)| !key.trim().is_empty());
    let words = hints
        .map(|(key, what)| format!(" {key} {what}"))
        .collect::<Vec<_>>()
        .join("  ");
    row(canvas, area, words, app.palette.dim);
}

/// Keys and what they do.
fn hints(app: &App) -> Vec<(String, &'static str)> {
    let key = |name: &str| app.keymap.key(name);
    match (&app.overlay, app.focus) {
        (Overlay::None, Focus::Input) if app.busy() => vec![
            (key("stop"), "stop"),
            (key("send"), "queue"),
            (key("take-back"), "take back"),
            (key("page-up"), "scroll"),
        ],
        (Overlay::None, Focus::Input) if app.rescue.is_some() && app.composer.is_empty() => vec![
            (key("offer-again"), "try again"),
            (key("offer-leave"), "leave it"),
            (key("models"), "model"),
            (key("question"), "help"),
        ],
        (Overlay::None, Focus::Input) => vec![
            (key("send"), "send"),
            (key("models"), "model"),
            (key("next-model"), "next"),
            (key("commands"), "commands"),
            (key("question"), "help"),
        ],
        (Overlay::None, Focus::Transcript) => vec![
            (format!("{} {}", key("line-down"), key("line-up")), "scroll"),
            (
                format!("{} {}", key("next-message"), key("previous-message")),
                "message",
            ),
            (key("copy-message"), "copy"),
            (key("reasoning"), "reasoning"),
            ("1-9".to_owned(), "code"),
            (key("copy-all"), "copy all"),
            (key("focus"), "focus"),
        ],
        (Overlay::None, Focus::Panel) => {
            vec![
                (
                    format!("{} {}", key("panel-down"), key("panel-up")),
                    "scroll",
                ),
                (key("focus"), "focus"),
            ]
        }
        (Overlay::Picker(picker), _) if picker.typing || !picker.field.as_str().is_empty() => vec![
            (key("accept"), "this chat"),
            (key("default-model"), "default"),
            (key("favourite-model"), "favourite"),
            (key("close"), "close"),
        ],
        (Overlay::Picker(_), _) => vec![
            (key("accept"), "this chat"),
            ("d".to_owned(), "default"),
            ("f".to_owned(), "favourite"),
            ("/".to_owned(), "type d or f too"),
            (key("close"), "close"),
        ],
        (Overlay::Effort(_), _) => vec![(key("accept"), "take it"), (key("close"), "close")],
        (Overlay::Page(_), _) => vec![
            (format!("{} {}", key("down"), key("up")), "scroll"),
            (key("close"), "close"),
        ],
        (Overlay::Palette(_), _) => {
            vec![
                (key("accept"), "run"),
                (key("complete"), "complete"),
                (key("close"), "close"),
            ]
        }
        (Overlay::HistorySearch(_), _) => {
            vec![
                (key("accept"), "take it"),
                (key("older"), "older"),
                (key("close"), "close"),
            ]
        }
        (Overlay::Sessions(_), _) => {
            vec![(key("accept"), "go on with it"), (key("close"), "close")]
        }
        (Overlay::Limit(_), _) => vec![
            (key("accept"), "take it"),
            (key("close"), "cancel: the draft stays"),
        ],
        (Overlay::Rewind(_), _) => vec![
            (key("accept"), "edit it (the old branch is kept)"),
            (key("close"), "close"),
        ],
    }
}

/// The panel's most wanted figures on one row, those that warn first.
pub(crate) fn figures(canvas: &mut Canvas, app: &App, area: Rect) {
    let (dim, warning) = (app.palette.dim, app.palette.warning);
    let mut parts: Vec<(String, Style)> = Vec::new();
    if let Some(elapsed) = app.elapsed() {
        parts.push((format!("elapsed {}", seconds(elapsed)), dim));
    }
    parts.extend(wire::waits(app));
    parts.extend(abnormal(app).map(|words| (words, warning)));
    if let Some(alert) = app.panel.as_ref().and_then(|panel| panel.alerts.first()) {
        parts.push((format!("alert {}", words::alert(alert)), dim));
    }
    parts.extend(money(app).into_iter().map(|words| (words, dim)));
    let mut spans = vec![Span::styled(" ", dim)];
    for (i, (words, style)) in parts.into_iter().enumerate() {
        if i > 0 {
            spans.push(Span::styled(" · ", dim));
        }
        spans.push(Span::styled(words, style));
    }
    canvas.line(area, wrap::cut(&Line::from(spans), usize::from(area.width)));
}

/// What is not normal about the providers.
fn abnormal(app: &App) -> impl Iterator<Item = String> {
    let current = app.wire.current();
    let broken = app
        .wire
        .abnormal()
        .filter(|link| link.circuit != Circuit::Closed);
    let broken = broken.map(|link| format!("circuit {}", wire::circuit(app, link.circuit)));
    let queue = current.filter(|link| link.waiting > 0).map(wire::waiting);
    let badge = current.filter(|link| link.plain).map(|_| "http".to_owned());
    // The badge is short, and must not be cut off.
    badge.into_iter().chain(broken).chain(queue)
}

/// Money first: it is what a narrow screen must not leave off.
fn money(app: &App) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(reply) = &app.reply {
        parts.push(format!("reply $ {}", words::reply_cost(reply)));
    }
    if let Some(panel) = &app.panel {
        parts.push(format!("session $ {}", words::spent(&panel.session)));
        let limit = panel
            .today
            .limit
            .map(|l| format!(" of {}", l.short()))
            .unwrap_or_default();
        parts.push(format!("today $ {}{limit}", words::spent(&panel.today)));
    }
    if let Some(reply) = &app.reply {
        parts.push(format!("TTFT {}", millis_or_na(reply.latency.ttft_ms)));
        parts.push(format!("{} tok/s", speed(reply.latency.tokens_per_second)));
        if let Some(usage) = reply.usage {
            parts.push(format!(
                "in {} out {}",
                short(usage.input()),
                short(usage.output)
            ));
        }
    }
    parts
}
