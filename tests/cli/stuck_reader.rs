//! A reader of standard output that stops reading holds back neither the answer nor a signal.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::PATIENCE;
use support::scene::{Scene, one_error};
use support::server::{Answer, Script};

/// More than a pipe holds.
const LONG: usize = 300 * 1024;

fn scene() -> Scene {
    let words = "The quick brown fox jumps over it. ".repeat(LONG / 35);
    Scene::new(Script::always(Answer::text(&words).pieces(64)))
}

/// Waits until the only answer of the chat is there to its end, and gives it.
fn stored(scene: &Scene) -> String {
    let deadline = Instant::now() + PATIENCE;
    scene.server.wait_for_outcomes(1);
    // It is settled in the same commit as the answer's last words.
    let settled = || {
        let budget = scene.json(&["budget", "show", "--json"]);
        let day = &budget["scopes"].as_array().unwrap()[0];
        day["reserved_usd"] == "0" && day["settled_usd"] != "0"
    };
    while !settled() {
        assert!(Instant::now() < deadline, "the answer never ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = scene.json(&["sessions", "--json"])[0]["session"]
        .as_str()
        .unwrap()
        .to_owned();
    let chat = scene.json(&["sessions", "show", &id, "--json"]);
    chat["messages"][1]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_signal_ends_it_and_the_answer_is_whole_in_the_store() {
    for how in ["--no-cache", "--json"] {
        let scene = scene();
        let mut running = scene.start(&[
            "ask",
            "hi",
            "-m",
            "gpt-5-mini",
            "--max-output",
            "100000",
            how,
        ]);
        assert!(
            stored(&scene).len() + 35 > LONG,
            "not a word of it was read"
        );
        running.signal(Signal::TERM);
        running.wait_unread();
        one_error(&running.end(), 130);
    }
}

#[test]
fn one_that_reads_on_gets_all_of_it() {
    let scene = scene();
    let running = scene.start(&["ask", "hi", "-m", "gpt-5-mini", "--max-output", "100000"]);
    let stored = stored(&scene);
    let output = running.end();
    output.assert_code(0);
    assert_eq!(output.stdout.trim_end(), stored.trim_end());
}
