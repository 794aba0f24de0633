//! When no provider can be reached: what lies in the cache can be had all the same, and says what it is.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::json;
use support::closed::Closed;
use support::scene::Scene;
use support::server::{Answer, Request, Script, Server};

const MINI: [&str; 5] = ["ask", "hi", "-m", "gpt-5-mini", "--json"];

/// A place where one answer was kept, and whose server has gone since.
fn abandoned() -> (Scene, Closed) {
    let mut scene = Scene::new(Script::always(Answer::text("Hello").usage(100, 50)));
    assert_eq!(scene.json(&MINI)["answer"], "Hello");
    // Another server, elsewhere: the first no longer listens.
    let address = scene.server.address();
    scene.server = Server::start(Script::always(Answer::text("never asked")));
    (scene, Closed::at(address))
}

#[test]
fn a_kept_answer_needs_no_network() {
    let (scene, _gone) = abandoned();
    let report = scene.json(&MINI);
    assert_eq!(
        (&report["answer"], &report["cache"]["hit"]),
        (&json!("Hello"), &json!("disk"))
    );
    assert_eq!(
        (&report["attempts"], &report["cost"]["usd"]),
        (&json!([]), &json!("0"))
    );
}

#[test]
fn an_old_answer_is_taken_only_by_the_users_word_and_never_in_silence() {
    let (scene, _gone) = abandoned();
    let asked = [&MINI[..], &["--refresh"]].concat();
    let run = scene.run(&asked);
    let report = run.json();
    assert_eq!(
        (
            run.status.code(),
            &report["error"]["kind"],
            &report["answer"]
        ),
        (Some(1), &json!("unavailable"), &json!(""))
    );
    assert!(
        run.stderr.contains("an answer of openai/gpt-5-mini, "),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains(" old, is kept: --stale takes it"),
        "{}",
        run.stderr
    );
    let run = scene.run(&[&asked[..], &["--stale"]].concat());
    let report = run.json();
    assert_eq!(
        (run.status.code(), &report["answer"]),
        (Some(0), &json!("Hello"))
    );
    assert!(
        run.stderr.contains("this is what it answered"),
        "{}",
        run.stderr
    );
    assert!(!report["attempts"].as_array().unwrap().is_empty());
    assert_eq!(
        report["cost"],
        json!({"usd": "0", "kind": "exact", "saved_usd": "0.000125"})
    );
}

#[test]
fn another_models_answer_never_stands_for_the_pinned_ones() {
    let named = |request: &Request| Some(Answer::text(request.model()).usage(100, 50));
    let mut scene = Scene::new(Script::always(Answer::text("never given")).choose(named));
    for model in ["gpt-5", "gpt-5-nano"] {
        assert_eq!(
            scene.json(&["ask", "hi", "-m", model, "--json"])["answer"],
            model
        );
    }
    scene.server = Server::start(Script::always(Answer::text("never asked")));
    // The newer one is of a model that was not asked for.
    let run = scene.run(&["ask", "hi", "-m", "gpt-5", "--json", "--refresh", "--stale"]);
    let report = run.json();
    assert_eq!(
        (&report["answer"], &report["model"]),
        (&json!("gpt-5"), &json!("openai/gpt-5"))
    );
    assert!(
        run.stderr
            .contains("openai/gpt-5 cannot be reached: this is what it answered"),
        "{}",
        run.stderr
    );
    for more in [&[][..], &["--stale"]] {
        let run = scene.run(&[&MINI[..], more].concat());
        assert_eq!(
            (run.status.code(), &run.json()["answer"]),
            (Some(1), &json!(""))
        );
        assert!(!run.stderr.contains("kept"), "{}", run.stderr);
    }
    // With `auto`, the newest answer of the ladder's rungs is taken.
    let run = scene.run(&["ask", "hi", "-m", "auto", "--json", "--refresh", "--stale"]);
    assert_eq!(
        (run.status.code(), &run.json()["answer"]),
        (Some(0), &json!("gpt-5-nano"))
    );
    assert!(
        run.stderr
            .contains("no model can be reached: this is what openai/gpt-5-nano answered"),
        "{}",
        run.stderr
    );
}

#[test]
fn nothing_kept_is_a_failure_with_the_flag_too() {
    let (scene, _gone) = abandoned();
    let run = scene.run(&["ask", "another", "-m", "gpt-5-mini", "--json", "--stale"]);
    assert_eq!(
        (run.status.code(), &run.json()["error"]["kind"]),
        (Some(1), &json!("unavailable"))
    );
}

#[test]
fn the_estimate_says_that_it_would_cost_nothing() {
    let (scene, _gone) = abandoned();
    let line = scene
        .ok(&["ask", "hi", "-m", "gpt-5-mini", "--estimate"])
        .stdout;
    assert!(
        line.contains("cached") && line.trim_end().ends_with("ago: $0"),
        "{line}"
    );
    let report = scene.json(&[&MINI[..], &["--estimate"]].concat());
    assert_eq!(report["cache"]["hit"], "disk");
    let line = scene
        .ok(&["ask", "hi", "-m", "gpt-5-nano", "--estimate"])
        .stdout;
    assert!(line.contains("openai/gpt-5-mini answered it"), "{line}");
    let line = scene
        .ok(&["ask", "hi", "-m", "gpt-5-mini", "--estimate", "--no-cache"])
        .stdout;
    assert!(!line.contains("cached"), "{line}");
}
