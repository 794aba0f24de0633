//! The question as it is being written, counted along.
//!
//! Owns: a running count for each encoding, kept from one key to the next.
//! Refuses: framing and bounds, which are `tokens`'.
//! Invariant: the count is that of the whole text, whatever was counted before; a key in a long draft costs comparing
//! the texts and counting what lies around the key.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::tokens::{self, Encoding, IncrementalCount, TokenCount, Tokenizer};

/// The counts of one question, shared by everything that prices it.
#[derive(Debug, Default)]
pub struct DraftTokenCounter {
    drafts: Mutex<HashMap<Encoding, IncrementalCount>>,
}

impl DraftTokenCounter {
    /// Tokens of `text` as a prompt. The first call for an encoding counts all of it, so never on a thread that draws.
    pub(crate) fn count(&self, tokenizer: Tokenizer, text: &str) -> TokenCount {
        let encoding = tokenizer.encoding();
        let tokens = match self.drafts.lock() {
            Ok(mut drafts) => {
                let draft = drafts
                    .entry(encoding)
                    .or_insert_with(|| IncrementalCount::new(encoding));
                draft.replace_with(text);
                draft.tokens()
            }
            // Another thread died counting; what it left may be half done.
            Err(_) => tokens::count(encoding, text),
        };
        tokens::prompt(tokenizer, text, tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role};

    #[test]
    fn a_draft_counts_as_the_message_that_it_becomes() {
        let question = DraftTokenCounter::default();
        for text in [
            "",
            "Why",
            "Why does it move?",
            "Why does `push` move my string?",
            "naïve 世界",
        ] {
            let message = Message::new(Role::User, text);
            for tokenizer in [
                Tokenizer::Known(Encoding::O200kBase),
                Tokenizer::Assumed(Encoding::O200kBase),
                Tokenizer::Guess(Encoding::Cl100kBase),
            ] {
                assert_eq!(
                    question.count(tokenizer, text),
                    tokens::message(tokenizer, &message),
                    "{text:?}"
                );
            }
        }
    }
}
