//! What the core says.
//!
//! Owns: the fold of events into the state.
//! Refuses: arithmetic on money; figures are shown as they come.
//! Invariant: every event has its arm.

use std::time::Duration;

use super::{limit, rescue, submit};
use crate::chat::text::one_line;
use crate::chat::{Failure, Finish, MessageId};
use crate::protocol::{
    Alert, Answer, Attempt, Event, Level, Notice, Progress, Quote, SessionView, Started,
};
use crate::tui::app::{App, ReplyFigures, Toast, TurnState};
use crate::tui::frame::Redraw;
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::price_alert::PriceAlert;
use crate::tui::scrollback::Scrollback;
use crate::tui::view::words;

/// The least time between two looks at the live figures.
const GLANCE: Duration = Duration::from_millis(125);

pub(crate) fn event(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Session(view) => return session(app, &view),
        Event::Titled(name) => {
            if let Some((_, title)) = &mut app.session {
                *title = name;
            }
        }
        Event::Choice(choice) => {
            app.choice = choice;
            app.composer.touch();
        }
        Event::Receipt(receipt) => {
            if app
                .receipt
                .as_ref()
                .is_none_or(|shown| shown.rev <= receipt.rev)
            {
                if let Ok(quote) = &receipt.outcome {
                    app.price_alert
                        .quoted(&quote.model, quote.estimate.expected_usd, app.busy());
                }
                app.receipt = Some(*receipt);
                app.draft.answered();
            }
        }
        Event::Prompted { id, text, at } => {
            app.core_clock = Some((at, app.now));
            withdraw(app);
            if let TurnState::Waiting { prompt, .. } = &mut app.turn {
                *prompt = None;
            }
            app.sent_any = true;
            app.log.prompted(&id, &text);
        }
        Event::Started(started) => begin(app, &started),
        Event::Attempt(attempt) => attempted(app, &attempt),
        Event::Text { id, text } => {
            data_arrived(app);
            piece(app, !text.is_empty(), |log| log.text(&id, &text));
        }
        Event::Reasoning { id, text } => {
            data_arrived(app);
            let now = app.now;
            piece(app, !text.is_empty(), |log| log.reasoning(&id, &text, now));
        }
        Event::Progress(progress) => progressed(app, progress),
        Event::Finished(answer) => return finished(app, &answer),
        Event::Failed {
            failure,
            answer,
            route: _,
        } => return failed(app, &failure, answer.as_deref()),
        Event::AtLimit(at) => limit::open(app, *at),
        Event::Continuable { id, quote } => offered(app, id, *quote),
        Event::Alert(alert) => return alerted(app, &alert),
        Event::Panel(panel) => app.panel = Some(*panel),
        Event::Models(rows) => {
            if let Overlay::Picker(picker) = &mut app.overlay {
                picker.fill(rows, &app.choice.selection);
            }
        }
        Event::Sessions(rows) => {
            if let Overlay::Sessions(list) = &mut app.overlay {
                list.selected = list.selected.min(rows.len().saturating_sub(1));
                list.rows = Some(rows);
            }
        }
        Event::DraftRestored(text) => restored(app, &text),
        Event::Pausing { why, ms } => app.wire.paused(why, ms, app.now),
        Event::Link(link) => app.wire.linked(link),
        Event::Offer(offer) => rescue::offered(app, offer),
        Event::Notice(notice) => noticed(app, notice),
    }
    Vec::new()
}

fn session(app: &mut App, view: &SessionView) -> Vec<Effect> {
    if app.session.as_ref().is_none_or(|(id, _)| *id != view.id) {
        app.price_alert = PriceAlert::default();
    }
    app.offer = None;
    app.rescue = None;
    app.session = Some((view.id.clone(), view.title.clone()));
    app.choice = view.choice.clone();
    app.log.open(&view.entries);
    // None are sent with a chat that is opened later: the prompts of all chats are here already.
    if !view.history.is_empty() {
        app.composer.history.load(&view.history);
    }
    app.reply = view
        .entries
        .iter()
        .rev()
        .find_map(|entry| entry.answer.as_ref())
        .map(ReplyFigures::of);
    app.sent_any = !view.entries.is_empty();
    // A new chat has another price for the same draft.
    app.composer.touch();
    submit::next(app)
}

fn begin(app: &mut App, started: &Started) {
    let since = match &app.turn {
        TurnState::Waiting { since, .. } | TurnState::Streaming { since, .. } => *since,
        TurnState::Idle => app.now,
    };
    app.core_clock = Some((started.at, app.now));
    withdraw(app);
    app.turn = TurnState::Streaming {
        id: started.id.clone(),
        since,
        last_data: None,
    };
    app.wire.go_on();
    app.reply = Some(ReplyFigures::started(started));
    app.log.started(started);
}

fn data_arrived(app: &mut App) {
    let now = app.now;
    if let TurnState::Streaming { last_data, .. } = &mut app.turn {
        *last_data = Some(now);
    }
    app.wire.go_on();
}

