//! `stats`: what was asked and spent, in groups, and what the estimates were worth.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::Scene;
use support::server::{Answer, Request, Script};

fn find<'a>(rows: &'a Value, key: &str, name: &str) -> &'a Value {
    let found = rows.as_array().unwrap().iter().find(|row| row[key] == name);
    assert!(found.is_some(), "no {name} in {rows}");
    found.unwrap()
}

/// Two models, a hit and an error. The number: how often the first question was sent until the cache had it; a cache
/// that is slow to open lets it through again.
fn lived_in() -> (Scene, u64) {
    let scene = Scene::new(Script::always(Answer::text("fine").usage(10, 5).cached(4)));
    let mut sent = 0;
    while scene.json(&["ask", "first", "-m", "gpt-5-mini", "--json"])["cache"]["hit"] == "none" {
        sent += 1;
        assert!(sent < 20, "the cache never answers");
    }
    scene.ok(&["ask", "second", "-m", "gpt-5-nano"]);
    scene.server.push(Answer::error(400, "bad", "no"));
    scene
        .run(&["ask", "third", "-m", "gpt-5-nano"])
        .assert_code(1);
    (scene, sent)
}

/// A number of pico-dollars as the report writes it.
fn usd(pico: u64) -> Value {
    json!(format!("0.{pico:012}").trim_end_matches('0'))
}

#[test]
fn nothing_asked_is_an_empty_report() {
    let scene = Scene::saying("never");
    let report = scene.json(&["stats", "--json"]);
    assert_eq!(
        (&report["rows"], &report["estimates"], &report["by"]),
        (&json!([]), &json!([]), &json!("model"))
    );
    assert_eq!(
        (&report["total"]["requests"], &report["total"]["usd"]),
        (&json!(0), &json!("0"))
    );
    let page = scene.ok(&["stats"]).stdout;
    assert!(
        page.contains("total") && !page.contains("estimates"),
        "{page}"
    );
}

#[test]
fn by_model_with_money_tokens_errors_and_hits() {
    let (scene, sent) = lived_in();
    let report = scene.json(&["stats", "--json"]);
    let mini = find(&report["rows"], "name", "openai/gpt-5-mini").clone();
    // 6 x 0.25 + 4 x 0.025 + 5 x 2 millionths each time, and nothing when it came from the cache.
    let expected = json!({
        "name": "openai/gpt-5-mini", "requests": sent + 1, "errors": 0, "cache_hits": 1, "input_tokens": 10 * sent,
        "cached_input_tokens": 4 * sent, "cache_write_tokens": 0, "output_tokens": 5 * sent, "reasoning_tokens": 0,
        "usd": usd(11_600_000 * sent), "kind": "exact", "unpriced": 0, "reserved_usd": "0", "saved_usd": "0.0000116",
        "ttft_p50_ms": mini["ttft_p50_ms"], "ttft_p95_ms": mini["ttft_p95_ms"],
    });
    assert_eq!(mini, expected);
    assert!(mini["ttft_p50_ms"].is_u64() && mini["ttft_p95_ms"].is_u64());
    let nano = find(&report["rows"], "name", "openai/gpt-5-nano");
    assert_eq!(
        (&nano["requests"], &nano["errors"], &nano["usd"]),
        (&json!(2), &json!(1), &json!("0.00000232"))
    );
    assert_eq!(report["total"]["usd"], usd(11_600_000 * sent + 2_320_000));
    let page = scene.ok(&["stats"]).stdout;
    assert!(
        page.contains("openai/gpt-5-mini") && page.contains("$0.0000023") && !page.contains('~'),
        "{page}"
    );
}

#[test]
fn every_grouping_adds_up_to_the_same_total() {
    let (scene, sent) = lived_in();
    let total = scene.json(&["stats", "--json"])["total"].clone();
    for (by, names) in [
        ("provider", &["openai"][..]),
        // An answer out of the cache needs no key.
        ("key", &["…zq7w", ""]),
        ("session", &[]),
        ("day", &[]),
    ] {
        let report = scene.json(&["stats", "--by", by, "--since", "1h30m", "--json"]);
        assert_eq!(report["total"], total, "{by}");
        let rows = report["rows"].as_array().unwrap();
        assert_eq!(
            rows.iter()
                .map(|row| row["requests"].as_u64().unwrap())
                .sum::<u64>(),
            sent + 3,
            "{by}"
        );
        for name in names {
            find(&report["rows"], "name", name);
        }
    }
    let sessions = scene.json(&["stats", "--by", "session", "--json"]);
    find(&sessions["rows"], "title", "second");
    assert!(
        scene
            .ok(&["stats", "--by", "session"])
            .stdout
            .contains("third")
    );
    assert!(
        scene
            .ok(&["stats", "--by", "key"])
            .stdout
            .contains("(no key)")
    );
    assert_eq!(
        scene.json(&["stats", "--since", "0s", "--json"])["rows"],
        json!([])
    );
    for args in [["--since", "soon"], ["--since", "-1d"], ["--by", "moon"]] {
        scene.refused(2, &[&["stats"], &args[..]].concat());
    }
}

