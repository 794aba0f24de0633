//! The choice of a rung, through the program: effort, pace, health, and what is told of it.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::PATIENCE;
use support::home::{Output, run};
use support::scene::{KEY, Scene};
use support::server::{Answer, Script};

/// Runs where it is between 10 and 11 in the morning: the pace depends on the hour.
fn in_the_morning(scene: &Scene, args: &[&str]) -> Output {
    let hour = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 3600
        % 24;
    let east = 10 - i64::try_from(hour).unwrap();
    let mut command = scene.command(args);
    // Zones of this form count hours to the west.
    command.env("TZ", format!("MORNING{}", -east));
    run(command, b"", PATIENCE)
}

fn ladder(rungs: &str) -> String {
    format!("[router]\nladder = [{rungs}]\n")
}

fn effort(report: &Value) -> &Value {
    let considered = report["route"]["considered"].as_array().unwrap();
    &considered.iter().find(|c| c["skipped"].is_null()).unwrap()["effort"]
}

#[test]
fn the_effort_of_a_rung_is_sent_and_the_users_own_wins() {
    let rungs = ladder("\"openai/gpt-5 low\", \"openai/gpt-5-mini\"");
    let scene = Scene::with(Script::always(Answer::text("ok")), &rungs);
    let line = scene.ok(&["ask", "hi", "--estimate"]).stdout;
    assert!(
        line.starts_with("openai/gpt-5 (low) (best of the ladder) · "),
        "{line}"
    );
    let report = scene.json(&["ask", "hi", "--json"]);
    assert_eq!(effort(&report), "low");
    let told = scene.json(&["ask", "hi", "--json", "--effort", "high"]);
    assert_eq!(effort(&told), "high");
    let pinned = scene.json(&["ask", "hi", "--json", "-m", "openai/gpt-5"]);
    assert_eq!(effort(&pinned), &Value::Null);
    let sent: Vec<_> = scene
        .server
        .bodies()
        .iter()
        .map(|body| body["reasoning_effort"].clone())
        .collect();
    assert_eq!(
        sent,
        [json!("low"), json!("high"), Value::Null],
        "each effort is another question to the cache"
    );
    assert_eq!(scene.json(&["ask", "hi", "--json"])["cache"]["hit"], "disk");
    // Two efforts of one model are one rung once the user has set the effort.
    scene.config(&ladder(
        "\"openai/gpt-5 high\", \"openai/gpt-5 low\", \"openai/gpt-5-mini\"",
    ));
    for (args, rungs) in [
        (&["ask", "hi", "--estimate", "--json"][..], 3),
        (&["ask", "hi", "--estimate", "--json", "--effort", "low"], 2),
    ] {
        assert_eq!(
            scene.json(args)["route"]["considered"]
                .as_array()
                .unwrap()
                .len(),
            rungs
        );
    }
    scene.server.assert_clean();
}

#[test]
fn an_effort_that_the_model_does_not_take_is_refused_at_the_start() {
    for (rung, cause) in [
        ("openai/gpt-5 xhigh", "minimal, low, medium, high"),
        ("openai/gpt-5 hihg", "did you mean `high`?"),
        ("openai/gpt-4o low", "\"openai/gpt-4o\""),
    ] {
        let scene = Scene::with(
            Script::always(Answer::text("never")),
            &ladder(&format!("\"{rung}\"")),
        );
        let error = scene.refused(2, &["ask", "hi"]);
        assert!(error.contains(cause), "{rung}: {error}");
        scene.refused(2, &["config", "check"]);
    }
}

