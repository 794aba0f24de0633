//! From a chat request to the body of an HTTP request, in the dialect of the model.
//!
//! Owns: the names and the rules of parameters; async-openai's request types.
//! Refuses: sending, and silent corrections: what a model would reject is an error here, before it costs anything.
//! Invariant: the body always has an output cap, and depends on the arguments only.

use async_openai::types::chat::{
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestDeveloperMessage,
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage,
    ChatCompletionRequestUserMessage, ChatCompletionStreamOptions, CreateChatCompletionRequest,
    ReasoningEffort,
};
use serde_json::Value;

use crate::catalog::{Dialect, ModelApi, OutputCap, SystemRole, TemperatureRule};
use crate::chat::{Effort, Message, ModelId, Request, Role};

/// Why a request cannot be sent to a model as it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum MappingError {
    #[error("{model} takes no temperature of {temperature}: {rule}")]
    Temperature {
        model: ModelId,
        temperature: f64,
        rule: &'static str,
    },
    #[error("{model} takes no effort `{effort}`: {legal}")]
    Effort {
        model: ModelId,
        effort: Effort,
        legal: String,
    },
    #[error(
        "{model} answers on the Responses API only, which is not built in yet: choose another model"
    )]
    ResponsesOnly { model: ModelId },
    #[error("there is no room for an answer from {model}: the output cap is 0")]
    NoRoom { model: ModelId },
    #[error("there is nothing to ask {model}: the chat has no message")]
    NothingToAsk { model: ModelId },
    #[error("the request to {model} cannot be written as JSON: {cause}")]
    Unwritable { model: ModelId, cause: String },
}

/// The body of a chat completion request. `output_cap` is in tokens and always sent.
pub(crate) fn body(
    request: &Request,
    dialect: &Dialect,
    output_cap: u64,
    stream: bool,
) -> Result<Value, MappingError> {
    let model = || request.model.clone();
    if dialect.api == ModelApi::Responses {
        return Err(MappingError::ResponsesOnly { model: model() });
    }
    if output_cap == 0 {
        return Err(MappingError::NoRoom { model: model() });
    }
    if request.messages.is_empty() {
        return Err(MappingError::NothingToAsk { model: model() });
    }
    let temperature = temperature(request, dialect)?;
    let typed = CreateChatCompletionRequest {
        model: request.model.model().to_owned(),
        messages: messages(&request.messages, dialect.system),
        reasoning_effort: effort(request, dialect)?,
        stream: Some(stream),
        stream_options: (stream && dialect.stream_usage).then_some(ChatCompletionStreamOptions {
            include_usage: Some(true),
            include_obfuscation: None,
        }),
        ..CreateChatCompletionRequest::default()
    };
    let mut body = serde_json::to_value(&typed).map_err(|error| MappingError::Unwritable {
        model: model(),
        cause: error.to_string(),
    })?;
    // These two are narrower in the crate's types (u32, f32) than what the user wrote: 0.7 would go out as 0.699999988.
    let cap_name = match dialect.output_cap {
        OutputCap::MaxTokens => "max_tokens",
        OutputCap::MaxCompletionTokens => "max_completion_tokens",
    };
    body[cap_name] = output_cap.into();
    if let Some(temperature) = temperature {
        body["temperature"] = temperature.into();
    }
    if let Some(tier) = dialect.tier_to_send() {
        body["service_tier"] = tier.as_str().into();
    }
    Ok(body)
}

/// The temperature to send, checked against the model's rule. 1 is every model's default: where none may be sent, it
/// is left out instead of refused.
#[expect(clippy::float_cmp, reason = "the default is exactly 1")]
fn temperature(request: &Request, dialect: &Dialect) -> Result<Option<f64>, MappingError> {
    let Some(temperature) = request.params.temperature else {
        return Ok(None);
    };
    let refuse = |rule| {
        Err(MappingError::Temperature {
            model: request.model.clone(),
            temperature,
            rule,
        })
    };
    if !(0.0..=2.0).contains(&temperature) {
        return refuse("it must lie between 0 and 2");
    }
    match dialect.temperature {
        TemperatureRule::Any => Ok(Some(temperature)),
        TemperatureRule::UpToOne if temperature <= 1.0 => Ok(Some(temperature)),
        TemperatureRule::UpToOne => refuse("it must lie between 0 and 1"),
        TemperatureRule::OnlyWithoutEffort if request.params.effort == Some(Effort::None) => {
            Ok(Some(temperature))
        }
        _ if temperature == 1.0 => Ok(None),
        TemperatureRule::OnlyWithoutEffort => refuse("it takes one only with the effort `none`"),
        TemperatureRule::Never => refuse("its temperature cannot be set"),
    }
}

