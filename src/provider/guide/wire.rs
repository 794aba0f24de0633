//! The chat completions protocol, as far as the guide speaks it.
//!
//! Owns: reading a request ([`CompletionRequest`]), rejecting one ([`RequestError`]), writing an answer whole or as
//! server-sent events.
//! Refuses: sockets. A request for what the guide cannot do (tools, images, several choices) is an error, not ignored.
//! Invariant: a stream is role, pieces, finish, usage if asked for, `[DONE]`, in this order.

use bytes::Bytes;
use serde_json::{Value, json};

/// The guide's name at its own address; in full it is `offline/guide`.
pub(crate) const MODEL: &str = "guide";
const FULL_NAME: &str = "offline/guide";

/// Words in one piece of a streamed answer.
const WORDS_PER_PIECE: usize = 3;

/// A request that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CompletionRequest {
    /// The text of every message, for counting.
    pub(crate) texts: Vec<String>,
    /// The user's messages, oldest first.
    pub(crate) questions: Vec<String>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// The most tokens that the answer may have.
    pub(crate) cap: Option<u64>,
}

/// Why a request is not answered, in the protocol's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestError {
    pub(crate) status: u16,
    kind: &'static str,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl RequestError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "invalid_request_error",
            message: message.into(),
            param: None,
            code: None,
        }
    }

    #[must_use]
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The guide itself failed.
    pub(crate) fn internal() -> Self {
        Self {
            kind: "server_error",
            ..Self::new(500, "The guide could not compose an answer.")
        }
    }

    fn param(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            ..Self::new(400, message)
        }
    }

    pub(crate) fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}

/// Reads the body of `POST /v1/chat/completions`.
pub(super) fn read(body: &[u8]) -> Result<CompletionRequest, RequestError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        RequestError::new(
            400,
            format!("The body of the request is not JSON: {error}."),
        )
    })?;
    if !body.is_object() {
        return Err(RequestError::new(
            400,
            "The body of the request must be a JSON object.",
        ));
    }
    match body.get("model").and_then(Value::as_str) {
        None => {
            return Err(RequestError::param(
                "model",
                "You must provide a model parameter.",
            ));
        }
        Some(MODEL | FULL_NAME) => {}
        Some(other) => {
            let message = format!("The model `{other}` does not exist; this server has `{MODEL}`.");
            let refusal = RequestError {
                status: 404,
                ..RequestError::param("model", message)
            };
            return Err(refusal.code("model_not_found"));
        }
    }
    let tools = body.get("tools").and_then(Value::as_array);
    if tools.is_some_and(|tools| !tools.is_empty()) {
        return Err(RequestError::param("tools", "The guide calls no tools."));
    }
    if !matches!(body.get("n"), None | Some(Value::Null)) && body["n"] != 1 {
        return Err(RequestError::param("n", "The guide gives one choice."));
    }
    let (texts, questions) = messages(&body)?;
    let stream = flag(&body, "stream", "stream")?;
    let options = body.get("stream_options").unwrap_or(&Value::Null);
    let include_usage = flag(options, "include_usage", "stream_options.include_usage")?;
    let cap = match cap(&body, "max_completion_tokens")? {
        Some(cap) => Some(cap),
        None => cap(&body, "max_tokens")?,
    };
    Ok(CompletionRequest {
        texts,
        questions,
        stream,
        include_usage,
        cap,
    })
}

fn flag(object: &Value, key: &str, param: &'static str) -> Result<bool, RequestError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(RequestError::param(
            param,
            format!("`{param}` must be true or false."),
        )),
    }
}

fn cap(body: &Value, param: &'static str) -> Result<Option<u64>, RequestError> {
    match body.get(param) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(cap) if cap > 0 => Ok(Some(cap)),
            _ => Err(RequestError::param(
                param,
                format!("`{param}` must be a whole number of at least 1."),
            )),
        },
    }
}

/// The texts of all messages, and those of the user's.
fn messages(body: &Value) -> Result<(Vec<String>, Vec<String>), RequestError> {
    let messages = match body.get("messages").and_then(Value::as_array) {
        Some(messages) if !messages.is_empty() => messages,
        _ => {
            return Err(RequestError::param(
                "messages",
                "`messages` must be a list of at least one message.",
            ));
        }
    };
    let (mut texts, mut questions) = (Vec::new(), Vec::new());
    for message in messages {
        let role = message
            .get("role")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool") {
            let message =
                "The role of a message must be system, developer, user, assistant or tool.";
            return Err(RequestError::param("messages", message));
        }
        let text = content(message.get("content").unwrap_or(&Value::Null), role)?;
        if role == "user" {
            questions.push(text.clone());
        }
        texts.push(text);
    }
    if questions.is_empty() {
        return Err(RequestError::param(
            "messages",
            "`messages` must hold a message of the user.",
        ));
    }
    Ok((texts, questions))
}

fn content(content: &Value, role: &str) -> Result<String, RequestError> {
    let wrong = || {
        RequestError::param(
            "messages",
            "The content of a message must be a text or a list of text parts.",
        )
    };
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null if role == "assistant" => Ok(String::new()),
        Value::Array(parts) => parts
            .iter()
            .map(|part| part.get("text").and_then(Value::as_str).ok_or_else(wrong))
            .collect::<Result<Vec<_>, _>>()
            .map(|texts| texts.join("\n")),
        _ => Err(wrong()),
    }
}

/// A composed answer, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct GuideAnswer {
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) text: String,
    /// `stop` or `length`.
    pub(crate) finish: &'static str,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
}

