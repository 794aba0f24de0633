//! Sending.
//!
//! Owns: what Enter does with the draft, the queue, retries.
//! Refuses: sending anything that the user did not ask for: after a stop or a failure the queue comes back to the input.
//! Invariant: a prompt is in the input, in the queue, waiting for the core, or in the transcript; never nowhere.

use std::sync::Arc;

use super::commands;
use crate::protocol::{Command, Level};
use crate::tui::app::{App, QUEUE, Turn};
use crate::tui::msg::Effect;
use crate::tui::slash::{self, Parsed};

pub fn enter(app: &mut App) -> Vec<Effect> {
    if app.composer.break_at_backslash() || app.composer.is_blank() {
        return Vec::new();
    }
    let text = app.composer.text().trim_end().to_owned();
    match slash::parse(&text) {
        Parsed::Command(row, argument) => {
            app.composer.take();
            commands::run(app, row, argument)
        }
        Parsed::Unknown { typed, nearest } => {
            app.say(
                Level::Warning,
                format!("no command /{typed}: did you mean /{nearest}? A space first sends it as it is"),
            );
            Vec::new()
        }
        Parsed::Prompt => prompt(app, text),
    }
}

fn prompt(app: &mut App, text: String) -> Vec<Effect> {
    if app.queue.len() >= QUEUE {
        app.say(Level::Warning, format!("{QUEUE} prompts are queued already; the draft stays here"));
        return Vec::new();
    }
    app.composer.take();
    app.composer.history.sent(&text);
    app.log.bottom();
    app.queue.push_back(text);
    next(app)
}

/// Sends the first of the queue when nothing is in the way.
pub fn next(app: &mut App) -> Vec<Effect> {
    if app.busy() || app.session.is_none() {
        return Vec::new();
    }
    let Some(text) = app.queue.pop_front() else { return Vec::new() };
    app.turn = Turn::Waiting { since: app.now, prompt: Some(text.clone()) };
    app.reply = None;
    vec![Effect::Send(Command::Send { text: Arc::from(text) })]
}

/// The turn was stopped or failed: what was queued behind it is the user's to decide on again.
pub fn give_back(app: &mut App, unsent: Option<String>) {
    let waiting: Vec<String> = unsent.into_iter().chain(app.queue.drain(..)).collect();
    if !waiting.is_empty() {
        app.composer.restore(&waiting.join("\n\n"));
    }
}

pub fn retry(app: &mut App, rung_up: bool) -> Vec<Effect> {
    if app.busy() {
        app.info("an answer is streaming: Esc stops it");
        return Vec::new();
    }
    if app.log.prompts().next().is_none() {
        app.info("nothing was asked yet in this chat");
        return Vec::new();
    }
    app.turn = Turn::Waiting { since: app.now, prompt: None };
    app.reply = None;
    app.log.bottom();
    vec![Effect::Send(Command::Retry { rung_up })]
}