fn effort(request: &Request, dialect: &Dialect) -> Result<Option<ReasoningEffort>, MappingError> {
    let Some(effort) = request.params.effort else {
        return Ok(None);
    };
    if !dialect.efforts.contains(&effort) {
        let legal = if dialect.efforts.is_empty() {
            "it has no effort to set".to_owned()
        } else {
            let names: Vec<_> = dialect
                .efforts
                .iter()
                .map(|effort| effort.as_str())
                .collect();
            format!("it takes {}", names.join(", "))
        };
        return Err(MappingError::Effort {
            model: request.model.clone(),
            effort,
            legal,
        });
    }
    Ok(Some(match effort {
        Effort::None => ReasoningEffort::None,
        Effort::Minimal => ReasoningEffort::Minimal,
        Effort::Low => ReasoningEffort::Low,
        Effort::Medium => ReasoningEffort::Medium,
        Effort::High => ReasoningEffort::High,
        Effort::Xhigh => ReasoningEffort::Xhigh,
        Effort::Max => ReasoningEffort::Max,
    }))
}

fn messages(messages: &[Message], system: SystemRole) -> Vec<ChatCompletionRequestMessage> {
    let fold = system == SystemRole::FoldIntoUser;
    let mut folded: Vec<&str> = Vec::new();
    if fold {
        folded.extend(
            messages
                .iter()
                .filter(|message| message.role == Role::System)
                .map(|message| message.text.as_str()),
        );
    }
    let mut out = Vec::with_capacity(messages.len());
    for message in messages {
        let text = message.text.as_str();
        match message.role {
            Role::System if fold => {}
            Role::System if system == SystemRole::Developer => {
                out.push(ChatCompletionRequestDeveloperMessage::from(text).into());
            }
            Role::System => out.push(ChatCompletionRequestSystemMessage::from(text).into()),
            Role::User => {
                folded.push(text);
                out.push(ChatCompletionRequestUserMessage::from(folded.join("\n\n")).into());
                folded.clear();
            }
            Role::Assistant => out.push(ChatCompletionRequestAssistantMessage::from(text).into()),
        }
    }
    if !folded.is_empty() {
        // There is no message of the user: send the system text as one.
        out.insert(
            0,
            ChatCompletionRequestUserMessage::from(folded.join("\n\n")).into(),
        );
    }
    out
}

