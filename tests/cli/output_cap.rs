//! A server that does not keep to the output cap is cut and named; one that does never is, in whatever pieces it writes.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::{Scene, one_error, prices};
use support::server::{Answer, Gate, Outcome, Pico, Script};

/// `gpt-4o-mini` has a stated encoding; the reasoning models and one of the user's own do not.
const OWN: &str = "[[models]]\nid = \"openai/gpt-4o-mini\"\nconfirmed = true\n[[models]]\nid = \"openai/own\"\ninput = 1.0\noutput = 4.0\n";

/// Words of one token each, in every encoding.
fn words(n: usize) -> impl Iterator<Item = String> {
    (0..n).map(|n| [" one", " two", " red", " sea"][n % 4].to_owned())
}

/// Each letter by itself.
fn letters(n: usize) -> Vec<String> {
    words(n)
        .collect::<String>()
        .chars()
        .map(String::from)
        .collect()
}

/// Keeps writing until the client is gone.
fn endless(pieces: Vec<String>, gate: &Gate) -> Answer {
    let last = pieces.len();
    Answer::of_pieces(pieces)
        .ignore_cap()
        .gate_after(last, gate)
}

fn usd(value: &Value) -> Pico {
    Pico::usd(value.as_str().unwrap())
}

#[test]
fn a_server_that_keeps_writing_past_its_cap_is_cut_and_named() {
    // 10 % and 64 tokens where the encoding is stated for the model, else 25 % and 64.
    for (model, cut_at) in [
        ("openai/gpt-4o-mini", 284),
        ("openai/gpt-5-mini", 314),
        ("openai/own", 314),
    ] {
        let gate = Gate::new();
        let scene = Scene::with(Script::always(endless(words(340).collect(), &gate)), OWN);
        let output = scene.run(&["ask", "hi", "-m", model, "--max-output", "200", "--json"]);
        let error = one_error(&output, 4);
        let named = format!(
            "{model} at {} kept writing past the cap of 200 tokens it was given; it was cut",
            scene.server.address()
        );
        assert!(
            error.contains(&named) && error.contains(&format!("budget settle {model}")),
            "{error}"
        );
        let report = output.json();
        assert_eq!(report["finish_reason"], "cut");
        assert_eq!(
            report["attempts"].as_array().unwrap().len(),
            1,
            "it is not asked again"
        );
        assert!(
            report["attempts"][0]["outcome"]
                .as_str()
                .unwrap()
                .starts_with("kept writing past the cap"),
            "{report}"
        );
        let kept = report["answer"].as_str().unwrap().split(' ').count() - 1;
        assert_eq!(kept, cut_at + 1, "{model}: what arrived until then is kept");
        scene.server.wait_until("the stream is dropped", |all| {
            all[0].outcome == Some(Outcome::ClientGone)
        });
        // Cut in the store too, and booked at no less than was written.
        let id = report["session"].as_str().unwrap();
        let stored = scene.json(&["sessions", "show", id, "--json"])["messages"][1].clone();
        assert_eq!(stored["text"], report["answer"], "{stored}");
        let prices = prices()
            .model("gpt-4o-mini", "0.15", "0.075", "0.6")
            .model("own", "1", "1", "4");
        let (bill, booked) = (
            scene.server.bill(&prices).total(),
            usd(&report["cost"]["usd"]),
        );
        assert_eq!(report["cost"]["kind"], "estimated");
        assert!(
            booked >= bill && booked > usd(&report["estimate"]["worst_usd"]),
            "{model}: {booked}, billed {bill}"
        );
        let day = scene.json(&["budget", "show", "--json"])["scopes"]
            .as_array()
            .unwrap()
            .clone();
        let day = day.iter().find(|scope| scope["scope"] == "day").unwrap();
        assert_eq!(
            (usd(&day["settled_usd"]), &day["reserved_usd"]),
            (booked, &json!("0")),
            "{model}"
        );
        // A breach: nothing more is asked of it until the user has cleared it.
        scene.refused(3, &["ask", "again", "-m", model]);
        assert_eq!(scene.server.chats().len(), 1);
        let log = std::fs::read_dir(scene.home.data_dir().join("log"))
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        assert!(
            log.collect::<String>()
                .contains("kept writing past the cap of 200 tokens")
        );
    }
}

