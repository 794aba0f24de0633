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
use crate::tui::format::age;
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
    cached: Option<(u64, Option<Usd>)>,
    /// It is older than answers are used for.
    stale: bool,
}

impl Head {
    /// Of an answer that begins.
    pub fn started(started: &Started) -> Self {
        let cost = match started.estimate.expected_usd {
            _ if started.free => Cost::FREE,
            Some(usd) => Cost::new(usd, CostKind::Estimated),
            None => Cost::UNKNOWN,
        };
        Self {
            cost,
            ..Self::new(&started.model, &started.route)
        }
    }

    /// Of a finished answer.
    pub(crate) fn finished(facts: &AnswerFacts) -> Self {
        Self {
            ending: facts.finish.as_ref().map(ending).unwrap_or_default(),
            cost: facts.cost,
            cached: (facts.cache != CacheHit::None).then_some((facts.cache_age_s, facts.saved)),
            stale: facts.stale,
            ..Self::new(&facts.model, &facts.route)
        }
    }

    fn new(model: &ModelId, route: &Route) -> Self {
        let why = match route.mode {
            RouteMode::Auto => one_line(&format!("auto: {}", route.reason)),
            RouteMode::Pinned => one_line(&route.reason),
        };
        Self {
            model: one_line(model.model()),
            why,
            ending: SafeText::default(),
            cost: Cost::UNKNOWN,
            cached: None,
            stale: false,
        }
    }

    pub(super) fn set_cost(&mut self, cost: Cost) {
        self.cost = cost;
    }

    /// The model's name as its provider knows it.
    pub(crate) fn model(&self) -> &SafeText {
        &self.model
    }

    /// The line, `width` cells wide.
    pub(super) fn line(&self, width: usize, palette: &Palette) -> Line<'static> {
        let bold = palette.accent.add_modifier(Modifier::BOLD);
        let mut left = Line::from(Span::styled(self.model.to_string(), bold));
        if !self.why.is_empty() {
            left.push_span(Span::styled(format!(" · {}", self.why), palette.dim));
        }
        let mut ending = if self.ending.is_empty() {
            String::new()
        } else {
            format!(" · {}", self.ending)
        };
        if wrap::width(&ending) > width / 2 {
            ending.clear();
        }
        let most = width.saturating_sub(wrap::width(&ending));
        let mut right = self
            .figures()
            .into_iter()
            .find(|figures| wrap::width(figures) < most / 2)
            .unwrap_or_default();
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

    /// What must not be missed of an answer that was kept for too long.
    pub(super) fn warning(&self) -> Option<String> {
        let (seconds, _) = self.cached.filter(|_| self.stale)?;
        Some(format!(
            "! kept from {} ago, older than the cache's limit",
            age(seconds)
        ))
    }

    /// The right side, best first.
    fn figures(&self) -> Vec<String> {
        let Some((seconds, saved)) = self.cached else {
            let cost = self.cost.to_string();
            return if self.cost.kind == CostKind::Billed {
                vec![format!("{cost} billed"), cost]
            } else {
                vec![cost]
            };
        };
        let ago = format!("cached {} ago", age(seconds));
        let whole = match saved {
            None => format!("{ago} · saved n/a"),
            Some(saved) if saved > Usd::ZERO => format!("{ago} · saved ${}", saved.short()),
            Some(_) => ago.clone(),
        };
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
