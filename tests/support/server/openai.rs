//! The form of OpenAI's chat completions: heads, events, chunks.
//!
//! Owns: how an answer looks on the wire, byte for byte.
//! Refuses: deciding what is answered, and when.
//! Invariant: chunks carry `"usage": null` exactly when usage was asked for, as the provider's own do.

use serde_json::{Value, json};

use super::bill::Tokens;

/// Status line, headers and the empty line.
pub fn head(status: u16, headers: &[(&str, String)]) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    };
    let mut lines = vec![format!("HTTP/1.1 {status} {reason}")];
    lines.extend(
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// One server-sent event.
pub fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// `text` in `n` pieces of about the same length, never cut inside a character; fewer when it is short.
pub fn split(text: &str, n: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let n = n.clamp(1, chars.len().max(1));
    (0..n)
        .map(|i| {
            chars[chars.len() * i / n..chars.len() * (i + 1) / n]
                .iter()
                .collect()
        })
        .collect()
}

/// What all parts of one answer have in common.
pub struct Envelope<'a> {
    pub index: usize,
    pub model: &'a str,
    /// `None`: the server never says why it ended.
    pub finish: Option<&'a str>,
    pub tokens: Tokens,
}

impl Envelope<'_> {
    fn object(&self, kind: &str) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.index),
            "object": kind,
            "created": 1_760_000_000,
            "model": self.model,
            "system_fingerprint": "fp_scripted",
        })
    }

    /// One chunk of a stream. `usage`: whether the client asked for usage.
    pub fn chunk(&self, delta: &Value, finish: Option<&str>, usage: bool) -> Value {
        let mut chunk = self.object("chat.completion.chunk");
        chunk["choices"] =
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        if usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    /// The chunk without choices that ends a stream when usage was asked for.
    pub fn usage_chunk(&self) -> Value {
        let mut chunk = self.object("chat.completion.chunk");
        chunk["choices"] = json!([]);
        chunk["usage"] = self.usage();
        chunk
    }

    /// A whole answer in one object.
    pub fn unary(&self, text: &str, reasoning: &str, usage: bool) -> Value {
        let mut body = self.object("chat.completion");
        let mut message = json!({"role": "assistant", "content": text, "refusal": null});
        if !reasoning.is_empty() {
            message["reasoning_content"] = json!(reasoning);
        }
        body["choices"] = json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish}]);
        if usage {
            body["usage"] = self.usage();
        }
        body
    }

    /// The usage when so many output tokens have been written.
    pub fn usage_at(&self, completion: u64) -> Value {
        let tokens = Tokens {
            completion,
            reasoning: self.tokens.reasoning.min(completion),
            ..self.tokens
        };
        Envelope { tokens, ..*self }.usage()
    }

    fn usage(&self) -> Value {
        let t = self.tokens;
        let mut usage = json!({
            "prompt_tokens": t.prompt,
            "completion_tokens": t.completion,
            "total_tokens": t.prompt + t.completion,
            "prompt_tokens_details": {"cached_tokens": t.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": t.reasoning, "audio_tokens": 0},
        });
        if t.cache_write > 0 {
            usage["prompt_tokens_details"]["cache_write_tokens"] = json!(t.cache_write);
        }
        usage
    }
}

/// The answer to `GET /v1/models`.
pub fn models(names: &[String]) -> Value {
    let rows: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "scripted"}))
        .collect();
    json!({"object": "list", "data": rows})
}
