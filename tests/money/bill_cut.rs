//! What a cut answer is booked at: no less than the server may bill, whatever it said before and writes on behind the cut.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::{Scene, prices};
use support::server::{Answer, Pico, Script, Step};

const MODEL: &str = "[[models]]\nid = \"openai/gpt-4o-mini\"\nconfirmed = true\n";

fn piece(text: &str, usage: &Value) -> Vec<u8> {
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": text}}], "usage": usage})
    )
    .into_bytes()
}

/// The hold of an answer of at most 500 tokens, and what was booked and billed for it.
fn booked(steps: &[Step], usage: (u64, u64), toml: &str) -> (Pico, Pico, Pico) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let steps: Vec<Step> = [Step::send(head)]
        .into_iter()
        .chain(steps.iter().cloned())
        .collect();
    let scene = Scene::with(
        Script::always(Answer::raw(steps).usage(usage.0, usage.1)),
        &format!("{toml}{MODEL}"),
    );
    let asked = [
        "ask",
        "hi",
        "-m",
        "gpt-4o-mini",
        "--max-output",
        "500",
        "--json",
    ];
    let report = scene.run(&asked).assert_code(4).json();
    assert_eq!(report["cost"]["kind"], "estimated");
    let usd = |value: &Value| Pico::usd(value.as_str().unwrap());
    let prices = prices().model("gpt-4o-mini", "0.15", "0.075", "0.6");
    (
        usd(&report["estimate"]["worst_usd"]),
        usd(&report["cost"]["usd"]),
        scene.server.bill(&prices).total(),
    )
}

#[test]
fn a_usage_before_the_cut_is_no_final_word() {
    let said = json!({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11});
    // 300 words of one token each come after it.
    let steps = [
        Step::Frame(piece("one", &said)),
        Step::Frame(piece(&" two".repeat(300), &Value::Null)),
        Step::Close,
    ];
    let (hold, booked, bill) = booked(&steps, (10, 301), "");
    assert!(
        booked >= bill && booked == hold,
        "{bill} is billed, {booked} is booked of {hold}"
    );
}

#[test]
fn what_is_written_behind_a_broken_way_is_booked_too() {
    let stalls = "[limits]\nidle_timeout = \"300ms\"\n";
    for (broken, toml) in [(Step::Hang, stalls), (Step::Close, ""), (Step::Reset, "")] {
        let steps = [
            Step::Frame(piece("one", &Value::Null)),
            Step::WritesOn(500),
            broken,
        ];
        let (hold, booked, bill) = booked(&steps, (10, 1), toml);
        assert!(
            booked >= bill && booked == hold,
            "{bill} is billed, {booked} is booked of {hold}"
        );
    }
}
