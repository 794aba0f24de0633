//! A piece of an answer (`chat.completion.chunk`) or a whole one (`chat.completion`), with everything optional.
//!
//! Owns: which fields are looked at, and every shape in which servers are known to write them.
//! Refuses: judging; a chunk says what was written, the decoder says what it means.
//! Invariant: any JSON value reads without an error; only what is no JSON (or nested too deep, or of too many
//! values) is refused.

mod surrogates;
mod tree;
mod typed;

use std::borrow::Cow;

use serde_json::Value;

use self::tree::Tree;
use super::error_body::ErrorBody;
use super::usage::RawUsage;
use crate::chat::Finish;

/// Longest foreign finish reason or service tier that is kept.
const NAME_CAP: usize = 64;

/// What a chunk or a whole answer says. Texts are borrowed from the bytes where no escape stands in the way; what few
/// chunks have is in a box, for a chunk is moved about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk<'a> {
    pub error: Option<Box<ErrorBody>>,
    pub choice: Option<Choice<'a>>,
    pub usage: Option<Box<RawUsage>>,
    pub service_tier: Option<Cow<'a, str>>,
}

/// The first choice (we never ask for more than one).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice<'a> {
    pub text: Cow<'a, str>,
    pub reasoning: Cow<'a, str>,
    /// The model called a tool, in this piece.
    pub tool_call: bool,
    /// The reason as written; `""` and null count as none.
    pub finish: Option<Cow<'a, str>>,
}

/// The text is not JSON, or nested deeper or of more values than the reader goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a piece of the answer is not JSON")]
pub struct Malformed;

impl<'a> Chunk<'a> {
    /// Reads a piece: nearly all have the typed form, the others go through a tree, with the same result.
    pub fn read(json: &'a str) -> Result<Self, Malformed> {
        typed::read(json).map_or_else(|| Self::read_tree(json), Ok)
    }

    pub(super) fn read_tree(json: &str) -> Result<Self, Malformed> {
        let read = |json: &str| {
            serde_json::from_str(json)
                .map(|Tree(value)| Self::of(&value))
                .ok()
        };
        read(json)
            .or_else(|| read(&surrogates::mended(json)?))
            .ok_or(Malformed)
    }

    /// The first of several pieces in one text, and what follows it.
    pub fn first(text: &str) -> Result<(Self, &str), Malformed> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Tree>();
        let Some(Ok(Tree(value))) = values.next() else {
            return Err(Malformed);
        };
        Ok((Self::of(&value), &text[values.byte_offset()..]))
    }

    /// Reads any JSON value; what is not understood is as if it were not there.
    pub fn of(value: &Value) -> Self {
        let error = ErrorBody::find(value);
        let choices = value
            .get("choices")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let first = choices
            .iter()
            .find(|choice| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0);
        Self {
            error: error
                .or_else(|| first.and_then(ErrorBody::find))
                .map(Box::new),
            choice: first.map(Choice::of),
            usage: first_usage([
                value.get("usage"),
                value.get("x_groq").and_then(|groq| groq.get("usage")),
                first.and_then(|choice| choice.get("usage")),
            ]),
            service_tier: text(value.get("service_tier"))
                .map(|tier| name(Cow::Owned(tier.to_owned()))),
        }
    }
}

impl Choice<'_> {
    fn of(choice: &Value) -> Self {
        // A stream has `delta`, a whole answer `message`, the oldest servers `text` beside them.
        let body = ["delta", "message"]
            .into_iter()
            .find_map(|key| choice.get(key).filter(|body| body.is_object()));
        let field = |key: &str| body.and_then(|body| body.get(key));
        let (mut answer, mut reasoning) = (String::new(), String::new());
        match field("content").or_else(|| choice.get("text")) {
            Some(Value::Array(parts)) => parts
                .iter()
                .for_each(|part| read_part(part, &mut answer, &mut reasoning)),
            other => answer.push_str(text(other).unwrap_or_default()),
        }
        // One and the same thought may stand under two names (OpenRouter): the first that is there counts.
        if let Some(thought) = ["reasoning_content", "reasoning"]
            .into_iter()
            .find_map(|key| filled(field(key)))
        {
            reasoning.push_str(thought);
        } else if let Some(Value::Array(details)) = field("reasoning_details") {
            for detail in details {
                let thought = ["text", "summary"]
                    .into_iter()
                    .find_map(|key| filled(detail.get(key)));
                reasoning.push_str(thought.unwrap_or_default());
            }
        }
        Self {
            text: answer.into(),
            reasoning: reasoning.into(),
            tool_call: calls_tool(field("tool_calls"), field("function_call")),
            finish: filled(choice.get("finish_reason"))
                .map(|reason| name(Cow::Owned(reason.to_owned()))),
        }
    }
}

/// A part of a content list: `{"type":"text","text":..}`, `{"type":"thinking","thinking":[..]}` or a bare string.
fn read_part(part: &Value, answer: &mut String, reasoning: &mut String) {
    match part.get("thinking") {
        Some(Value::Array(inner)) => {
            inner
                .iter()
                .filter_map(|p| text(p.get("text")))
                .for_each(|thought| reasoning.push_str(thought));
        }
        Some(Value::String(thought)) => reasoning.push_str(thought),
        _ => answer.push_str(
            text(Some(part))
                .or_else(|| text(part.get("text")))
                .unwrap_or_default(),
        ),
    }
}

fn calls_tool(tool_calls: Option<&Value>, function_call: Option<&Value>) -> bool {
    tool_calls
        .and_then(Value::as_array)
        .is_some_and(|calls| !calls.is_empty())
        || function_call.is_some_and(Value::is_object)
}

/// The first of the places where servers write the usage that holds one.
fn first_usage(places: [Option<&Value>; 3]) -> Option<Box<RawUsage>> {
    places
        .into_iter()
        .flatten()
        .find_map(RawUsage::of)
        .map(Box::new)
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn filled(value: Option<&Value>) -> Option<&str> {
    text(value).filter(|text| !text.is_empty())
}

fn name(text: Cow<'_, str>) -> Cow<'_, str> {
    // A byte is at least as narrow as a character, and a control character of ASCII is one byte.
    let clean = text.len() <= NAME_CAP && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if clean {
        text
    } else {
        text.chars()
            .filter(|c| !c.is_control())
            .take(NAME_CAP)
            .collect()
    }
}

/// Whether a piece that is broken somewhere has words of the answer in it.
pub fn has_words(broken: &str) -> bool {
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

/// The finish that a written reason means; `None` for the reason `error`, which is no finish but a failure.
pub fn finish(reason: &str, tool_called: bool) -> Option<Finish> {
    Some(match reason {
        "error" => return None,
        // Some servers say `stop` although they sent a tool call.
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
        // The server gave up half-way.
        "insufficient_system_resource" | "abort" => Finish::Cut,
        other => Finish::Other(other.to_owned()),
    })
}

#[cfg(test)]
mod tests;
