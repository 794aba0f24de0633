//! `budget settle`: the user closes reservations of unknown end, and clears models that billed too much.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::scene::Scene;
use support::server::{Answer, Gate, Script, Step};

fn day(budget: &Value) -> Value {
    budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|scope| scope["scope"] == "day")
        .unwrap()
        .clone()
}

#[test]
fn an_open_request_is_closed_at_what_it_cost() {
    let scene = Scene::new(Script::always(Answer::raw([Step::Hang])));
    let running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
    scene.server.wait_for_requests(1);
    running.signal(Signal::KILL);
    running.end();
    let open = scene.json(&["budget", "show", "--json"])["open"][0].clone();
    let id = open["id"].as_str().unwrap();
    scene.ok(&["budget", "settle", id, "--usd", "0.00125"]);
    let budget = scene.json(&["budget", "show", "--json"]);
    let day = budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == "day")
        .unwrap();
    assert_eq!(
        (&budget["open"], &day["settled_usd"], &day["reserved_usd"]),
        (
            &serde_json::json!([]),
            &serde_json::json!("0.00125"),
            &serde_json::json!("0")
        )
    );
    let again = scene.refused(2, &["budget", "settle", id]);
    assert!(again.contains("budget show"), "{again}");
}

#[test]
fn what_was_booked_without_the_servers_word_is_put_right_by_the_user() {
    let toml = "[limits]\nfirst_token_timeout = \"300ms\"\nretries = 0\n[budget]\nper_day = 1\n";
    for (settle, settled, kept) in [
        (vec!["--usd", "0"], "0", false),
        (vec!["--usd", "0.0001"], "0.0001", false),
        (vec![], "", true),
    ] {
        let scene = Scene::with(Script::always(Answer::raw([Step::Hang])), toml);
        scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
        let before = scene.json(&["budget", "show", "--json"]);
        let row = &before["open"][0];
        assert_eq!(
            (&row["state"], &row["usd"]),
            (&json!("uncertain"), &day(&before)["settled_usd"])
        );
        assert!(
            row["why"]
                .as_str()
                .unwrap()
                .contains("did not answer within"),
            "{row}"
        );
        let id = row["id"].as_str().unwrap();
        let shown = scene.ok(&["budget", "show"]).stdout;
        let line = shown.lines().find(|line| line.contains(id)).unwrap();
        assert!(
            shown.contains("uncertain: ") && line.contains("openai/gpt-5-mini"),
            "{shown}"
        );

        scene.ok(&[&["budget", "settle", id], &settle[..]].concat());
        let after = scene.json(&["budget", "show", "--json"]);
        let expected = if kept {
            day(&before)["settled_usd"].clone()
        } else {
            json!(settled)
        };
        assert_eq!(
            (&after["open"], &day(&after)["settled_usd"]),
            (&json!([]), &expected),
            "{settle:?}"
        );
        scene.refused(2, &["budget", "settle", id]);
    }
}

#[test]
fn a_request_under_way_is_not_settled_by_another_program() {
    let gate = Gate::new();
    let scene = Scene::new(Script::always(
        Answer::text("abcdefgh").usage(20, 4).gate_after(2, &gate),
    ));
    let mut running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
    running.wait_for("abcd");
    let row = scene.json(&["budget", "show", "--json"])["open"][0].clone();
    assert_eq!(row["state"], "under_way");
    let shown = scene.ok(&["budget", "show"]).stdout;
    assert!(
        shown.contains("under way: ") && !shown.contains("open: "),
        "{shown}"
    );
    let refused = scene.refused(
        2,
        &[
            "budget",
            "settle",
            row["id"].as_str().unwrap(),
            "--usd",
            "0",
        ],
    );
    assert!(
        refused.contains("is under way") && refused.contains("stop it there"),
        "{refused}"
    );
    gate.open();
    running.end().assert_code(0);
    let budget = scene.json(&["budget", "show", "--json"]);
    assert_eq!(
        (&budget["open"], &day(&budget)["settled_usd"]),
        (&json!([]), &json!("0.000013"))
    );
}

#[test]
fn an_unknown_price_is_never_shown_as_nothing() {
    let scene = Scene::with(
        Script::always(Answer::text("ok").usage(20, 4)),
        "[[models]]\nid = \"openai/unknown-model\"\n",
    );
    scene
        .run(&["ask", "hi", "-m", "openai/unknown-model"])
        .assert_code(0);
    let (budget, shown) = (
        scene.json(&["budget", "show", "--json"]),
        scene.ok(&["budget", "show"]).stdout,
    );
    assert_eq!(
        (&day(&budget)["settled_usd"], &day(&budget)["unknown"]),
        (&json!(null), &json!(1)),
        "{budget}"
    );
    assert!(
        !shown.contains("$0.00  n/a") && shown.contains("n/a"),
        "{shown}"
    );

    scene.run(&["ask", "hi", "-m", "gpt-5-mini"]).assert_code(0);
    let (budget, shown) = (
        scene.json(&["budget", "show", "--json"]),
        scene.ok(&["budget", "show"]).stdout,
    );
    let today = day(&budget);
    assert_eq!(
        (&today["settled_usd"], &today["unknown"]),
        (&json!("0.000013"), &json!(1)),
        "{budget}"
    );
    assert!(shown.contains("$0.000013 + n/a"), "{shown}");
}

#[test]
fn a_server_that_bills_too_much_is_named_and_refused_until_cleared() {
    let scene = Scene::new(Script::always(
        Answer::text("ok").usage(10, 900_000).ignore_cap(),
    ));
    let output = scene
        .run(&["ask", "hi", "-m", "gpt-5-mini", "--json"])
        .assert_code(0)
        .clone();
    let booked = output.json()["cost"].clone();
    assert_eq!(
        (&booked["kind"], &booked["usd"]),
        (&"exact".into(), &"1.8000025".into()),
        "booked in full"
    );
    assert!(
        output.stderr.contains("budget settle openai/gpt-5-mini"),
        "{}",
        output.stderr
    );

    let refused = scene.refused(3, &["ask", "again", "-m", "gpt-5-mini"]);
    assert!(
        refused.contains("openai/gpt-5-mini has billed"),
        "{refused}"
    );
    assert_eq!(scene.server.chats().len(), 1, "nothing more was sent");

    scene.ok(&["budget", "settle", "openai/gpt-5-mini"]);
    scene
        .run(&["ask", "again", "-m", "gpt-5-mini"])
        .assert_code(0);
}
