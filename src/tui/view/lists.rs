//! The rows of the lists.
//!
//! Owns: the columns of models, chats, commands and earlier messages.
//! Refuses: frames and scrolling.
//! Invariant: every row is one line of safe text.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::content::Content;
use super::{wire, words};
use crate::chat::text::{one_line, truncate};
use crate::chat::{Effort, Selection, Usd};
use crate::protocol::{Circuit, ModelRow};
use crate::tui::app::App;
use crate::tui::format::millis;
use crate::tui::overlay::{Commands, Levels, Rewind, Search, Sessions};
use crate::tui::picker::Picker;
use crate::tui::wrap;

/// Cells of the figures to the right of a model's name, without and with what the last answer would have cost.
const FIGURES: [usize; 2] = [45, 50];
/// Wider than this, and the figures stand too far from the name.
const MOST_NAMES: usize = 48;

fn list(
    title: &str,
    field: Option<(&'static str, String)>,
    rows: Vec<Line<'static>>,
    selected: usize,
) -> Content {
    let selected = (!rows.is_empty()).then_some(selected);
    Content {
        title: title.to_owned(),
        field,
        head: None,
        rows,
        selected,
        scroll: 0,
    }
}

/// `text` in exactly `width` cells.
fn fit(text: &str, width: usize) -> String {
    let text = truncate(text, width).into_string();
    let pad = width.saturating_sub(wrap::width(&text));
    format!("{text}{}", " ".repeat(pad))
}

fn note(words: &str, style: Style) -> Vec<Line<'static>> {
    vec![Line::styled(words.to_owned(), style)]
}

pub(crate) fn commands(app: &App, commands: &Commands) -> Content {
    let matches = commands.matches();
    let mut rows: Vec<_> = matches
        .iter()
        .map(|row| {
            Line::from(vec![
                Span::styled(
                    fit(&format!("/{} {}", row.name, row.argument), 22),
                    app.palette.accent,
                ),
                Span::raw(row.help),
            ])
        })
        .collect();
    if rows.is_empty() {
        rows = note("no such command", app.palette.dim);
        return Content {
            selected: None,
            ..list(
                "commands",
                Some(("/", commands.field.as_str().to_owned())),
                rows,
                0,
            )
        };
    }
    list(
        "commands",
        Some(("/", commands.field.as_str().to_owned())),
        rows,
        commands.selected,
    )
}

pub(crate) fn models(app: &App, picker: &Picker, width: usize) -> Content {
    let field = Some((
        if picker.typing { "/" } else { "› " },
        picker.field.as_str().to_owned(),
    ));
    if !picker.loaded() {
        return Content {
            selected: None,
            ..list("models", field, note("asking …", app.palette.dim), 0)
        };
    }
    let last = picker.knows_last();
    let names = width
        .saturating_sub(FIGURES[usize::from(last)])
        .clamp(12, MOST_NAMES);
    let rows: Vec<_> = picker
        .visible()
        .map(|row| model(app, row, names, last))
        .collect();
    if rows.is_empty() {
        return Content {
            selected: None,
            ..list(
                "models",
                field,
                note("no model like that", app.palette.dim),
                0,
            )
        };
    }
    let head = ["in", "out", "this", "last", "p50", "tok/s"].map(str::to_owned);
    let head = format!(
        "  {}{}",
        fit("model ($ per million tokens)", names),
        columns(&head, last)
    );
    Content {
        head: Some(Line::styled(head, app.palette.dim)),
        ..list("models", field, rows, picker.selected)
    }
}

/// The figures of a row: prices, this draft, the last answer, time to the first token, speed.
fn columns([input, output, this, last, p50, tps]: &[String; 6], with_last: bool) -> String {
    if with_last {
        format!("{input:>7}{output:>7}{this:>10}{last:>10}{p50:>8}{tps:>6}")
    } else {
        format!("{input:>8}{output:>8}{this:>11}{p50:>9}{tps:>7}")
    }
}

