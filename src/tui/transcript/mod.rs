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
mod view;

use std::time::Instant;

use ratatui::text::Line;

use crate::chat::text::one_line;
use crate::chat::{Cost, CostKind, Failure, MessageId, Role, SafeText};
use crate::protocol::{AnswerFacts, Entry, Level, Notice};
use crate::tui::markdown::{AnswerText, CodeBlock};
use crate::tui::theme::Palette;

use foot::Foot;
pub use head::Head;
use item::{AnswerItem, Item, ItemBody};
use reasoning::Reasoning;
#[cfg(test)]
pub(crate) use scroll::ScrollPosition;
use scroll::ScrolledItems;

/// A chat on the screen.
#[derive(Debug)]
pub struct Transcript {
    list: ScrolledItems,
}

impl Transcript {
    /// An empty chat in `width` columns.
    pub fn new(width: usize, palette: Palette) -> Self {
        Self {
            list: ScrolledItems::new(width, palette),
        }
    }

    /// Shows these messages instead of what was there.
    pub fn load(&mut self, entries: &[Entry]) {
        self.list.clear();
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
                    self.list.push(Item::words(
                        Some(entry.id.clone()),
                        name,
                        &entry.text,
                        self.list.view,
                    ));
                }
            }
        }
    }

    pub(crate) fn push_prompt(&mut self, id: MessageId, raw: &str) {
        self.list.follow_end();
        self.list
            .push(Item::words(Some(id), "you", raw, self.list.view));
    }

    /// An answer begins; its pieces come with the same id.
    pub fn start_answer(&mut self, id: MessageId, head: Head) {
        let answer = AnswerItem {
            head,
            foot: Foot::default(),
            text: AnswerText::new(self.list.view.width, self.list.view.palette),
            reasoning: Reasoning::default(),
            streaming: true,
        };
        self.list.push(Item::new(
            Some(id),
            ItemBody::Answer(Box::new(answer)),
            self.list.view,
        ));
    }

    /// A piece of the answer as it came. Costs nothing but the making safe until it is shown.
    pub fn push_text(&mut self, id: &MessageId, raw: &str) {
        self.change(id, |answer| answer.text.push(raw), raw);
    }

    pub(crate) fn push_reasoning(&mut self, id: &MessageId, raw: &str) {
        self.change(id, |answer| answer.reasoning.push(raw), "");
    }

    /// A piece of reasoning that came at this time.
    pub(crate) fn push_thought(&mut self, id: &MessageId, raw: &str, now: Instant) {
        let push = |answer: &mut AnswerItem| {
            answer.reasoning.push(raw);
            answer.reasoning.clock(now);
        };
        self.change(id, push, "");
    }

    /// What the answer costs so far, and the tokens of its reasoning as far as they are known.
    pub(crate) fn set_progress(&mut self, id: &MessageId, cost: Cost, reasoning: u64) {
        let set = |answer: &mut AnswerItem| {
            answer.head.set_cost(cost);
            answer.reasoning.tokens = answer.reasoning.tokens.max(reasoning);
        };
        self.change(id, set, "");
    }

    /// What going on with the answer would do; `None`: no more.
    pub(crate) fn set_offer(&mut self, id: &MessageId, offer: Option<&str>) {
        self.change(id, |answer| answer.foot.set_offer(offer), "");
    }

    /// The answer is whole, or as whole as it will be.
    pub(crate) fn finish_answer(&mut self, id: &MessageId, facts: &AnswerFacts) {
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
    pub(crate) fn abandon_answer(&mut self, id: &MessageId) {
        let silent = |item: &Item| {
            let ItemBody::Answer(answer) = &item.body else {
                return false;
            };
            item.id.as_ref() == Some(id)
                && answer.text.source().is_empty()
                && answer.reasoning.text.is_empty()
        };
        if self.list.items.last().is_some_and(silent) {
            self.list.drop_last();
            return;
        }
        let end = |answer: &mut AnswerItem| {
            answer.text.finish();
            answer.reasoning.finish();
            answer.streaming = false;
        };
        self.change(id, end, "");
    }

    pub(crate) fn push_notice(&mut self, notice: &Notice) {
        let (mark, style): (_, fn(&Palette) -> _) = match notice.level {
            Level::Info => ("·", |palette| palette.dim),
            Level::Warning => ("!", |palette| palette.warning),
            Level::Error => ("✗", |palette| palette.error),
        };
        let (text, hint) = (one_line(&notice.text), SafeText::default());
        self.list.push(Item::new(
            None,
            ItemBody::Remark {
                mark,
                style,
                text,
                hint,
                lines: Vec::new(),
            },
            self.list.view,
        ));
    }

    pub(crate) fn push_failure(&mut self, failure: &Failure) {
        let body = ItemBody::Remark {
            mark: "✗",
            style: |palette| palette.error,
            text: one_line(&failure.message),
            hint: failure.hint.as_deref().map(one_line).unwrap_or_default(),
            lines: Vec::new(),
        };
        self.list.push(Item::new(None, body, self.list.view));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.items.is_empty()
    }

    /// The id of the selected message.
    pub(crate) fn selected(&self) -> Option<&MessageId> {
        self.list.items.get(self.list.selected?)?.id.as_ref()
    }

    /// Lays the chat out for another width or palette, each item when it is next shown.
    pub(crate) fn set_view(&mut self, width: usize, palette: Palette) {
        self.list.set_view(width, palette);
    }

    /// The lines of a screen `height` lines high; fewer when the chat is shorter.
    pub fn visible(&mut self, height: usize) -> Vec<Line<'static>> {
        self.list.visible(height)
    }

    /// Moves the view by lines: negative towards the start.
    pub(crate) fn scroll(&mut self, by: isize) {
        self.list.scroll(by);
    }

    /// Moves the view by screens, less two lines.
    pub(crate) fn scroll_pages(&mut self, by: isize) {
        self.list.scroll_pages(by);
    }

    pub(crate) fn scroll_to_start(&mut self) {
        self.list.scroll_to_start();
    }

    pub(crate) fn scroll_to_end(&mut self) {
        self.list.scroll_to_end();
    }

    /// Whether the view follows what comes.
    pub(crate) fn is_at_end(&self) -> bool {
        self.list.is_at_end()
    }

    #[cfg(test)]
    pub(crate) fn position(&self) -> ScrollPosition {
        self.list.position()
    }

    /// Selects the next message; the first one on the screen if none is selected.
    pub(crate) fn select_next(&mut self) {
        self.list.select_next();
    }

    /// Selects the message before; the last one if none is selected.
    pub(crate) fn select_previous(&mut self) {
        self.list.select_previous();
    }

    pub(crate) fn deselect(&mut self) {
        self.list.selected = None;
    }

    /// Folds or unfolds the reasoning of the selected answer, or of the last.
    pub(crate) fn toggle_reasoning(&mut self) {
        if let Some(id) = self
            .current_answer()
            .and_then(|at| self.list.items[at].id.clone())
        {
            self.change(&id, |answer| answer.reasoning.toggle(), "");
        }
    }

    /// The source of the selected message, or of the last answer, with unsafe characters made visible.
    pub(crate) fn copy_message(&self) -> Option<String> {
        let at = self.list.selected.or_else(|| self.current_answer())?;
        Some(self.list.items.get(at)?.source().to_string())
    }

    /// Block `number` (from 1, as on the screen) of the selected answer, or of the last.
    pub(crate) fn copy_code(&mut self, number: usize) -> Option<CodeBlock> {
        let at = self.current_answer()?;
        self.list.lay_out(at);
        let ItemBody::Answer(answer) = &mut self.list.items[at].body else {
            return None;
        };
        answer
            .text
            .code_blocks()
            .get(number.checked_sub(1)?)
            .cloned()
    }

    /// The whole chat as markdown, each message under the name of who wrote it.
    pub(crate) fn copy_chat(&self) -> String {
        let messages = self
            .list
            .items
            .iter()
            .filter(|item| item.is_message())
            .map(|item| {
                let name = match &item.body {
                    ItemBody::Answer(answer) => answer.head.model().as_str(),
                    ItemBody::Words { name, .. } => name,
                    ItemBody::Remark { .. } => "",
                };
                format!("## {name}\n\n{}\n", item.source().as_str().trim_end())
            });
        messages.collect::<Vec<_>>().join("\n")
    }

    /// How many bytes of answers have been laid out so far, over and over ones included.
    #[cfg(test)]
    pub(in crate::tui) fn laid_bytes(&self) -> u64 {
        let laid = |item: &Item| match &item.body {
            ItemBody::Answer(answer) => answer.text.laid_bytes() + answer.reasoning.laid_bytes(),
            ItemBody::Words { .. } | ItemBody::Remark { .. } => 0,
        };
        self.list.items.iter().map(laid).sum()
    }

    /// The selected answer if one is selected, the last one if nothing is.
    fn current_answer(&self) -> Option<usize> {
        let is_answer = |at: &usize| matches!(self.list.items[*at].body, ItemBody::Answer(_));
        match self.list.selected {
            Some(at) => Some(at).filter(is_answer),
            None => (0..self.list.items.len()).rev().find(is_answer),
        }
    }

    /// Changes an answer; `grown` is what was added to its text.
    fn change(&mut self, id: &MessageId, change: impl FnOnce(&mut AnswerItem), grown: &str) {
        let found = self
            .list
            .items
            .iter_mut()
            .rev()
            .find(|item| item.id.as_ref() == Some(id));
        if let Some(item) = found
            && let ItemBody::Answer(answer) = &mut item.body
        {
            let had_text = !answer.text.source().is_empty();
            change(answer);
            let before = item.height;
            item.changed(grown, had_text);
            self.list.total = self.list.total - before + item.height;
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
