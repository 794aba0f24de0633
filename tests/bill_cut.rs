//! What a cut answer is booked at: no less than the server bills for what it wrote, whatever it said before.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

mod support;

use serde_json::{Value, json};
use support::scene::{Scene, prices};
use support::server::{Answer, Pico, Script, Step};

const MODEL: &str = "[[models]]\nid = \"openai/gpt-4o-mini\"\nconfirmed = true\n";

fn piece(text: &str, usage: &Value) -> Vec<u8> {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}], "usage": usage})).into_bytes()
}

#[test]
fn a_usage_before_the_cut_is_no_final_word() {
    let said = json!({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11});
    // 300 words of one token each come after it.
    let answer = Answer::raw([
        Step::send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"),
        Step::Frame(piece("one", &said)),
        Step::Frame(piece(&" two".repeat(300), &Value::Null)),
        Step::Close,
    ]);
    let scene = Scene::with(Script::always(answer.usage(10, 301)), MODEL);
    let report = scene.run(&["ask", "hi", "-m", "gpt-4o-mini", "--json"]).assert_code(4).json();
    let prices = prices().model("gpt-4o-mini", "0.15", "0.075", "0.6");
    let (bill, booked) = (scene.server.bill(&prices).total(), Pico::usd(report["cost"]["usd"].as_str().unwrap()));
    assert_eq!(report["cost"]["kind"], "estimated");
    assert!(booked >= bill && booked <= Pico(2 * bill.0), "{bill} is billed, {booked} is booked");
}
