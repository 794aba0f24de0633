//! A piece of an answer (`chat.completion.chunk`) or a whole one (`chat.completion`), with everything optional.
//!
//! Owns: which fields are looked at, and every shape in which servers are known to write them.
//! Refuses: judging; a chunk says what was written, the decoder says what it means.
//! Invariant: any JSON value reads without an error; only bytes that are no JSON (or nested too deep) are refused.

use serde_json::Value;

use super::error_body::ErrorBody;
use super::usage::RawUsage;
use crate::chat::Finish;

/// Longest foreign finish reason or service tier that is kept.
const NAME_CAP: usize = 64;

/// What a chunk or a whole answer says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    pub error: Option<ErrorBody>,
    pub choice: Option<Choice>,
    pub usage: Option<RawUsage>,
    pub service_tier: Option<String>,
}

/// The first choice (we never ask for more than one).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    pub text: String,
    pub reasoning: String,
    /// The model called a tool, in this piece.
    pub tool_call: bool,
    /// The reason as written; `""` and null count as none.
    pub finish: Option<String>,
}

/// The bytes are not JSON, or nested deeper than the reader goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a piece of the answer is not JSON")]
pub struct Malformed;

impl Chunk {
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(bytes).map(|value| Self::of(&value)).map_err(|_| Malformed)
    }

    /// Reads any JSON value; what is not understood is as if it were not there.
    pub fn of(value: &Value) -> Self {
        let error = ErrorBody::find(value);
        let choices = value.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let first = choices.iter().find(|choice| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0);
        let usage = [
            value.get("usage"),
            value.get("x_groq").and_then(|groq| groq.get("usage")),
            first.and_then(|choice| choice.get("usage")),
        ];
        Self {
            error: error.or_else(|| first.and_then(ErrorBody::find)),
            choice: first.map(Choice::of),
            usage: usage.into_iter().flatten().find_map(RawUsage::of),
            service_tier: text(value.get("service_tier")).map(name),
        }
    }
}

