//! A piece of an answer (`chat.completion.chunk`) or a whole one (`chat.completion`), with everything optional.
//!
//! Owns: which fields are read, in every shape in which servers are known to write them.
//! Refuses: interpreting; a chunk says what was written, the decoder says what it means.
//! Invariant: any JSON value reads without an error; only text that is not JSON, is nested too deep or holds too many
//! values is refused.

mod parts;
mod surrogates;
mod tree;
mod typed;

pub(crate) use self::parts::{Chunk, ChunkChoice};
use self::tree::{Tree, chunk_of};
use crate::chat::Finish;

/// The text is not JSON, is nested too deep, or holds too many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a piece of the answer is not JSON")]
pub(crate) struct Malformed;

/// Reads a piece: nearly all have the typed form, the others go through a tree, with the same result.
pub(crate) fn read(json: &str) -> Result<Chunk<'_>, Malformed> {
    typed::read(json).map_or_else(|| read_tree(json), Ok)
}

pub(super) fn read_tree(json: &str) -> Result<Chunk<'static>, Malformed> {
    let read = |json: &str| {
        serde_json::from_str(json)
            .map(|Tree(value)| chunk_of(&value))
            .ok()
    };
    read(json)
        .or_else(|| read(&surrogates::replace_lone_surrogates(json)?))
        .ok_or(Malformed)
}

/// The first of several pieces in one text, and what follows it.
pub(crate) fn first(text: &str) -> Result<(Chunk<'static>, &str), Malformed> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Tree>();
    let Some(Ok(Tree(value))) = values.next() else {
        return Err(Malformed);
    };
    Ok((chunk_of(&value), &text[values.byte_offset()..]))
}

/// Whether a piece that cannot be read contains words of the answer.
pub(crate) fn has_words(broken: &str) -> bool {
    [
        "\"content\"",
        "\"reasoning_content\"",
        "\"reasoning\"",
        "\"text\"",
    ]
    .into_iter()
    .any(|key| {
        broken.match_indices(key).any(|(at, _)| {
            let value = broken[at + key.len()..]
                .trim_start()
                .strip_prefix(':')
                .map(str::trim_start);
            value
                .and_then(|value| value.strip_prefix('"'))
                .is_some_and(|words| !words.starts_with('"'))
        })
    })
}

/// The finish that a reason means; `None` for the reason `error`, which is a failure.
pub(crate) fn finish(reason: &str, tool_called: bool) -> Option<Finish> {
    Some(match reason {
        "error" => return None,
        // Some servers write `stop` although they sent a tool call.
        "stop" | "eos" | "end_turn" | "stop_sequence" | "tool_calls" | "function_call"
        | "tool_use"
            if tool_called =>
        {
            Finish::ToolCalls
        }
        "stop" | "eos" | "end_turn" | "stop_sequence" | "STOP" => Finish::Stop,
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => Finish::Length,
        "content_filter" | "SAFETY" | "refusal" => Finish::ContentFilter,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        // The server stopped before the end.
        "insufficient_system_resource" | "abort" => Finish::Cut,
        other => Finish::Other(other.to_owned()),
    })
}

#[cfg(test)]
mod tests;
