//! `kill -9` while an answer streams: what was asked and what had come is kept, and the money stays charged.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::PATIENCE;
use support::scene::{Scene, prices};
use support::server::{Answer, Gate, Pico, Script, Step};

#[test]
fn the_prompt_the_answer_and_the_hold_survive() {
    let gate = Gate::new();
    let answer = Answer::text("abcdefgh")
        .gate_after(2, &gate)
        .gate_after(3, &Gate::new());
    let scene = Scene::new(Script::each([answer, Answer::text("next")]));
    let mut running = scene.start(&["ask", "what of it?", "-m", "gpt-5-mini"]);
    running.wait_for("abcd");
    let came = Instant::now();
    let id = scene.json(&["sessions", "--json"])[0]["session"]
        .as_str()
        .unwrap()
        .to_owned();
    let kept = || scene.json(&["sessions", "show", &id, "--json"])["messages"].clone();
    // All but the last 250 ms: what came first is there as soon as that has passed, and a slow machine's while.
    while kept()[1]["text"] != "abcd" {
        assert!(came.elapsed() < PATIENCE, "{}", kept());
    }
    gate.open();
    running.wait_for("abcdef");
    running.signal(Signal::KILL);
    assert_eq!(running.end().code(), None);
    let messages = kept();
    assert_eq!(messages[0]["text"], "what of it?");
    assert!(
        messages[1]["text"].as_str().unwrap().starts_with("abcd"),
        "{messages}"
    );
    // Its end is unknown, so the whole reservation stays charged, as an open item.
    let budget = scene.json(&["budget", "show", "--json"]);
    let day = budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == "day")
        .unwrap()
        .clone();
    assert_eq!(budget["open"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&budget["open"][0]["model"], &budget["open"][0]["usd"]),
        (&json!("openai/gpt-5-mini"), &day["reserved_usd"])
    );
    assert_ne!(day["reserved_usd"], "0");
    // The next run works, with the same chat too.
    let output = scene.ok(&["ask", "-c", "and now?"]);
    assert_eq!(output.stdout, "next\n");
    let said = scene.server.bodies()[1]["messages"].clone();
    assert_eq!(
        (said[0]["content"].clone(), said[2]["content"].clone()),
        (json!("what of it?"), json!("and now?"))
    );
    assert_eq!(
        scene.json(&["budget", "show", "--json"])["open"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_request_that_was_just_sent_is_already_on_disk() {
    let scene = Scene::new(Script::always(Answer::raw([Step::Hang])));
    let running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
    scene.server.wait_for_requests(1);
    running.signal(Signal::KILL);
    running.end();
    let search = scene.json(&["sessions", "search", "hi", "--json"]);
    assert!(
        search
            .as_array()
            .unwrap()
            .iter()
            .any(|hit| hit["role"] == "user" && hit["text"] == "hi"),
        "{search}"
    );
    let open = scene.json(&["budget", "show", "--json"])["open"].clone();
    assert!(
        open[0]["usd"].is_string() && open[0]["since"].is_string(),
        "{open}"
    );
}

#[test]
fn a_hold_that_stays_counts_against_the_limits() {
    let scene = Scene::with(
        Script::each([Answer::raw([Step::Hang]), Answer::text("ok")]),
        "[budget]\nper_day = 0.02\n",
    );
    let running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
    scene.server.wait_for_requests(1);
    running.signal(Signal::KILL);
    running.end();
    let day = scene.json(&["budget", "show", "--json"])["scopes"]
        .as_array()
        .unwrap()
        .clone();
    let day: &Value = day.iter().find(|s| s["scope"] == "day").unwrap();
    assert_ne!(day["left_usd"], "0.02", "{day}");
    let before = Duration::from_secs(30);
    let first = scene.server.chats()[0].cap().unwrap();
    support::home::run(
        scene.command(&["ask", "again", "-m", "gpt-5-mini"]),
        b"",
        before,
    )
    .assert_code(0);
    assert!(
        scene.server.chats()[1].cap().unwrap() < first,
        "less is left for the second"
    );
}

/// Every moment between sending and settling.
#[test]
fn whenever_it_is_killed_the_hold_covers_the_bill_and_is_closed_by_its_id() {
    for (moment, shown, answer) in [
        (
            "before the headers",
            "",
            Answer::text("abcdefgh")
                .usage(20, 400)
                .delay_headers(60_000),
        ),
        (
            "after the headers",
            "",
            Answer::text("abcdefgh").usage(20, 400).hang_after(0),
        ),
        (
            "in the middle",
            "abcd",
            Answer::text("abcdefgh").usage(20, 400).hang_after(2),
        ),
        (
            "when all was written but the end",
            "abcdefgh",
            Answer::text("abcdefgh").usage(20, 400).hang_after(9),
        ),
    ] {
        let scene = Scene::with(Script::always(answer), "[budget]\nper_day = 0.02\n");
        let mut running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
        scene.server.wait_for_requests(1);
        running.wait_for(shown);
        running.signal(Signal::KILL);
        assert_eq!(running.end().code(), None, "{moment}");
        scene.server.wait_for_outcomes(1);
        let bill = scene.server.bill(&prices()).total();
        let usd = |value: &Value| Pico::usd(value.as_str().unwrap());
        let day = |budget: &Value| {
            let scopes = budget["scopes"].as_array().unwrap();
            scopes
                .iter()
                .find(|scope| scope["scope"] == "day")
                .unwrap()
                .clone()
        };
        // In every later process it is open and counted.
        for _ in 0..2 {
            let budget = scene.json(&["budget", "show", "--json"]);
            let held = usd(&budget["open"][0]["usd"]);
            assert!(
                held >= bill && bill > Pico::default(),
                "{moment}: {held} is held, {bill} is billed"
            );
            let day = day(&budget);
            assert_eq!(
                (usd(&day["reserved_usd"]), &day["settled_usd"]),
                (held, &json!("0")),
                "{moment}"
            );
            assert_eq!(
                usd(&day["left_usd"]).0,
                usd(&day["limit_usd"]).0 - held.0,
                "{moment}"
            );
        }
        let id = scene.json(&["budget", "show", "--json"])["open"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        scene.ok(&["budget", "settle", &id, "--usd", &bill.to_string()]);
        let budget = scene.json(&["budget", "show", "--json"]);
        assert_eq!(
            (&budget["open"], usd(&day(&budget)["settled_usd"])),
            (&json!([]), bill),
            "{moment}"
        );
    }
}