impl Choice {
    fn of(choice: &Value) -> Self {
        // A stream has `delta`, a whole answer `message`, the oldest servers `text` beside them.
        let body = ["delta", "message"].into_iter().find_map(|key| choice.get(key).filter(|body| body.is_object()));
        let field = |key: &str| body.and_then(|body| body.get(key));
        let (mut answer, mut reasoning) = (String::new(), String::new());
        match field("content").or_else(|| choice.get("text")) {
            Some(Value::Array(parts)) => parts.iter().for_each(|part| read_part(part, &mut answer, &mut reasoning)),
            other => answer.push_str(text(other).unwrap_or_default()),
        }
        // One and the same thought may stand under two names (OpenRouter): the first that is there counts.
        if let Some(thought) = ["reasoning_content", "reasoning"].into_iter().find_map(|key| filled(field(key))) {
            reasoning.push_str(thought);
        } else if let Some(Value::Array(details)) = field("reasoning_details") {
            for detail in details {
                let thought = ["text", "summary"].into_iter().find_map(|key| filled(detail.get(key)));
                reasoning.push_str(thought.unwrap_or_default());
            }
        }
        Self {
            text: answer,
            reasoning,
            tool_call: field("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty())
                || field("function_call").is_some_and(Value::is_object),
            finish: filled(choice.get("finish_reason")).map(name),
        }
    }
}

/// A part of a content list: `{"type":"text","text":..}`, `{"type":"thinking","thinking":[..]}` or a bare string.
fn read_part(part: &Value, answer: &mut String, reasoning: &mut String) {
    match part.get("thinking") {
        Some(Value::Array(inner)) => {
            inner.iter().filter_map(|p| text(p.get("text"))).for_each(|thought| reasoning.push_str(thought));
        }
        Some(Value::String(thought)) => reasoning.push_str(thought),
        _ => answer.push_str(text(Some(part)).or_else(|| text(part.get("text"))).unwrap_or_default()),
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

fn filled(value: Option<&Value>) -> Option<&str> {
    text(value).filter(|text| !text.is_empty())
}

fn name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_CAP).collect()
}

/// The finish that a written reason means; `None` for the reason `error`, which is no finish but a failure.
pub fn finish(reason: &str, tool_called: bool) -> Option<Finish> {
    Some(match reason {
        "error" => return None,
        // Some servers say `stop` although they sent a tool call.
        "stop" | "eos" | "end_turn" | "stop_sequence" | "tool_calls" | "function_call" | "tool_use" if tool_called => {
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
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn choice(delta: &Value) -> Choice {
        Chunk::of(&json!({"choices": [{"delta": delta}]})).choice.unwrap()
    }

    #[test]
    fn text_and_thoughts_in_every_shape() {
        for (delta, text, reasoning) in [
            (json!({"content": "a"}), "a", ""),
            (json!({"content": null}), "", ""),
            (json!({"role": "assistant"}), "", ""),
            (json!({"content": 7}), "", ""),
            (json!({"content": [{"type": "text", "text": "a"}, "b"]}), "ab", ""),
            (json!({"content": [{"type": "thinking", "thinking": [{"text": "t"}]}, {"text": "a"}]}), "a", "t"),
            (json!({"reasoning_content": "t", "content": ""}), "", "t"),
            (json!({"reasoning": "t", "reasoning_details": [{"text": "t"}]}), "", "t"),
            (json!({"reasoning": null, "reasoning_details": [{"text": "t"}, {"summary": "s"}, 5]}), "", "ts"),
        ] {
            let choice = choice(&delta);
            assert_eq!((choice.text.as_str(), choice.reasoning.as_str()), (text, reasoning), "{delta}");
        }
        let unary = Chunk::of(&json!({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}));
        assert_eq!(unary.choice.unwrap().text, "whole");
        let second_only = Chunk::of(&json!({"choices": [{"index": 1, "delta": {"content": "other"}}]}));
        assert_eq!(second_only.choice, None);
    }

    #[test]
    fn finish_reasons_and_tool_calls() {
        for (written, expected) in [
            (json!(""), None),
            (json!(null), None),
            (json!(3), None),
            (json!("stop"), Some("stop")),
            (json!("weird"), Some("weird")),
        ] {
            let chunk = Chunk::of(&json!({"choices": [{"finish_reason": written}]}));
            assert_eq!(chunk.choice.unwrap().finish.as_deref(), expected, "{written}");
        }
        for (reason, tool, expected) in [
            ("stop", false, Some(Finish::Stop)),
            ("stop", true, Some(Finish::ToolCalls)),
            ("eos", false, Some(Finish::Stop)),
            ("length", true, Some(Finish::Length)),
            ("model_length", false, Some(Finish::Length)),
            ("insufficient_system_resource", false, Some(Finish::Cut)),
            ("weird", false, Some(Finish::Other("weird".into()))),
            ("error", false, None),
        ] {
            assert_eq!(finish(reason, tool), expected, "{reason} {tool}");
        }
        assert!(choice(&json!({"tool_calls": [{"function": {"name": "f"}}]})).tool_call);
        assert!(!choice(&json!({"tool_calls": []})).tool_call);
    }

    #[test]
    fn an_error_is_seen_before_anything_else() {
        for error in [
            json!({"error": {"message": "m", "code": 502}, "choices": [{"finish_reason": "error"}]}),
            json!({"object": "error", "message": "m"}),
            json!({"choices": [{"error": {"message": "m"}, "finish_reason": "error"}]}),
            json!([{"error": {"message": "m"}}]),
        ] {
            assert_eq!(Chunk::of(&error).error.unwrap().message, "m", "{error}");
        }
        assert_eq!(Chunk::of(&json!({"error": null, "choices": []})).error, None);
    }

    #[test]
    fn depth_is_limited_and_no_json_is_refused() {
        let deep = "[".repeat(1_000_000);
        for bad in [deep.as_str(), "", "{", "nul", "{\"a\":NaN}"] {
            assert_eq!(Chunk::read(bad.as_bytes()), Err(Malformed));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let keys = "choices|delta|message|content|error|usage|finish_reason|index|object|code|tool_calls|x_groq|detail";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(keys, inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_value_reads(value in any_json()) {
            let chunk = Chunk::of(&value);
            prop_assert_eq!(Chunk::read(value.to_string().as_bytes()).is_ok(), true);
            let _ = chunk.usage.and_then(|usage| usage.normalise());
        }
    }
}
