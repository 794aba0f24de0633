//! The chat in hand: its messages on the branch in view, and what the next turn is asked with.

use std::sync::Arc;

use super::Start;
use crate::chat::{Effort, Message, MessageId, ModelId, Random, Role, Selection, SessionId};
use crate::gateway::{Conversation, Gateway};
use crate::protocol::{Choice, Entry, SessionView};
use crate::store::{Chat, Setting, title_of};

pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
    pub(super) selection: Selection,
    pub(super) effort: Option<Effort>,
    pub(super) system: Option<String>,
    pub(super) favourites: Vec<Selection>,
    /// Messages that count, without the ones that were never answered; made anew when `entries` changes.
    conversation: Option<Arc<Conversation>>,
}

impl Session {
    /// A chat that nobody has said anything in. It is stored with its first prompt.
    pub(super) fn new(gateway: &Gateway, start: &Start) -> Self {
        Self {
            id: SessionId::from_bits(gateway.parts().random.bits()),
            title: String::new(),
            entries: Vec::new(),
            selection: start.selection.clone().unwrap_or_else(|| start.default_selection.clone()),
            effort: start.effort,
            system: start.system.clone().or_else(|| start.default_system.clone()),
            favourites: start.favourites.clone(),
            conversation: None,
        }
    }

    /// A chat from the store. What the user named on the command line wins over what the chat was asked with.
    pub(super) fn resumed(chat: Chat, start: &Start, favourites: Vec<Selection>) -> Self {
        Self {
            id: chat.id,
            title: chat.title,
            entries: chat.messages.into_iter().map(|m| m.entry).filter(|entry| !is_blank(entry)).collect(),
            selection: start.selection.clone().unwrap_or(chat.setting.selection),
            effort: start.effort.or(chat.setting.effort),
            system: start.system.clone().or(chat.setting.system),
            favourites,
            conversation: None,
        }
    }

    pub(super) fn setting(&self) -> Setting {
        Setting { selection: self.selection.clone(), effort: self.effort, system: self.system.clone() }
    }

    pub(super) fn choice(&self) -> Choice {
        Choice {
            selection: self.selection.clone(),
            effort: self.effort,
            system: self.system.clone(),
            favourites: self.favourites.clone(),
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

    /// Adds a message, and titles the chat by its first prompt.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.title.is_empty() && entry.role == Role::User {
            self.title = title_of(&entry.text);
        }
        self.entries.push(entry);
        self.conversation = None;
    }

    /// Drops everything from the entry at `at` on.
    pub(super) fn truncate(&mut self, at: usize) {
        self.entries.truncate(at);
        self.conversation = None;
    }

    /// Takes everything from the entry at `at` on out of view.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<Entry> {
        self.conversation = None;
        self.entries.split_off(at.min(self.entries.len()))
    }

    /// The last message, which the next one follows.
    pub(super) fn head(&self) -> Option<MessageId> {
        self.entries.last().map(|entry| entry.id.clone())
    }

    /// The place of the last prompt.
    pub(super) fn last_prompt(&self) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.role == Role::User)
    }

    /// The model of the last answer.
    pub(super) fn last_model(&self) -> Option<ModelId> {
        self.entries.iter().rev().find_map(|entry| entry.answer.as_ref()).map(|facts| facts.model.clone())
    }

    /// What the next prompt follows.
    pub(super) fn conversation(&mut self) -> Arc<Conversation> {
        let entries = &self.entries;
        Arc::clone(self.conversation.get_or_insert_with(|| Arc::new(Conversation::new(said(entries)))))
    }

    /// What precedes the entry at `at`.
    pub(super) fn conversation_before(&self, at: usize) -> Arc<Conversation> {
        Arc::new(Conversation::new(said(&self.entries[..at])))
    }
}

/// An answer that never began: its prompt stands alone.
fn is_blank(entry: &Entry) -> bool {
    entry.role == Role::Assistant && entry.text.is_empty() && entry.reasoning.is_empty()
}

/// The messages to send: prompts that were answered, and their answers. A prompt that failed is still on the screen,
/// but servers take no two prompts in a row.
fn said(entries: &[Entry]) -> Vec<Message> {
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
    fn prompts_without_an_answer_are_not_sent_again() {
        let (user, model) = (Role::User, Role::Assistant);
        for (entries, sent) in [
            (vec![], ""),
            (vec![entry(user, "a"), entry(model, "b")], "a b"),
            (vec![entry(user, "a"), entry(user, "c"), entry(model, "d")], "c d"),
            (vec![entry(user, "a"), entry(model, "")], ""),
            (vec![entry(user, "a"), entry(model, "b"), entry(user, "c")], "a b"),
        ] {
            let texts: Vec<_> = said(&entries).into_iter().map(|m| m.text).collect();
            assert_eq!(texts.join(" "), sent);
        }
    }
}
