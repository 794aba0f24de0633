//! Keys in dialogs.
//!
//! Owns: moving, typing, taking and closing in each dialog.
//! Refuses: the rows; they come from the core or from tables.
//! Invariant: Esc closes every dialog, and no dialog keeps a letter that the input should have had.

use super::{commands, limit};
use crate::protocol::{Command, Level};
use crate::tui::app::{App, Focus};
use crate::tui::field::Field;
use crate::tui::keymap::{Action, Chord, KeyContext};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Overlay, Search, moved};
use crate::tui::slash::{self, Parsed};

/// Rows of a page, near enough: the view knows, the state need not.
const PAGE: isize = 10;

pub(crate) fn key(app: &mut App, chord: Chord) -> Vec<Effect> {
    let places: &[KeyContext] = if matches!(app.overlay, Overlay::Picker(_)) {
        &[KeyContext::Picker, KeyContext::Dialog]
    } else {
        &[KeyContext::Dialog]
    };
    match (app.keymap.find(places, chord), chord.types()) {
        (Some(action), _) => act(app, action),
        (None, Some(c)) => letter(app, c),
        (None, None) => Vec::new(),
    }
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match action {
        Action::Interrupt if app.busy() => return vec![Effect::Send(Command::Cancel)],
        Action::Escape | Action::Interrupt => limit::close(app),
        Action::LineDown => select(app, 1),
        Action::LineUp => select(app, -1),
        Action::PageDown => select(app, PAGE),
        Action::PageUp => select(app, -PAGE),
        Action::Accept => return accept(app),
        Action::Complete => complete(app),
        Action::Erase => {
            let emptied = field(&mut app.overlay).is_none_or(|field| !field.pop());
            if emptied && matches!(app.overlay, Overlay::Palette(_)) {
                app.overlay = Overlay::None;
            }
            return filtered(app);
        }
        Action::ClearField => {
            if let Some(field) = field(&mut app.overlay) {
                field.clear();
            }
            return filtered(app);
        }
        Action::SearchHistory => older(app),
        Action::SetDefault => return default_model(app),
        Action::ToggleFavourite => return favourite(app),
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        _ => {}
    }
    Vec::new()
}

fn letter(app: &mut App, c: char) -> Vec<Effect> {
    match &mut app.overlay {
        Overlay::Picker(picker) if picker.field.as_str().is_empty() && !picker.typing => match c {
            'd' => return default_model(app),
            'f' => return favourite(app),
            '/' => {
                picker.typing = true;
                return Vec::new();
            }
            _ => {}
        },
        Overlay::Limit(_) if matches!(c, '1' | '2') => return limit::take(app, Some(c)),
        Overlay::Page(_) | Overlay::Rewind(_) | Overlay::Limit(_) | Overlay::Effort(_) => {
            limit::close(app);
            // `?` and `q` close a page; anything else was meant for the input.
            if !matches!(c, '?' | 'q' | ' ') {
                app.focus = Focus::Input;
                app.composer.insert(c.encode_utf8(&mut [0; 4]));
            }
            return Vec::new();
        }
        _ => {}
    }
    typed(app, c.encode_utf8(&mut [0; 4]));
    filtered(app)
}

/// Text for the dialog's field.
pub(crate) fn typed(app: &mut App, text: &str) {
    if let Some(field) = field(&mut app.overlay) {
        field.push(text);
    }
}

fn field(overlay: &mut Overlay) -> Option<&mut Field> {
    match overlay {
        Overlay::Palette(list) => Some(&mut list.field),
        Overlay::Picker(picker) => Some(&mut picker.field),
        Overlay::Sessions(list) => Some(&mut list.field),
        Overlay::HistorySearch(search) => Some(&mut search.field),
        Overlay::None
        | Overlay::Page(_)
        | Overlay::Rewind(_)
        | Overlay::Limit(_)
        | Overlay::Effort(_) => None,
    }
}

/// The field has changed.
fn filtered(app: &mut App) -> Vec<Effect> {
    match &mut app.overlay {
        Overlay::Palette(list) => {
            list.selected = 0;
            let text = format!("/{}", list.field.as_str());
            // A path is no command: it goes on in the input.
            if text.len() > 1 && slash::parse(&text) == Parsed::Prompt {
                app.overlay = Overlay::None;
                app.focus = Focus::Input;
                app.composer.insert(&text);
            }
        }
        Overlay::Picker(picker) => picker.filter(),
        Overlay::Sessions(list) => {
            list.selected = 0;
            let query = list.field.as_str().to_owned();
            return vec![Effect::Send(Command::ListSessions { query })];
        }
        Overlay::HistorySearch(search) => {
            search.hit = found(app.composer.history.search(search.field.as_str(), None));
        }
        Overlay::None
        | Overlay::Page(_)
        | Overlay::Rewind(_)
        | Overlay::Limit(_)
        | Overlay::Effort(_) => {}
    }
    Vec::new()
}

fn found(hit: Option<(usize, &str)>) -> Option<(usize, String)> {
    hit.map(|(at, text)| (at, text.to_owned()))
}

