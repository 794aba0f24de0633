//! The seven models: each with the parameters that it takes, and no others.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::Scene;

const SERVED: [(&str, &[&str]); 6] = [
    ("gpt-5", &["minimal", "low", "medium", "high"]),
    ("gpt-5-mini", &["minimal", "low", "medium", "high"]),
    ("gpt-5-nano", &["minimal", "low", "medium", "high"]),
    ("o1", &["low", "medium", "high"]),
    ("o3", &["low", "medium", "high"]),
    ("o3-mini", &["low", "medium", "high"]),
];

fn keys(body: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn each_model_is_asked_in_its_own_way() {
    let scene = Scene::saying("ok");
    for (model, _) in SERVED {
        scene.ok(&["ask", "hi", "-m", model, "--system", "be brief"]);
        let request = scene.server.chats().pop().unwrap();
        let body = request.json.clone().unwrap();
        let expected = [
            "max_completion_tokens",
            "messages",
            "model",
            "service_tier",
            "stream",
            "stream_options",
        ];
        assert_eq!(keys(&body), expected, "{model}");
        // Said to OpenAI, so that a project's own setting cannot double the price.
        assert_eq!(body["service_tier"], "default");
        assert_eq!(body["model"], model);
        assert_eq!(body["max_completion_tokens"], 8192);
        assert_eq!(
            (&body["stream"], &body["stream_options"]),
            (&json!(true), &json!({"include_usage": true}))
        );
        assert_eq!(
            body["messages"],
            json!([{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]),
            "{model}"
        );
    }
    scene.server.assert_clean();
}

#[test]
fn legal_efforts_are_sent_and_others_refused_with_the_legal_ones() {
    let scene = Scene::saying("ok");
    for (model, legal) in SERVED {
        for effort in ["none", "minimal", "high", "xhigh"] {
            let sent = scene.server.chats().len();
            let args = ["ask", "hi", "-m", model, "--effort", effort, "--no-cache"];
            if legal.contains(&effort) {
                scene.ok(&args);
                assert_eq!(
                    scene.server.bodies().last().unwrap()["reasoning_effort"],
                    effort,
                    "{model}"
                );
            } else {
                let error = scene.refused(2, &args);
                assert!(
                    legal.iter().all(|word| error.contains(word)),
                    "{model} {effort}: {error}"
                );
                assert_eq!(scene.server.chats().len(), sent);
            }
        }
    }
}

#[test]
fn a_temperature_is_refused_before_anything_is_sent() {
    let scene = Scene::saying("ok");
    for (model, _) in SERVED {
        let error = scene.refused(2, &["ask", "hi", "-m", model, "--temperature", "0.7"]);
        assert!(
            error.contains(model) && error.contains("temperature"),
            "{error}"
        );
    }
    assert_eq!(scene.server.connections(), 0);
    // 1 is what they do anyway: it is left out.
    scene.ok(&["ask", "hi", "-m", "o3", "--temperature", "1"]);
    assert!(scene.server.bodies()[0].get("temperature").is_none());
    // Other models take one, digit for digit.
    scene.ok(&["ask", "hi", "-m", "gpt-4o-mini", "--temperature", "0.7"]);
    let body = scene.server.bodies().pop().unwrap();
    assert_eq!(
        (&body["temperature"], &body["max_tokens"]),
        (&json!(0.7), &json!(8192))
    );
}

#[test]
fn a_retired_model_names_its_successor() {
    let scene = Scene::saying("never");
    for name in ["o1-mini", "openai/o1-mini"] {
        let error = scene.refused(2, &["ask", "hi", "-m", name]);
        assert!(
            error.contains("o1-mini")
                && error.contains("retired")
                && error.contains("openai/o4-mini"),
            "{error}"
        );
    }
    let shown = scene.json(&["models", "show", "o1-mini", "--json"]);
    assert!(
        shown["status"].as_str().unwrap().contains("openai/o4-mini"),
        "{shown}"
    );
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn the_catalogue_lists_them_with_their_prices() {
    let scene = Scene::saying("never");
    let list = scene.json(&["models", "list", "--json"]);
    let row = |name: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|r| r["model"] == name)
            .cloned()
            .unwrap()
    };
    for (name, input, cached, output, context, most) in [
        ("openai/gpt-5", "1.25", "0.125", "10", 400_000, 128_000),
        ("openai/gpt-5-mini", "0.25", "0.025", "2", 400_000, 128_000),
        (
            "openai/gpt-5-nano",
            "0.05",
            "0.005",
            "0.4",
            400_000,
            128_000,
        ),
        ("openai/o1", "15", "7.5", "60", 200_000, 100_000),
        ("openai/o3", "2", "0.5", "8", 200_000, 100_000),
        ("openai/o3-mini", "1.1", "0.55", "4.4", 200_000, 100_000),
        ("openai/o1-mini", "1.1", "0.55", "4.4", 128_000, 65_536),
    ] {
        let row = row(name);
        let money = (
            &row["input_usd"],
            &row["cached_input_usd"],
            &row["output_usd"],
        );
        assert_eq!(
            money,
            (&json!(input), &json!(cached), &json!(output)),
            "{name}"
        );
        assert_eq!(
            (&row["context"], &row["max_output"]),
            (&json!(context), &json!(most)),
            "{name}"
        );
        assert_eq!(row["encoding"], "o200k_base", "{name}");
    }
    assert_eq!(list, scene.json(&["models", "--json"]));
    assert!(scene.ok(&["models"]).stdout.contains("openai/gpt-5-mini"));
    assert!(
        scene
            .ok(&["models", "show", "gpt-5"])
            .stdout
            .contains("$1.25")
    );
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn count_prices_a_text_on_every_model_with_no_network() {
    let scene = Scene::saying("never");
    scene.home.file("a.txt", "hello world");
    let rows = scene.json(&["count", "a.txt", "--json"]);
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 10 && rows.iter().any(|r| r["model"] == "openai/gpt-5-nano"));
    let one = scene.json(&["count", "a.txt", "-m", "gpt-5", "--json"]);
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert!(
        (2..20).contains(&one[0]["tokens"].as_u64().unwrap()),
        "{one}"
    );
    assert_eq!(
        scene
            .piped(&["count", "-m", "gpt-5", "--json"], "hello world")
            .json(),
        one
    );
    assert_eq!(
        scene
            .piped(&["count", "-", "-m", "gpt-5", "--json"], "hello world")
            .json(),
        one
    );
    assert!(
        scene
            .ok(&["count", "a.txt"])
            .stdout
            .contains("openai/gpt-5-mini")
    );
    scene.refused(2, &["count", "no-such-file"]);
    assert_eq!(scene.server.connections(), 0);
}
