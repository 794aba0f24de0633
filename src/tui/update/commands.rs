//! Carrying out slash commands, and copying.
//!
//! Owns: one arm for each row of the table.
//! Refuses: parsing.
//! Invariant: a command that cannot do its work says why, in one line.

use crate::chat::{Effort, ModelId, Overflow, Selection};
use crate::protocol::{Command, Level};
use crate::tui::app::App;
use crate::tui::field::Field;
use crate::tui::format::{age, millis_or_na, speed, thousands};
use crate::tui::keymap::{Action, KeyContext};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Levels, Overlay, Sessions, TextPage};
use crate::tui::picker::Picker;
use crate::tui::slash::{self, Parsed, Slash, SlashCommand};
use crate::tui::update::{submit, why};
use crate::tui::view::words;

/// What Enter does with the draft.
pub(crate) fn enter(app: &mut App) -> Vec<Effect> {
    if app.composer.break_at_backslash() || app.composer.is_blank() {
        return Vec::new();
    }
    let text = app.composer.text().trim_end().to_owned();
    match slash::parse(&text) {
        Parsed::Command(row, argument) => {
            app.composer.take();
            run(app, row, argument)
        }
        Parsed::Unknown { typed, nearest } => {
            app.say(
                Level::Warning,
                format!(
                    "no command /{typed}: did you mean /{nearest}? A space first sends it as it is"
                ),
            );
            Vec::new()
        }
        Parsed::Prompt => submit::prompt(app, text),
    }
}

