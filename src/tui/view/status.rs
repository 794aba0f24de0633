//! The single lines: receipt, hints and notices, and the figures of a narrow screen.
//!
//! Owns: what is said on one row, and what is left off when it is short.
//! Refuses: more than a row.
//! Invariant: the price stands before the reason when both do not fit.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::words;
use crate::chat::text;
use crate::protocol::Level;
use crate::tui::app::{App, Focus};
use crate::tui::format::{millis_or_na, seconds, short, speed};
use crate::tui::overlay::Overlay;
use crate::tui::wrap;

fn row(frame: &mut Frame, area: Rect, words: String, style: Style) {
    let line = Line::from(Span::styled(words, style));
    frame.render_widget(wrap::cut(&line, usize::from(area.width)), area);
}

pub fn receipt(frame: &mut Frame, app: &App, area: Rect) {
    let Some(receipt) = &app.receipt else { return };
    let fresh = receipt.rev >= app.composer.rev();
    let width = usize::from(area.width);
    match &receipt.outcome {
        Ok(quote) => {
            let [model, reason, tokens, price, left] = words::receipt(quote);
            let mut rest = format!("{tokens}{price}{left}");
            if wrap::width(&model) + wrap::width(&rest) + 1 > width {
                rest = format!("{price}{left}{tokens}");
            }
            let room = width.saturating_sub(wrap::width(&model) + wrap::width(&rest) + 4);
            // A reason cut to a few letters says nothing.
            let reason = if wrap::width(&reason) <= room {
                format!(" ({reason})")
            } else if room >= 8 {
                format!(" ({})", text::truncate(&reason, room))
            } else {
                String::new()
            };
            let style = if fresh { app.palette.text } else { app.palette.dim };
            row(frame, area, format!(" {model}{reason}{rest}"), style);
        }
        Err(refused) => {
            let style = if fresh { app.palette.error } else { app.palette.dim };
            row(frame, area, format!(" {}", text::one_line(&refused.failure.to_string())), style);
        }
    }
}

/// A notice, else what the keys do here and now.
pub fn hint(frame: &mut Frame, app: &App, area: Rect) {
    if app.armed {
        return row(frame, area, format!(" {} again quits", app.keymap.key("interrupt")), app.palette.warning);
    }
    if let Some(toast) = &app.toast {
        let style = match toast.level {
            Level::Info => app.palette.accent,
            Level::Warning => app.palette.warning,
            Level::Error => app.palette.error,
        };
        return row(frame, area, format!(" {}", text::one_line(&toast.text)), style);
    }
    let key = |name: &str| app.keymap.key(name);
    let hints: Vec<(String, &str)> = match (&app.overlay, app.focus) {
        (Overlay::None, Focus::Input) if app.busy() => vec![
            (key("stop"), "stop"),
            (key("send"), "queue"),
            (key("take-back"), "take back"),
            (key("page-up"), "scroll"),
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
            (format!("{} {}", key("next-message"), key("previous-message")), "message"),
            (key("copy-message"), "copy"),
            ("1-9".to_owned(), "code"),
            (key("copy-all"), "copy all"),
            (key("focus"), "focus"),
        ],
        (Overlay::None, Focus::Panel) => {
            vec![(format!("{} {}", key("panel-down"), key("panel-up")), "scroll"), (key("focus"), "focus")]
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
        (Overlay::Page(_), _) => vec![(format!("{} {}", key("down"), key("up")), "scroll"), (key("close"), "close")],
        (Overlay::Palette(_), _) => {
            vec![(key("accept"), "run"), (key("complete"), "complete"), (key("close"), "close")]
        }
        (Overlay::HistorySearch(_), _) => {
            vec![(key("accept"), "take it"), (key("older"), "older"), (key("close"), "close")]
        }
        (Overlay::Sessions(_), _) => vec![(key("accept"), "go on with it"), (key("close"), "close")],
        (Overlay::Rewind(_), _) => vec![(key("accept"), "edit it (the old branch is kept)"), (key("close"), "close")],
    };
    let hints = hints.iter().filter(|(key, _)| !key.trim().is_empty());
    let words = hints.map(|(key, what)| format!(" {key} {what}")).collect::<Vec<_>>().join("  ");
    row(frame, area, words, app.palette.dim);
}

/// The panel's most wanted figures on one row.
pub fn figures(frame: &mut Frame, app: &App, area: Rect) {
    let mut parts = Vec::new();
    if let Some(elapsed) = app.elapsed() {
        parts.push(format!("elapsed {}", seconds(elapsed)));
    }
    if let Some(silence) = app.silence() {
        parts.push(format!("no data for {}", seconds(silence)));
    }
    // Money first: it is what a narrow screen must not leave off.
    if let Some(reply) = &app.reply {
        parts.push(format!("reply $ {}", words::reply_cost(reply)));
    }
    if let Some(panel) = &app.panel {
        parts.push(format!("session $ {}", words::spent(&panel.session)));
        let limit = panel.today.limit.map(|l| format!(" of {}", l.short())).unwrap_or_default();
        parts.push(format!("today $ {}{limit}", words::spent(&panel.today)));
    }
    if let Some(reply) = &app.reply {
        parts.push(format!("TTFT {}", millis_or_na(reply.latency.ttft_ms)));
        parts.push(format!("{} tok/s", speed(reply.latency.tokens_per_second)));
        if let Some(usage) = reply.usage {
            parts.push(format!("in {} out {}", short(usage.input()), short(usage.output)));
        }
    }
    row(frame, area, format!(" {}", parts.join(" · ")), app.palette.dim);
}
