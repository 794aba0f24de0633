//! When a model fails: `auto` goes to the next rung with the money that is left then, a pinned model is never changed.

use crate::gateways;
use crate::support;

use chat_agent::chat::FailureKind;
use gateways::{World, run};
use support::scene::Scene;
use support::server::{Answer, Request, Script, Server};

/// Answers for small models, trouble for the others.
fn only_small(trouble: Answer) -> Script {
    Script::always(Answer::text("from a small one").usage(10, 5))
        .choose(move |request: &Request| (request.model() == "gpt-5").then(|| trouble.clone()))
}

fn models(scene: &Scene) -> Vec<String> {
    scene
        .server
        .chats()
        .iter()
        .map(|request| request.model().to_owned())
        .collect()
}

#[test]
fn auto_tries_once_more_and_then_the_next_rung_and_says_so() {
    let scene = Scene::new(only_small(
        Answer::error(500, "server_error", "oops").header("retry-after-ms", "1"),
    ));
    let report = scene.json(&["ask", "hi", "-m", "auto", "--json"]);
    assert_eq!(models(&scene), ["gpt-5", "gpt-5", "gpt-5-mini"]);
    assert_eq!(report["model"], "openai/gpt-5-mini");
    assert_eq!(report["answer"], "from a small one");
    assert_eq!(report["route"]["reason"], "gpt-5 failed");
    assert_eq!(report["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        (&report["cost"]["kind"], &report["cost"]["usd"]),
        (&"exact".into(), &"0.0000125".into())
    );
    scene.server.assert_clean();
}

#[test]
fn a_pinned_model_is_asked_until_the_retries_are_spent_and_never_changed() {
    let scene = Scene::new(only_small(
        Answer::error(500, "server_error", "oops").header("retry-after-ms", "1"),
    ));
    let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5"]);
    assert!(error.contains("openai/gpt-5 (500)"), "{error}");
    assert_eq!(models(&scene), ["gpt-5"; 4]);
}

#[test]
fn what_the_first_rung_may_have_cost_is_not_there_for_the_next() {
    // gpt-5 says nothing, so its whole reservation is booked; the next rung gets a cap that fits the rest.
    let toml = "[budget]\nper_request = 0.09\n[limits]\nfirst_token_timeout = \"3s\"\n";
    let scene = Scene::with(only_small(Answer::text("late").delay_headers(60_000)), toml);
    let report = scene.json(&["ask", "hi", "-m", "auto", "--json"]);
    assert_eq!(models(&scene), ["gpt-5", "gpt-5-mini"]);
    let caps: Vec<u64> = scene
        .server
        .chats()
        .iter()
        .map(|request| request.cap().unwrap())
        .collect();
    assert!(caps[1] < caps[0], "{caps:?}");
    assert_eq!(report["cost"]["kind"], "estimated", "{report}");
    let day = scene.json(&["budget", "show", "--json"])["scopes"].clone();
    let settled = day
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == "day")
        .unwrap()["settled_usd"]
        .clone();
    assert_eq!(
        report["cost"]["usd"], settled,
        "all attempts are in the report"
    );
}

#[test]
fn that_nothing_else_fits_does_not_hide_why_the_first_one_failed() {
    let toml = "[budget]\nper_request = 0.05\n[limits]\nfirst_token_timeout = \"3s\"\n";
    let scene = Scene::with(only_small(Answer::text("late").delay_headers(60_000)), toml);
    let error = scene.refused(1, &["ask", "hi", "-m", "auto"]);
    assert!(
        error.contains("openai/gpt-5") && !error.contains("could cost"),
        "{error}"
    );
}

#[test]
fn what_is_too_long_for_a_model_goes_to_one_with_a_larger_window() {
    run(async {
        let long = Answer::error(400, "context_length_exceeded", "too long");
        let server =
            Server::start(Script::always(Answer::text("read it all")).choose(
                move |request: &Request| (request.model() != "large").then(|| long.clone()),
            ));
        let world = World::of(&server, |_| {});
        let told = world.ask_auto().await;
        assert_eq!(told.text(), "read it all");
        let asked: Vec<_> = server
            .chats()
            .iter()
            .map(|request| request.model().to_owned())
            .collect();
        assert_eq!(asked, ["small", "large"], "a smaller one is not even asked");
        assert_eq!(
            told.reasons.last().map(String::as_str),
            Some("too long for small")
        );
        // A pinned model is never changed.
        assert_eq!(world.ask().await.failure().kind, FailureKind::Request);
        assert_eq!(server.chats().len(), 3);
    });
}

#[test]
fn a_wait_is_announced_before_it_begins() {
    run(async {
        let busy =
            Answer::error(429, "rate_limit_exceeded", "slow down").header("retry-after-ms", "20");
        let server = Server::start(Script::each([busy, Answer::text("ok")]));
        let told = World::of(&server, |_| {}).tick().ask().await;
        assert_eq!(told.text(), "ok");
        let (why, ms) = &told.pauses[0];
        assert!(
            why.contains("429") && why.contains("slow down") && *ms >= 20,
            "{told:#?}"
        );
    });
}

#[test]
fn a_server_is_to_blame_only_where_nothing_else_was() {
    run(async {
        let refused = Answer::error(404, "model_not_found", "no such model");
        let server = Server::start(
            Script::always(
                Answer::error(500, "server_error", "oops").header("retry-after-ms", "1"),
            )
            .choose(move |request: &Request| (request.model() == "small").then(|| refused.clone())),
        );
        let told = World::of(&server, |_| {}).ask_auto().await;
        assert_eq!(told.failure().kind, FailureKind::Request, "{told:#?}");
        assert_eq!(server.chats().len(), 4, "retries bound all rungs together");
    });
}

/// 404: `auto` does not ask for the missing model again and again; a pinned model is asked all the same.
#[test]
fn a_model_that_the_server_does_not_know_is_left_out_for_a_while() {
    run(async {
        let missing = Answer::error(404, "model_not_found", "no such model");
        let script = Script::always(Answer::text("ok"))
            .choose(move |request: &Request| (request.model() == "small").then(|| missing.clone()));
        let server = Server::start(script);
        let world = World::of(&server, |_| {});
        assert_eq!(world.ask_auto().await.started, ["mine/small", "mine/tiny"]);
        let told = world.ask_auto().await;
        assert_eq!(
            (told.text(), &told.started[..]),
            ("ok", &["mine/tiny".to_owned()][..])
        );
        assert_eq!(told.reasons, ["small was not found at mine"]);
        assert!(
            world
                .ask()
                .await
                .failure()
                .message
                .contains("no such model"),
            "pinned is pinned"
        );
        world.pass(std::time::Duration::from_secs(601));
        assert_eq!(
            world.ask_auto().await.started,
            ["mine/small", "mine/tiny"],
            "it may be there now"
        );
    });
}
