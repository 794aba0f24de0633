//! `cache stats`, `clear` and `verify`, while chats are open too.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::Instant;

use serde_json::{Value, json};
use support::PATIENCE;
use support::scene::Scene;
use support::screen::{Place, say, settled};
use support::server::{Answer, Script};

fn ask(scene: &Scene, question: &str) -> Value {
    scene.json(&["ask", question, "-m", "gpt-5-mini", "--json"])["cache"]["hit"].clone()
}

fn disk(report: &Value) -> &Value {
    report["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tier| tier["tier"] == "disk")
        .unwrap()
}

#[test]
fn stats_count_what_is_kept_and_what_it_saved() {
    let scene = Scene::new(Script::always(Answer::text("Hello").usage(100, 50)));
    let empty = scene.json(&["cache", "stats", "--json"]);
    assert_eq!(
        (
            &empty["requests"],
            &empty["hit_rate"],
            &disk(&empty)["entries"]
        ),
        (&json!(0), &Value::Null, &json!(0))
    );
    assert!(
        !scene.home.data_dir().join("cache").exists(),
        "asking makes nothing"
    );
    assert_eq!(
        [ask(&scene, "one"), ask(&scene, "two"), ask(&scene, "one")],
        ["none", "none", "disk"]
    );
    let report = scene.json(&["cache", "stats", "--json"]);
    assert_eq!(
        (&report["requests"], &report["cache_hits"]),
        (&json!(3), &json!(1))
    );
    assert!((report["hit_rate"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(report["saved_usd"], "0.000125");
    let disk = disk(&report);
    assert_eq!(
        (&disk["entries"], &disk["limit_bytes"]),
        (&json!(2), &json!(512 << 20))
    );
    assert!(disk["kept_bytes"].as_u64() >= disk["live_bytes"].as_u64());
    assert!(disk["owner"]["pid"].as_u64().unwrap() > 1);
    let text = scene.ok(&["cache", "stats"]).stdout;
    assert!(
        text.contains("cache hit 33 %: 1 of 3 answers, saved $0.00013"),
        "{text}"
    );
    assert!(
        text.contains("owner ") && text.contains("512.0 MiB"),
        "{text}"
    );
}

#[test]
fn clear_forgets_and_verify_finds_nothing_wrong() {
    let scene = Scene::saying("Hello");
    assert_eq!(
        [ask(&scene, "one"), ask(&scene, "two"), ask(&scene, "one")],
        ["none", "none", "disk"]
    );
    let verified = scene.json(&["cache", "verify", "--json"]);
    assert_eq!(verified, json!([{"tier": "disk", "good": 2, "removed": 0}]));
    assert_eq!(
        scene.ok(&["cache", "verify"]).stdout,
        "disk: 2 answers are sound, 0 were damaged and are removed\n"
    );
    let cleared = scene.json(&["cache", "clear", "--json"]);
    assert_eq!(
        (&cleared[0]["tier"], &cleared[0]["entries"]),
        (&json!("disk"), &json!(2))
    );
    assert!(cleared[0]["bytes"].as_u64().unwrap() > 0);
    assert_eq!([ask(&scene, "one"), ask(&scene, "one")], ["none", "disk"]);
    assert!(
        scene
            .ok(&["cache", "clear"])
            .stdout
            .starts_with("disk: 1 answers forgotten, ")
    );
}

#[test]
fn it_says_when_the_cache_is_off() {
    let scene = Scene::saying("Hello");
    let line = scene.refused(2, &["cache", "stats", "--no-cache"]);
    assert!(line.contains("the cache is switched off"), "{line}");
    std::fs::create_dir_all(scene.home.data_dir()).unwrap();
    std::fs::write(scene.home.data_dir().join("cache"), "a file").unwrap();
    for what in ["verify", "clear"] {
        let line = scene.refused(1, &["cache", what]);
        assert!(
            line.contains("cannot be reached") && line.contains("is not a folder"),
            "{line}"
        );
    }
}

fn stats(place: &Place) -> Value {
    serde_json::from_slice(
        &place
            .command(&["cache", "stats", "--json"])
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap()
}

#[test]
fn clearing_while_a_chat_is_open_disturbs_nothing() {
    let place = Place::new(Script::always(Answer::text("an answer of some words")));
    let terminal = place.open(&[], 120, 30);
    say(&terminal, "go");
    terminal.wait_for("an answer of some words");
    settled(&terminal);
    // The answer is put behind the chat's back.
    let deadline = Instant::now() + PATIENCE;
    while disk(&stats(&place))["entries"] != 1 {
        assert!(
            Instant::now() < deadline,
            "the answer does not come to the disk"
        );
    }
    let mut clear = place.command(&["cache", "clear", "--json"]);
    let cleared: Value = serde_json::from_slice(&clear.output().unwrap().stdout).unwrap();
    assert_eq!(cleared[0]["entries"], 1);
    say(&terminal, "go on");
    settled(&terminal);
    // The chat, and the process that asks. An earlier process may not have been noticed as gone yet.
    let deadline = Instant::now() + PATIENCE;
    while disk(&stats(&place))["owner"]["clients"] != 2 {
        assert!(Instant::now() < deadline, "{}", stats(&place));
    }
}
