//! The wire in words: what is waited for, and how it stands with the providers.
//!
//! Owns: the phrases, and which of them warn.
//! Refuses: places; panel and status line have their own.
//! Invariant: a time that is left is shown only while an answer is awaited and the clock ticks anyway; else the time of
//! day, which stays true while nothing wakes up.

use std::time::Duration;

use ratatui::style::Style;

use crate::chat::Timestamp;
use crate::chat::text::one_line;
use crate::protocol::{Circuit, Link};
use crate::tui::app::{App, TurnState};
use crate::tui::format::seconds;

/// A wait shorter than this needs no word.
const PATIENT: Duration = Duration::from_secs(3);
/// A pause in the stream that is worth a warning.
const SILENT: Duration = Duration::from_secs(5);

/// What plain HTTP means, for the panel.
pub(crate) const PLAIN: &str = "plain: readable on the way";

/// What the turn under way waits for; `None`: nothing that is worth a word.
pub(crate) fn waits(app: &App) -> Option<(String, Style)> {
    let (warning, accent) = (app.palette.warning, app.palette.accent);
    let (since, last_data) = match &app.turn {
        TurnState::Idle => return None,
        TurnState::Waiting { since, .. } => (*since, None),
        TurnState::Streaming {
            since, last_data, ..
        } => (*since, *last_data),
    };
    if let Some((why, left)) = app.wire.pause(app.now) {
        return Some((
            format!("retrying in {}: {}", rounded_up(left), one_line(why)),
            warning,
        ));
    }
    let silent = app
        .now
        .saturating_duration_since(last_data.unwrap_or(since));
    if last_data.is_some() {
        return (silent >= SILENT).then(|| (format!("no data for {}", seconds(silent)), warning));
    }
    let ahead = app.wire.current().map_or(0, |link| link.waiting);
    if ahead > 0 {
        return Some((format!("waiting for a place ({ahead} ahead)"), accent));
    }
    (silent >= PATIENT).then(|| (format!("waiting {}", seconds(silent)), accent))
}

/// A time that is left, never shown as none.
fn rounded_up(left: Duration) -> String {
    seconds(left + Duration::from_millis(999))
}

/// `closed`, `half-open`, `open 12 s` while an answer is awaited, `open until 14:32:10` else.
pub(crate) fn circuit(app: &App, circuit: Circuit) -> String {
    match circuit {
        Circuit::Closed => "closed".to_owned(),
        Circuit::HalfOpen => "half-open".to_owned(),
        Circuit::Open { until } => match app.wall().map(|now| until.since(now)) {
            // The next request is the one that tries.
            Some(left) if left.is_zero() => "half-open".to_owned(),
            Some(left) if app.busy() => format!("open {}", rounded_up(left)),
            _ => format!("open until {}", to_the_second(app, until)),
        },
    }
}

/// `14:32:10`. Seconds are the same in every zone.
pub(crate) fn to_the_second(app: &App, at: Timestamp) -> String {
    format!(
        "{}:{:02}",
        (app.time_of_day)(at),
        at.0.div_euclid(1_000).rem_euclid(60)
    )
}

/// What is not normal about a provider: `open 12 s · 3 waiting · openai`; `None`: nothing.
pub(crate) fn trouble(app: &App, link: &Link) -> Option<String> {
    let broken = (link.circuit != Circuit::Closed).then(|| circuit(app, link.circuit));
    let queue = (link.waiting > 0).then(|| waiting(link));
    let parts: Vec<String> = broken.into_iter().chain(queue).collect();
    (!parts.is_empty()).then(|| format!("{} · {}", parts.join(" · "), one_line(&link.provider)))
}

/// `3 waiting`.
pub(crate) fn waiting(link: &Link) -> String {
    format!("{} waiting", link.waiting)
}