fn older(app: &mut App) {
    let Overlay::HistorySearch(Search { field, hit }) = &mut app.overlay else {
        return;
    };
    let before = hit.as_ref().map(|(at, _)| *at);
    if let Some(older) = found(app.composer.history.search(field.as_str(), before)) {
        *hit = Some(older);
    }
}

fn select(app: &mut App, by: isize) {
    match &mut app.overlay {
        Overlay::Page(page) => page.scroll = moved(page.scroll, by, page.lines.len()),
        Overlay::Palette(list) => list.selected = moved(list.selected, by, list.matches().len()),
        Overlay::Picker(picker) => {
            let len = picker.visible().len();
            picker.selected = moved(picker.selected, by, len);
        }
        Overlay::Sessions(list) => {
            list.selected = moved(list.selected, by, list.rows.as_ref().map_or(0, Vec::len));
        }
        Overlay::Rewind(list) => list.selected = moved(list.selected, by, list.rows.len()),
        Overlay::Limit(limit) => limit.selected = moved(limit.selected, by, limit.ways().len()),
        Overlay::Effort(list) => list.selected = moved(list.selected, by, list.rows.len()),
        Overlay::HistorySearch(_) if by < 0 => older(app),
        Overlay::HistorySearch(_) | Overlay::None => {}
    }
}

fn accept(app: &mut App) -> Vec<Effect> {
    if matches!(app.overlay, Overlay::Limit(_)) {
        return limit::take(app, None);
    }
    match std::mem::take(&mut app.overlay) {
        Overlay::None | Overlay::Page(_) | Overlay::Limit(_) => Vec::new(),
        Overlay::Palette(list) => {
            let typed = list.field.as_str();
            let (word, argument) = typed.split_once(' ').unwrap_or((typed, ""));
            let exact = slash::find(word).ok();
            let Some(row) = exact.or_else(|| list.matches().get(list.selected).copied()) else {
                let nearest = slash::find(word).err().unwrap_or("help");
                app.say(
                    Level::Warning,
                    format!("no command /{word}: did you mean /{nearest}?"),
                );
                app.overlay = Overlay::Palette(list);
                return Vec::new();
            };
            // What cannot do without an argument asks for it.
            if argument.trim().is_empty()
                && !row.argument.is_empty()
                && !row.argument.starts_with('[')
            {
                let mut list = list;
                list.field = Field::new(&format!("{} ", row.name));
                app.overlay = Overlay::Palette(list);
                return Vec::new();
            }
            commands::run(app, row, argument.trim())
        }
        Overlay::Picker(picker) => {
            let Some(row) = picker.current().cloned() else {
                app.overlay = Overlay::Picker(picker);
                return Vec::new();
            };
            if let Some(why) = &row.unusable {
                app.say(Level::Warning, format!("{} cannot be used: {why}", row.id));
                app.overlay = Overlay::Picker(picker);
                return Vec::new();
            }
            app.composer.touch();
            vec![Effect::Send(Command::Select(row.id))]
        }
        Overlay::Sessions(list) => {
            let row = list
                .rows
                .and_then(|rows| rows.into_iter().nth(list.selected));
            row.map(|row| Effect::Send(Command::Resume(row.id)))
                .into_iter()
                .collect()
        }
        Overlay::Rewind(list) => {
            let Some((id, _)) = list.rows.into_iter().nth(list.selected) else {
                return Vec::new();
            };
            app.rewinding = true;
            vec![Effect::Send(Command::Rewind(id))]
        }
        Overlay::Effort(list) => {
            let level = list.rows.get(list.selected).copied().flatten();
            vec![Effect::Send(Command::SetEffort(level))]
        }
        Overlay::HistorySearch(search) => {
            if let Some((_, text)) = search.hit {
                if !app.composer.is_blank() && app.composer.text() != text {
                    let draft = app.composer.text().to_owned();
                    app.composer.history.put_aside(&draft);
                }
                app.composer.set(&text);
                app.focus = Focus::Input;
            }
            Vec::new()
        }
    }
}

fn complete(app: &mut App) {
    if let Overlay::Palette(list) = &mut app.overlay
        && let Some(row) = list.matches().get(list.selected)
        && !list.field.as_str().contains(' ')
    {
        list.field = Field::new(&format!(
            "{}{}",
            row.name,
            if row.argument.is_empty() { "" } else { " " }
        ));
    }
}

fn default_model(app: &mut App) -> Vec<Effect> {
    let Overlay::Picker(picker) = &app.overlay else {
        return Vec::new();
    };
    let Some(row) = picker.current().cloned() else {
        return Vec::new();
    };
    app.info(format!("{} is the model of new chats", row.id));
    vec![Effect::Send(Command::SetDefault(row.id))]
}

fn favourite(app: &mut App) -> Vec<Effect> {
    let Overlay::Picker(picker) = &mut app.overlay else {
        return Vec::new();
    };
    picker.toggle_favourite();
    let row = picker.current().cloned();
    row.map(|row| Effect::Send(Command::ToggleFavourite(row.id)))
        .into_iter()
        .collect()
}
