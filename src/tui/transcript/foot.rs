//! The lines below an answer: requests that failed on the way, that its cap cut it off, how to go on, and what it would
//! have cost elsewhere.
//!
//! Owns: [`Foot`] and its lines.
//! Refuses: prices of its own; they come with the answer and with the offer.
//! Invariant: one line each, cut at the right; an answer that ended well and has no rivals has none.

use ratatui::text::{Line, Span};

use crate::chat::text::{one_line, truncate};
use crate::chat::{Finish, SafeText};
use crate::protocol::{AnswerFacts, Attempt, CacheHit};
use crate::tui::format::thousands;
use crate::tui::prices;
use crate::tui::theme::Palette;
use crate::tui::wrap;

/// Failed requests that are named; the others are counted.
const NAMED: usize = 4;
/// Cells of what went wrong with one.
const FAULT: usize = 48;

/// What stands below an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Foot {
    /// The output cap that cut it off, in tokens.
    cap: Option<u64>,
    offer: SafeText,
    others: SafeText,
    /// The requests that it took, when one of them failed.
    attempts: SafeText,
}

impl Foot {
    /// Of a finished answer.
    pub(super) fn finished(facts: &AnswerFacts) -> Self {
        let others = facts
            .others
            .iter()
            .map(|other| format!("{} {}", other.model.model(), prices::elsewhere(other)));
        let others: Vec<String> = others.collect();
        Self {
            cap: (facts.finish == Some(Finish::Length)).then_some(facts.estimate.output_cap),
            offer: SafeText::default(),
            attempts: attempts(facts)
                .map(|words| one_line(&words))
                .unwrap_or_default(),
            others: if others.is_empty() {
                SafeText::default()
            } else {
                one_line(&format!("would have cost: {}", others.join(" · ")))
            },
        }
    }

    pub(super) fn set_offer(&mut self, offer: Option<&str>) {
        self.offer = offer.map(one_line).unwrap_or_default();
    }

    pub(super) fn lines(&self, width: usize, palette: &Palette) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        if !self.attempts.is_empty() {
            lines.extend(wrap::words(
                &[Span::styled(self.attempts.as_str(), palette.dim)],
                width,
            ));
        }
        if let Some(cap) = self.cap {
            let mut line = Line::styled(
                format!("cut at its cap of {} tokens", thousands(cap)),
                palette.warning,
            );
            if !self.offer.is_empty() {
                line.push_span(Span::styled(format!(" · {}", self.offer), palette.accent));
            }
            // The way on is worth a second line where one is too short for both.
            lines.extend(if wrap::line_width(&line) <= width {
                vec![line]
            } else {
                wrap::words(&line.spans, width)
            });
        }
        if !self.others.is_empty() {
            lines.push(wrap::cut(
                &Line::styled(self.others.to_string(), palette.dim),
                width,
            ));
        }
        lines
    }
}

/// `3 attempts: openai 503, openai 503, then anthropic claude-sonnet`; `None`: none failed, or there was but one.
fn attempts(facts: &AnswerFacts) -> Option<String> {
    let (last, before) = facts.attempts.split_last()?;
    let well = |attempt: &Attempt| matches!(attempt.outcome.as_str(), "ok" | "stopped");
    let failed: Vec<&Attempt> = before.iter().filter(|attempt| !well(attempt)).collect();
    if failed.is_empty() {
        return None;
    }
    let mut parts: Vec<String> = failed
        .iter()
        .take(NAMED)
        .map(|attempt| fault(attempt))
        .collect();
    if failed.len() > NAMED {
        parts.push(format!("{} more", failed.len() - NAMED));
    }
    let count = facts.attempts.len();
    // Where several requests make the answer, as with one in parts, the others were not in vain.
    let how_many = if failed.len() == before.len() {
        format!("{count} attempts")
    } else {
        format!("{} of {count} attempts failed", failed.len())
    };
    let then = if well(last) {
        served(facts, last)
    } else {
        fault(last)
    };
    Some(format!("{how_many}: {}, then {then}", parts.join(", ")))
}

/// `openai 503: overloaded`.
fn fault(attempt: &Attempt) -> String {
    let status = attempt
        .status
        .map(|status| format!(" {status}"))
        .unwrap_or_default();
    format!(
        "{}{status}: {}",
        attempt.provider,
        truncate(&attempt.outcome, FAULT)
    )
}

/// Who answered in the end, with the model where it is another one than was chosen.
fn served(facts: &AnswerFacts, last: &Attempt) -> String {
    let chosen = facts.route.chosen().map(|chosen| &chosen.model);
    if facts.cache == CacheHit::None && chosen.is_some_and(|chosen| *chosen != facts.model) {
        return format!("the next rung, {}", facts.model);
    }
    if last.key.is_empty() {
        last.provider.clone()
    } else {
        format!("{} with key {}", last.provider, last.key)
    }
}
