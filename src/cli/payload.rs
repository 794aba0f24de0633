//! What `count` is asked about: texts, images, tools, or a whole request.
//!
//! Owns: the parts of a payload and the reading of files into them.
//! Refuses: the network: an image that lies elsewhere has no size here.
//! Invariant: what has no published recipe is counted as text and marked as such, never passed over.

use std::path::Path;

use serde_json::Value;

use super::args::CountArgs;
use super::{image_file, input};
use crate::chat::{Failure, FailureKind};
use crate::tokens::{Detail, FramedMessage, ImageSize};

/// What would be sent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Payload {
    pub(super) messages: Vec<PayloadMessage>,
    pub(super) tools: Vec<Value>,
    pub(super) images: Vec<Image>,
    /// Texts whose framing is not published.
    pub(super) loose: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PayloadMessage {
    pub(super) role: String,
    pub(super) name: Option<String>,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    /// `None`: the image is at another address.
    pub(super) size: Option<ImageSize>,
    pub(super) detail: Detail,
}

impl PayloadMessage {
    pub(super) fn sent(&self) -> FramedMessage<'_> {
        FramedMessage {
            role: &self.role,
            name: self.name.as_deref(),
            text: &self.text,
        }
    }
}

/// Reads what the arguments name.
pub(super) fn gather(args: &CountArgs) -> Result<Payload, Failure> {
    if let Some(path) = &args.request {
        return request(&json(path)?).map_err(|problem| wrong(path, &problem));
    }
    let mut payload = Payload::default();
    let mut texts = Vec::new();
    // Tools may be counted without a text.
    if args.files.is_empty() && (args.tools.is_none() || input::is_piped()) {
        texts.push(input::stdin()?);
    }
    for path in &args.files {
        let (name, bytes) = input::bytes(path)?;
        match image_file::size_of_file(path, &bytes) {
            Some(Ok(size)) => payload.images.push(Image {
                size: Some(size),
                detail: args.detail.into(),
            }),
            Some(Err(problem)) => return Err(wrong(path, &problem)),
            None => texts.push(input::text(&name, bytes)?),
        }
    }
    payload.messages.push(PayloadMessage {
        role: "user".to_owned(),
        name: None,
        text: texts.join("\n"),
    });
    if let Some(path) = &args.tools {
        let Value::Array(tools) = json(path)? else {
            return Err(wrong(path, "is no JSON array")
                .hint("write the tools as the API takes them, in brackets"));
        };
        payload.tools = tools;
    }
    Ok(payload)
}

fn json(path: &Path) -> Result<Value, Failure> {
    let text = input::file(path)?;
    serde_json::from_str(&text).map_err(|error| wrong(path, &format!("is no JSON: {error}")))
}

/// `problem` follows the name of the file.
fn wrong(path: &Path, problem: &str) -> Failure {
    Failure::new(FailureKind::Usage, format!("{} {problem}", path.display()))
}

/// The parts of a chat completion's body.
fn request(body: &Value) -> Result<Payload, String> {
    let messages = body
        .get("messages")
        .and_then(Value::as_array)
        .ok_or("has no array `messages`")?;
    let mut payload = Payload::default();
    for (at, message) in messages.iter().enumerate() {
        payload.message(message).map_err(|problem| {
            format!(
                "has a message that cannot be counted: number {} {problem}",
                at + 1
            )
        })?;
    }
    match body.get("tools") {
        None | Some(Value::Null) => {}
        Some(Value::Array(tools)) => payload.tools.clone_from(tools),
        Some(_) => return Err("has `tools` that are no array".to_owned()),
    }
    // Both become a part of the prompt.
    let beside = ["functions", "response_format"]
        .into_iter()
        .filter_map(|key| body.get(key));
    payload.loose.extend(
        beside
            .filter(|value| !value.is_null())
            .map(Value::to_string),
    );
    Ok(payload)
}

