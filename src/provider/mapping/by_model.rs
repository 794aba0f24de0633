//! The request body for each family of models, as the catalogue describes it.

use super::*;
use crate::catalog::Catalog;
use crate::chat::Params;

/// What the body for one model must contain.
struct DialectCase {
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

const fn case(
    model: &'static str,
    cap: &'static str,
    system: &'static str,
    temperatures: [bool; 3],
    efforts: &'static str,
) -> DialectCase {
    DialectCase {
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

const MANUAL: [DialectCase; 26] = [
    // OpenAI: reasoning models take the newer cap, the role developer, and no temperature.
    case(
        "openai/gpt-5",
        NEW,
        "developer",
        NEVER,
        "minimal, low, medium, high",
    ),
    case(
        "openai/gpt-5-mini",
        NEW,
        "developer",
        NEVER,
        "minimal, low, medium, high",
    ),
    case("openai/o1", NEW, "developer", NEVER, "low, medium, high"),
    case(
        "openai/o3-mini",
        NEW,
        "developer",
        NEVER,
        "low, medium, high",
    ),
    case("openai/gpt-6-sol", NEW, "developer", NEVER, ""),
    case(
        "openai/gpt-6.2-astra",
        NEW,
        "developer",
        NEVER,
        "low, medium, high, xhigh, max",
    ),
    // From gpt-5.1 on reasoning can be switched off, and then a temperature goes with it.
    case(
        "openai/gpt-5.1",
        NEW,
        "developer",
        WITHOUT_EFFORT,
        "none, low, medium, high",
    ),
    case(
        "openai/gpt-5.2",
        NEW,
        "developer",
        WITHOUT_EFFORT,
        "none, low, medium, high, xhigh",
    ),
    case(
        "openai/gpt-5.6-sol",
        NEW,
        "developer",
        WITHOUT_EFFORT,
        "none, low, medium, high, xhigh, max",
    ),
    // The first of them accepted neither role.
    case("openai/o1-mini", NEW, "user", NEVER, ""),
    // This one does not reason, in spite of its name.
    case("openai/gpt-5-chat-latest", NEW, "system", ANY, ""),
    case("openai/gpt-4.1", OLD, "system", ANY, ""),
    case("openai/gpt-4o", OLD, "system", ANY, ""),
    case("openai/gpt-3.5-turbo", OLD, "system", ANY, ""),
    // Others.
    case("anthropic/claude-sonnet-4-6", OLD, "system", TO_ONE, ""),
    case("anthropic/claude-opus-4-7", OLD, "system", NEVER, ""),
    case(
        "gemini/gemini-3.5-flash",
        OLD,
        "system",
        ANY,
        "minimal, low, medium, high",
    ),
    case("gemini/gemini-2.5-pro", OLD, "system", ANY, ""),
    case(
        "deepseek/deepseek-flash",
        OLD,
        "system",
        ANY,
        "low, high, max",
    ),
    case("xai/grok-4.5", NEW, "system", ANY, "low, medium, high"),
    case(
        "groq/openai/gpt-oss-120b",
        NEW,
        "system",
        ANY,
        "low, medium, high",
    ),
    // Mistral sends usage unasked, and rejects `stream_options`.
    DialectCase {
        usage_asked: false,
        ..case("mistral/mistral-large-2512", OLD, "system", ANY, "")
    },
    DialectCase {
        usage_asked: false,
        ..case(
            "mistral/mistral-medium-2604",
            OLD,
            "system",
            [true, true, true],
            "none, high",
        )
    },
    // Unlisted: the defaults for a provider's models; for an unknown server, what all servers accept.
    case("openai/gpt-of-tomorrow", NEW, "system", ANY, ""),
    case("ollama/llama3.2", OLD, "system", ANY, ""),
    case("myserver/anything", OLD, "system", ANY, ""),
];

fn asked(case: &DialectCase, params: Params) -> Result<Value, MappingError> {
    let catalog = Catalog::builtin();
    let model: ModelId = case.model.parse().unwrap();
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
fn every_family_gets_the_body_that_it_accepts() {
    for case in &MANUAL {
        let name = case.model;
        let plain = asked(case, Params::default()).unwrap();
        let other = if case.cap == NEW { OLD } else { NEW };
        assert_eq!(
            (&plain[case.cap], plain.get(other)),
            (&Value::from(100), None),
            "{name}"
        );
        assert_eq!(plain["messages"][0]["role"], case.system, "{name}");
        assert_eq!(
            plain.get("stream_options").is_some(),
            case.usage_asked,
            "{name}"
        );
        assert!(
            plain.get("temperature").is_none() && plain.get("reasoning_effort").is_none(),
            "{name}"
        );
        let settings = [(0.5, None), (1.5, None), (0.5, Some(Effort::None))];
        for ((temperature, effort), sent) in settings.into_iter().zip(case.temperatures) {
            let params = Params {
                temperature: Some(temperature),
                effort,
                ..Params::default()
            };
            let got = asked(case, params)
                .ok()
                .and_then(|body| body.get("temperature").and_then(Value::as_f64));
            assert_eq!(got, sent.then_some(temperature), "{name} {effort:?}");
        }
        for effort in Effort::ALL {
            let params = Params {
                effort: Some(effort),
                ..Params::default()
            };
            let taken = case.efforts.split(", ").any(|name| name == effort.as_str());
            match asked(case, params) {
                Ok(body) => assert!(
                    taken && body["reasoning_effort"] == effort.as_str(),
                    "{name} {effort}"
                ),
                Err(error) => {
                    let legal = if case.efforts.is_empty() {
                        "it has no effort to set"
                    } else {
                        case.efforts
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
fn a_model_of_the_responses_api_is_refused_before_sending() {
    for name in ["openai/gpt-5-pro", "openai/gpt-5.3-codex"] {
        let error = asked(&case(name, NEW, "developer", NEVER, ""), Params::default()).unwrap_err();
        assert!(error.to_string().contains("Responses API"), "{error}");
    }
}
