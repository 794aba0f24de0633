//! What every request must keep to, whatever the test is about.
//!
//! Owns: [`Rules`], checked on each captured request.
//! Refuses: judging answers.
//! Invariant: a check looks at what was sent and at nothing else.

use serde_json::Value;

use super::log::Request;

/// Whose key may come here.
#[derive(Debug, Clone, Default)]
pub enum Keys {
    /// Any, but one.
    #[default]
    Any,
    Of(Vec<String>),
    /// None at all: this server is not the owner of any key.
    Forbidden,
    Unchecked,
}

#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub keys: Keys,
    /// The server is one of those that do not know `stream_options`.
    pub usage_optional: bool,
    /// No request may come here at all.
    pub trap: bool,
}

impl Rules {
    /// Everything that is wrong with the request, in words.
    pub fn check(&self, request: &Request, locations: &[String]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.trap {
            wrong.push("a request where none may come".to_owned());
        }
        if locations
            .iter()
            .any(|location| location.ends_with(&request.path))
            || request.header("referer").is_some()
        {
            wrong.push("a redirect was followed".to_owned());
        }
        if request.header("host").is_none() {
            wrong.push("no Host header".to_owned());
        }
        self.check_key(request, &mut wrong);
        if request.is_chat() {
            match &request.json {
                Some(Value::Object(_)) => self.check_chat(request, &mut wrong),
                _ => wrong.push("the body is not a JSON object".to_owned()),
            }
        }
        wrong
    }

    fn check_key(&self, request: &Request, wrong: &mut Vec<String>) {
        let sent = request
            .headers
            .iter()
            .filter(|(name, _)| name == "authorization")
            .count();
        match (&self.keys, request.key()) {
            (Keys::Forbidden, _) if sent > 0 => {
                wrong.push("a key was sent to a server it does not belong to".to_owned());
            }
            (Keys::Forbidden | Keys::Unchecked, _) => {}
            (_, None) => wrong.push("no Authorization: Bearer".to_owned()),
            (_, Some(_)) if sent > 1 => wrong.push("more than one Authorization header".to_owned()),
            (_, Some("")) => wrong.push("an empty key".to_owned()),
            (Keys::Of(keys), Some(key)) if !keys.iter().any(|k| k == key) => {
                wrong.push("a key that this server does not own".to_owned());
            }
            (Keys::Of(_) | Keys::Any, Some(_)) => {}
        }
    }

    fn check_chat(&self, request: &Request, wrong: &mut Vec<String>) {
        let mut caps = ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .filter_map(|name| request.field(name));
        match (caps.next(), caps.next()) {
            (None, _) => wrong.push("no output cap".to_owned()),
            (Some(_), Some(_)) => wrong.push("two output caps".to_owned()),
            (Some(cap), None) if cap.as_u64().is_none_or(|cap| cap == 0) => {
                wrong.push(format!("the output cap is {cap}"));
            }
            (Some(_), None) => {}
        }
        if request.model().is_empty() {
            wrong.push("no model".to_owned());
        }
        if request
            .field("messages")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
        {
            wrong.push("no messages".to_owned());
        }
        if request.field("n").is_some_and(|n| n != 1) {
            wrong.push("more than one answer was asked for".to_owned());
        }
        let include = request
            .field("stream_options")
            .and_then(|o| o.get("include_usage"))
            .and_then(Value::as_bool);
        if request.streams() && include != Some(true) && !self.usage_optional {
            wrong.push("a stream without stream_options.include_usage".to_owned());
        }
        if !request.streams() && request.field("stream_options").is_some() {
            wrong.push("stream_options without a stream".to_owned());
        }
    }
}
