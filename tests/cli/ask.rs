//! `ask`: the answer on standard output and nothing else; what goes into the prompt; the JSON object; sessions.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::{Scene, one_error};
use support::server::{Answer, Script};

const MINI: [&str; 2] = ["-m", "gpt-5-mini"];

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Role and text of every message of a request.
fn said(body: &Value) -> Vec<(String, String)> {
    let word = |m: &Value, name: &str| m[name].as_str().unwrap().to_owned();
    body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (word(m, "role"), word(m, "content")))
        .collect()
}

fn last_prompt(scene: &Scene) -> String {
    said(scene.server.bodies().last().unwrap())
        .last()
        .unwrap()
        .1
        .clone()
}

#[test]
fn standard_output_is_the_answer_and_nothing_else() {
    let scene = Scene::saying("Hello, grüße\nworld");
    for args in [
        vec!["ask", "hi"],
        vec!["ask", "hi", "again", "--no-stream"],
        vec!["--no-cache", "ask", "hi"],
        vec!["ask", "--no-cache", "hi"],
        vec!["--no-cache", "hello"],
    ] {
        let output = scene.ok(&args);
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("Hello, grüße\nworld\n", ""),
            "{args:?}"
        );
    }
    scene.server.assert_clean();
}

#[test]
fn an_answer_that_ends_its_line_gets_no_second_end() {
    let scene = Scene::saying("done\n");
    assert_eq!(scene.ok(&["ask", "one"]).stdout, "done\n");
    assert_eq!(scene.ok(&["ask", "--no-stream", "two"]).stdout, "done\n");
}

#[test]
fn words_standard_input_and_files_are_one_prompt() {
    let scene = Scene::saying("ok");
    scene.home.file("a.txt", "alpha\n");
    scene.home.file("b.md", "```\ncode\n```\n");
    for (args, stdin, prompt) in [
        (vec!["ask", "why", "not"], "", "why not"),
        (vec!["ask"], "from the pipe\n", "from the pipe"),
        (vec![], "bare\n", "bare"),
        (vec!["ask", "why"], "pipe", "why\n\npipe"),
        (vec!["why"], "pipe", "why\n\npipe"),
        (
            vec!["ask", "see", "-f", "a.txt"],
            "",
            "see\n\na.txt:\n```\nalpha\n```",
        ),
        (
            vec!["ask", "-f", "a.txt", "--file", "b.md", "see"],
            "pipe\n",
            "see\n\npipe\n\na.txt:\n```\nalpha\n```\n\nb.md:\n````\n```\ncode\n```\n````",
        ),
        (vec!["ask", "--", "-c"], "", "-c"),
    ] {
        scene.piped(&args, stdin).assert_code(0);
        assert_eq!(last_prompt(&scene), prompt, "{args:?}");
    }
}

#[test]
fn standard_input_is_not_read_twice() {
    let scene = Scene::saying("never");
    let line = one_error(&scene.piped(&["ask", "why", "-f", "-"], "pipe"), 2);
    assert!(line.contains("leave -f - out"), "{line}");
    assert_eq!(scene.server.bodies().len(), 0);
}

