//! The offer under a question that no provider could be reached for.
//!
//! Owns: its rows, and how many there are.
//! Refuses: keys.
//! Invariant: every way says what it is before it is taken; an old answer is called old.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::wire;
use crate::chat::text::one_line;
use crate::protocol::{Kept, Offer};
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format::age;
use crate::tui::rescue::Rescue;
use crate::tui::wrap;

/// Rows of the transcript that stay.
const LEAST: u16 = 4;

/// The rows it takes of the transcript's, `left` high.
pub(crate) fn height(app: &App, left: u16) -> u16 {
    match shown(app) {
        None => 0,
        Some(rescue) if left >= LEAST + 4 => 2 + u16::from(rescue.offer.kept.is_some()),
        Some(_) => left.min(1),
    }
}

/// The offer, once the turn is over.
fn shown(app: &App) -> Option<&Rescue> {
    app.rescue.as_ref().filter(|_| !app.busy())
}

pub(crate) fn draw(canvas: &mut Canvas, app: &App, area: Rect) {
    let Some(rescue) = shown(app) else { return };
    let lines = if area.height > 1 {
        long(app, &rescue.offer)
    } else {
        vec![short(app, &rescue.offer)]
    };
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        canvas.line(
            Rect {
                y,
                height: 1,
                ..area
            },
            wrap::cut(&line, usize::from(area.width)),
        );
    }
}

/// The key for a way: a digit while nothing is typed, else one that is no text.
fn key(app: &App, name: &str) -> String {
    app.keymap.key(&if app.composer.is_empty() {
        format!("offer-{name}")
    } else {
        format!("take-{name}")
    })
}

fn long(app: &App, offer: &Offer) -> Vec<Line<'static>> {
    let row = |name: &str, words: String, style| {
        let key = Span::styled(format!(" {:<7}", key(app, name)), app.palette.accent);
        Line::from(vec![key, Span::styled(words, style)])
    };
    let mut rows = Vec::new();
    if let Some(kept) = &offer.kept {
        let style = if kept.expired {
            app.palette.warning
        } else {
            app.palette.text
        };
        rows.push(row("kept", self::kept(kept), style));
    }
    let guide = "the built-in guide, which knows the manual; free";
    rows.push(row("guide", guide.to_owned(), app.palette.text));
    rows.push(row("again", again(app, offer), app.palette.text));
    rows
}

/// `gpt-5's answer of 9 d ago, older than the cache's limit · $0`.
fn kept(kept: &Kept) -> String {
    let old = if kept.expired {
        ", older than the cache's limit"
    } else {
        ""
    };
    format!(
        "{}'s answer of {} ago{old} · $0",
        one_line(kept.model.model()),
        age(kept.age_s)
    )
}

fn again(app: &App, offer: &Offer) -> String {
    let ahead = offer
        .until
        .filter(|until| app.wall().is_none_or(|now| !until.since(now).is_zero()));
    match ahead {
        Some(until) => format!(
            "try again; the provider rests until {}",
            wire::to_the_second(app, until)
        ),
        None => "try again".to_owned(),
    }
}

fn short(app: &App, offer: &Offer) -> Line<'static> {
    let kept = offer.kept.as_ref().map(|kept| {
        let old = if kept.expired { ", old" } else { "" };
        format!("{} kept {}{old}", key(app, "kept"), age(kept.age_s))
    });
    let rest = [
        format!("{} guide", key(app, "guide")),
        format!("{} again", key(app, "again")),
    ];
    let parts: Vec<String> = kept.into_iter().chain(rest).collect();
    Line::styled(format!(" {}", parts.join(" · ")), app.palette.accent)
}
