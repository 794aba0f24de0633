//! The open chat: its messages on the branch in view, and the settings of the next turn.

use std::sync::Arc;

use super::start::Start;
use crate::chat::{
    Effort, Finish, Message, MessageId, ModelId, Overflow, Random, Role, Selection, SessionId,
};
use crate::gateway::{Conversation, Gateway, LastAnswer};
use crate::protocol::{CacheHit, Choice, Entry, SessionView};
use crate::store::{Chat, ChatSetting, title_of};

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
    pub(super) selection: Selection,
    pub(super) effort: Option<Effort>,
    pub(super) system: Option<String>,
    pub(super) favourites: Vec<Selection>,
    pub(super) overflow: Overflow,
    pub(super) cached: bool,
    /// The user has taken a lower rung at a limit: `auto` may do so from now on.
    pub(super) goes_lower: bool,
    /// The messages to send, without prompts that were never answered; rebuilt when `entries` changes.
    conversation: Option<Arc<Conversation>>,
}

impl Session {
    /// A new chat without messages. It is stored with its first prompt.
    pub(super) fn new(gateway: &Gateway, start: &Start) -> Self {
        Self {
            id: SessionId::from_bits(gateway.parts().random.bits()),
            title: String::new(),
            entries: Vec::new(),
            selection: start
                .selection
                .clone()
                .unwrap_or_else(|| start.default_selection.clone()),
            effort: start.effort,
            system: start
                .system
                .clone()
                .or_else(|| start.default_system.clone()),
            favourites: start.favourites.clone(),
            overflow: start.overflow,
            cached: start.cached,
            goes_lower: false,
            conversation: None,
        }
    }

    /// A chat from the store. Flags of the command line win over the settings of the chat.
    pub(super) fn resumed(chat: Chat, start: &Start, favourites: Vec<Selection>) -> Self {
        Self {
            id: chat.id,
            title: chat.title,
            entries: chat
                .messages
                .into_iter()
                .map(|m| m.entry)
                .filter(|entry| !is_blank(entry))
                .collect(),
            selection: start.selection.clone().unwrap_or(chat.setting.selection),
            effort: start.effort.or(chat.setting.effort),
            system: start.system.clone().or(chat.setting.system),
            favourites,
            overflow: start.overflow,
            cached: start.cached,
            goes_lower: false,
            conversation: None,
        }
    }

    /// The models among the favourites.
    pub(super) fn pinned_favourites(&self) -> Vec<ModelId> {
        let pinned = |selection: &Selection| match selection {
            Selection::Pinned(id) => Some(id.clone()),
            Selection::Auto => None,
        };
        self.favourites.iter().filter_map(pinned).collect()
    }

    pub(super) fn setting(&self) -> ChatSetting {
        ChatSetting {
            selection: self.selection.clone(),
            effort: self.effort,
            system: self.system.clone(),
        }
    }

    pub(super) fn choice(&self) -> Choice {
        Choice {
            selection: self.selection.clone(),
            effort: self.effort,
            system: self.system.clone(),
            favourites: self.favourites.clone(),
            overflow: self.overflow,
            cached: self.cached,
        }
    }

    pub(super) fn view(&self, history: Vec<String>) -> SessionView {
        SessionView {
            id: self.id.clone(),
            title: self.title.clone(),
            entries: self.entries.clone(),
            choice: self.choice(),
            history,
        }
    }

