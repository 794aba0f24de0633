//! What a conversation costs in tokens beyond its texts.
//!
//! Owns: the framing formula of chat messages and the upper bound that a budget stands on.
//! Refuses: tools and images; their files have them.
//! Invariant: `upper >= tokens`.

use super::{Encoding, count};
use crate::chat::{Message, Role};

/// Tokens that open the answer, once.
const PER_REQUEST: u64 = 3;

/// Tokens around the texts of a message (OpenAI's published counting recipe).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Framing {
    /// The start of a message and its end.
    per_message: u64,
    /// Beside the name itself, where a message has one.
    per_name: u64,
    /// A name stands in the place of the role.
    name_for_role: bool,
}

impl Framing {
    pub(crate) const PUBLISHED: Self = Self {
        per_message: 3,
        per_name: 1,
        name_for_role: false,
    };
    /// Of gpt-3.5-turbo-0301, the first chat model.
    pub(crate) const FIRST: Self = Self {
        per_message: 4,
        per_name: 0,
        name_for_role: true,
    };
}

/// A message as it is in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramedMessage<'a> {
    pub(crate) role: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) text: &'a str,
}

/// How a model's input is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tokenizer {
    /// The encoding is public; framing is as published.
    Known(Encoding),
    /// The encoding is public, its framing is not.
    Assumed(Encoding),
    /// No public encoding, or none that is stated for this model: counted with a stand-in, bounded by bytes.
    Guess(Encoding),
}

impl Tokenizer {
    /// The encoding that counts for this model, the true one or the stand-in.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Self::Known(encoding) | Self::Assumed(encoding) | Self::Guess(encoding) => encoding,
        }
    }
}

/// A count with its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TokenCount {
    /// The best figure.
    pub(crate) tokens: u64,
    /// No server can count more.
    pub(crate) upper: u64,
    /// `tokens` is what the server will say.
    pub(crate) exact: bool,
}

impl TokenCount {
    /// Both counts together.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            upper: self.upper.saturating_add(other.upper),
            exact: self.exact && other.exact,
        }
    }
}

/// Tokens of one message with its framing.
pub(crate) fn message(tokenizer: Tokenizer, message: &Message) -> TokenCount {
    let sent = FramedMessage {
        role: message.role.as_str(),
        name: None,
        text: &message.text,
    };
    framed(tokenizer, Framing::PUBLISHED, &sent)
}

/// Tokens of a message of the user's with its framing, whose text has been counted already.
pub(crate) fn prompt(tokenizer: Tokenizer, text: &str, tokens: u64) -> TokenCount {
    let sent = FramedMessage {
        role: Role::User.as_str(),
        name: None,
        text,
    };
    framed_text(tokenizer, Framing::PUBLISHED, &sent, tokens)
}

fn framed(tokenizer: Tokenizer, framing: Framing, message: &FramedMessage<'_>) -> TokenCount {
    framed_text(
        tokenizer,
        framing,
        message,
        count(tokenizer.encoding(), message.text),
    )
}

fn framed_text(
    tokenizer: Tokenizer,
    framing: Framing,
    message: &FramedMessage<'_>,
    text: u64,
) -> TokenCount {
    let encoding = tokenizer.encoding();
    let role = count(encoding, message.role);
    let named = message.name.map_or(role, |name| {
        let name = count(encoding, name) + framing.per_name;
        // The recipe says "minus one": the role, always one token, is left out.
        if framing.name_for_role {
            name
        } else {
            role + name
        }
    });
    let tokens = framing.per_message + named + text;
    let bytes = message.text.len() + message.name.map_or(0, str::len);
    match tokenizer {
        Tokenizer::Known(_) => TokenCount {
            tokens,
            upper: tokens.saturating_add(2),
            exact: true,
        },
        // Reasoning models frame messages in an unpublished way; a handful of tokens covers what has been seen.
        Tokenizer::Assumed(_) => TokenCount {
            tokens,
            upper: tokens.saturating_add(8),
            exact: false,
        },
        // A byte-level tokenizer cannot make more tokens than there are bytes.
        Tokenizer::Guess(_) => TokenCount {
            tokens,
            upper: (bytes as u64 + 16).max(tokens),
            exact: false,
        },
    }
}

/// Tokens of the messages of a request.
pub(crate) fn sent<'a>(
    tokenizer: Tokenizer,
    framing: Framing,
    messages: impl IntoIterator<Item = FramedMessage<'a>>,
) -> TokenCount {
    messages
        .into_iter()
        .map(|m| framed(tokenizer, framing, &m))
        .fold(opening(tokenizer), TokenCount::plus)
}

/// Tokens of a whole conversation as sent.
pub(crate) fn conversation<'a>(
    tokenizer: Tokenizer,
    messages: impl IntoIterator<Item = &'a Message>,
) -> TokenCount {
    messages
        .into_iter()
        .map(|m| message(tokenizer, m))
        .fold(opening(tokenizer), TokenCount::plus)
}

fn opening(tokenizer: Tokenizer) -> TokenCount {
    // A token more than the recipe says must not look like a server that bills too much.
    TokenCount {
        tokens: PER_REQUEST,
        upper: PER_REQUEST + 13,
        exact: matches!(tokenizer, Tokenizer::Known(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The six messages of OpenAI's counting example.
    const EXAMPLE: [(&str, Option<&str>, &str); 6] = [
        (
            "system",
            None,
            "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
        ),
        (
            "system",
            Some("example_user"),
            "New synergies will help drive top-line growth.",
        ),
        (
            "system",
            Some("example_assistant"),
            "Things working well together will increase revenue.",
        ),
        (
            "system",
            Some("example_user"),
            "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        ),
        (
            "system",
            Some("example_assistant"),
            "Let's talk later when we're less busy about how to do better.",
        ),
        (
            "user",
            None,
            "This late pivot means we don't have time to boil the ocean for the client deliverable.",
        ),
    ];

    #[test]
    fn the_published_example() {
        for (encoding, framing, published) in [
            (Encoding::Cl100kBase, Framing::PUBLISHED, 129),
            (Encoding::Cl100kBase, Framing::FIRST, 127),
            (Encoding::O200kBase, Framing::PUBLISHED, 124),
        ] {
            let messages = EXAMPLE.map(|(role, name, text)| FramedMessage { role, name, text });
            let ours = sent(Tokenizer::Known(encoding), framing, messages);
            assert_eq!(ours.tokens, published, "{encoding} {framing:?}");
            assert!(ours.exact && ours.upper > ours.tokens);
        }
    }

    #[test]
    fn every_role_is_one_token_in_the_encodings_of_chat_models() {
        for encoding in [
            Encoding::O200kBase,
            Encoding::O200kHarmony,
            Encoding::Cl100kBase,
        ] {
            for role in [
                "system",
                "developer",
                "user",
                "assistant",
                "tool",
                "function",
            ] {
                assert_eq!(count(encoding, role), 1, "{encoding} {role}");
            }
        }
    }

    #[test]
    fn without_a_public_encoding_bytes_are_the_bound() {
        let messages = [Message::new(Role::User, "naïve 世界")];
        let count = conversation(Tokenizer::Guess(Encoding::O200kBase), &messages);
        assert!(!count.exact);
        assert_eq!(count.upper, messages[0].text.len() as u64 + 16 + 16);
    }
}
