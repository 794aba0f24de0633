//! The line above an answer: who gave it, why, and what it cost.
//!
//! Owns: [`Head`] and its line.
//! Refuses: the answer itself.
//! Invariant: one line; what is cut first is the reason, what is cut last is how the answer ended.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::chat::money::CostKind;
use crate::chat::text::one_line;
use crate::chat::{Cost, Finish, ModelId, SafeText, Usd};
use crate::protocol::{AnswerFacts, CacheHit, Route, RouteMode, Started};
use crate::tui::theme::Palette;
use crate::tui::wrap;

/// What stands above an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    model: SafeText,
    /// `auto: fits the day's pace`; empty when there is nothing to say.
    why: SafeText,
    /// How it ended, when not well: `cut`.
    ending: SafeText,
    cost: Cost,
    /// Of an answer from the cache: its age in seconds, and what it spared.
    cached: Option<(u64, Usd)>,
}

impl Head {
    /// Of an answer that begins.
    pub fn started(started: &Started) -> Self {
        let cost = match started.estimate.expected_usd {
            _ if started.free => Cost::FREE,
            Some(usd) => Cost::new(usd, CostKind::Estimated),
            None => Cost::UNKNOWN,
        };
        Self { cost, ..Self::new(&started.model, &started.route) }
    }

    /// Of a finished answer.
    pub fn finished(facts: &AnswerFacts) -> Self {
        Self {
            ending: facts.finish.as_ref().map(ending).unwrap_or_default(),
            cost: facts.cost,
            cached: (facts.cache != CacheHit::None).then_some((facts.cache_age_s, facts.saved)),
            ..Self::new(&facts.model, &facts.route)
        }
    }

    fn new(model: &ModelId, route: &Route) -> Self {
        let why = match route.mode {
            RouteMode::Auto => one_line(&format!("auto: {}", route.reason)),
            RouteMode::Pinned => one_line(&route.reason),
        };
        Self { model: one_line(model.model()), why, ending: SafeText::default(), cost: Cost::UNKNOWN, cached: None }
    }

    pub(super) fn set_cost(&mut self, cost: Cost) {
        self.cost = cost;
    }

    /// The model's name as its provider knows it.
    pub fn model(&self) -> &SafeText {
        &self.model
    }

    /// The line, `width` cells wide.
    pub(super) fn line(&self, width: usize, palette: &Palette) -> Line<'static> {
        let bold = palette.accent.add_modifier(Modifier::BOLD);
        let mut left = Line::from(Span::styled(self.model.to_string(), bold));
        if !self.why.is_empty() {
            left.push_span(Span::styled(format!(" · {}", self.why), palette.dim));
        }
        let mut ending = if self.ending.is_empty() { String::new() } else { format!(" · {}", self.ending) };
        if wrap::width(&ending) > width / 2 {
            ending.clear();
        }
        let most = width.saturating_sub(wrap::width(&ending));
        let mut right = self.figures().into_iter().find(|figures| wrap::width(figures) < most / 2).unwrap_or_default();
        if !right.is_empty() {
            right.insert_str(0, "  ");
        }
        let room = most.saturating_sub(wrap::width(&right));
        let mut line = wrap::cut(&left, room);
        let spare = room - wrap::line_width(&line);
        line.push_span(Span::styled(ending, palette.warning));
        if !right.is_empty() {
            line.push_span(" ".repeat(spare));
            line.push_span(Span::styled(right, palette.dim));
        }
        line
    }

    /// The right side, best first.
    fn figures(&self) -> Vec<String> {
        let Some((age, saved)) = self.cached else { return vec![self.cost.to_string()] };
        let ago = format!("cached {} ago", span(age));
        let whole = if saved > Usd::ZERO { format!("{ago} · saved ${}", saved.short()) } else { ago.clone() };
        vec![whole, ago, "cached".to_owned()]
    }
}

fn ending(finish: &Finish) -> SafeText {
    SafeText::from_static(match finish {
        Finish::Stop | Finish::ToolCalls => "",
        Finish::Cut => "cut",
        Finish::Length => "cut at the output cap",
        Finish::ContentFilter => "stopped by the provider's filter",
        Finish::Interrupted => "interrupted",
        Finish::Other(reason) => return one_line(reason),
    })
}

/// A length of time in its largest unit: `40 s`, `5 min`, `2 h`, `3 d`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