#[test]
fn an_honest_server_may_write_to_its_cap_in_any_pieces() {
    let cap = 400;
    let whole: String = words(cap).collect();
    for (name, answer) in [
        ("words", Answer::of_pieces(words(cap))),
        (
            "letters",
            Answer::of_pieces(letters(cap)).usage(10, cap as u64),
        ),
        (
            "letters, and no usage",
            Answer::of_pieces(letters(cap))
                .usage(10, cap as u64)
                .without_usage(),
        ),
        (
            "at once",
            Answer::text(&whole).pieces(1).usage(10, cap as u64),
        ),
    ] {
        let scene = Scene::with(Script::always(answer.finish("length")), OWN);
        for model in ["gpt-4o-mini", "openai/own"] {
            let args = ["ask", "hi", "-m", model, "--max-output", "400", "--json"];
            let output = scene.run(&args);
            let report = output.assert_code(4).json();
            assert_eq!(
                (&report["finish_reason"], &report["answer"]),
                (&json!("length"), &json!(whole)),
                "{name} {model}"
            );
            assert!(
                usd(&report["cost"]["usd"]) <= usd(&report["estimate"]["worst_usd"]),
                "{name} {model}"
            );
        }
    }
}

#[test]
fn usage_within_the_cap_is_never_a_breach() {
    // A tokenizer that makes one of what is three by our count: told with everything else, or with every piece.
    let text: String = words(600).collect();
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 200, "total_tokens": 210});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    let at_once = Answer::status(200).body(&json!({"choices": [choice], "usage": usage}));
    let threes = words(600)
        .collect::<Vec<_>>()
        .chunks(3)
        .map(<[_]>::concat)
        .collect::<Vec<_>>();
    let rising = Answer::of_pieces(threes)
        .usage(10, 200)
        .usage_in_every_chunk();
    for (name, answer) in [("at once", at_once), ("rising", rising)] {
        let scene = Scene::with(Script::always(answer), OWN);
        let args = [
            "ask",
            "hi",
            "-m",
            "openai/own",
            "--max-output",
            "200",
            "--no-cache",
            "--json",
        ];
        let report = scene.run(&args).json();
        assert_eq!(
            report["cost"],
            json!({"usd": "0.00081", "kind": "exact", "saved_usd": "0"}),
            "{name}: {report}"
        );
        assert_eq!(report["answer"], text, "{name}");
        scene.ok(&args);
        assert_eq!(
            scene.server.chats().len(),
            2,
            "{name}: it may be asked again"
        );
    }
}

#[test]
fn reasoning_in_sight_counts_and_reasoning_out_of_sight_cannot() {
    let thought: String = words(400).collect();
    let scene = Scene::with(
        Script::always(Answer::text("so").reasoning(&thought, 400).ignore_cap()),
        OWN,
    );
    let output = scene.run(&[
        "ask",
        "hi",
        "-m",
        "gpt-4o-mini",
        "--max-output",
        "200",
        "--json",
    ]);
    let error = one_error(&output, 4);
    assert!(
        error.contains("kept writing past the cap of 200 tokens"),
        "{error}"
    );
    let scene = Scene::with(
        Script::always(Answer::text("so").reasoning("", 150).usage(10, 200)),
        OWN,
    );
    scene.ok(&["ask", "hi", "-m", "o3-mini", "--max-output", "200"]);
}

#[test]
fn a_cut_answer_says_so_once_on_a_pipe_too() {
    let gate = Gate::new();
    let scene = Scene::with(Script::always(endless(words(340).collect(), &gate)), OWN);
    let output = scene.run(&["ask", "hi", "-m", "gpt-4o-mini", "--max-output", "200"]);
    one_error(&output, 4);
    assert!(output.stdout.starts_with(" one two red sea one") && output.stdout.ends_with('\n'));
}
