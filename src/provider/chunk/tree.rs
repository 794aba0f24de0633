//! Any JSON value as a chunk, through a tree of bounded size.
//!
//! Owns: every shape in which servers are known to write a chunk; the most values that one piece may hold. In memory a
//! value takes up to seventy times the two bytes it is written with, so a cap on bytes alone would not bound it.
//! Refuses: a piece with more values, as if it were not JSON.
//! Invariant: the tree is what serde_json would read; a field of an unknown shape counts as absent.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::parts::{Chunk, ChunkChoice, calls_tool, first_usage, name};
use crate::provider::error_body::ErrorBody;

/// No known answer has a tenth of it.
pub(super) const MOST: u32 = 16 * 1024;

pub(super) struct Tree(pub(super) Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let left = Cell::new(MOST);
        Branch(&left).deserialize(from).map(Self)
    }
}

/// A part of the tree, with the number of values that are left for all of it.
#[derive(Clone, Copy)]
struct Branch<'r>(&'r Cell<u32>);

impl<'de> DeserializeSeed<'de> for Branch<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let left = self
            .0
            .get()
            .checked_sub(1)
            .ok_or_else(|| D::Error::custom("too many values"))?;
        self.0.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Branch<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = from.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            map.insert(key, from.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

/// Reads any JSON value; a field of an unknown shape counts as absent.
pub(super) fn chunk_of(value: &Value) -> Chunk<'static> {
    let error = ErrorBody::find(value);
    let choices = value
        .get("choices")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let first = choices
        .iter()
        .find(|choice| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0);
    Chunk {
        error: error
            .or_else(|| first.and_then(ErrorBody::find))
            .map(Box::new),
        choice: first.map(choice_of),
        usage: first_usage([
            value.get("usage"),
            value.get("x_groq").and_then(|groq| groq.get("usage")),
            first.and_then(|choice| choice.get("usage")),
        ]),
        service_tier: text(value.get("service_tier")).map(|tier| name(Cow::Owned(tier.to_owned()))),
    }
}

fn choice_of(choice: &Value) -> ChunkChoice<'static> {
    // A stream has `delta`, a whole answer `message`; the oldest servers write `text` in the choice itself.
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
    // OpenRouter writes the same reasoning under two names: the first that is present counts.
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
    ChunkChoice {
        text: answer.into(),
        reasoning: reasoning.into(),
        tool_call: calls_tool(field("tool_calls"), field("function_call")),
        finish: filled(choice.get("finish_reason"))
            .map(|reason| name(Cow::Owned(reason.to_owned()))),
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

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn filled(value: Option<&Value>) -> Option<&str> {
    text(value).filter(|text| !text.is_empty())
}
