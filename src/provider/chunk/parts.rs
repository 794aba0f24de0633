//! What is read of a chunk, and the rules that both readers share.
//!
//! Owns: [`Chunk`] and [`ChunkChoice`]; what counts as a tool call, where a usage may stand, how long a name may be.
//! Refuses: reading JSON.
//! Invariant: the typed form and the tree come to the same chunk through these rules.

use std::borrow::Cow;

use serde_json::Value;

use crate::provider::error_body::ErrorBody;
use crate::provider::usage::RawUsage;

/// Longest finish reason or service tier that is kept, in characters.
const NAME_CAP: usize = 64;

/// What a chunk or a whole answer says. Texts without escapes are borrowed from the JSON. Rare parts are boxed, because a
/// chunk is moved around.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Chunk<'a> {
    pub(crate) error: Option<Box<ErrorBody>>,
    pub(crate) choice: Option<ChunkChoice<'a>>,
    pub(crate) usage: Option<Box<RawUsage>>,
    pub(crate) service_tier: Option<Cow<'a, str>>,
}

/// The first choice (we never request more than one).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ChunkChoice<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) reasoning: Cow<'a, str>,
    /// The model called a tool, in this piece.
    pub(crate) tool_call: bool,
    /// The reason as written; `None` for `""` and null.
    pub(crate) finish: Option<Cow<'a, str>>,
}

pub(super) fn calls_tool(tool_calls: Option<&Value>, function_call: Option<&Value>) -> bool {
    tool_calls
        .and_then(Value::as_array)
        .is_some_and(|calls| !calls.is_empty())
        || function_call.is_some_and(Value::is_object)
}

/// The first of the places where servers write the usage that holds one.
pub(super) fn first_usage(places: [Option<&Value>; 3]) -> Option<Box<RawUsage>> {
    places
        .into_iter()
        .flatten()
        .find_map(RawUsage::of)
        .map(Box::new)
}

pub(super) fn name(text: Cow<'_, str>) -> Cow<'_, str> {
    // Most names are short and plain ASCII: they stay borrowed.
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
