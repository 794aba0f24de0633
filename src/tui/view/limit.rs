//! The dialog at a limit.
//!
//! Owns: its rows: the reason, then each way out with its price.
//! Refuses: keys.
//! Invariant: every way says what it costs and how long it holds, before it is taken.

use ratatui::text::{Line, Span};

use super::content::Content;
use super::words;
use crate::chat::text::one_line;
use crate::chat::{Scope, Usd};
use crate::protocol::{Quote, Raise, RouteMode};
use crate::tui::app::App;
use crate::tui::overlay::{Limit, LimitOption};
use crate::tui::wrap;

pub(crate) fn content(app: &App, limit: &Limit, width: usize) -> Content {
    let reason = one_line(&limit.at.failure.message).into_string();
    let mut rows = wrap::words(&[Span::styled(reason, app.palette.warning)], width);
    rows.push(Line::raw("nothing was sent"));
    let pinned = limit
        .at
        .route
        .as_ref()
        .is_some_and(|route| route.mode == RouteMode::Pinned);
    let ways = limit.ways();
    let mut selected = rows.len();
    for (i, way) in ways.iter().enumerate() {
        let text = match way {
            LimitOption::Cheaper(quote) => cheaper(quote, pinned),
            LimitOption::Raise(raise) => raised(raise),
            LimitOption::Cancel => "cancel; the draft stays".to_owned(),
        };
        let key = way
            .key()
            .map_or_else(|| "Esc".to_owned(), |key| key.to_string());
        // A way may take more rows than one: what it costs must not be cut off.
        for (n, line) in wrap::words(&[Span::raw(text)], width.saturating_sub(5).max(1))
            .into_iter()
            .enumerate()
        {
            if n == 0 && i == limit.selected {
                selected = rows.len();
            }
            let key = if n == 0 { key.as_str() } else { "" };
            let mut spans = vec![Span::styled(format!("{key:<5}"), app.palette.accent)];
            spans.extend(line.spans);
            rows.push(Line::from(spans));
        }
    }
    Content {
        title: "at the limit".to_owned(),
        field: None,
        head: None,
        rows,
        selected: Some(selected),
        scroll: 0,
    }
}

fn cheaper(quote: &Quote, pinned: bool) -> String {
    let holds = if pinned {
        "for this question only"
    } else {
        "so from now on in this chat"
    };
    format!(
        "{} instead: {}; {holds}",
        words::rung(quote),
        words::price(quote)
    )
}

fn raised(raise: &Raise) -> String {
    let until = match raise.scope {
        Scope::Request => "for this question",
        Scope::Run => "for this run",
        Scope::Session => "for this chat",
        Scope::KeyDay | Scope::ModelDay | Scope::Day | Scope::GroupDay => "until the day ends",
        Scope::KeyMonth | Scope::ModelMonth | Scope::Month | Scope::GroupMonth => {
            "until the month ends"
        }
    };
    format!(
        "raise the limit per {} by ${}, {until}",
        raise.scope,
        amount(raise.by)
    )
}

/// The amount as it is raised: [`Usd::short`] rounds, and may show less.
fn amount(by: Usd) -> String {
    let short = by.short();
    if short.parse() == Ok(by) {
        short
    } else {
        by.to_string()
    }
}