fn model(app: &App, row: &ModelRow, names: usize, with_last: bool) -> Line<'static> {
    let in_use = row.id == app.choice.selection;
    let mark = match (in_use, row.favourite || row.id == Selection::Auto) {
        (true, _) => "▸ ",
        (false, true) => "* ",
        (false, false) => "  ",
    };
    if let Some(why) = &row.unusable {
        let text = format!(
            "{mark}{} {}",
            fit(&row.id.to_string(), names),
            one_line(why)
        );
        return Line::styled(text, app.palette.dim);
    }
    let name = match row.rung {
        Some(rung) => format!("{} · rung {}", row.id, rung + 1),
        None => row.id.to_string(),
    };
    let price = |usd: Option<Usd>| {
        if row.free {
            "free".to_owned()
        } else {
            usd.map_or_else(|| "n/a".to_owned(), Usd::short)
        }
    };
    let (input, output) = if row.id == Selection::Auto {
        (String::new(), String::new())
    } else {
        (price(row.input), price(row.output))
    };
    let about = |usd: Option<Usd>| match usd {
        _ if row.free => "free".to_owned(),
        Some(usd) => format!("~${}", usd.short()),
        None => "n/a".to_owned(),
    };
    // What was paid is known better than what would have been.
    let paid = app
        .reply
        .as_ref()
        .filter(|reply| row.id == Selection::Pinned(reply.model.clone()))
        .and_then(|r| r.cost);
    let last = match paid {
        _ if row.id == Selection::Auto => String::new(),
        Some(cost) => cost.to_string(),
        None => about(row.last_usd),
    };
    let p50 = row.p50_ms.map_or_else(|| "-".to_owned(), millis);
    let tps = row
        .tps
        .map_or_else(|| "-".to_owned(), |tps| format!("{tps:.0}"));
    let style = if in_use {
        app.palette.accent
    } else {
        app.palette.text
    };
    // What is wrong with its provider is seen whole; of the name there is enough left to know it.
    let health = match row.circuit {
        Circuit::Closed => String::new(),
        Circuit::Open { .. } if names < MOST_NAMES => " open ".to_owned(),
        broken => format!(" {} ", wire::circuit(app, broken)),
    };
    let names = names.saturating_sub(wrap::width(&health));
    Line::from(vec![
        Span::styled(format!("{mark}{}", fit(&name, names)), style),
        Span::styled(health, app.palette.warning),
        Span::styled(
            columns(
                &[input, output, about(row.expected_usd), last, p50, tps],
                with_last,
            ),
            app.palette.text,
        ),
    ])
}

pub(crate) fn efforts(app: &App, levels: &Levels) -> Content {
    let rows = levels.rows.iter().map(|level| {
        let mark = if *level == app.choice.effort {
            "▸ "
        } else {
            "  "
        };
        let words = level.map_or("default: as the model does by itself", Effort::as_str);
        Line::styled(format!("{mark}{words}"), app.palette.text)
    });
    let of = words::quote(app)
        .map(|quote| format!(" of {}", one_line(quote.model.model())))
        .unwrap_or_default();
    list(
        &format!("effort{of}"),
        None,
        rows.collect(),
        levels.selected,
    )
}

pub(crate) fn sessions(app: &App, sessions: &Sessions) -> Content {
    let field = Some(("search: ", sessions.field.as_str().to_owned()));
    let Some(rows) = &sessions.rows else {
        return Content {
            selected: None,
            ..list("chats", field, note("looking …", app.palette.dim), 0)
        };
    };
    if rows.is_empty() {
        return Content {
            selected: None,
            ..list("chats", field, note("no chat found", app.palette.dim), 0)
        };
    }
    let rows = rows
        .iter()
        .map(|row| {
            let mut spans = vec![
                Span::styled(fit(&row.title, 40), app.palette.text),
                Span::styled(
                    format!(
                        "{:>5} messages {:>12}  ",
                        row.messages,
                        words::chat_cost(row)
                    ),
                    app.palette.dim,
                ),
            ];
            if let Some(snippet) = &row.snippet {
                spans.push(Span::styled(
                    one_line(snippet).into_string(),
                    app.palette.quote,
                ));
            }
            Line::from(spans)
        })
        .collect();
    list("chats", field, rows, sessions.selected)
}

pub(crate) fn rewind(rewind: &Rewind) -> Content {
    let head = |text: &str| text.chars().take(500).collect::<String>();
    let rows = rewind
        .rows
        .iter()
        .map(|(_, text)| Line::raw(one_line(&head(text)).into_string()))
        .collect();
    list("edit an earlier message", None, rows, rewind.selected)
}

pub(crate) fn history(app: &App, search: &Search) -> Content {
    let rows = match &search.hit {
        Some((_, text)) => text
            .lines()
            .take(5)
            .map(|line| Line::raw(truncate(line, 500).into_string()))
            .collect(),
        None if search.field.as_str().is_empty() => {
            note("type a part of an earlier prompt", app.palette.dim)
        }
        None => note("nothing found", app.palette.dim),
    };
    Content {
        selected: None,
        ..list(
            "earlier prompts",
            Some(("search: ", search.field.as_str().to_owned())),
            rows,
            0,
        )
    }
}
