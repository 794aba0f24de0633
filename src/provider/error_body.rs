//! The error object of a server's answer, in any of its known shapes.
//!
//! Owns: finding code, type, message and parameter in an object, an array or a string.
//! Refuses: deciding what they mean.
//! Invariant: reading never fails; a value without an error yields `None`.

use std::time::Duration;

use serde_json::Value;

/// The error that a server reports. Its texts may contain secrets: they leave this module only through the mask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ErrorBody {
    /// A word or a number, as a string.
    pub(crate) code: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) message: String,
    /// The parameter that the server objects to.
    pub(crate) param: Option<String>,
    /// How long to wait, where the body says so (Google's RetryInfo).
    pub(crate) retry_delay: Option<Duration>,
}

impl ErrorBody {
    /// The error in a value that may be an answer: it must be marked as an error.
    pub(crate) fn find(value: &Value) -> Option<Self> {
        if let Value::Array(items) = value {
            return items
                .first()
                .filter(|item| item.is_object())
                .and_then(Self::find);
        }
        match value.get("error") {
            Some(error @ Value::Object(map)) if !map.is_empty() => return Some(Self::of(error)),
            Some(Value::String(message)) if !message.is_empty() => {
                return Some(Self {
                    message: message.clone(),
                    ..Self::of(value)
                });
            }
            _ => {}
        }
        let is_marked = |key: &str| value.get(key).and_then(Value::as_str) == Some("error");
        (is_marked("object") || is_marked("type")).then(|| Self::of(value))
    }

    /// The error in the body of a refused request: everything in it is about the error.
    pub(crate) fn of_refusal(value: &Value) -> Self {
        if let Some(found) = Self::find(value) {
            return found;
        }
        match value {
            Value::Array(items) => items.first().map(Self::of_refusal).unwrap_or_default(),
            Value::Object(map) => match map.get("errors").or_else(|| map.get("detail")) {
                Some(inner @ (Value::Array(_) | Value::Object(_))) => Self::of_refusal(inner),
                Some(Value::String(message)) => Self {
                    message: message.clone(),
                    ..Self::of(value)
                },
                _ => Self::of(value),
            },
            Value::String(message) => Self {
                message: message.clone(),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    /// The error in a text that is about an error: JSON, or words.
    pub(crate) fn of_text(text: &str) -> Self {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => Self::of_refusal(&value),
            Err(_) => Self {
                message: text.to_owned(),
                ..Self::default()
            },
        }
    }

    fn of(error: &Value) -> Self {
        let word = |key: &str| error.get(key).and_then(scalar);
        let details = error
            .get("details")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        Self {
            // Google writes the HTTP status as `code` and the word as `status` or as the `reason` of a detail.
            code: details
                .iter()
                .find_map(|detail| detail.get("reason").and_then(scalar))
                .or_else(|| word("code")),
            kind: word("type")
                .filter(|kind| kind != "error")
                .or_else(|| word("status")),
            message: ["message", "msg", "detail"]
                .into_iter()
                .find_map(word)
                .unwrap_or_default(),
            param: word("param").or_else(|| located_param(error.get("loc")?)),
            retry_delay: details
                .iter()
                .find_map(|detail| delay(detail.get("retryDelay")?.as_str()?)),
        }
    }

    /// The code as an HTTP status, where it is one.
    pub(crate) fn code_as_status(&self) -> Option<u16> {
        self.code
            .as_ref()?
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status))
    }
}

/// Validators name the parameter as a path: `["body", "stream_options"]`.
fn located_param(path: &Value) -> Option<String> {
    let mut words = path.as_array()?.iter().filter_map(Value::as_str);
    words.find(|word| *word != "body").map(str::to_owned)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `34s`, `1.5s`.
fn delay(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn code_type_and_message_in_every_shape() {
        for (value, code, kind, message) in [
            (
                json!({"error": {"code": "c", "type": "t", "message": "m"}}),
                Some("c"),
                Some("t"),
                "m",
            ),
            (
                json!({"error": {"code": 429, "message": "m"}}),
                Some("429"),
                None,
                "m",
            ),
            (
                json!({"error": {"code": null, "message": "m"}}),
                None,
                None,
                "m",
            ),
            (
                json!({"object": "error", "code": 40001, "message": "m"}),
                Some("40001"),
                None,
                "m",
            ),
            (
                json!([{"error": {"code": 400, "status": "S", "message": "m"}}]),
                Some("400"),
                Some("S"),
                "m",
            ),
            (
                json!({"type": "error", "error": {"type": "t", "message": "m"}}),
                None,
                Some("t"),
                "m",
            ),
            (json!({"code": "c", "error": "m"}), Some("c"), None, "m"),
            (json!({"detail": "m"}), None, None, "m"),
            (
                json!({"detail": [{"type": "t", "msg": "m"}]}),
                None,
                Some("t"),
                "m",
            ),
            (
                json!({"errors": [{"code": 7003, "message": "m"}]}),
                Some("7003"),
                None,
                "m",
            ),
            (
                json!({"message": "m", "type": "t", "code": "c"}),
                Some("c"),
                Some("t"),
                "m",
            ),
            (json!("m"), None, None, "m"),
            (json!([]), None, None, ""),
            (json!(null), None, None, ""),
        ] {
            let body = ErrorBody::of_refusal(&value);
            assert_eq!(
                (
                    body.code.as_deref(),
                    body.kind.as_deref(),
                    body.message.as_str()
                ),
                (code, kind, message),
                "{value}"
            );
        }
    }

    #[test]
    fn the_parameter_by_its_name_or_its_path() {
        for (value, param) in [
            (
                json!({"error": {"param": "temperature"}}),
                Some("temperature"),
            ),
            (
                json!({"detail": [{"loc": ["body", "stream_options"], "msg": "m"}]}),
                Some("stream_options"),
            ),
            (
                json!({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "m"}]}),
                Some("messages"),
            ),
            (json!({"detail": [{"loc": ["body"], "msg": "m"}]}), None),
            (json!({"error": {"param": null, "message": "m"}}), None),
        ] {
            assert_eq!(
                ErrorBody::of_refusal(&value).param.as_deref(),
                param,
                "{value}"
            );
        }
    }

    #[test]
    fn an_answer_is_no_error() {
        for value in [
            json!({"choices": []}),
            json!({"error": null}),
            json!({"error": ""}),
            json!({"error": {}}),
            json!(3),
        ] {
            assert_eq!(ErrorBody::find(&value), None, "{value}");
        }
    }

    #[test]
    fn the_retry_delay_in_the_body_of_google() {
        let value = json!({"error": {"code": 429, "details": [{"retryDelay": "34.5s"}]}});
        assert_eq!(
            ErrorBody::of_refusal(&value).retry_delay,
            Some(Duration::from_millis(34_500))
        );
    }
}
