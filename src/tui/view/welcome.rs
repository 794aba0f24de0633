//! What an empty chat says: what this is, and what to press.
//!
//! Owns: a few dim lines, gone with the first message.
//! Refuses: keys that are bound elsewhere; names of keys come from the keymap.
//! Invariant: it never stands over anything, and leaves out what does not fit.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::words;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::wrap;

/// Keys worth knowing at the start: their names in the keymap, and what they do.
const KEYS: [(&str, &str); 7] = [
    ("send", "send; the price stands under the input"),
    ("new-line", "new line"),
    ("models", "choose a model"),
    ("commands", "all commands"),
    ("previous", "earlier prompts"),
    ("stop", "stop the answer"),
    ("question", "all keys"),
];
/// Cells for the name of a key.
const KEY: usize = 14;

pub(crate) fn draw(canvas: &mut Canvas, app: &App, area: Rect) {
    let rows = lines(app, usize::from(area.width).saturating_sub(2));
    let from = area.y.saturating_add(1).min(area.bottom());
    for (y, line) in (from..area.bottom()).zip(rows) {
        let place = Rect {
            x: area.x + 1,
            y,
            width: area.width.saturating_sub(1),
            height: 1,
        };
        canvas.line(place, wrap::cut(&line, usize::from(place.width)));
    }
}

fn lines(app: &App, width: usize) -> Vec<Line<'static>> {
    let dim = app.palette.dim;
    let mut out = Vec::new();
    let mut say = |words: &str| {
        out.extend(wrap::words(
            &[Span::styled(words.to_owned(), dim)],
            width.max(1),
        ));
        out.push(Line::default());
    };
    say("A chat with any model, and its price before you send.");
    if words::quote(app).is_some_and(|quote| quote.model.provider() == "offline") {
        say(
            "No key is set, so the built-in guide answers from the manual, free of charge. For a real model set \
            OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or another provider's key and start again; or name a model \
            on this machine: chat-agent -m ollama/llama3.2",
        );
    }
    for (name, what) in KEYS {
        let key = key(app, name);
        if !key.is_empty() {
            let key = format!("{key:<KEY$}");
            out.push(Line::from(vec![
                Span::styled(key, app.palette.accent),
                Span::styled(what, dim),
            ]));
        }
    }
    out
}

/// One key for an action. Of those for a new line the last, which every terminal can send.
fn key(app: &App, name: &str) -> String {
    if name != "new-line" {
        return app.keymap.key(name);
    }
    let keys = app
        .keymap
        .rows()
        .find(|(row, _)| row.name == name)
        .map(|(_, keys)| keys)
        .unwrap_or_default();
    keys.rsplit(", ").next().unwrap_or_default().to_owned()
}