#[test]
fn the_pace_steps_down_and_not_up_again_at_once() {
    let dear = |request: &support::server::Request| {
        // A gpt-5 answer costs $0.02, another next to nothing.
        (request.model() == "gpt-5").then(|| Answer::text("long").usage(10, 2_000))
    };
    let script = || Script::always(Answer::text("short").usage(10, 10)).choose(dear);
    let limit = |usd: &str| format!("[budget]\nper_day = {usd}\n");
    let scene = Scene::with(script(), &limit("0.15"));
    let ask = |scene: &Scene, prompt: &str| {
        in_the_morning(scene, &["ask", prompt, "--json"])
            .assert_code(0)
            .json()
    };
    let model = |report: &Value| report["model"].as_str().unwrap().to_owned();
    let spend = |scene: &Scene| {
        for prompt in ["a", "b", "c", "d"] {
            assert_eq!(model(&ask(scene, prompt)), "openai/gpt-5", "{prompt}");
        }
    };
    spend(&scene);
    let paced = ask(&scene, "two");
    assert_eq!(
        model(&paced),
        "openai/gpt-5-mini",
        "$0.18 by the end of the day"
    );
    let reason = paced["route"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("keeps the day's pace: $0.08 of $0.15 by 1"),
        "{reason}"
    );
    assert_eq!(paced["route"]["considered"][0]["skipped"], reason);
    assert!(
        paced["route"]["considered"][0]["worst_usd"].is_string(),
        "it fits, and its price is known: {paced}"
    );
    // Now inside the limit, but not by enough; then by far.
    scene.config(&limit("0.21"));
    assert_eq!(model(&ask(&scene, "three")), "openai/gpt-5-mini");
    scene.config(&limit("0.40"));
    assert_eq!(model(&ask(&scene, "four")), "openai/gpt-5");
    // One that never stepped down stays up where the other did not go up again.
    let fresh = Scene::with(script(), &limit("0.21"));
    spend(&fresh);
    assert_eq!(model(&ask(&fresh, "two")), "openai/gpt-5");
    // Who does not want it is not paced.
    let off = Scene::with(
        script(),
        &format!("{}[router]\npace = false\n", limit("0.15")),
    );
    spend(&off);
    assert_eq!(model(&ask(&off, "two")), "openai/gpt-5");
    for scene in [&scene, &fresh, &off] {
        scene.server.assert_clean();
    }
}

#[test]
fn a_model_that_fails_is_passed_over_for_a_while() {
    let ill = |request: &support::server::Request| {
        let error = || Answer::error(500, "server_error", "oops").header("retry-after-ms", "5");
        (request.model() == "gpt-5").then(error)
    };
    let scene = Scene::new(Script::always(Answer::text("ok")).choose(ill));
    for (prompt, requests, reason) in [
        ("one", 3, "gpt-5 failed"),
        ("two", 6, "gpt-5 failed"),
        ("three", 7, "gpt-5 failed 4 of its last 4 requests"),
    ] {
        let report = scene.json(&["ask", prompt, "--json"]);
        assert_eq!(
            (&report["model"], &report["route"]["reason"]),
            (&json!("openai/gpt-5-mini"), &json!(reason))
        );
        assert_eq!(scene.server.chats().len(), requests, "{prompt}");
    }
    let report = scene.json(&["ask", "four", "--estimate", "--json"]);
    assert_eq!(
        report["route"]["considered"][0]["skipped"],
        "failed 4 of its last 4 requests"
    );
    // What is wrong with the request is no fault of the server's.
    let wrong = Scene::new(Script::always(Answer::error(400, "invalid_value", "no")));
    for _ in 0..5 {
        wrong.refused(1, &["ask", "hi"]);
    }
    let report = wrong.json(&["ask", "hi", "--estimate", "--json"]);
    assert_eq!(report["model"], "openai/gpt-5");
    // A pinned model is asked however it does.
    scene.refused(1, &["ask", "hi", "-m", "gpt-5"]);
}

