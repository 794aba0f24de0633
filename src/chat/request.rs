//! What is asked of a model, before any provider's dialect.
//!
//! Owns: [`Request`], its parameters, and its canonical digest (the cache key).
//! Refuses: derived values; an output cap that the budget computed is not part of what the user asked.
//! Invariant: two requests have the same digest exactly when a model would be asked the same thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Message, ModelId};

/// How hard a reasoning model should think. Which values a model takes is in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    pub fn as_str(self) -> &'static str {
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
        Self::ALL.into_iter().find(|e| e.as_str() == s).ok_or(UnknownEffort)
    }
}

/// The text names no effort level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an effort is one of none, minimal, low, medium, high, xhigh, max")]
pub struct UnknownEffort;

/// What the user set; `None` is "as the model does by itself".
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Params {
    pub temperature: Option<f64>,
    pub effort: Option<Effort>,
    /// An output cap that the user asked for, in tokens. A cap that was derived from a budget never stands here.
    pub max_output: Option<u64>,
}

/// One question to one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub model: ModelId,
    pub messages: Vec<Message>,
    pub params: Params,
}

/// The digest of a request: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Request {
    /// The canonical digest of the question as put to the server at `address`: BLAKE3 over length-prefixed fields behind a schema version, so that no two different
    /// requests share their bytes and an entry of an older scheme is never found again.
    pub fn digest(&self, address: &str) -> Digest {
        const SCHEMA: &[u8] = b"chat-agent request 2";
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(SCHEMA);
        field(address.as_bytes());
        field(self.model.provider().as_bytes());
        field(self.model.model().as_bytes());
        field(&self.params.temperature.map_or(Vec::new(), |t| t.to_bits().to_le_bytes().to_vec()));
        field(self.params.effort.map_or("", Effort::as_str).as_bytes());
        field(&self.params.max_output.map_or(Vec::new(), |n| n.to_le_bytes().to_vec()));
        for message in &self.messages {
            field(message.role.as_str().as_bytes());
            field(message.text.as_bytes());
        }
        Digest(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;

    fn request() -> Request {
        Request {
            model: ModelId::new("openai", "gpt-5"),
            messages: vec![Message::new(Role::System, "ab"), Message::new(Role::User, "c")],
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
            |r| r.messages = vec![Message::new(Role::System, "a"), Message::new(Role::User, "bc")],
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut other = request();
            change(&mut other);
            assert_ne!(other.digest("a"), base.digest("a"), "change {n}");
        }
        assert_eq!(request().digest("a"), base.digest("a"));
        assert_ne!(request().digest("b"), base.digest("a"), "another server is another answer");
    }
}
