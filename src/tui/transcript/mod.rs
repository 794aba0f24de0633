//! The chat as it scrolls: prompts, answers, notices, failures.
//!
//! Owns: [`Transcript`]: the items, where the view stands, which message is selected, what a copy yields.
//! Refuses: keys, events and drawing; it is told what came and hands out lines.
//! Invariant: showing a screen costs what is on it, however long the chat; the line at the top stays where it is when
//! the view is not at the end, whatever grows, is laid out or forgotten elsewhere.

mod foot;
mod head;
mod item;
mod reasoning;
mod scroll;

use std::collections::VecDeque;
use std::time::Instant;

use crate::chat::text::one_line;
use crate::chat::{Cost, CostKind, Failure, MessageId, Role, SafeText};
use crate::protocol::{AnswerFacts, Entry, Level, Notice};
use crate::tui::markdown::{Answer, CodeBlock};
use crate::tui::theme::Palette;

use foot::Foot;
pub use head::Head;
use item::{AnswerItem, Body, Item, View};
use reasoning::Reasoning;
pub use scroll::Position;
use scroll::{Anchor, Place};

/// A chat on the screen.
#[derive(Debug)]
pub struct Transcript {
    items: Vec<Item>,
    view: View,
    anchor: Anchor,
    /// The place at the top of the last screen, and its height.
    top: Place,
    page: usize,
    /// The view is at the end with some room below, which what comes fills before all moves up again.
    roomy: bool,
    /// The last item on the last screen.
    bottom: usize,
    selected: Option<usize>,
    /// The sum of the heights.
    total: usize,
    /// Items that hold lines, the one longest unseen first.
    warm: VecDeque<usize>,
}

impl Transcript {
    /// An empty chat in `width` columns.
    pub fn new(width: usize, palette: Palette) -> Self {
        Self {
            items: Vec::new(),
            view: View {
                width: width.max(1),
                palette,
            },
            anchor: Anchor::End,
            top: Place::default(),
            page: 0,
            roomy: false,
            bottom: 0,
            selected: None,
            total: 0,
            warm: VecDeque::new(),
        }
    }

    /// Shows these messages instead of what was there.
    pub fn load(&mut self, entries: &[Entry]) {
        *self = Self {
            page: self.page,
            ..Self::new(self.view.width, self.view.palette)
        };
        for entry in entries {
            match (&entry.role, &entry.answer) {
                (Role::Assistant, Some(facts)) => {
                    self.start_answer(entry.id.clone(), Head::finished(facts));
                    self.push_reasoning(&entry.id, &entry.reasoning);
                    self.push_text(&entry.id, &entry.text);
                    self.finish_answer(&entry.id, facts);
                }
                (Role::User, _) => self.push_prompt(entry.id.clone(), &entry.text),
                (role, _) => {
                    // An answer that nothing is known about is one whose program was killed.
                    let name = if *role == Role::System {
                        "system"
                    } else {
                        "assistant · cut"
                    };
                    self.add(Item::words(
                        Some(entry.id.clone()),
                        name,
                        &entry.text,
                        self.view,
                    ));
                }
            }
        }
    }

    pub fn push_prompt(&mut self, id: MessageId, raw: &str) {
        self.anchor = Anchor::End;
        self.add(Item::words(Some(id), "you", raw, self.view));
    }

    /// An answer begins; its pieces come with the same id.
    pub fn start_answer(&mut self, id: MessageId, head: Head) {
        let answer = AnswerItem {
            head,
            foot: Foot::default(),
            text: Answer::new(self.view.width, self.view.palette),
            reasoning: Reasoning::default(),
            streaming: true,
        };
        self.add(Item::new(
            Some(id),
            Body::Answer(Box::new(answer)),
            self.view,
        ));
    }

    /// A piece of the answer as it came. Costs nothing but the making safe until it is shown.
    pub fn push_text(&mut self, id: &MessageId, raw: &str) {
        self.change(id, |answer| answer.text.push(raw), raw);
    }

    pub fn push_reasoning(&mut self, id: &MessageId, raw: &str) {
        self.change(id, |answer| answer.reasoning.push(raw), "");
    }

    /// A piece of reasoning that came at this time.
    pub fn push_thought(&mut self, id: &MessageId, raw: &str, now: Instant) {
        let push = |answer: &mut AnswerItem| {
            answer.reasoning.push(raw);
            answer.reasoning.clock(now);
        };
        self.change(id, push, "");
    }

    /// What the answer costs so far, and the tokens of its reasoning as far as they are known.
    pub fn set_progress(&mut self, id: &MessageId, cost: Cost, reasoning: u64) {
        let set = |answer: &mut AnswerItem| {
            answer.head.set_cost(cost);
            answer.reasoning.tokens = answer.reasoning.tokens.max(reasoning);
        };
        self.change(id, set, "");
    }

    /// What going on with the answer would do; `None`: no more.
    pub fn set_offer(&mut self, id: &MessageId, offer: Option<&str>) {
        self.change(id, |answer| answer.foot.set_offer(offer), "");
    }

    /// The answer is whole, or as whole as it will be.
    pub fn finish_answer(&mut self, id: &MessageId, facts: &AnswerFacts) {
        let end = |answer: &mut AnswerItem| {
            answer.head = Head::finished(facts);
            answer.foot = Foot::finished(facts);
            answer.text.finish();
            answer.reasoning.finish();
            answer.reasoning.tokens = facts.usage.reasoning;
            answer.reasoning.cost = reasoning_cost(facts);
            answer.streaming = false;
        };
        self.change(id, end, "");
    }

