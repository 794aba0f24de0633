//! A parameter that a model refuses: asked again once in the way it takes, known from then on, and never in silence.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::gateways;
use crate::support;

use std::sync::{Arc, Mutex};

use gateways::World;
use serde_json::{Value, json};
use support::scene::Scene;
use support::server::{Answer, Keys, Request, Rules, Script, Server};

const ASK: [&str; 5] = ["ask", "hi", "--no-cache", "--json", "-m"];

fn refusal(param: &str, message: &str) -> Answer {
    let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"});
    Answer::status(400).body(&json!({ "error": error }))
}

/// A server that takes none of these fields, on a scene whose models have a price.
fn without(fields: &'static [&'static str], toml: &str) -> Scene {
    let choose = move |request: &Request| {
        let field = fields.iter().find(|name| request.field(name).is_some())?;
        Some(refusal(field, &format!("Unsupported parameter: '{field}'")))
    };
    let rules = Rules {
        keys: Keys::Any,
        usage_optional: true,
        ..Rules::default()
    };
    Scene::with(
        Script::always(Answer::text("ok").usage(10, 5))
            .choose(choose)
            .rules(rules),
        toml,
    )
}

fn outcomes(report: &Value) -> Vec<String> {
    let each = report["attempts"].as_array().unwrap().iter();
    each.map(|attempt| attempt["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_cap_goes_under_the_other_name_and_the_next_run_knows_it() {
    let scene = without(&["max_completion_tokens"], "");
    let report = scene.json(&[&ASK[..], &["gpt-5-mini"]].concat());
    let outcomes = outcomes(&report);
    assert!(
        outcomes[0].contains("asked again with max_tokens instead of max_completion_tokens"),
        "{outcomes:?}"
    );
    assert_eq!((outcomes.len(), &*outcomes[1]), (2, "ok"));
    let caps = |at: usize| {
        let body = &scene.server.bodies()[at];
        (
            body.get("max_completion_tokens").cloned(),
            body.get("max_tokens").cloned(),
        )
    };
    assert_eq!(
        caps(1),
        (None, caps(0).0),
        "the same cap under the other name"
    );
    let report = scene.json(&[&ASK[..], &["gpt-5-mini"]].concat());
    assert_eq!(
        report["attempts"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
    assert!(caps(2).1.is_some());
    // Another model at the same address has to be asked itself.
    scene.json(&[&ASK[..], &["gpt-5-nano"]].concat());
    assert_eq!(scene.server.chats().len(), 5);
    scene.server.assert_clean();
}

#[test]
fn a_cap_that_goes_under_no_name_is_a_failure_and_never_left_out() {
    let scene = without(&["max_completion_tokens", "max_tokens"], "");
    let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
    assert!(error.contains("max_tokens"), "{error}");
    assert_eq!(scene.server.chats().len(), 2);
    scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
    assert_eq!(
        scene.server.chats().len(),
        4,
        "what did not help is not kept"
    );
    scene.server.assert_clean();
}

#[test]
fn several_parameters_are_mended_each_once_within_the_retries() {
    let fields = &["max_completion_tokens", "service_tier", "stream_options"];
    let scene = without(fields, "");
    let report = scene.json(&[&ASK[..], &["gpt-5-mini"]].concat());
    let outcomes = outcomes(&report);
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
    assert!(
        outcomes[1].ends_with("without service_tier")
            && outcomes[2].ends_with("without stream_options")
    );
    let scene = without(fields, "[limits]\nretries = 1\n");
    scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
    assert_eq!(scene.server.chats().len(), 2);
    let scene = without(fields, "[limits]\nretries = 0\n");
    let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
    assert!(
        error.contains("max_completion_tokens") && error.contains("default"),
        "{error}"
    );
    assert_eq!(scene.server.chats().len(), 1);
}

#[test]
fn usage_that_cannot_be_asked_for_is_counted_here() {
    let choose = |request: &Request| {
        let asked = request.field("stream_options").is_some();
        asked.then(|| refusal("stream_options", "Extra inputs are not permitted"))
    };
    let rules = Rules {
        keys: Keys::Any,
        usage_optional: true,
        ..Rules::default()
    };
    let script = Script::always(Answer::text("one two three").without_usage())
        .choose(choose)
        .rules(rules);
    let scene = Scene::new(script);
    let report = scene.json(&[&ASK[..], &["gpt-5-mini"]].concat());
    assert_eq!(report["usage"]["source"], "counted");
    assert!(
        report["usage"]["output_tokens"].as_u64().unwrap() >= 3,
        "{report}"
    );
    assert_eq!(scene.server.chats().len(), 2);
}

#[test]
fn what_the_user_set_is_never_left_out_without_a_word() {
    let scene = without(&["temperature"], "");
    let toml_model = ["gpt-4o", "--temperature", "0.2"];
    let output = scene.ok(&[&ASK[..], &toml_model].concat());
    assert_eq!(output.json()["attempts"].as_array().map(Vec::len), Some(2));
    let said = "openai/gpt-4o takes no temperature: it was asked without your 0.2";
    assert_eq!(output.stderr.matches(said).count(), 1, "{output:?}");
    // Known from now on, and said again: it is the user's setting that is not obeyed.
    let output = scene.ok(&[&ASK[..], &toml_model].concat());
    assert_eq!(output.json()["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(output.stderr.matches(said).count(), 1, "{output:?}");
    // Parameters that were not set are not mentioned.
    assert_eq!(scene.ok(&[&ASK[..], &["gpt-4o"]].concat()).stderr, "");
    let choose = |request: &Request| {
        let message = "Unsupported value: 'high'. Supported values are: 'low' and 'medium'.";
        (request.field("reasoning_effort") == Some(&json!("high")))
            .then(|| refusal("reasoning_effort", message))
    };
    let scene = Scene::new(Script::always(Answer::text("ok")).choose(choose));
    let output = scene.ok(&[&ASK[..], &["gpt-5-mini", "--effort", "high"]].concat());
    assert!(
        output
            .stderr
            .contains("takes no effort `high`: it was asked with `medium`"),
        "{output:?}"
    );
    assert_eq!(scene.server.bodies()[1]["reasoning_effort"], "medium");
}

#[test]
fn a_system_text_goes_under_the_role_that_the_server_knows() {
    let choose = |request: &Request| {
        let role = &request.field("messages")?[0]["role"];
        let message =
            "messages[0].role: unknown variant `developer`, expected one of `system`, `user`";
        (role == "developer").then(|| Answer::error(400, "invalid_request_error", message))
    };
    let scene = Scene::new(Script::always(Answer::text("ok")).choose(choose));
    let report = scene.json(&[&ASK[..], &["gpt-5-mini", "--system", "Be brief."]].concat());
    assert!(
        outcomes(&report)[0].ends_with("asked again with the role system"),
        "{report}"
    );
    let message = &scene.server.bodies()[1]["messages"][0];
    assert_eq!(
        (&message["role"], &message["content"]),
        (&json!("system"), &json!("Be brief."))
    );
    scene.server.assert_clean();
}

#[test]
fn two_addresses_of_one_provider_may_have_to_be_asked_in_two_ways() {
    gateways::run(async {
        // Which of them is asked first is left to chance.
        for _ in 0..6 {
            let first = Arc::new(Mutex::new(None));
            // Each takes the cap under the other's name only, and the first that takes a request is down.
            let server = |refused: &'static str| {
                let first = Arc::clone(&first);
                let choose = move |request: &Request| {
                    if !request.is_chat() {
                        return None;
                    }
                    if request.field(refused).is_some() {
                        return Some(refusal(
                            refused,
                            &format!("Unsupported parameter: '{refused}'"),
                        ));
                    }
                    let down = *first.lock().unwrap().get_or_insert(refused) == refused;
                    let answer = Answer::error(503, "overloaded_error", "full")
                        .header("retry-after-ms", "1");
                    down.then_some(answer)
                };
                Server::start(Script::always(Answer::text("ok").usage(10, 100)).choose(choose))
            };
            let (one, two) = (server("max_completion_tokens"), server("max_tokens"));
            let world = World::new(
                vec![one.base_url(), two.base_url()],
                vec![one.base_url()],
                |_| {},
            );
            assert_eq!(world.ask().await.text(), "ok");
            one.assert_clean();
            two.assert_clean();
        }
    });
}
