//! What is asked of a model, before any provider's dialect.
//!
//! Owns: [`Request`], its parameters, and its canonical digest (the cache key).
//! Refuses: derived values; an output cap that the budget computed is not part of what the user asked.
//! Invariant: two requests have the same digest exactly when a model would be asked the same thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Message, ModelId, Role};

/// How hard a reasoning model should think. Which values a model takes is in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// No reasoning at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The usual amount.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// As much as the model can.
    Max,
}

impl Effort {
    pub(crate) const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Xhigh,
        Self::Max,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Effort {
    type Err = UnknownEffort;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|e| e.as_str() == s)
            .ok_or(UnknownEffort)
    }
}

/// The text names no effort level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an effort is one of none, minimal, low, medium, high, xhigh, max")]
pub struct UnknownEffort;

/// What to do with a question that does not fit the model's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// Nothing is sent; the user is told by how much it is too long.
    #[default]
    Refuse,
    /// The oldest turns of the chat are left out, and that is shown.
    Truncate,
    /// A long input is split into parts, each is answered, and the answers are joined.
    Segment,
}

impl FromStr for Overflow {
    type Err = UnknownOverflow;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "refuse" => Ok(Self::Refuse),
            "truncate" => Ok(Self::Truncate),
            "segment" => Ok(Self::Segment),
            _ => Err(UnknownOverflow),
        }
    }
}

/// The text names no such choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a way is one of refuse, truncate, segment")]
pub struct UnknownOverflow;

/// What the user set; `None` is the default of the model.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Params {
    /// How freely words are chosen, from 0 to 2; `None`: the model's own value.
    pub temperature: Option<f64>,
    /// How hard the model reasons; `None`: its own value.
    pub effort: Option<Effort>,
    /// An output cap that the user asked for, in tokens. A cap that a budget requires is never here.
    pub max_output: Option<u64>,
}

/// One question to one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The model that is asked.
    pub model: ModelId,
    /// System message, chat and question, in order.
    pub messages: Vec<Message>,
    /// How it is asked.
    pub params: Params,
}

/// The digest of a request: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Request {
    /// The canonical digest of the question as put to the server at `address`.
    pub fn digest(&self, address: &str) -> Digest {
        Digest::of_messages(&self.messages).asked(&self.model, &self.params, address)
    }
}

/// BLAKE3 over length-prefixed fields behind a schema version, so that no two different requests share their bytes and
/// an entry of an older scheme is never found again. The messages are digested by themselves, so that the same question
/// to several models reads a long text once.
impl Digest {
    const SCHEMA: &[u8] = b"chat-agent request 3";

    /// The digest of all messages.
    pub(crate) fn of_messages<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        Self::of_said(
            messages
                .into_iter()
                .map(|message| (message.role, message.text.as_str())),
        )
    }

    /// As [`Self::of_messages`], for what is not there as messages: a long text need not be copied to be read.
    pub(crate) fn of_said<'a>(said: impl IntoIterator<Item = (Role, &'a str)>) -> Self {
        let mut fields = Fields::new();
        for (role, text) in said {
            fields.add(role.as_str().as_bytes());
            fields.add(text.as_bytes());
        }
        fields.digest()
    }

    /// Of these messages, as this model at `address` is asked them.
    #[must_use]
    pub(crate) fn asked(self, model: &ModelId, params: &Params, address: &str) -> Self {
        let mut fields = Fields::new();
        fields.add(address.as_bytes());
        fields.add(model.provider().as_bytes());
        fields.add(model.model().as_bytes());
        fields.add(
            &params
                .temperature
                .map_or(Vec::new(), |t| t.to_bits().to_le_bytes().to_vec()),
        );
        fields.add(params.effort.map_or("", Effort::as_str).as_bytes());
        fields.add(
            &params
                .max_output
                .map_or(Vec::new(), |n| n.to_le_bytes().to_vec()),
        );
        fields.add(&self.0);
        fields.digest()
    }
}

struct Fields(blake3::Hasher);

impl Fields {
    fn new() -> Self {
        let mut fields = Self(blake3::Hasher::new());
        fields.add(Digest::SCHEMA);
        fields
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn digest(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            model: ModelId::new("openai", "gpt-5"),
            messages: vec![
                Message::new(Role::System, "ab"),
                Message::new(Role::User, "c"),
            ],
            params: Params::default(),
        }
    }

    #[test]
    fn every_part_of_the_question_is_in_the_digest() {
        let base = request();
        let changes: [fn(&mut Request); 8] = [
            |r| r.model = ModelId::new("azure", "gpt-5"),
            |r| r.model = ModelId::new("openai", "gpt-5-mini"),
            |r| r.params.temperature = Some(0.0),
            |r| r.params.effort = Some(Effort::None),
            |r| r.params.max_output = Some(0),
            |r| r.messages[0].role = Role::User,
            |r| r.messages[1].text.push('d'),
            |r| {
                r.messages = vec![
                    Message::new(Role::System, "a"),
                    Message::new(Role::User, "bc"),
                ];
            },
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut other = request();
            change(&mut other);
            assert_ne!(other.digest("a"), base.digest("a"), "change {n}");
        }
        assert_eq!(request().digest("a"), base.digest("a"));
        assert_ne!(
            request().digest("b"),
            base.digest("a"),
            "another server is another answer"
        );
    }
}
