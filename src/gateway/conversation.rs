//! The messages so far, counted once for each tokenizer.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::chat::Message;
use crate::tokens::{self, Count, Tokenizer};

/// What precedes the next prompt. Immutable, so that its counts stay true; a new turn makes a new one.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    counted: Mutex<HashMap<Tokenizer, Count>>,
}

impl Conversation {
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, counted: Mutex::default() }
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Tokens of the messages and the prompt together. The messages are counted at the first call for a tokenizer, the
    /// prompt at each; may take milliseconds a megabyte, so never on a thread that draws.
    pub fn count(&self, tokenizer: Tokenizer, prompt: Option<&Message>) -> Count {
        let known = self.counted.lock().ok().and_then(|counted| counted.get(&tokenizer).copied());
        let before = known.unwrap_or_else(|| {
            let count = tokens::conversation(tokenizer, &self.messages);
            if let Ok(mut counted) = self.counted.lock() {
                counted.insert(tokenizer, count);
            }
            count
        });
        prompt.map_or(before, |prompt| before.plus(tokens::message(tokenizer, prompt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;
    use crate::tokens::Encoding;

    #[test]
    fn counting_in_parts_is_counting_the_whole() {
        let messages = vec![Message::new(Role::User, "Why?"), Message::new(Role::Assistant, "Because.")];
        let prompt = Message::new(Role::User, "And then?");
        let whole: Vec<_> = messages.iter().cloned().chain([prompt.clone()]).collect();
        let conversation = Conversation::new(messages);
        for tokenizer in [Tokenizer::Known(Encoding::O200kBase), Tokenizer::Guess(Encoding::O200kBase)] {
            let expected = tokens::conversation(tokenizer, &whole);
            assert_eq!(conversation.count(tokenizer, Some(&prompt)), expected);
            assert_eq!(conversation.count(tokenizer, Some(&prompt)), expected, "again, from what was kept");
        }
    }
}