#[test]
fn the_json_object_has_exactly_these_keys() {
    let scene = Scene::new(Script::always(
        Answer::text("four").usage(12, 4).cached(2).reasoning("", 0),
    ));
    let report = scene.json(&["ask", "2+2?", "--json", "-m", "gpt-5-mini"]);
    assert_eq!(
        keys(&report),
        [
            "answer",
            "model",
            "session",
            "finish_reason",
            "route",
            "usage",
            "estimate",
            "cost",
            "cache",
            "latency",
            "attempts"
        ]
    );
    for (part, names) in [
        ("route", vec!["mode", "reason", "considered"]),
        (
            "usage",
            vec![
                "input_tokens",
                "cached_input_tokens",
                "output_tokens",
                "reasoning_tokens",
                "source",
            ],
        ),
        (
            "estimate",
            vec!["input_tokens", "output_tokens", "expected_usd", "worst_usd"],
        ),
        ("cost", vec!["usd", "kind", "saved_usd"]),
        ("cache", vec!["hit", "age_s"]),
        ("latency", vec!["ttft_ms", "total_ms", "tokens_per_second"]),
    ] {
        assert_eq!(keys(&report[part]), names, "{part}");
    }
    assert_eq!(report["answer"], "four");
    assert_eq!(report["model"], "openai/gpt-5-mini");
    assert_eq!(report["finish_reason"], "stop");
    assert_eq!(report["route"]["mode"], "pinned");
    assert_eq!(
        report["usage"],
        json!({"input_tokens": 12, "cached_input_tokens": 2, "output_tokens": 4, "reasoning_tokens": 0, "source": "provider"})
    );
    // 10 x 0.25 + 2 x 0.025 + 4 x 2 millionths.
    assert_eq!(
        report["cost"],
        json!({"usd": "0.00001055", "kind": "exact", "saved_usd": "0"})
    );
    assert_eq!(report["cache"], json!({"hit": "none", "age_s": 0}));
    assert_eq!(
        report["attempts"],
        json!([{"provider": "openai", "key": "…zq7w", "status": 200, "outcome": "ok", "wait_ms": 0}])
    );
}