pub(crate) fn run(app: &mut App, row: &SlashCommand, argument: &str) -> Vec<Effect> {
    match row.slash {
        Slash::Model => return model(app, argument),
        Slash::Effort => return effort(app, argument),
        Slash::Cache => return cache(app, argument),
        Slash::Budget => app.overlay = Overlay::Page(budget(app)),
        Slash::Cost => app.overlay = Overlay::Page(cost(app)),
        Slash::Why => app.overlay = Overlay::Page(why::page(app)),
        Slash::Fit => return fit(app, argument),
        Slash::Continue => return submit::go_on(app),
        Slash::New if app.busy() => app.info("an answer is streaming: Esc stops it, then /new"),
        Slash::New => return vec![Effect::Send(Command::New)],
        Slash::Resume | Slash::Search => return sessions(app, argument),
        Slash::Rename if argument.is_empty() => app.info("/rename needs a title"),
        Slash::Rename => {
            if let Some((_, title)) = &mut app.session {
                argument.clone_into(title);
            }
            return vec![Effect::Send(Command::Rename(argument.to_owned()))];
        }
        Slash::Copy => return copy_argument(app, argument),
        Slash::System => return system(app, argument),
        Slash::Retry => match argument {
            "" => return submit::retry(app, false),
            "up" => return submit::retry(app, true),
            other => app.say(
                Level::Warning,
                format!("/retry takes nothing or up, not `{other}`"),
            ),
        },
        Slash::Help => app.overlay = Overlay::Page(help(app)),
        Slash::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

fn model(app: &mut App, name: &str) -> Vec<Effect> {
    let selection = match name {
        "auto" => Selection::Auto,
        full if full.parse::<ModelId>().is_ok() => match full.parse() {
            Ok(id) => Selection::Pinned(id),
            Err(_) => return Vec::new(),
        },
        filter => return models(app, filter),
    };
    app.composer.touch();
    vec![Effect::Send(Command::Select(selection))]
}

/// Opens the picker, filtered.
pub(crate) fn models(app: &mut App, filter: &str) -> Vec<Effect> {
    app.overlay = Overlay::Picker(Box::new(Picker::new(filter)));
    vec![Effect::Send(Command::ListModels {
        draft: app.composer.text().into(),
    })]
}

fn effort(app: &mut App, level: &str) -> Vec<Effect> {
    let effort = match level {
        "" => {
            match words::quote(app) {
                Some(quote) if quote.efforts.is_empty() => {
                    let text = format!(
                        "{} takes no effort: it thinks as it does, or not at all",
                        quote.model
                    );
                    app.info(text);
                }
                // Only a receipt says which efforts the model takes.
                quote => {
                    let levels =
                        quote.map_or_else(|| Effort::ALL.to_vec(), |quote| quote.efforts.clone());
                    app.overlay = Overlay::Effort(Levels::new(&levels, app.choice.effort));
                }
            }
            return Vec::new();
        }
        "default" => None,
        level => match level.parse::<Effort>() {
            Ok(effort) => Some(effort),
            Err(problem) => {
                app.say(Level::Warning, problem.to_string());
                return Vec::new();
            }
        },
    };
    vec![Effect::Send(Command::SetEffort(effort))]
}

fn cache(app: &mut App, argument: &str) -> Vec<Effect> {
    let on = match argument {
        "" => {
            app.overlay = Overlay::Page(cache_page(app));
            return Vec::new();
        }
        "on" => true,
        "off" => false,
        other => {
            app.say(
                Level::Warning,
                format!("/cache takes nothing, on or off, not `{other}`"),
            );
            return Vec::new();
        }
    };
    app.info(if on {
        "kept answers are used in this chat"
    } else {
        "every question of this chat is asked anew"
    });
    app.composer.touch();
    vec![Effect::Send(Command::SetCached(on))]
}

/// What is known of kept answers: for this question, and so far.
fn cache_page(app: &App) -> TextPage {
    let state = match (app.choice.cached, words::quote(app)) {
        (false, _) => "off: kept answers are neither used nor stored".to_owned(),
        (true, None) => "n/a: nothing is typed yet".to_owned(),
        (true, Some(quote)) => match &quote.kept {
            None => "not kept: it would be asked anew".to_owned(),
            Some(kept) if words::served(quote, kept) => {
                format!(
                    "kept {} ago: given again for $0, unless /retry asks anew",
                    age(kept.age_s)
                )
            }
            Some(kept) => words::before(quote, kept),
        },
    };
    let mut lines = vec![line("this question", state)];
    if let Some(panel) = &app.panel {
        lines.push(line("cache hit", words::hits(panel)));
        lines.push(line("saved", panel.saved.short_sum(panel.saved_unknown)));
    }
    lines.push(line(
        "this chat",
        if app.choice.cached {
            "on; /cache off turns it off"
        } else {
            "off; /cache on turns it on"
        },
    ));
    TextPage {
        title: "cache",
        lines,
        scroll: 0,
    }
}

fn fit(app: &mut App, rule: &str) -> Vec<Effect> {
    if rule.is_empty() {
        app.info(format!(
            "too long a question {}; /fit takes refuse, truncate or segment",
            fate(app.choice.overflow)
        ));
        return Vec::new();
    }
    match rule.parse::<Overflow>() {
        Ok(rule) => {
            app.info(format!("from now on too long a question {}", fate(rule)));
            // Shown at once; the core's `Choice` has the last word.
            app.choice.overflow = rule;
            app.composer.touch();
            vec![Effect::Send(Command::Fit(rule))]
        }
        Err(problem) => {
            app.say(Level::Warning, problem.to_string());
            Vec::new()
        }
    }
}

/// What becomes of a question that does not fit the window.
fn fate(rule: Overflow) -> &'static str {
    match rule {
        Overflow::Refuse => "is not sent",
        Overflow::Truncate => "is sent without the oldest turns of the chat",
        Overflow::Segment => {
            "is split, each part answered, and the answers joined: several requests"
        }
    }
}

fn system(app: &mut App, text: &str) -> Vec<Effect> {
    match text {
        "" => {
            let now = app
                .choice
                .system
                .clone()
                .unwrap_or_else(|| "none".to_owned());
            app.info(format!("system message: {now}"));
            Vec::new()
        }
        "off" => vec![Effect::Send(Command::SetSystem(None))],
        text => vec![Effect::Send(Command::SetSystem(Some(text.to_owned())))],
    }
}

fn sessions(app: &mut App, query: &str) -> Vec<Effect> {
    if app.busy() {
        app.info("an answer is streaming: Esc stops it, then /resume");
        return Vec::new();
    }
    app.overlay = Overlay::Sessions(Sessions {
        field: Field::new(query),
        ..Sessions::default()
    });
    vec![Effect::Send(Command::ListSessions {
        query: query.to_owned(),
    })]
}

fn copy_argument(app: &mut App, argument: &str) -> Vec<Effect> {
    match (argument, argument.parse::<u8>()) {
        ("", _) => copy(app, app.log.last_answer()),
        ("all", _) => copy(app, app.log.whole()),
        (_, Ok(n)) => copy_block(app, n),
        (other, _) => {
            app.say(
                Level::Warning,
                format!("/copy takes nothing, a number or all, not `{other}`"),
            );
            Vec::new()
        }
    }
}

/// `found`: what it is called, and its source text.
pub(crate) fn copy(app: &mut App, found: Option<(String, String)>) -> Vec<Effect> {
    let Some((what, text)) = found else {
        app.info("nothing to copy yet");
        return Vec::new();
    };
    vec![Effect::Copy { text, what }]
}

pub(crate) fn copy_block(app: &mut App, n: u8) -> Vec<Effect> {
    let Some(text) = app.log.block(usize::from(n)) else {
        app.info(format!("there is no code block {n}"));
        return Vec::new();
    };
    vec![Effect::Copy {
        text,
        what: format!("code block {n}"),
    }]
}

fn line(left: impl Into<String>, right: impl Into<String>) -> (String, String) {
    (left.into(), right.into())
}

pub(crate) fn help(app: &App) -> TextPage {
    let mut lines = Vec::new();
    for place in KeyContext::ALL {
        lines.push(line(place.title(), ""));
        for (row, keys) in app
            .keymap
            .rows()
            .filter(|(row, keys)| row.place == place && !keys.is_empty())
        {
            match row.action {
                Action::CopyBlock(1) => lines.push(line("1-9", "copy code block N")),
                Action::CopyBlock(_) => {}
                _ => lines.push(line(keys, row.help)),
            }
        }
    }
    lines.push(line("commands", ""));
    lines.extend(
        slash::TABLE
            .iter()
            .map(|row| line(format!("/{} {}", row.name, row.argument), row.help)),
    );
    TextPage {
        title: "help",
        lines,
        scroll: 0,
    }
}

fn budget(app: &App) -> TextPage {
    let panel = app.panel.clone().unwrap_or_default();
    let mut lines = Vec::new();
    for (name, meter) in [
        ("session $", panel.session),
        ("today $", panel.today),
        ("month $", panel.month),
    ] {
        lines.push(line(name, words::meter(&meter)));
    }
    for alert in &panel.alerts {
        lines.push(line("alert", words::alerted(alert)));
    }
    if app.panel.is_none() {
        lines = vec![line("", "no figures yet")];
    }
    TextPage {
        title: "budget",
        lines,
        scroll: 0,
    }
}

fn cost(app: &App) -> TextPage {
    let mut lines = Vec::new();
    if let Some(reply) = &app.reply {
        lines.push(line("this reply", ""));
        lines.push(line("model", reply.model.to_string()));
        lines.push(line("reply $", words::cost_and_kind(reply.cost)));
        lines.push(line(
            "expected",
            words::dollars_or_na(reply.estimate.expected_usd),
        ));
        lines.push(line(
            "at most",
            words::dollars_or_na(reply.estimate.worst_usd),
        ));
        if let Some(usage) = reply.usage {
            lines.push(line("in", thousands(usage.input())));
            lines.push(line("cached", thousands(usage.cached_input)));
            lines.push(line("out", thousands(usage.output)));
            lines.push(line("reasoning", thousands(usage.reasoning)));
        }
        lines.push(line("TTFT", millis_or_na(reply.latency.ttft_ms)));
        lines.push(line("tok/s", speed(reply.latency.tokens_per_second)));
    }
    if let Some(panel) = &app.panel {
        lines.push(line("so far", ""));
        lines.push(line("session $", words::meter(&panel.session)));
        lines.push(line("today $", words::meter(&panel.today)));
        lines.push(line("month $", words::meter(&panel.month)));
        lines.push(line("saved", panel.saved.short_sum(panel.saved_unknown)));
    }
    TextPage {
        title: "cost",
        lines,
        scroll: 0,
    }
}