    /// Adds a message. The first prompt becomes the title.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.title.is_empty() && entry.role == Role::User {
            self.title = title_of(&entry.text);
        }
        self.entries.push(entry);
        self.conversation = None;
    }

    /// Drops the entries from `index` on.
    pub(super) fn truncate(&mut self, index: usize) {
        self.entries.truncate(index);
        self.conversation = None;
    }

    /// Removes the entries from `index` on and returns them.
    pub(super) fn split_off(&mut self, index: usize) -> Vec<Entry> {
        self.conversation = None;
        self.entries.split_off(index.min(self.entries.len()))
    }

    /// The last message, which the next one follows.
    pub(super) fn head(&self) -> Option<MessageId> {
        self.entries.last().map(|entry| entry.id.clone())
    }

    /// The index of the last prompt.
    pub(super) fn last_prompt(&self) -> Option<usize> {
        self.entries
            .iter()
            .rposition(|entry| entry.role == Role::User)
    }

    /// The model of the last answer, and the effort it was asked with.
    pub(super) fn last_rung(&self) -> Option<(ModelId, Option<Effort>)> {
        let facts = self
            .entries
            .iter()
            .rev()
            .find_map(|entry| entry.answer.as_ref())?;
        Some((
            facts.model.clone(),
            facts.route.chosen().and_then(|chosen| chosen.effort),
        ))
    }

    /// Whether the last answer ended early for a reason other than its cap.
    pub(super) fn last_was_cut(&self) -> bool {
        let last = self.entries.last().and_then(|entry| entry.answer.as_ref());
        last.is_some_and(|facts| {
            matches!(facts.finish, Some(Finish::Cut | Finish::Interrupted) | None)
        })
    }

    /// The last answer in view that came from a server, and when it was asked for.
    pub(super) fn last_answer(&self) -> Option<LastAnswer> {
        let from_a_server = |entry: &Entry| {
            entry
                .answer
                .as_ref()
                .is_some_and(|facts| facts.cache == CacheHit::None)
        };
        let at = self.entries.iter().rposition(from_a_server)?;
        let facts = self.entries[at].answer.as_ref()?;
        let asked = self.entries[..at]
            .iter()
            .rev()
            .find(|entry| entry.role == Role::User);
        Some(LastAnswer {
            model: facts.model.clone(),
            at: asked.map_or(self.entries[at].at, |prompt| prompt.at),
            input_tokens: facts.usage.input(),
        })
    }

    /// The last answer, when its output cap cut it off.
    pub(super) fn cut_answer(&self) -> Option<MessageId> {
        let last = self.entries.last()?;
        let finish = last.answer.as_ref()?.finish.as_ref()?;
        (*finish == Finish::Length && !last.text.is_empty()).then(|| last.id.clone())
    }

    /// The messages before the next prompt.
    pub(super) fn conversation(&mut self) -> Arc<Conversation> {
        let entries = &self.entries;
        Arc::clone(
            self.conversation
                .get_or_insert_with(|| Arc::new(Conversation::new(answered_messages(entries)))),
        )
    }

    /// The messages before the entry at `index`.
    pub(super) fn conversation_before(&self, index: usize) -> Arc<Conversation> {
        Arc::new(Conversation::new(answered_messages(&self.entries[..index])))
    }
}

/// An answer that never began.
fn is_blank(entry: &Entry) -> bool {
    entry.role == Role::Assistant && entry.text.is_empty() && entry.reasoning.is_empty()
}

/// The messages to send: prompts that were answered, and their answers. A prompt that failed stays on the screen, but is
/// not sent, because servers do not take two prompts in a row.
fn answered_messages(entries: &[Entry]) -> Vec<Message> {
    let answered = |at: usize| {
        let next = entries.get(at + 1);
        next.is_some_and(|next| next.role == Role::Assistant && !next.text.is_empty())
    };
    let mut messages = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        if entry.role == Role::User && answered(at) {
            messages.push(Message::new(Role::User, entry.text.clone()));
            messages.push(Message::new(Role::Assistant, entries[at + 1].text.clone()));
        }
    }
    messages
}

/// A new message id.
pub(super) fn message_id(random: &Random) -> MessageId {
    MessageId::from_bits(random.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Timestamp;

    fn entry(role: Role, text: &str) -> Entry {
        Entry {
            id: MessageId::from_text(text),
            role,
            text: text.to_owned(),
            reasoning: String::new(),
            at: Timestamp(0),
            answer: None,
        }
    }

    #[test]
    fn prompts_without_an_answer_are_not_sent() {
        let (user, model) = (Role::User, Role::Assistant);
        for (entries, sent) in [
            (vec![], ""),
            (vec![entry(user, "a"), entry(model, "b")], "a b"),
            (
                vec![entry(user, "a"), entry(user, "c"), entry(model, "d")],
                "c d",
            ),
            (vec![entry(user, "a"), entry(model, "")], ""),
            (
                vec![entry(user, "a"), entry(model, "b"), entry(user, "c")],
                "a b",
            ),
        ] {
            let texts: Vec<_> = answered_messages(&entries)
                .into_iter()
                .map(|m| m.text)
                .collect();
            assert_eq!(texts.join(" "), sent);
        }
    }
}
