//! The form that nearly all pieces of a stream have, read straight into structs that borrow from the text.
//!
//! Owns: the names and types of the fields that an ordinary piece has.
//! Refuses: fields of other types or written twice, errors, and texts long enough to hold more values than the tree may:
//! the tree reader takes those.
//! Invariant: what is read here is what the tree reader would have read (property tests compare the two).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::parts::{Chunk, ChunkChoice, calls_tool, first_usage, name};
use super::tree;

/// A text this short cannot hold more values than the tree may: each takes at least two bytes.
pub(super) const TYPED_CAP: usize = 2 * tree::MOST as usize;

/// A string, borrowed from the JSON unless it contains escapes. A type of its own, because serde borrows no `Cow` inside
/// an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

// In all three structs the flattened field makes serde read unknown fields as strictly as known ones (the depth of
// nesting, the range of numbers), and refuse an array in place of an object.

#[derive(Deserialize)]
struct TypedChunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<TypedChoice<'a>>>,
    usage: Option<Value>,
    x_groq: Option<Value>,
    service_tier: Option<Text<'a>>,
    error: Option<Value>,
    object: Option<Text<'a>>,
    r#type: Option<Text<'a>>,
    #[serde(flatten)]
    _unknown: IgnoredAny,
}

#[derive(Deserialize)]
struct TypedChoice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<TypedDelta<'a>>,
    message: Option<TypedDelta<'a>>,
    text: Option<Text<'a>>,
    finish_reason: Option<Text<'a>>,
    usage: Option<Value>,
    error: Option<Value>,
    object: Option<Text<'a>>,
    r#type: Option<Text<'a>>,
    #[serde(flatten)]
    _unknown: IgnoredAny,
}

#[derive(Deserialize)]
struct TypedDelta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    reasoning_content: Option<Text<'a>>,
    reasoning: Option<Text<'a>>,
    reasoning_details: Option<Value>,
    tool_calls: Option<Value>,
    function_call: Option<Value>,
    #[serde(flatten)]
    _unknown: IgnoredAny,
}

/// Reads a piece of the ordinary form. `None`: it has another form, or is not JSON.
pub(super) fn read(json: &str) -> Option<Chunk<'_>> {
    if json.len() > TYPED_CAP {
        return None;
    }
    let chunk: TypedChunk<'_> = serde_json::from_str(json).ok()?;
    if is_error(chunk.error.as_ref(), chunk.object, chunk.r#type) {
        return None;
    }
    let first = chunk
        .choices
        .into_iter()
        .flatten()
        .find(|choice| choice.index.unwrap_or(0) == 0);
    let usage = first_usage([
        chunk.usage.as_ref(),
        chunk.x_groq.as_ref().and_then(|groq| groq.get("usage")),
        first.as_ref().and_then(|choice| choice.usage.as_ref()),
    ]);
    Some(Chunk {
        error: None,
        choice: match first {
            Some(choice) => Some(choice.read()?),
            None => None,
        },
        usage,
        service_tier: chunk.service_tier.map(|tier| name(tier.0)),
    })
}

impl<'a> TypedChoice<'a> {
    fn read(self) -> Option<ChunkChoice<'a>> {
        if is_error(self.error.as_ref(), self.object, self.r#type) {
            return None;
        }
        let Some(delta) = self.delta.or(self.message) else {
            return Some(ChunkChoice {
                text: self.text.map(|text| text.0).unwrap_or_default(),
                finish: filled(self.finish_reason).map(name),
                ..ChunkChoice::default()
            });
        };
        // With a content of null `text` does not count, with an absent content it does: here the two look the same.
        if delta.content.is_none() && self.text.is_some() {
            return None;
        }
        let thought = filled(delta.reasoning_content).or(filled(delta.reasoning));
        let has_details =
            matches!(&delta.reasoning_details, Some(Value::Array(details)) if !details.is_empty());
        if thought.is_none() && has_details {
            return None;
        }
        Some(ChunkChoice {
            text: delta.content.map(|text| text.0).unwrap_or_default(),
            reasoning: thought.unwrap_or_default(),
            tool_call: calls_tool(delta.tool_calls.as_ref(), delta.function_call.as_ref()),
            finish: filled(self.finish_reason).map(name),
        })
    }
}

/// The object may be an error; the tree reader finds out what it says.
fn is_error(error: Option<&Value>, object: Option<Text<'_>>, kind: Option<Text<'_>>) -> bool {
    error.is_some()
        || [object, kind]
            .into_iter()
            .flatten()
            .any(|text| text.0 == "error")
}

fn filled(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}