impl Payload {
    fn message(&mut self, message: &Value) -> Result<(), String> {
        let word = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
        let role = word("role").ok_or("has no role")?;
        let text = match message.get("content") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                let texts = parts
                    .iter()
                    .map(|part| self.part(part))
                    .collect::<Result<Vec<_>, _>>()?;
                let mut texts = texts.into_iter().flatten();
                let first = texts.next().unwrap_or_default();
                // How several are joined is not published.
                self.loose.extend(texts);
                first
            }
            Some(_) => return Err("has content that is neither text nor parts".to_owned()),
        };
        for key in ["tool_calls", "function_call", "refusal"] {
            self.loose.extend(
                message
                    .get(key)
                    .filter(|value| !value.is_null())
                    .map(Value::to_string),
            );
        }
        self.messages.push(PayloadMessage {
            role,
            name: word("name"),
            text,
        });
        Ok(())
    }

    /// Takes a part; the text of one that is text.
    fn part(&mut self, part: &Value) -> Result<Option<String>, String> {
        let kind = part
            .get("type")
            .and_then(Value::as_str)
            .ok_or("has a part without a type")?;
        match kind {
            "text" => {
                let text = part
                    .get("text")
                    .and_then(Value::as_str)
                    .ok_or("has a text part without text")?;
                Ok(Some(text.to_owned()))
            }
            "image_url" => {
                let image = part.get("image_url").unwrap_or(&Value::Null);
                let url = image
                    .get("url")
                    .and_then(Value::as_str)
                    .ok_or("has an image without a url")?;
                let detail = match image.get("detail").and_then(Value::as_str) {
                    Some("low") => Detail::Low,
                    None | Some("auto" | "high") => Detail::High,
                    Some(_) => {
                        return Err("has an image whose detail is not low, high or auto".to_owned());
                    }
                };
                let size = image_file::size_of_address(url)
                    .transpose()
                    .map_err(|problem| image_problem(&problem))?;
                self.images.push(Image { size, detail });
                Ok(None)
            }
            kind => Err(format!(
                "has a part of type {kind:?}; text and image_url are counted"
            )),
        }
    }
}

fn image_problem(problem: &str) -> String {
    format!("has an image that {problem}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(role: &str, name: Option<&str>, text: &str) -> PayloadMessage {
        PayloadMessage {
            role: role.to_owned(),
            name: name.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_parts_of_a_request() {
        let body = json!({
            "model": "gpt-4o", "temperature": 0,
            "messages": [
                {"role": "system", "name": "example_user", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                    {"type": "text", "text": "And this?"}
                ]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}
            ],
            "tools": [{"type": "function"}],
            "response_format": {"type": "json_object"}
        });
        let expected = Payload {
            messages: vec![
                line("system", Some("example_user"), "Be brief."),
                line("user", None, "What is this?"),
                line("assistant", None, ""),
            ],
            tools: vec![json!({"type": "function"})],
            images: vec![Image {
                size: None,
                detail: Detail::Low,
            }],
            loose: vec![
                "And this?".to_owned(),
                "[{\"id\":\"1\"}]".to_owned(),
                "{\"type\":\"json_object\"}".to_owned(),
            ],
        };
        assert_eq!(request(&body), Ok(expected));
    }

    #[test]
    fn what_cannot_be_counted_is_named() {
        let message =
            |message: Value| json!({"messages": [{"role": "user", "content": "x"}, message]});
        for (body, problem) in [
            (json!([]), "has no array `messages`"),
            (json!({"messages": {}}), "has no array `messages`"),
            (
                json!({"messages": [], "tools": 3}),
                "has `tools` that are no array",
            ),
            (message(json!(3)), "number 2 has no role"),
            (
                message(json!({"role": "user", "content": 3})),
                "number 2 has content that is neither text nor parts",
            ),
            (
                message(json!({"role": "user", "content": [3]})),
                "number 2 has a part without a type",
            ),
            (
                message(json!({"role": "user", "content": [{"type": "input_audio"}]})),
                "type \"input_audio\"",
            ),
            (
                message(json!({"role": "user", "content": [{"type": "image_url"}]})),
                "an image without a url",
            ),
            (
                message(
                    json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}),
                ),
                "number 2 has an image that has a data: address that is not in base64",
            ),
        ] {
            let found = request(&body).unwrap_err();
            assert!(found.contains(problem), "{body}: {found}");
        }
    }
}