#[test]
fn every_rung_is_told_with_its_worst_price_and_the_refusal_names_the_cheapest() {
    let scene = Scene::with(
        Script::always(Answer::text("ok")),
        "[budget]\nper_request = 0.002\n",
    );
    let report = scene.json(&["ask", "hi", "--json"]);
    let rows = report["route"]["considered"].as_array().unwrap();
    let fates: Vec<_> = rows
        .iter()
        .map(|r| (r["model"].as_str().unwrap(), r["skipped"].as_str()))
        .collect();
    let [(best, Some(dear)), (_, tight), chosen] = fates[..] else {
        panic!("{fates:?}")
    };
    assert!(
        best == "openai/gpt-5" && dear.contains("could cost $0.0026"),
        "{fates:?}"
    );
    assert_eq!(
        (tight, chosen),
        (
            Some("too little room to answer"),
            ("openai/gpt-5-nano", None)
        )
    );
    assert!(
        rows.iter().all(|row| row["worst_usd"].is_string()),
        "{rows:?}"
    );
    let refused = scene.refused(3, &["ask", "hi", "--max-usd", "0.00001"]);
    assert!(
        refused.contains("even openai/gpt-5-nano could cost"),
        "{refused}"
    );
}

#[test]
fn lengths_are_learned_by_kind_and_the_cap_follows_them() {
    let scene = Scene::new(Script::always(Answer::text("Hamlet").usage(20, 100)));
    let estimate = |args: &[&str]| {
        let args: Vec<&str> = ["ask", "--estimate", "--json"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        scene.json(&args)["estimate"].clone()
    };
    let first = estimate(&["who wrote it?"]);
    assert_eq!(
        (&first["output_tokens"], &first["usual"]),
        (&json!(600), &Value::Null)
    );
    for n in 0..10 {
        scene.ok(&["ask", &format!("who wrote book {n}?")]);
    }
    let learned = estimate(&["who wrote it?"]);
    assert_eq!(learned["output_tokens"], 100);
    assert_eq!(
        learned["usual"],
        json!({"low": 100, "high": 100, "answers": 10})
    );
    let line = scene.ok(&["ask", "--estimate", "who wrote it?"]).stdout;
    assert!(line.contains("· ~100 out (100–100) · "), "{line}");
    scene
        .server
        .push(Answer::text("too long").usage(20, 1_024).finish("length"));
    scene.run(&["ask", "who wrote the longest?"]).assert_code(4);
    scene.ok(&["ask", "who wrote the next?"]);
    scene.ok(&["ask", "explain the plot"]);
    scene.ok(&["ask", "who asked for it?", "--max-output", "3000"]);
    let caps: Vec<_> = scene
        .server
        .chats()
        .iter()
        .map(|request| request.cap().unwrap())
        .collect();
    let (before, after) = caps.split_at(10);
    assert!(before.iter().all(|cap| *cap == 8_192), "{caps:?}");
    assert_eq!(
        after,
        [1_024, 8_192, 8_192, 3_000],
        "learned; none after a cut; another kind; the user's own"
    );
    scene.server.assert_clean();
}

#[test]
fn the_price_elsewhere_is_told_before_and_after() {
    let scene = Scene::new(Script::always(Answer::text("ok").usage(2_000, 100)));
    let config = std::fs::read_to_string(scene.home.config_file()).unwrap();
    let unpriced = "[[models]]\nid = \"openai/mine\"\n";
    scene.home.config(&format!(
        "favourites = [\"openai/o3-mini\", \"openai/mine\"]\n{config}{unpriced}"
    ));
    let names = |others: &Value| -> Vec<(String, bool)> {
        let row = |o: &Value| {
            (
                o["model"].as_str().unwrap().to_owned(),
                o["usd"].is_string(),
            )
        };
        others.as_array().unwrap().iter().map(row).collect()
    };
    let expected = [
        ("openai/o3-mini", true),
        ("openai/mine", false),
        ("openai/gpt-5-mini", true),
        ("openai/gpt-5-nano", true),
    ]
    .map(|(name, priced)| (name.to_owned(), priced));
    let quote = scene.json(&["ask", "hi", "--estimate", "--json"]);
    assert_eq!(names(&quote["estimate"]["others"]), expected);
    let report = scene.json(&["ask", "hi", "--json"]);
    assert!(report["estimate"].get("others").is_none());
    let session = report["session"].as_str().unwrap();
    let chat = scene.json(&["sessions", "show", session, "--json"]);
    let others = chat["messages"][1]["answer"]["others"].clone();
    assert_eq!(names(&others), expected);
    let mini = others
        .as_array()
        .unwrap()
        .iter()
        .find(|o| o["model"] == "openai/gpt-5-mini")
        .unwrap();
    assert_eq!(
        mini["usd"], "0.0007",
        "2000 in and 100 out at a quarter and two dollars"
    );
    // The provider still has the start of this chat: 2000 tokens at $1.25 less an eighth of a dollar.
    let warm = |args: &[&str]| {
        let args: Vec<&str> = ["ask", "more", "--estimate", "--json", "--session", session]
            .iter()
            .chain(args)
            .copied()
            .collect();
        scene.json(&args)["estimate"]["warm"].clone()
    };
    assert_eq!(warm(&[]), Value::Null, "the same model");
    let away = warm(&["-m", "openai/gpt-5-mini"]);
    assert_eq!(
        (&away["model"], &away["tokens"], &away["spares"]),
        (&json!("openai/gpt-5"), &json!(2_000), &json!("0.00225"))
    );
    assert!(!quote.to_string().contains(KEY));
}

#[test]
fn how_a_model_counts_is_learned_from_its_own_usage() {
    let scene = Scene::with(Script::always(Answer::text("ok")), "");
    scene.home.config(&format!(
        "[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n[[models]]\nid = \"mine/x\"\ninput = 1\noutput = 2\n",
        scene.server.base_url(),
    ));
    let args = [
        "ask",
        "a question of some words",
        "-m",
        "mine/x",
        "--no-cache",
    ];
    let estimate =
        || scene.json(&[&args[..], &["--estimate", "--json"]].concat())["estimate"].clone();
    let before = estimate();
    let counted = before["input_tokens"].as_u64().unwrap();
    for _ in 0..5 {
        scene
            .server
            .push(Answer::text("ok").usage(2 * counted, 600));
        scene.ok(&args);
    }
    let after = estimate();
    assert_eq!(
        after["input_tokens"],
        2 * counted,
        "the server counts twice as many"
    );
    assert_eq!(
        after["worst_usd"], before["worst_usd"],
        "a budget does not stand on what is usual"
    );
    scene
        .server
        .push(Answer::text("ok").usage(2 * counted, 600));
    scene.ok(&args);
    assert_eq!(
        estimate()["input_tokens"],
        2 * counted,
        "learned from the raw count, not from itself"
    );
}

#[test]
fn without_a_rung_that_has_a_key_any_priced_model_may_answer_down_to_the_cheapest() {
    let scene = Scene::with(Script::always(Answer::text("never")), "");
    let estimate = |args: &[&str]| {
        let mut command = scene.command(&[&["ask", "hi", "--estimate", "--json"], args].concat());
        command
            .env_remove("OPENAI_API_KEY")
            .env("ANTHROPIC_API_KEY", KEY);
        run(command, b"", PATIENCE).assert_code(0).json()
    };
    let reason = |report: &Value| report["route"]["reason"].as_str().unwrap().to_owned();
    let said = "no rung of the ladder has a key, so any priced model";
    let dearest = estimate(&[]);
    assert_eq!(reason(&dearest), said);
    let cheap = estimate(&["--max-usd", "0.002"]);
    assert_eq!(cheap["model"], "anthropic/claude-haiku-4-5");
    assert!(
        reason(&cheap).starts_with(&format!("{said}; claude-")),
        "{cheap}"
    );
    assert!(reason(&cheap).contains("could cost $"), "{cheap}");
}