    /// The answer ended and nothing is known about it but what came. One that never began leaves nothing behind.
    pub fn abandon_answer(&mut self, id: &MessageId) {
        let silent = |item: &Item| {
            let Body::Answer(answer) = &item.body else {
                return false;
            };
            item.id.as_ref() == Some(id)
                && answer.text.source().is_empty()
                && answer.reasoning.text.is_empty()
        };
        if self.items.last().is_some_and(silent) {
            self.drop_last();
            return;
        }
        let end = |answer: &mut AnswerItem| {
            answer.text.finish();
            answer.reasoning.finish();
            answer.streaming = false;
        };
        self.change(id, end, "");
    }

    pub fn push_notice(&mut self, notice: &Notice) {
        let (mark, style): (_, fn(&Palette) -> _) = match notice.level {
            Level::Info => ("·", |palette| palette.dim),
            Level::Warning => ("!", |palette| palette.warning),
            Level::Error => ("✗", |palette| palette.error),
        };
        let (text, hint) = (one_line(&notice.text), SafeText::default());
        self.add(Item::new(
            None,
            Body::Remark {
                mark,
                style,
                text,
                hint,
                lines: Vec::new(),
            },
            self.view,
        ));
    }

    pub fn push_failure(&mut self, failure: &Failure) {
        let body = Body::Remark {
            mark: "✗",
            style: |palette| palette.error,
            text: one_line(&failure.message),
            hint: failure.hint.as_deref().map(one_line).unwrap_or_default(),
            lines: Vec::new(),
        };
        self.add(Item::new(None, body, self.view));
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The id of the selected message.
    pub fn selected(&self) -> Option<&MessageId> {
        self.items.get(self.selected?)?.id.as_ref()
    }

    /// Folds or unfolds the reasoning of the selected answer, or of the last.
    pub fn toggle_reasoning(&mut self) {
        if let Some(id) = self
            .current_answer()
            .and_then(|at| self.items[at].id.clone())
        {
            self.change(&id, |answer| answer.reasoning.toggle(), "");
        }
    }

    /// The source of the selected message, or of the last answer, with unsafe characters made visible.
    pub fn copy_message(&self) -> Option<String> {
        let at = self.selected.or_else(|| self.current_answer())?;
        Some(self.items.get(at)?.source().to_string())
    }

    /// Block `number` (from 1, as on the screen) of the selected answer, or of the last.
    pub fn copy_code(&mut self, number: usize) -> Option<CodeBlock> {
        let at = self.current_answer()?;
        self.lay_out(at);
        let Body::Answer(answer) = &mut self.items[at].body else {
            return None;
        };
        answer
            .text
            .code_blocks()
            .get(number.checked_sub(1)?)
            .cloned()
    }

    /// The whole chat as markdown, each message under the name of who wrote it.
    pub fn copy_chat(&self) -> String {
        let messages = self
            .items
            .iter()
            .filter(|item| item.is_message())
            .map(|item| {
                let name = match &item.body {
                    Body::Answer(answer) => answer.head.model().as_str(),
                    Body::Words { name, .. } => name,
                    Body::Remark { .. } => "",
                };
                format!("## {name}\n\n{}\n", item.source().as_str().trim_end())
            });
        messages.collect::<Vec<_>>().join("\n")
    }

    /// How many bytes of answers have been laid out so far, over and over ones included.
    #[cfg(test)]
    pub(in crate::tui) fn laid_bytes(&self) -> u64 {
        let laid = |item: &Item| match &item.body {
            Body::Answer(answer) => answer.text.laid_bytes() + answer.reasoning.laid_bytes(),
            Body::Words { .. } | Body::Remark { .. } => 0,
        };
        self.items.iter().map(laid).sum()
    }

    fn add(&mut self, item: Item) {
        self.total += item.height;
        self.items.push(item);
    }

    /// The view follows: its place is made anew when it is shown.
    fn drop_last(&mut self) {
        let Some(item) = self.items.pop() else { return };
        let at = self.items.len();
        self.total -= item.height;
        self.warm.retain(|warm| *warm != at);
        self.selected = self.selected.filter(|selected| *selected != at);
        self.bottom = self.bottom.min(at.saturating_sub(1));
        if self.top.item >= at {
            self.top = self.clamp(self.top);
        }
    }

    /// The selected answer if one is selected, the last one if nothing is.
    fn current_answer(&self) -> Option<usize> {
        let is_answer = |at: &usize| matches!(self.items[*at].body, Body::Answer(_));
        match self.selected {
            Some(at) => Some(at).filter(is_answer),
            None => (0..self.items.len()).rev().find(is_answer),
        }
    }

    /// Changes an answer; `grown` is what was added to its text.
    fn change(&mut self, id: &MessageId, change: impl FnOnce(&mut AnswerItem), grown: &str) {
        let found = self
            .items
            .iter_mut()
            .rev()
            .find(|item| item.id.as_ref() == Some(id));
        if let Some(item) = found
            && let Body::Answer(answer) = &mut item.body
        {
            let had_text = !answer.text.source().is_empty();
            change(answer);
            let before = item.height;
            item.changed(grown, had_text);
            self.total = self.total - before + item.height;
        }
    }
}

/// The price of the reasoning is the listed one; it is as sure as that of the whole, but for a bill that names no parts.
fn reasoning_cost(facts: &AnswerFacts) -> Option<Cost> {
    let kind = match facts.cost.kind {
        CostKind::Free => return Some(Cost::FREE),
        CostKind::Exact => CostKind::Exact,
        CostKind::Billed | CostKind::Estimated | CostKind::Unknown => CostKind::Estimated,
    };
    Some(Cost::new(facts.reasoning_usd?, kind))
}

#[cfg(test)]
mod tests;
