//! The messages so far, counted once for each tokenizer, and cut at whole turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::chat::{Message, Role};
use crate::tokens::{self, TokenCount, Tokenizer};

/// What precedes the next prompt. Immutable, so that its counts stay true; a new turn makes a new one.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Arc<[Message]>,
    /// The messages before this place are left out.
    from: usize,
    /// For each tokenizer: what the messages before each place count together. Shared with what is cut off it.
    counted: Arc<Mutex<HashMap<Tokenizer, Arc<[TokenCount]>>>>,
}

/// A conversation without its oldest turns.
#[derive(Debug)]
pub(in crate::gateway) struct Cut {
    pub(in crate::gateway) rest: Conversation,
    /// Turns that were left out, and their tokens.
    pub(in crate::gateway) turns: u64,
    pub(in crate::gateway) tokens: u64,
}

impl Conversation {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        Self {
            messages: messages.into(),
            from: 0,
            counted: Arc::default(),
        }
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages[self.from..]
    }

    /// Bytes that have to be counted for a new tokenizer.
    pub(in crate::gateway) fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.text.len()).sum()
    }

    /// How many questions have been asked.
    pub(crate) fn turns(&self) -> usize {
        self.messages()
            .iter()
            .filter(|message| message.role == Role::User)
            .count()
    }

    /// Tokens of the messages. They are counted at the first call for a tokenizer, which may take milliseconds a megabyte,
    /// so never on a thread that draws.
    pub(crate) fn count(&self, tokenizer: Tokenizer) -> TokenCount {
        tokens::conversation(tokenizer, []).plus(self.own(&self.sums(tokenizer), self.from))
    }

    /// Leaves out the oldest turns, each whole, until what remains is at most `room` tokens. Linear in the messages.
    pub(in crate::gateway) fn cut(&self, tokenizer: Tokenizer, room: u64) -> Cut {
        let sums = self.sums(tokenizer);
        let starts =
            (self.from + 1..self.messages.len()).filter(|&at| self.messages[at].role == Role::User);
        let (mut from, mut turns) = (self.from, 0);
        for next in starts.chain([self.messages.len()]) {
            if self.own(&sums, from).tokens <= room {
                break;
            }
            (from, turns) = (next, turns + 1);
        }
        let tokens = self.own(&sums, self.from).tokens - self.own(&sums, from).tokens;
        let rest = Self {
            messages: Arc::clone(&self.messages),
            from,
            counted: Arc::clone(&self.counted),
        };
        Cut {
            rest,
            turns,
            tokens,
        }
    }

    /// What the messages from a place on count.
    fn own(&self, sums: &[TokenCount], from: usize) -> TokenCount {
        let (before, all) = (sums[from], sums[self.messages.len()]);
        TokenCount {
            tokens: all.tokens - before.tokens,
            upper: all.upper - before.upper,
            exact: all.exact,
        }
    }

    fn sums(&self, tokenizer: Tokenizer) -> Arc<[TokenCount]> {
        let known = self
            .counted
            .lock()
            .ok()
            .and_then(|counted| counted.get(&tokenizer).cloned());
        known.unwrap_or_else(|| {
            let nothing = TokenCount {
                exact: true,
                ..TokenCount::default()
            };
            let mut sums = vec![nothing];
            sums.extend(self.messages.iter().scan(nothing, |sum, message| {
                *sum = sum.plus(tokens::message(tokenizer, message));
                Some(*sum)
            }));
            let sums: Arc<[TokenCount]> = sums.into();
            if let Ok(mut counted) = self.counted.lock() {
                counted.insert(tokenizer, Arc::clone(&sums));
            }
            sums
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;

    const KNOWN: Tokenizer = Tokenizer::Known(Encoding::O200kBase);

    fn said(texts: &[(Role, &str)]) -> Conversation {
        Conversation::new(
            texts
                .iter()
                .map(|(role, text)| Message::new(*role, *text))
                .collect(),
        )
    }

    #[test]
    fn counting_in_parts_is_counting_the_whole() {
        let messages = vec![
            Message::new(Role::User, "Why?"),
            Message::new(Role::Assistant, "Because."),
        ];
        let conversation = Conversation::new(messages.clone());
        for tokenizer in [KNOWN, Tokenizer::Guess(Encoding::O200kBase)] {
            let expected = tokens::conversation(tokenizer, &messages);
            assert_eq!(conversation.count(tokenizer), expected);
            assert_eq!(
                conversation.count(tokenizer),
                expected,
                "again, from what was kept"
            );
        }
    }

    #[test]
    fn the_oldest_turns_go_first_and_whole() {
        let (user, model) = (Role::User, Role::Assistant);
        let chat = said(&[
            (user, "a"),
            (model, "b"),
            (user, "c"),
            (model, "d"),
            (user, "e"),
            (model, "f"),
        ]);
        // Each message is a token of text and four of framing.
        for (room, turns, tokens, first) in [
            (30, 0, 0, Some("a")),
            (29, 1, 10, Some("c")),
            (20, 1, 10, Some("c")),
            (19, 2, 20, Some("e")),
            (9, 3, 30, None),
            (0, 3, 30, None),
        ] {
            let cut = chat.cut(KNOWN, room);
            assert_eq!((cut.turns, cut.tokens), (turns, tokens), "{room}");
            assert_eq!(
                cut.rest.messages().first().map(|m| m.text.as_str()),
                first,
                "{room}"
            );
            let anew = Conversation::new(cut.rest.messages().to_vec());
            assert_eq!(cut.rest.count(KNOWN), anew.count(KNOWN), "{room}");
            assert_eq!(cut.rest.turns(), anew.turns());
        }
        assert_eq!(said(&[]).cut(KNOWN, 0).turns, 0);
        // What was cut can be cut again.
        assert_eq!(
            chat.cut(KNOWN, 20).rest.cut(KNOWN, 10).rest.messages()[0].text,
            "e"
        );
    }
}
