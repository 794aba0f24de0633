//! What a conversation costs in tokens beyond its texts.
//!
//! Owns: the framing formula of chat messages and the upper bound that a budget stands on.
//! Refuses: tools and images, which no front end can send yet.
//! Invariant: `upper >= tokens`.

use super::{Encoding, count};
use crate::chat::Message;

/// Tokens around each message: its start, its role and its end (OpenAI's published counting recipe).
const PER_MESSAGE: u64 = 3;
/// Tokens that open the answer, once.
const PER_REQUEST: u64 = 3;

/// How a model's input is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// The encoding is public; framing is as published.
    Known(Encoding),
    /// The encoding is public, its framing is not.
    Assumed(Encoding),
    /// No public encoding, or none that is stated for this model: counted with a stand-in, bounded by bytes.
    Guess(Encoding),
}

impl Tokenizer {
    /// The encoding that counts for this model, the true one or the stand-in.
    pub fn encoding(self) -> Encoding {
        match self {
            Self::Known(encoding) | Self::Assumed(encoding) | Self::Guess(encoding) => encoding,
        }
    }
}

/// A count with its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// The best figure.
    pub tokens: u64,
    /// No server can count more.
    pub upper: u64,
    /// `tokens` is what the server will say.
    pub exact: bool,
}

impl Count {
    /// Both counts together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            upper: self.upper.saturating_add(other.upper),
            exact: self.exact && other.exact,
        }
    }
}

/// Tokens of one message with its framing.
pub fn message(tokenizer: Tokenizer, message: &Message) -> Count {
    let encoding = tokenizer.encoding();
    // Every role name is one token in every encoding.
    let tokens = PER_MESSAGE + 1 + count(encoding, &message.text);
    match tokenizer {
        Tokenizer::Known(_) => Count { tokens, upper: tokens.saturating_add(2), exact: true },
        // Reasoning models frame messages in an unpublished way; a handful of tokens covers what has been seen.
        Tokenizer::Assumed(_) => Count { tokens, upper: tokens.saturating_add(8), exact: false },
        // A byte-level tokenizer cannot make more tokens than there are bytes.
        Tokenizer::Guess(_) => Count { tokens, upper: message.text.len() as u64 + 16, exact: false },
    }
}

/// Tokens of a whole conversation as sent.
pub fn conversation<'a>(tokenizer: Tokenizer, messages: impl IntoIterator<Item = &'a Message>) -> Count {
    let opening = match tokenizer {
        // A token more than the recipe says must not look like a server that bills too much.
        Tokenizer::Known(_) => Count { tokens: PER_REQUEST, upper: PER_REQUEST + 13, exact: true },
        Tokenizer::Assumed(_) | Tokenizer::Guess(_) => {
            Count { tokens: PER_REQUEST, upper: PER_REQUEST + 13, exact: false }
        }
    };
    messages.into_iter().map(|m| message(tokenizer, m)).fold(opening, Count::plus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;

    /// The six messages of OpenAI's counting example, without the `name` field, which we never send.
    fn example() -> Vec<Message> {
        let jargon =
            "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.";
        let pairs = [
            (Role::System, jargon),
            (Role::System, "New synergies will help drive top-line growth."),
            (Role::System, "Things working well together will increase revenue."),
            (
                Role::System,
                "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
            ),
            (Role::System, "Let's talk later when we're less busy about how to do better."),
            (Role::User, "This late pivot means we don't have time to boil the ocean for the client deliverable."),
        ];
        pairs.into_iter().map(|(role, text)| Message::new(role, text)).collect()
    }

    #[test]
    fn the_published_example() {
        // Published: 129 (cl100k) and 124 (o200k). Four messages carry a name there: the names `example_user` and
        // `example_assistant` are 2 and 2 tokens (cl100k), 2 and 2 (o200k), plus 1 for each name field.
        for (encoding, published) in [(Encoding::Cl100kBase, 129), (Encoding::O200kBase, 124)] {
            let names = 2 * (count(encoding, "example_user") + count(encoding, "example_assistant")) + 4;
            let ours = conversation(Tokenizer::Known(encoding), &example());
            assert_eq!(ours.tokens + names, published, "{encoding}");
            assert!(ours.exact && ours.upper > ours.tokens);
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