#[test]
fn what_is_estimated_or_unknown_says_so() {
    let scene = Scene::new(Script::always(Answer::text("fine").usage(10, 5)));
    scene.config(&format!(
        "[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n",
        scene.server.base_url()
    ));
    scene.ok(&["ask", "hi", "-m", "mine/x"]);
    let unknown = scene.json(&["stats", "--json"]);
    let row = find(&unknown["rows"], "name", "mine/x");
    assert_eq!(
        (&row["usd"], &row["kind"], &row["unpriced"]),
        (&Value::Null, &json!("unknown"), &json!(1))
    );
    let card = find(&unknown["estimates"], "model", "mine/x");
    assert_eq!(
        (&card["replies"], &card["expected_usd"], &card["booked_usd"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    scene
        .server
        .push(Answer::text("cut off in the middle").close_after(2));
    scene.run(&["ask", "hi", "-m", "gpt-5-mini"]).assert_code(4);
    let both = scene.json(&["stats", "--json"]);
    assert_eq!(
        (&both["total"]["kind"], &both["total"]["unpriced"]),
        (&json!("estimated"), &json!(1))
    );
    let page = scene.ok(&["stats"]).stdout;
    let line = |start: &str| {
        page.lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_owned()
    };
    assert!(
        line("mine/x").contains("  n/a  $0.00  "),
        "unknown, and nothing saved: {page}"
    );
    assert!(
        line("total").contains("~$") && line("total").contains(" + 1 n/a"),
        "{page}"
    );
    assert!(page.contains("1 attempt of unknown price"), "{page}");
    assert!(
        both["estimates"].as_array().unwrap().len() == 1,
        "a cut answer counts for neither model: {both}"
    );
}

#[test]
fn the_report_card_judges_the_model_that_answered() {
    let small = Answer::text("from a small one").usage(20, 300);
    let scene = Scene::new(Script::always(small).choose(|request: &Request| {
        (request.model() == "gpt-5")
            .then(|| Answer::error(503, "overloaded", "later").header("retry-after-ms", "1"))
    }));
    let foreseen = scene.json(&[
        "ask",
        "hello world",
        "-m",
        "gpt-5-mini",
        "--estimate",
        "--json",
    ])["estimate"]
        .clone();
    let report = scene.json(&["ask", "hello world", "-m", "auto", "--json"]);
    assert_eq!(report["model"], "openai/gpt-5-mini");
    let stats = scene.json(&["stats", "--json"]);
    // 9 tokens by our count, 20 by the server's; 20 x 0.25 + 300 x 2 millionths.
    let card = json!([{
        "model": "openai/gpt-5-mini", "replies": 1, "input_error_median_percent": -55.0, "input_error_worst_percent": -55.0,
        "expected_output_tokens": foreseen["output_tokens"], "output_tokens": 300,
        "priced_replies": 1, "expected_usd": foreseen["expected_usd"], "booked_usd": "0.000605",
    }]);
    assert_eq!(stats["estimates"], card);
    let page = scene.ok(&["stats"]).stdout;
    assert!(
        page.contains("estimates") && page.contains("-55.0 %") && page.contains("$0.0006"),
        "{page}"
    );
}

#[test]
fn names_from_outside_bring_no_control_characters() {
    let scene = Scene::saying("fine");
    scene.ok(&[
        "ask",
        "\u{1b}]0;owned\u{7} \u{202e}title",
        "-m",
        "gpt-5-mini",
    ]);
    for args in [
        &["stats", "--by", "session"][..],
        &["stats", "--by", "session", "--json"],
    ] {
        let page = scene.ok(args).stdout;
        assert!(
            page.contains("title") && !page.contains(['\u{1b}', '\u{7}', '\u{202e}']),
            "{page}"
        );
    }
}
