//! How each family of models is asked: what the catalogue says of it, as it goes over the wire.

use super::*;
use crate::catalog::Catalog;
use crate::chat::Params;

/// A row of the manual.
struct Row {
    model: &'static str,
    /// The field of the output cap.
    cap: &'static str,
    /// The role of the system text; `user` is in front of the first question.
    system: &'static str,
    /// Which of the temperatures 0.5, 1.5, and 0.5 with the effort `none`, are sent.
    temperatures: [bool; 3],
    /// The efforts that are sent; every other is refused with these words.
    efforts: &'static str,
    usage_asked: bool,
}

const fn row(
    model: &'static str,
    cap: &'static str,
    system: &'static str,
    temperatures: [bool; 3],
    efforts: &'static str,
) -> Row {
    Row {
        model,
        cap,
        system,
        temperatures,
        efforts,
        usage_asked: true,
    }
}

const NEW: &str = "max_completion_tokens";
const OLD: &str = "max_tokens";
/// 0.5, 1.5, and 0.5 with the effort `none` (which most models do not have).
const ANY: [bool; 3] = [true, true, false];
const TO_ONE: [bool; 3] = [true, false, false];
const NEVER: [bool; 3] = [false, false, false];
const WITHOUT_EFFORT: [bool; 3] = [false, false, true];

const MANUAL: [Row; 26] = [
    // OpenAI: reasoning models take the newer cap, the role developer, and no temperature.
    row(
        "openai/gpt-5",
        NEW,
        "developer",
        NEVER,
        "minimal, low, medium, high",
    ),
    row(
        "openai/gpt-5-mini",
        NEW,
        "developer",
        NEVER,
        "minimal, low, medium, high",
    ),
    row("openai/o1", NEW, "developer", NEVER, "low, medium, high"),
    row(
        "openai/o3-mini",
        NEW,
        "developer",
        NEVER,
        "low, medium, high",
    ),
    row("openai/gpt-6-sol", NEW, "developer", NEVER, ""),
    row(
        "openai/gpt-6.2-astra",
        NEW,
        "developer",
        NEVER,
        "low, medium, high, xhigh, max",
    ),
    // From gpt-5.1 on reasoning can be switched off, and then a temperature goes with it.
    row(
        "openai/gpt-5.1",
        NEW,
        "developer",
        WITHOUT_EFFORT,
        "none, low, medium, high",
    ),
    row(
        "openai/gpt-5.2",
        NEW,
        "developer",
        WITHOUT_EFFORT,
        "none, low, medium, high, xhigh",
    ),
    row(
        "openai/gpt-5.6-sol",
        NEW,
        "developer",
        WITHOUT_EFFORT,
        "none, low, medium, high, xhigh, max",
    ),
    // The first of them knew neither role.
    row("openai/o1-mini", NEW, "user", NEVER, ""),
    // Whatever its name says, this one does not reason.
    row("openai/gpt-5-chat-latest", NEW, "system", ANY, ""),
    row("openai/gpt-4.1", OLD, "system", ANY, ""),
    row("openai/gpt-4o", OLD, "system", ANY, ""),
    row("openai/gpt-3.5-turbo", OLD, "system", ANY, ""),
    // Others.
    row("anthropic/claude-sonnet-4-6", OLD, "system", TO_ONE, ""),
    row("anthropic/claude-opus-4-7", OLD, "system", NEVER, ""),
    row(
        "gemini/gemini-3.5-flash",
        OLD,
        "system",
        ANY,
        "minimal, low, medium, high",
    ),
    row("gemini/gemini-2.5-pro", OLD, "system", ANY, ""),
    row(
        "deepseek/deepseek-flash",
        OLD,
        "system",
        ANY,
        "low, high, max",
    ),
    row("xai/grok-4.5", NEW, "system", ANY, "low, medium, high"),
    row(
        "groq/openai/gpt-oss-120b",
        NEW,
        "system",
        ANY,
        "low, medium, high",
    ),
    // Mistral sends usage without being asked, and rejects the question.
    Row {
        usage_asked: false,
        ..row("mistral/mistral-large-2512", OLD, "system", ANY, "")
    },
    Row {
        usage_asked: false,
        ..row(
            "mistral/mistral-medium-2604",
            OLD,
            "system",
            [true, true, true],
            "none, high",
        )
    },
    // Unlisted: what is assumed of a provider's models; of a server nobody knows, the common ground.
    row("openai/gpt-of-tomorrow", NEW, "system", ANY, ""),
    row("ollama/llama3.2", OLD, "system", ANY, ""),
    row("myserver/anything", OLD, "system", ANY, ""),
];

fn asked(row: &Row, params: Params) -> Result<Value, MappingError> {
    let catalog = Catalog::builtin();
    let model: ModelId = row.model.parse().unwrap();
    let dialect = catalog
        .get(&model)
        .cloned()
        .unwrap_or_else(|| catalog.unlisted(&model))
        .dialect;
    let messages = vec![
        Message::new(Role::System, "s"),
        Message::new(Role::User, "u"),
    ];
    body(
        &Request {
            model,
            messages,
            params,
        },
        &dialect,
        100,
        true,
    )
}

#[test]
fn every_family_is_asked_as_it_wants_to_be() {
    for row in &MANUAL {
        let name = row.model;
        let plain = asked(row, Params::default()).unwrap();
        let other = if row.cap == NEW { OLD } else { NEW };
        assert_eq!(
            (&plain[row.cap], plain.get(other)),
            (&Value::from(100), None),
            "{name}"
        );
        assert_eq!(plain["messages"][0]["role"], row.system, "{name}");
        assert_eq!(
            plain.get("stream_options").is_some(),
            row.usage_asked,
            "{name}"
        );
        assert!(
            plain.get("temperature").is_none() && plain.get("reasoning_effort").is_none(),
            "{name}"
        );
        let settings = [(0.5, None), (1.5, None), (0.5, Some(Effort::None))];
        for ((temperature, effort), sent) in settings.into_iter().zip(row.temperatures) {
            let params = Params {
                temperature: Some(temperature),
                effort,
                ..Params::default()
            };
            let got = asked(row, params)
                .ok()
                .and_then(|body| body.get("temperature").and_then(Value::as_f64));
            assert_eq!(got, sent.then_some(temperature), "{name} {effort:?}");
        }
        for effort in Effort::ALL {
            let params = Params {
                effort: Some(effort),
                ..Params::default()
            };
            let taken = row.efforts.split(", ").any(|name| name == effort.as_str());
            match asked(row, params) {
                Ok(body) => assert!(
                    taken && body["reasoning_effort"] == effort.as_str(),
                    "{name} {effort}"
                ),
                Err(error) => {
                    let legal = if row.efforts.is_empty() {
                        "it has no effort to set"
                    } else {
                        row.efforts
                    };
                    assert!(
                        !taken && error.to_string().ends_with(legal),
                        "{name}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_only_the_responses_api_serves_is_refused_before_it_is_asked() {
    for name in ["openai/gpt-5-pro", "openai/gpt-5.3-codex"] {
        let error = asked(&row(name, NEW, "developer", NEVER, ""), Params::default()).unwrap_err();
        assert!(error.to_string().contains("Responses API"), "{error}");
    }
}
