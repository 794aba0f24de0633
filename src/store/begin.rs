//! What is written before a question is sent.
//!
//! Owns: [`Begin`], [`NewPrompt`], and the name under which the level of the pace is remembered.
//! Refuses: SQL; `transcript` and `exchanges` write the rows.
//! Invariant: plain data.

use super::ChatSetting;
use crate::chat::id::ExchangeId;
use crate::chat::{Effort, MessageId, ModelId, SessionId, Timestamp};
use crate::protocol::{Estimate, RouteMode};

/// A question about to be sent.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Made when it does not exist; its title then comes from the prompt.
    pub session: SessionId,
    /// How the chat is asked.
    pub setting: ChatSetting,
    /// The exchange that begins.
    pub exchange: ExchangeId,
    /// The model that is asked first.
    pub model: ModelId,
    /// Who chose it.
    pub mode: RouteMode,
    /// The message that this one follows; `None` at the start of a chat. Without a `prompt` (a retry) it is the
    /// prompt to be answered again.
    pub parent: Option<MessageId>,
    /// The prompt; `None`: it is stored already.
    pub prompt: Option<NewPrompt>,
    /// The answer to come.
    pub answer: MessageId,
    /// Store prompt and answer. Not so for one more request of a turn whose messages are there already.
    pub messages: bool,
    /// The kind of question, as the router names it.
    pub kind: Option<&'static str>,
    /// The effort that is sent.
    pub effort: Option<Effort>,
    /// Input tokens as counted here, before anything learned of the model is applied.
    pub counted_input: u64,
    /// What it should cost.
    pub estimate: Estimate,
    /// The level of the pace to remember ([`PACE`]); `None`: as it was.
    pub pace: Option<u32>,
    /// When it begins.
    pub at: Timestamp,
}

/// The name under which the level of the pace is remembered.
pub(crate) const PACE: &str = "pace";

/// What the user wrote.
#[derive(Debug, Clone)]
pub struct NewPrompt {
    /// The message.
    pub id: MessageId,
    /// The user's words.
    pub text: String,
}