impl GuideAnswer {
    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens.saturating_add(self.completion_tokens),
        })
    }

    pub(crate) fn whole(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": MODEL,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.text, "refusal": null},
                "logprobs": null,
                "finish_reason": self.finish,
            }],
            "usage": self.usage(),
        })
    }

    /// The server-sent events of the answer, each complete in itself.
    pub(crate) fn events(&self, include_usage: bool) -> Vec<Bytes> {
        let delta = |delta: Value, finish: Option<&str>| {
            self.event(
                &json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]),
                include_usage,
            )
        };
        let mut events = vec![delta(json!({"role": "assistant", "content": ""}), None)];
        events.extend(
            pieces(&self.text)
                .into_iter()
                .map(|piece| delta(json!({"content": piece}), None)),
        );
        events.push(delta(json!({}), Some(self.finish)));
        if include_usage {
            let mut chunk = self.chunk(&json!([]));
            chunk["usage"] = self.usage();
            events.push(frame(&chunk));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn event(&self, choices: &Value, include_usage: bool) -> Bytes {
        let mut chunk = self.chunk(choices);
        if include_usage {
            chunk["usage"] = Value::Null;
        }
        frame(&chunk)
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": MODEL,
            "choices": choices,
        })
    }
}

fn frame(chunk: &Value) -> Bytes {
    Bytes::from(format!("data: {chunk}\n\n"))
}

/// The text in pieces of a few words; put together they are the text.
fn pieces(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    words
        .chunks(WORDS_PER_PIECE)
        .map(<[&str]>::concat)
        .collect()
}

/// The answer to `GET /v1/models`.
pub(super) fn models() -> Value {
    json!({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "offline"}]})
}

/// The longest beginning of `text` that `count` finds to have at most `cap` tokens, found by halving.
pub(super) fn capped<'t>(text: &'t str, cap: u64, count: &dyn Fn(&str) -> u64) -> &'t str {
    if count(text) <= cap {
        return text;
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut fits = ends.partition_point(|&end| count(&text[..end]) <= cap);
    // Token counts are not quite monotone: step back a little if necessary.
    while fits > 0 && count(&text[..ends[fits - 1]]) > cap {
        fits -= 1;
    }
    &text[..fits.checked_sub(1).map_or(0, |last| ends[last])]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(body: &Value) -> (u16, Value) {
        let refusal = read(body.to_string().as_bytes()).unwrap_err();
        (refusal.status, refusal.body()["error"]["param"].clone())
    }

    #[test]
    fn a_request_is_read() {
        let body = json!({"model": "guide", "stream": true, "stream_options": {"include_usage": true},
            "max_tokens": 9, "max_completion_tokens": 7, "temperature": 1, "messages": [
                {"role": "system", "content": "s"}, {"role": "user", "content": "a"},
                {"role": "assistant", "content": null}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]});
        let asked = read(body.to_string().as_bytes()).unwrap();
        assert_eq!(asked.questions, ["a", "b"]);
        assert_eq!(asked.texts, ["s", "a", "", "b"]);
        assert_eq!(
            (asked.stream, asked.include_usage, asked.cap),
            (true, true, Some(7))
        );
    }

    #[test]
    fn a_wrong_request_is_refused_with_the_parameter_at_fault() {
        let user = json!([{"role": "user", "content": "hi"}]);
        for (body, status, param) in [
            (json!([]), 400, json!(null)),
            (json!({"messages": user}), 400, json!("model")),
            (
                json!({"model": "gpt-5", "messages": user}),
                404,
                json!("model"),
            ),
            (json!({"model": "guide"}), 400, json!("messages")),
            (
                json!({"model": "guide", "messages": []}),
                400,
                json!("messages"),
            ),
            (
                json!({"model": "guide", "messages": [{"role": "system", "content": "s"}]}),
                400,
                json!("messages"),
            ),
            (
                json!({"model": "guide", "messages": [{"role": "god", "content": "s"}]}),
                400,
                json!("messages"),
            ),
            (
                json!({"model": "guide", "messages": [{"role": "user", "content": 7}]}),
                400,
                json!("messages"),
            ),
            (
                json!({"model": "guide", "messages": [{"role": "user"}]}),
                400,
                json!("messages"),
            ),
            (
                json!({"model": "guide", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
                400,
                json!("messages"),
            ),
            (
                json!({"model": "guide", "messages": user, "stream": "yes"}),
                400,
                json!("stream"),
            ),
            (
                json!({"model": "guide", "messages": user, "max_tokens": 0}),
                400,
                json!("max_tokens"),
            ),
            (
                json!({"model": "guide", "messages": user, "max_completion_tokens": -1}),
                400,
                json!("max_completion_tokens"),
            ),
            (
                json!({"model": "guide", "messages": user, "n": 2}),
                400,
                json!("n"),
            ),
            (
                json!({"model": "guide", "messages": user, "tools": [{}]}),
                400,
                json!("tools"),
            ),
        ] {
            assert_eq!(refused(&body), (status, param), "{body}");
        }
        assert_eq!(read(b"{").unwrap_err().status, 400);
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_the_text(text in any::<String>()) {
            prop_assert_eq!(pieces(&text).concat(), text);
        }

        #[test]
        fn a_cap_cuts_at_the_last_letter_that_fits(text in any::<String>(), cap in 0u64..40) {
            let letters = |part: &str| part.chars().count() as u64;
            let cut = capped(&text, cap, &letters);
            prop_assert!(text.starts_with(cut));
            prop_assert_eq!(letters(cut), cap.min(letters(&text)));
        }
    }
}
