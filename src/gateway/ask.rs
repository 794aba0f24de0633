//! One question, as a front end hands it in.

pub(in crate::gateway) mod conversation;
pub(in crate::gateway) mod draft_counts;
pub(in crate::gateway) mod steps;

use std::sync::Arc;

use crate::chat::request::Digest;
use crate::chat::{
    Failure, FailureKind, Message, MessageId, ModelId, Overflow, Params, Random, Role, Selection,
    SessionId, Timestamp,
};
use crate::gateway::ask::conversation::Conversation;
use crate::gateway::ask::draft_counts::DraftTokenCounter;
use crate::gateway::ask::steps::Step;
use crate::protocol::Raise;
use crate::store::ChatSetting;

/// Whether the user is asked when a question does not fit a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consult {
    /// There is no user to ask, or the user has set a rule.
    #[default]
    Never,
    /// When nothing fits; a lower rung is taken without a question.
    WhenRefused,
    /// Also before `auto` takes a lower rung because the better one is too dear.
    BeforeLowerRung,
}

/// What is asked, where it belongs, and what may be done for it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The chat.
    pub session: SessionId,
    /// A pinned model, or `auto`.
    pub selection: Selection,
    /// How the model is asked.
    pub params: Params,
    /// The system message, which precedes everything.
    pub system: Option<String>,
    /// What was said before the question.
    pub conversation: Arc<Conversation>,
    /// The question's text, and its counts.
    pub question: String,
    /// What is counted of the draft already.
    pub counts: Arc<DraftTokenCounter>,
    /// The message that the question follows.
    pub parent: Option<MessageId>,
    /// The question's own id; `stored` when it is asked again.
    pub prompt: MessageId,
    /// The prompt is in the store already: it is asked again.
    pub stored: bool,
    /// The id of the answer to come.
    pub answer: MessageId,
    /// What the chat is asked with in general; `selection` may differ from it for this question.
    pub setting: ChatSetting,
    /// What happens when it does not fit the window.
    pub overflow: Overflow,
    /// Which request it is of a turn that takes several; `None`: the only one.
    pub step: Option<Step>,
    /// A limit that the user raises for this question.
    pub raise: Option<Raise>,
    /// The answer of this chat that came from a server last.
    pub last: Option<LastAnswer>,
    /// When the user is asked instead of a rung being taken.
    pub consult: Consult,
    /// Models to compare the price with.
    pub favourites: Vec<ModelId>,
    /// Read and write the cache.
    pub cached: bool,
    /// Ask anew even when the cache knows the answer.
    pub refresh: bool,
    /// Whether an old answer is taken.
    pub stale: Stale,
}

/// Whether an answer may be given that is older than answers are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stale {
    #[default]
    Never,
    /// When no provider can be reached: one of a model that may answer the question.
    WhenDown,
    /// Instead of asking: the user has chosen it, whichever of the models compared gave it.
    Only,
}

/// An answer, as far as a provider may still have what led to it in its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAnswer {
    pub(crate) model: ModelId,
    /// When it was asked for.
    pub(crate) at: Timestamp,
    /// All that the model read for it.
    pub(crate) input_tokens: u64,
}

impl Ask {
    /// The first question of a chat, with nothing set: no cap, no limit raised, no user to ask, the cache in use.
    pub fn new(
        session: SessionId,
        selection: Selection,
        question: impl Into<String>,
        random: &Random,
    ) -> Self {
        Self {
            session,
            selection,
            params: Params::default(),
            system: None,
            conversation: Arc::default(),
            question: question.into(),
            counts: Arc::default(),
            parent: None,
            prompt: MessageId::from_bits(random.bits()),
            stored: false,
            answer: MessageId::from_bits(random.bits()),
            setting: ChatSetting::default(),
            overflow: Overflow::default(),
            step: None,
            raise: None,
            last: None,
            consult: Consult::default(),
            favourites: Vec::new(),
            cached: true,
            refresh: false,
            stale: Stale::default(),
        }
    }

    /// Whether it is a limit that has refused the question, and the user who says what becomes of it.
    pub(crate) fn asks_at(&self, failure: &Failure) -> bool {
        failure.kind == FailureKind::Budget && self.consult != Consult::Never
    }

    /// Whether a lower rung is then proposed that `auto` does not take unasked.
    pub(crate) fn proposes_at(&self, failure: &Failure) -> bool {
        self.asks_at(failure)
            && self.consult == Consult::BeforeLowerRung
            && self.selection == Selection::Auto
    }

    /// The same without a user to ask, and with nothing raised.
    #[must_use]
    pub(crate) fn unasked(&self) -> Self {
        Self {
            consult: Consult::Never,
            raise: None,
            ..self.clone()
        }
    }

    /// The question as a message.
    pub(crate) fn message(&self) -> Message {
        Message::new(Role::User, self.question.clone())
    }

    /// Everything that is sent, in order.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let system = self
            .system
            .iter()
            .map(|text| Message::new(Role::System, text.clone()));
        system
            .chain(self.conversation.messages().iter().cloned())
            .chain([self.message()])
            .collect()
    }

    /// The digest of everything that is sent. Reads all of it, and copies none.
    pub(in crate::gateway) fn said(&self) -> Digest {
        let system = self.system.as_deref().map(|text| (Role::System, text));
        let before = self
            .conversation
            .messages()
            .iter()
            .map(|message| (message.role, message.text.as_str()));
        Digest::of_said(
            system
                .into_iter()
                .chain(before)
                .chain([(Role::User, self.question.as_str())]),
        )
    }

    /// What the user wrote, of which `question` may be a part.
    pub(in crate::gateway) fn own_words(&self) -> &str {
        match &self.step {
            Some(Step::First(whole)) => whole,
            _ => &self.question,
        }
    }

    /// The question and the answer to come are to be stored as messages.
    pub(in crate::gateway) fn opens(&self) -> bool {
        matches!(self.step, None | Some(Step::First(_)))
    }

    /// The answer is the turn's, and stored as such.
    pub(in crate::gateway) fn answers(&self) -> bool {
        matches!(self.step, None | Some(Step::Last(_)))
    }
}
