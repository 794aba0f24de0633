//! One question, as a front end hands it in.

use std::sync::Arc;

use super::Conversation;
use crate::chat::{Message, MessageId, Params, Role, Selection, SessionId};
use crate::store::Setting;

/// What is asked, where it belongs, and what may be done for it.
#[derive(Debug, Clone)]
pub struct Ask {
    pub session: SessionId,
    pub selection: Selection,
    pub params: Params,
    /// The system message, which precedes everything.
    pub system: Option<String>,
    /// What was said before the question.
    pub conversation: Arc<Conversation>,
    /// The question's text.
    pub question: String,
    /// The message that the question follows.
    pub parent: Option<MessageId>,
    /// The question's own id; `stored` when it is asked again.
    pub prompt: MessageId,
    pub stored: bool,
    /// The id of the answer to come.
    pub answer: MessageId,
    /// What the chat is asked with in general; `selection` may differ from it for this question.
    pub setting: Setting,
    /// Read and write the cache.
    pub cached: bool,
    /// Ask anew even when the cache knows the answer.
    pub refresh: bool,
}

impl Ask {
    /// The question as a message.
    pub fn message(&self) -> Message {
        Message::new(Role::User, self.question.clone())
    }

    /// Everything that is sent, in order.
    pub fn messages(&self) -> Vec<Message> {
        let system = self.system.iter().map(|text| Message::new(Role::System, text.clone()));
        system.chain(self.conversation.messages().iter().cloned()).chain([self.message()]).collect()
    }
}