/// A piece of the answer. The first of its text and the first of its reasoning are drawn at once.
fn piece(app: &mut App, visible: bool, push: impl FnOnce(&mut Scrollback) -> bool) {
    let first = push(&mut app.log);
    if first && visible {
        app.redraw = Redraw::Now;
    }
}

fn attempted(app: &mut App, attempt: &Attempt) {
    // The answer's last piece came before this event: it waits for no frame.
    if matches!(app.turn, TurnState::Streaming { .. }) {
        app.redraw = Redraw::Now;
    }
    if attempt.outcome == "ok" {
        if let Some(reply) = &mut app.reply
            && !attempt.key.is_empty()
        {
            reply.key.clone_from(&attempt.key);
        }
        return;
    }
    // The user did that, and the answer says so.
    if attempt.outcome == "stopped" {
        return;
    }
    let status = attempt.status.map(|s| format!(" {s}")).unwrap_or_default();
    app.say(
        Level::Warning,
        format!("{}{status}: {}", attempt.provider, attempt.outcome),
    );
}

/// The last answer was cut off, and this is what going on costs.
fn offered(app: &mut App, id: MessageId, quote: Quote) {
    if app.busy() {
        return;
    }
    app.log.offer(
        &id,
        Some(&words::offer(&app.keymap.key("continue"), &quote)),
    );
    app.offer = Some((id, quote));
}

/// Something else is asked: there is nothing to go on with, and nothing to make up for.
fn withdraw(app: &mut App) {
    app.rescue = None;
    if let Some((id, _)) = app.offer.take() {
        app.log.offer(&id, None);
    }
}

/// A limit has passed one of its shares. It is said once; the panel shows it from then on.
fn alerted(app: &mut App, alert: &Alert) -> Vec<Effect> {
    let text = words::alerted(alert);
    let notify = app.notify && !app.in_front;
    // The end of the turn that went past the share does not settle it.
    app.toast = Some(Toast {
        level: Level::Warning,
        text: text.clone(),
        since: app.now,
        passing: false,
    });
    notify
        .then(|| Effect::Notify(one_line(&text).into_string()))
        .into_iter()
        .collect()
}

/// Figures that change sixty times a second cannot be read.
fn progressed(app: &mut App, progress: Progress) {
    data_arrived(app);
    if app
        .figures
        .0
        .is_some_and(|shown| app.now.saturating_duration_since(shown) < GLANCE)
    {
        app.figures.1 = Some(progress);
        return;
    }
    show(app, &progress);
}

/// Figures that still wait are shown when the clock ticks.
pub(crate) fn tick(app: &mut App) {
    if let Some(progress) = app.figures.1.take() {
        show(app, &progress);
    }
}

fn show(app: &mut App, progress: &Progress) {
    app.figures = (Some(app.now), None);
    app.log.progress(progress);
    if let Some(reply) = &mut app.reply {
        reply.latency = progress.latency;
        reply.usage = Some(progress.usage);
        reply.cost = Some(progress.cost);
    }
}

fn finished(app: &mut App, answer: &Answer) -> Vec<Effect> {
    app.redraw = Redraw::Now;
    let away = !app.in_front && app.elapsed().is_some_and(|d| d.as_secs() >= 5);
    settle(app, Some(answer));
    app.log.finished(answer);
    if answer.facts.finish == Some(Finish::Interrupted) {
        submit::give_back(app, None);
    }
    let mut effects = submit::next(app);
    effects.extend(away.then_some(Effect::Bell));
    effects
}

fn failed(app: &mut App, failure: &Failure, answer: Option<&Answer>) -> Vec<Effect> {
    let unsent = match &mut app.turn {
        TurnState::Waiting { prompt, .. } => prompt.take(),
        _ => None,
    };
    settle(app, answer);
    app.redraw = Redraw::Now;
    if let Some(answer) = answer {
        app.log.finished(answer);
    }
    app.log.failed(failure);
    app.failure = Some(failure.clone());
    submit::give_back(app, unsent);
    Vec::new()
}

fn settle(app: &mut App, answer: Option<&Answer>) {
    app.turn = TurnState::Idle;
    app.figures = (None, None);
    app.wire.go_on();
    // What was said of single attempts is settled too; warnings that matter stand in the transcript.
    app.toast.take_if(|toast| toast.passing);
    if let Some(answer) = answer {
        let before = app.reply.take();
        let mut reply = ReplyFigures::of(&answer.facts);
        reply.context = before.as_ref().and_then(|b| b.context);
        if reply.key.is_empty() {
            reply.key = before.map(|b| b.key).unwrap_or_default();
        }
        app.reply = Some(reply);
    }
    app.composer.touch();
}

/// A rewound message, or a draft that a crash left behind. It never takes the place of what is being typed.
fn restored(app: &mut App, text: &str) {
    if std::mem::take(&mut app.rewinding) || app.composer.is_blank() {
        app.composer.set(text);
    } else if app.composer.text() != text {
        app.composer.history.put_aside(text);
        app.info("an unsent draft was found: Up brings it back");
    }
}

fn noticed(app: &mut App, notice: Notice) {
    if notice.level != Level::Info {
        app.log.notice(&notice);
    }
    app.say(notice.level, notice.text);
}
