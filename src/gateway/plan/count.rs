//! The tokens of a question on each model.
//!
//! Owns: which tokenizer counts for a model, and counting away from the async threads.
//! Refuses: what was learned of a model's real counts; that is applied in `inputs`.
//! Invariant: a question is counted once with each tokenizer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::Model;
use crate::chat::{Failure, FailureKind, Message, Role};
use crate::gateway::ask::Ask;
use crate::tokens::{Encoding, TokenCount, Tokenizer};

/// Bytes that are counted in less time than it takes to start a thread.
const COUNTED_INLINE: usize = 4096;

/// Counts the question with each tokenizer; a long one on a blocking thread.
pub(in crate::gateway) async fn count(
    ask: &Ask,
    tokenizers: Vec<Tokenizer>,
) -> Result<Vec<TokenCount>, Failure> {
    let conversation = Arc::clone(&ask.conversation);
    let system = ask
        .system
        .clone()
        .map(|text| Message::new(Role::System, text));
    let (question, counts) = (ask.question.clone(), Arc::clone(&ask.counts));
    let bytes =
        ask.conversation.bytes() + question.len() + ask.system.as_ref().map_or(0, String::len);
    // Counted once with each.
    let distinct: HashSet<_> = tokenizers.iter().collect();
    let is_short = bytes * distinct.len() <= COUNTED_INLINE;
    let work = move || {
        let mut known: HashMap<Tokenizer, TokenCount> = HashMap::new();
        let mut one = |tokenizer: Tokenizer| {
            *known.entry(tokenizer).or_insert_with(|| {
                let count = conversation
                    .count(tokenizer)
                    .plus(counts.count(tokenizer, &question));
                system.as_ref().map_or(count, |system| {
                    count.plus(crate::tokens::message(tokenizer, system))
                })
            })
        };
        tokenizers.into_iter().map(&mut one).collect()
    };
    if is_short {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Failure::new(FailureKind::Request, "counting the tokens failed").hint("see the log")
    })
}

/// How a model's input is counted: exact framing is published for the older chat models only.
pub(crate) fn tokenizer(model: &Model) -> Tokenizer {
    match model.encoding {
        None => Tokenizer::Guess(Encoding::O200kBase),
        Some(encoding) if model.encoding_assumed => Tokenizer::Guess(encoding),
        Some(encoding) if model.reasoning => Tokenizer::Assumed(encoding),
        Some(encoding) => Tokenizer::Known(encoding),
    }
}