#[cfg(test)]
mod by_model;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::TierField;
    use crate::chat::{Params, ServiceTier};

    fn request(params: Params) -> Request {
        let messages = vec![
            Message::new(Role::System, "s"),
            Message::new(Role::User, "u"),
            Message::new(Role::Assistant, "a"),
            Message::new(Role::User, "v"),
        ];
        Request {
            model: ModelId::new("groq", "openai/gpt-oss-120b"),
            messages,
            params,
        }
    }

    fn with(change: impl FnOnce(&mut Dialect)) -> Dialect {
        let mut dialect = Dialect::default();
        change(&mut dialect);
        dialect
    }

    #[test]
    fn a_plain_request_is_exactly_this() {
        let params = Params {
            temperature: Some(0.7),
            ..Params::default()
        };
        assert_eq!(
            body(&request(params), &Dialect::default(), 8192, true).unwrap(),
            json!({"messages": [
                {"role": "system", "content": "s"}, {"role": "user", "content": "u"},
                {"role": "assistant", "content": "a"}, {"role": "user", "content": "v"}],
                "model": "openai/gpt-oss-120b", "stream": true, "stream_options": {"include_usage": true},
                "max_tokens": 8192, "temperature": 0.7})
        );
    }

    #[test]
    fn the_dialect_decides_names_and_roles() {
        let asked = request(Params {
            effort: Some(Effort::Low),
            ..Params::default()
        });
        let dialect = with(|d| {
            d.output_cap = OutputCap::MaxCompletionTokens;
            d.system = SystemRole::Developer;
            d.efforts = vec![Effort::Low];
            d.stream_usage = false;
        });
        let written = body(&asked, &dialect, u64::from(u32::MAX) + 1, true).unwrap();
        assert_eq!(written["max_completion_tokens"], json!(4_294_967_296_u64));
        assert_eq!(written["messages"][0]["role"], "developer");
        assert_eq!(written["reasoning_effort"], "low");
        assert!(written.get("max_tokens").is_none() && written.get("stream_options").is_none());
        let whole = body(&request(Params::default()), &Dialect::default(), 1, false).unwrap();
        assert_eq!(
            (&whole["stream"], whole.get("stream_options")),
            (&json!(false), None)
        );
    }

    #[test]
    fn the_service_tier_is_named_where_the_server_wants_to_hear_it() {
        use TierField::{Always, AtHome, Ignored, OnRequest};
        for (rule, chosen, sent) in [
            // OpenAI: without the field, the project's own setting decides what is paid.
            (Always, None, Some("default")),
            (Always, Some(ServiceTier::Flex), Some("flex")),
            (Always, Some(ServiceTier::Auto), None),
            // Others may reject it.
            (OnRequest, None, None),
            (OnRequest, Some(ServiceTier::Default), Some("default")),
            (AtHome, None, None),
            (AtHome, Some(ServiceTier::Priority), Some("priority")),
            (Ignored, Some(ServiceTier::Default), None),
        ] {
            let dialect = with(|d| (d.tier_field, d.service_tier) = (rule, chosen));
            let written = body(&request(Params::default()), &dialect, 1, true).unwrap();
            assert_eq!(
                written.get("service_tier").and_then(Value::as_str),
                sent,
                "{rule:?} {chosen:?}"
            );
        }
    }

    #[test]
    fn a_system_text_without_a_role_is_folded() {
        let dialect = with(|d| d.system = SystemRole::FoldIntoUser);
        let written = body(&request(Params::default()), &dialect, 1, false).unwrap();
        assert_eq!(
            written["messages"][0],
            json!({"role": "user", "content": "s\n\nu"})
        );
        assert_eq!(written["messages"].as_array().unwrap().len(), 3);
        let mut only_system = request(Params::default());
        only_system.messages.truncate(1);
        let written = body(&only_system, &dialect, 1, false).unwrap();
        assert_eq!(
            written["messages"],
            json!([{"role": "user", "content": "s"}])
        );
    }

    #[test]
    fn temperatures_that_a_model_rejects_are_heard_before_paying() {
        use TemperatureRule::{Any, Never, OnlyWithoutEffort, UpToOne};
        let none = Some(Effort::None);
        for (rule, temperature, effort, expected) in [
            (Any, 2.0, None, Ok(Some(2.0))),
            (Any, 2.1, None, Err("between 0 and 2")),
            (Any, -0.1, None, Err("between 0 and 2")),
            (Any, f64::NAN, None, Err("between 0 and 2")),
            (UpToOne, 1.0, None, Ok(Some(1.0))),
            (UpToOne, 1.1, None, Err("between 0 and 1")),
            (OnlyWithoutEffort, 0.5, none, Ok(Some(0.5))),
            (OnlyWithoutEffort, 0.5, None, Err("effort `none`")),
            (
                OnlyWithoutEffort,
                0.5,
                Some(Effort::Low),
                Err("effort `none`"),
            ),
            (OnlyWithoutEffort, 1.0, None, Ok(None)),
            (Never, 0.5, none, Err("cannot be set")),
            (Never, 1.0, None, Ok(None)),
        ] {
            let asked = request(Params {
                temperature: Some(temperature),
                effort,
                ..Params::default()
            });
            let dialect = with(|d| {
                d.temperature = rule;
                d.efforts = vec![Effort::None, Effort::Low];
            });
            match (body(&asked, &dialect, 1, false), expected) {
                (Ok(written), Ok(sent)) => {
                    assert_eq!(written.get("temperature").and_then(Value::as_f64), sent);
                }
                (Err(error), Err(part)) => {
                    let text = error.to_string();
                    assert!(
                        text.contains(part) && text.contains("groq/openai/gpt-oss-120b"),
                        "{text}"
                    );
                }
                (result, _) => panic!("{rule:?} {temperature} {effort:?}: {result:?}"),
            }
        }
    }

    #[test]
    fn an_impossible_request_names_the_fix() {
        let hard = request(Params {
            effort: Some(Effort::Max),
            ..Params::default()
        });
        let some = with(|d| d.efforts = vec![Effort::Minimal, Effort::High]);
        for (asked, dialect, cap, part) in [
            (
                &hard,
                &some,
                1,
                "takes no effort `max`: it takes minimal, high",
            ),
            (&hard, &Dialect::default(), 1, "no effort to set"),
            (
                &hard,
                &with(|d| d.api = ModelApi::Responses),
                1,
                "Responses API",
            ),
            (&hard, &some, 0, "no room"),
        ] {
            let text = body(asked, dialect, cap, true).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
