//! When a model fails: `auto` goes to the next rung with the money that is left then, a pinned model is never changed.

mod support;

use support::scene::Scene;
use support::server::{Answer, Request, Script};

/// Answers for small models, trouble for the others.
fn only_small(trouble: Answer) -> Script {
    Script::always(Answer::text("from a small one").usage(10, 5))
        .choose(move |request: &Request| (request.model() == "gpt-5").then(|| trouble.clone()))
}

fn models(scene: &Scene) -> Vec<String> {
    scene.server.chats().iter().map(|request| request.model().to_owned()).collect()
}

#[test]
fn auto_tries_once_more_and_then_the_next_rung_and_says_so() {
    let scene = Scene::new(only_small(Answer::error(500, "server_error", "oops").header("retry-after-ms", "1")));
    let report = scene.json(&["ask", "hi", "-m", "auto", "--json"]);
    assert_eq!(models(&scene), ["gpt-5", "gpt-5", "gpt-5-mini"]);
    assert_eq!(report["model"], "openai/gpt-5-mini");
    assert_eq!(report["answer"], "from a small one");
    assert_eq!(report["route"]["reason"], "gpt-5 failed");
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!((&report["cost"]["kind"], &report["cost"]["usd"]), (&"exact".into(), &"0.0000125".into()));
    scene.server.assert_clean();
}

#[test]
fn a_pinned_model_is_asked_until_the_retries_are_spent_and_never_changed() {
    let scene = Scene::new(only_small(Answer::error(500, "server_error", "oops").header("retry-after-ms", "1")));
    let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5"]);
    assert!(error.contains("openai/gpt-5 (500)"), "{error}");
    assert_eq!(models(&scene), ["gpt-5"; 4]);
}

#[test]
fn what_the_first_rung_may_have_cost_is_not_there_for_the_next() {
    // gpt-5 says nothing, so its whole reservation is booked; the next rung gets a cap that fits the rest.
    let toml = "[budget]\nper_request = 0.09\n[limits]\nfirst_token_timeout = \"300ms\"\n";
    let scene = Scene::with(only_small(Answer::text("late").delay_headers(60_000)), toml);
    let report = scene.json(&["ask", "hi", "-m", "auto", "--json"]);
    assert_eq!(models(&scene), ["gpt-5", "gpt-5-mini"]);
    let caps: Vec<u64> = scene.server.chats().iter().map(|request| request.cap().unwrap()).collect();
    assert!(caps[1] < caps[0], "{caps:?}");
    assert_eq!(report["cost"]["kind"], "estimated", "{report}");
    let day = scene.json(&["budget", "show", "--json"])["scopes"].clone();
    let settled = day.as_array().unwrap().iter().find(|s| s["scope"] == "day").unwrap()["settled_usd"].clone();
    assert_eq!(report["cost"]["usd"], settled, "all attempts are in the report");
}

#[test]
fn that_nothing_else_fits_does_not_hide_why_the_first_one_failed() {
    let toml = "[budget]\nper_request = 0.05\n[limits]\nfirst_token_timeout = \"300ms\"\n";
    let scene = Scene::with(only_small(Answer::text("late").delay_headers(60_000)), toml);
    let error = scene.refused(4, &["ask", "hi", "-m", "auto"]);
    assert!(error.contains("openai/gpt-5") && !error.contains("could cost"), "{error}");
}