#[test]
fn an_estimate_sends_nothing_and_stores_nothing() {
    let scene = Scene::saying("never");
    let text = scene.ok(&[
        "ask",
        "what would this cost?",
        "--estimate",
        "-m",
        "gpt-5-mini",
    ]);
    assert!(
        text.stdout
            .starts_with("openai/gpt-5-mini (your choice) · ")
            && text.stdout.contains(" max $"),
        "{text:#?}"
    );
    let report = scene.json(&["ask", "what would this cost?", "--estimate", "--json"]);
    assert!(
        report.get("answer").is_none() && report.get("error").is_none(),
        "{report}"
    );
    assert_eq!(
        (&report["model"], &report["route"]["mode"]),
        (&json!("openai/gpt-5"), &json!("auto"))
    );
    assert_eq!(
        report["route"]["considered"][1]["model"],
        "openai/gpt-5-mini"
    );
    assert!(
        report["estimate"]["worst_usd"].is_string()
            && report["estimate"]["expected_usd"].is_string()
    );
    assert_eq!(scene.json(&["sessions", "list", "--json"]), json!([]));
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn every_ask_is_a_session_of_its_own_unless_it_goes_on_with_one() {
    let scene = Scene::saying("yes");
    let first = scene.json(&["ask", "--json", "one"])["session"]
        .as_str()
        .unwrap()
        .to_owned();
    let second = scene.json(&["ask", "--json", "two"])["session"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(first, second);
    scene.ok(&["ask", "-c", "three"]);
    let turn = |role: &str, text: &str| (role.to_owned(), text.to_owned());
    let (user, model) = (|text| turn("user", text), |text| turn("assistant", text));
    assert_eq!(
        said(&scene.server.bodies()[2]),
        [user("two"), model("yes"), user("three")]
    );
    let report = scene.json(&["--session", &first, "ask", "four", "--json"]);
    assert_eq!(report["session"], first.as_str());
    assert_eq!(
        said(&scene.server.bodies()[3]),
        [user("one"), model("yes"), user("four")]
    );
    // The newest is now the first one.
    scene.ok(&["ask", "--continue", "five"]);
    assert_eq!(said(&scene.server.bodies()[4]).len(), 5);
    // The start of an id is enough.
    scene.ok(&["ask", "--session", &second[..second.len() - 1], "six"]);
    assert_eq!(said(&scene.server.bodies()[5]).len(), 5);
    assert_eq!(
        scene
            .json(&["sessions", "--json"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_chat_keeps_its_model_and_system_message() {
    let scene = Scene::saying("yes");
    scene.ok(&[
        "ask", "one", "-m", "o3-mini", "--system", "be brief", "--effort", "low",
    ]);
    scene.ok(&["ask", "two", "-c"]);
    let body = &scene.server.bodies()[1];
    assert_eq!(
        (&body["model"], &body["reasoning_effort"]),
        (&json!("o3-mini"), &json!("low"))
    );
    assert_eq!(
        said(body)[0],
        ("developer".to_owned(), "be brief".to_owned())
    );
    // A system message of the configuration is for new chats.
    scene.home.config(&format!(
        "system = \"from the file\"\n{}",
        std::fs::read_to_string(scene.home.config_file()).unwrap()
    ));
    scene.ok(&["ask", "three", "-c"]);
    assert_eq!(said(&scene.server.bodies()[2])[0].1, "be brief");
    scene.ok(&["ask", "four"]);
    assert_eq!(said(&scene.server.bodies()[3])[0].1, "from the file");
    scene.ok(&["ask", "five", "-c", "--system", "other"]);
    assert_eq!(said(&scene.server.bodies()[4])[0].1, "other");
}

#[test]
fn nothing_to_go_on_with_is_said_and_an_unknown_chat_is_an_error() {
    let scene = Scene::saying("yes");
    let output = scene.ok(&["ask", "-c", "one"]);
    assert_eq!(output.stdout, "yes\n");
    assert!(
        output.stderr.contains("no chat to go on with"),
        "{output:#?}"
    );
    let error = scene.refused(2, &["ask", "--session", "zzzz", "two"]);
    assert!(
        error.contains("zzzz") && error.contains("sessions list"),
        "{error}"
    );
    assert_eq!(scene.server.chats().len(), 1);
}

#[test]
fn the_cost_file_holds_the_cost_of_this_run() {
    let scene = Scene::new(Script::always(Answer::text("four").usage(12, 4)));
    scene.ok(&[&["ask", "x", "--cost-file", "cost.json"][..], &MINI[..]].concat());
    let text = std::fs::read_to_string(scene.home.work_dir().join("cost.json")).unwrap();
    let cost: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&cost["usd"], &cost["kind"]),
        (&json!("0.000011"), &json!("exact"))
    );
    assert_eq!(cost["model"], "openai/gpt-5-mini");
    // Found out before anything is paid for.
    let error = scene.refused(2, &["ask", "y", "--cost-file", "no/such/folder/cost.json"]);
    assert!(error.contains("no/such/folder/cost.json"), "{error}");
    assert_eq!(scene.server.chats().len(), 1);
}

#[test]
fn an_answer_cut_at_its_cap_is_status_4_with_the_text_printed() {
    let scene = Scene::new(Script::always(
        Answer::text("one two three four").pieces(4).usage(9, 400),
    ));
    let output = scene.run(&["ask", "count", "--max-output", "300"]);
    let error = one_error(&output, 4);
    assert!(
        error.contains("300") && error.contains("--max-output"),
        "{error}"
    );
    assert!(
        output.stdout.starts_with("one two") && output.stdout.ends_with('\n'),
        "{output:#?}"
    );
    let report = scene.run(&["ask", "count", "--max-output", "300", "--json"]);
    let report = report.assert_code(4).json();
    assert_eq!(
        (&report["finish_reason"], &report["error"]["kind"]),
        (&json!("length"), &json!("cut"))
    );
}

#[test]
fn without_a_key_the_guide_answers_and_says_so() {
    let home = support::home::Home::new();
    let output = home.run(&["ask", "how do I set a budget?", "--json"], "");
    let report = output.assert_code(0).json();
    assert_eq!(
        (&report["model"], &report["cost"]["kind"]),
        (&json!("offline/guide"), &json!("free"))
    );
    assert_eq!(report["cost"]["usd"], "0");
    assert!(report["answer"].as_str().unwrap().len() > 20);
}

#[test]
fn an_estimate_that_is_refused_says_what_was_considered() {
    let scene = Scene::saying("never");
    let output = scene.run(&["ask", "hi", "--estimate", "--json", "--max-usd", "0"]);
    output.assert_code(3);
    let report = output.json();
    assert!(report.get("answer").is_none(), "{report}");
    assert_eq!(report["error"]["kind"], "budget");
    let considered = &report["route"]["considered"][0];
    assert_eq!(considered["model"], "openai/gpt-5");
    assert!(
        considered["skipped"]
            .as_str()
            .unwrap()
            .contains("could cost"),
        "{report}"
    );
    assert!(scene.server.chats().is_empty());
}
