//! Identifiers as newtypes, so that one kind can never be passed for another.
//!
//! Owns: [`SessionId`], [`MessageId`], [`ExchangeId`], [`AttemptId`], [`ModelId`] and [`Selection`].
//! Refuses: randomness; a new id is made from bits that the caller hands in.
//! Invariant: row ids are 12 characters of lower-case Crockford base 32 (60 bits); a model id is never without its provider.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(mut bits: u64) -> String {
    let mut out = String::with_capacity(12);
    for _ in 0..12 {
        out.push(char::from(ALPHABET[(bits & 31) as usize]));
        bits >>= 5;
    }
    out
}

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// An id from 60 of the given random bits.
            pub fn from_bits(bits: u64) -> Self {
                Self(encode(bits))
            }

            /// An id as read back from the store or typed by a user.
            pub fn from_text(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

row_id!(
    /// One chat.
    SessionId
);
row_id!(
    /// One message of a chat.
    MessageId
);
row_id!(
    /// One question sent and its answer: the unit of the receipt.
    ExchangeId
);
row_id!(
    /// One request on the wire: the unit of reservation and charge.
    AttemptId
);

/// A model, named in full: `provider/model`. The model part may itself hold slashes (`groq/openai/gpt-oss-120b`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    provider: String,
    model: String,
}

impl ModelId {
    /// The model `model` of `provider`.
    pub fn new(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
        }
    }

    /// The part before the slash.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The name the provider knows it by, as sent on the wire.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl FromStr for ModelId {
    type Err = NotAModelId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self::new(provider, model))
            }
            _ => Err(NotAModelId),
        }
    }
}

/// The text is not of the form `provider/model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a model is named in full as `provider/model`")]
pub struct NotAModelId;

impl Serialize for ModelId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What the user chose: the router's choice, or one model and no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The router picks from the ladder and says why.
    #[default]
    Auto,
    /// This model, never another.
    Pinned(ModelId),
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Pinned(model) => model.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_splits_at_the_first_slash_only() {
        let id: ModelId = "groq/openai/gpt-oss-120b".parse().unwrap();
        assert_eq!((id.provider(), id.model()), ("groq", "openai/gpt-oss-120b"));
        assert_eq!(id.to_string(), "groq/openai/gpt-oss-120b");
        for bad in ["gpt-5", "/gpt-5", "openai/", ""] {
            assert_eq!(bad.parse::<ModelId>(), Err(NotAModelId), "{bad:?}");
        }
    }

    #[test]
    fn row_ids_are_twelve_characters_of_one_alphabet() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let id = SessionId::from_bits(bits);
            assert_eq!(id.as_str().len(), 12);
            assert!(id.as_str().bytes().all(|b| ALPHABET.contains(&b)));
        }
    }
}
