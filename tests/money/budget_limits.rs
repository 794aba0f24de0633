//! Limits on models and keys, limits of nothing, alerts, and a clock that moved: through the program.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use rusqlite::Connection;
use serde_json::{Value, json};
use support::PATIENCE;
use support::home::{Output, run};
use support::scene::{KEY, Scene, one_error, prices};
use support::server::{Answer, Pico, Script, Server};

const SECOND: &str = "sk-scene-0b77e1c2aa94d310-second";

/// An answer that uses nearly all of the usual cap: $0.016 on gpt-5-mini.
fn long() -> Answer {
    Answer::text("abcd").usage(10, 8000)
}

fn row(scene: &Scene, scope: &str) -> Value {
    let budget = scene.json(&["budget", "show", "--json"]);
    budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == scope)
        .cloned()
        .unwrap_or(Value::Null)
}

/// A scene whose `openai` is configured by hand; `SERVER` stands for its address.
fn by_hand(script: Script, toml: &str) -> Scene {
    let scene = Scene::new(script);
    scene
        .home
        .config(&toml.replace("SERVER", &scene.server.base_url()));
    scene
}

fn with_two_keys(scene: &Scene, args: &[&str]) -> Output {
    let mut command = scene.command(args);
    command.env("SECOND_KEY", SECOND);
    run(command, b"", PATIENCE)
}

#[test]
fn a_key_without_money_gives_way_to_the_next_and_a_cap_of_ours_shrinks_to_what_is_left() {
    let mut scene = Scene::saying("never");
    scene.server = Server::start(Script::always(long()).keys([KEY, SECOND]));
    let toml = "[[providers]]\nname = \"openai\"\nbase_urls = [\"SERVER\"]\nkeys = [\
                { env = \"OPENAI_API_KEY\", per_day = 0.02 }, { env = \"SECOND_KEY\", per_month = 0.02 }]\n\
                [[models]]\nid = \"openai/gpt-5-mini\"\nconfirmed = true\n";
    scene
        .home
        .config(&toml.replace("SERVER", &scene.server.base_url()));
    for (question, key) in [("one", KEY), ("two", SECOND)] {
        with_two_keys(&scene, &["ask", question, "-m", "gpt-5-mini"]).assert_code(0);
        assert_eq!(
            scene.server.chats().last().unwrap().key(),
            Some(key),
            "{question}"
        );
    }
    // A cap that the user asked for is taken whole or not at all.
    let output = with_two_keys(
        &scene,
        &["ask", "three", "-m", "gpt-5-mini", "--max-output", "8000"],
    );
    let error = one_error(&output, 3);
    assert!(
        error.contains("$0.004 left this month for this key"),
        "{error}"
    );
    assert_eq!(scene.server.chats().len(), 2);
    // A smaller question fits what the keys have left; one without a cap gets what the other key has left.
    with_two_keys(
        &scene,
        &["ask", "three", "-m", "gpt-5-mini", "--max-output", "1000"],
    )
    .assert_code(4);
    let estimate = with_two_keys(
        &scene,
        &["ask", "four", "-m", "gpt-5-mini", "--estimate", "--json"],
    )
    .json();
    with_two_keys(&scene, &["ask", "four", "-m", "gpt-5-mini"]).assert_code(4);
    let last = scene.server.chats().pop().unwrap();
    let cap = last.cap().unwrap();
    assert!(
        (1_500..2_000).contains(&cap) && last.key() == Some(SECOND),
        "{cap}"
    );
    assert!(
        estimate["estimate"]["worst_usd"].as_str().unwrap() <= "0.004",
        "the receipt says so: {estimate}"
    );
    // Less than an answer of 256 tokens is left of either by and by: then it is refused.
    let mut caps = Vec::new();
    let refused = loop {
        let output = with_two_keys(
            &scene,
            &["ask", &format!("{} more", caps.len()), "-m", "gpt-5-mini"],
        );
        if output.code() == Some(3) {
            break output;
        }
        caps.push(scene.server.chats().pop().unwrap().cap().unwrap());
        assert!(
            caps.len() < 9 && caps.iter().all(|cap| *cap >= 256),
            "{caps:?}: {output:?}"
        );
    };
    assert!(
        !caps.is_empty() && one_error(&refused, 3).contains("for this key"),
        "{caps:?} {refused:?}"
    );
    let shown = with_two_keys(&scene, &["budget", "show", "--json"]).json();
    let keys: Vec<_> = shown["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["scope"].as_str().unwrap().starts_with("key"))
        .collect();
    assert_eq!(keys.len(), 2, "{shown}");
    assert_eq!(
        (&keys[0]["of"], &keys[0]["limit_usd"]),
        (&json!("openai …zq7w"), &json!("0.02"))
    );
    assert_eq!(
        (&keys[1]["scope"], &keys[1]["of"]),
        (&json!("key month"), &json!("openai …cond"))
    );
    let text = with_two_keys(&scene, &["budget", "show"]).stdout;
    assert!(
        text.contains("key day openai …zq7w") && !text.contains(KEY) && !text.contains("raised"),
        "{text}"
    );
    scene.server.assert_clean();
}

#[test]
fn a_limit_on_a_model_shrinks_its_cap_and_then_sends_auto_down_the_ladder() {
    let scene = by_hand(
        Script::always(long()),
        "[router]\nladder = [\"openai/gpt-5\", \"openai/gpt-5-mini\"]\n\
         [[providers]]\nname = \"openai\"\nbase_urls = [\"SERVER\"]\nkeys = [{ env = \"OPENAI_API_KEY\" }]\n\
         [[models]]\nid = \"openai/gpt-5\"\nconfirmed = true\nper_day = 0.05\n\
         [[models]]\nid = \"openai/gpt-5-mini\"\nconfirmed = true\n",
    );
    // Cut, because what is left allows no more.
    scene.run(&["ask", "one", "-m", "gpt-5"]).assert_code(4);
    let cap = scene.server.chats()[0].cap().unwrap();
    assert!((4900..5000).contains(&cap), "{cap}");
    assert_eq!(row(&scene, "model day")["of"], "openai/gpt-5");
    let refused = scene.refused(3, &["ask", "two", "-m", "gpt-5"]);
    assert!(
        refused.contains("today for this model") || refused.contains("model day"),
        "{refused}"
    );
    scene.run(&["ask", "three", "-m", "auto"]).assert_code(0);
    let models: Vec<_> = scene
        .server
        .chats()
        .iter()
        .map(|chat| chat.model().to_owned())
        .collect();
    assert_eq!(models, ["gpt-5", "gpt-5-mini"]);
    scene.server.assert_clean();
}

#[test]
fn nothing_may_be_spent_is_not_the_same_as_no_limit() {
    for (toml, args, code) in [
        ("", vec![], 0),
        ("[budget]\nper_day = 0\n", vec![], 3),
        ("[budget]\nper_request = 0\n", vec![], 3),
        ("[budget]\nper_session = 0.0\n", vec![], 3),
        ("[budget]\nper_month = 0\n", vec![], 3),
        ("", vec!["--max-usd", "0"], 3),
        ("", vec!["--max-usd", "-0.01"], 2),
        ("", vec!["--max-usd", "much"], 2),
        ("[budget]\nper_month = -5\n", vec![], 2),
    ] {
        let scene = Scene::with(Script::always(Answer::text("ok")), toml);
        let output = scene.run(&[&["ask", "hi", "-m", "gpt-5-mini"], args.as_slice()].concat());
        output.assert_code(code);
        assert_eq!(
            scene.server.chats().len(),
            usize::from(code == 0),
            "{toml}{args:?}: {output:?}"
        );
        assert_eq!(
            output.stderr.lines().count(),
            usize::from(code != 0),
            "{output:?}"
        );
    }
    // What is free needs no money, and an answer that was paid for once is given again.
    let free = "[[models]]\nid = \"openai/gpt-4o-mini\"\nfree = true\n[budget]\nper_day = 0\n";
    let scene = Scene::with(Script::always(Answer::text("ok")), free);
    scene
        .run(&["ask", "hi", "-m", "gpt-4o-mini"])
        .assert_code(0);
    scene.config("");
    scene
        .run(&["ask", "again", "-m", "gpt-5-mini"])
        .assert_code(0);
    scene.config("[budget]\nper_day = 0\n");
    assert_eq!(
        scene
            .run(&["ask", "again", "-m", "gpt-5-mini"])
            .assert_code(0)
            .stdout,
        "ok\n"
    );
    assert_eq!(scene.server.chats().len(), 2);
}

#[test]
fn each_share_of_a_limit_is_told_once_beside_the_answer() {
    let scene = Scene::with(Script::always(long()), "[budget]\nper_day = 0.032\n");
    let first = scene.run(&["ask", "one", "-m", "gpt-5-mini"]);
    assert_eq!(
        first.assert_code(0).stderr,
        "chat-agent: 50 % of the limit today is used up: $0.016 of $0.032\n"
    );
    assert_eq!(first.stdout, "abcd\n");
    assert_eq!(
        scene.run(&["ask", "one", "-m", "gpt-5-mini"]).stderr,
        "",
        "a hit, and no news"
    );
    let second = scene.run(&["ask", "two", "-m", "gpt-5-mini"]);
    assert!(
        second
            .stderr
            .starts_with("chat-agent: 80 % of the limit today is used up: $0.032 of $0.032\n"),
        "{second:?}"
    );
    let spent = scene.server.bill(&prices()).total();
    assert!(
        Pico::usd("0.0319").0 < spent.0 && spent.0 <= Pico::usd("0.032").0,
        "{spent:?}"
    );
}

#[test]
fn a_clock_that_moved_stops_what_costs_money_until_it_is_accepted() {
    let scene = Scene::with(
        Script::always(Answer::text("ok")),
        "[budget]\nper_day = 1\n",
    );
    scene
        .run(&["ask", "one", "-m", "gpt-5-mini"])
        .assert_code(0);
    assert_eq!(scene.json(&["budget", "show", "--json"]).get("clock"), None);
    // As if the wall clock had been set forward by 25 hours since.
    let db = Connection::open(scene.home.data_dir().join("chat.db")).unwrap();
    assert_eq!(
        db.execute("UPDATE clock SET wall = wall - 25 * 3600000", [])
            .unwrap(),
        1
    );
    let error = scene.refused(3, &["ask", "two", "-m", "gpt-5-mini"]);
    assert!(
        error.contains("the clock moved forward by 25 h") && error.contains("budget settle clock"),
        "{error}"
    );
    assert_eq!(
        scene.json(&["budget", "show", "--json"])["clock"],
        "moved forward by 25 h"
    );
    assert!(
        scene
            .ok(&["budget", "show"])
            .stdout
            .contains("settle clock")
    );
    assert_eq!(scene.server.chats().len(), 1);
    scene.refused(2, &["budget", "settle", "clock", "--usd", "1"]);
    assert!(
        scene
            .ok(&["budget", "settle", "clock"])
            .stdout
            .starts_with("the clock is accepted: 20")
    );
    scene
        .run(&["ask", "two", "-m", "gpt-5-mini"])
        .assert_code(0);

    // As if all that had been charged under a clock eight days ahead.
    let week = "UPDATE charges SET taken_at = taken_at + 691200000, day_start = day_start + 691200000,
                day_end = day_end + 691200000; DELETE FROM totals; INSERT INTO totals SELECT * FROM charge_sums;";
    db.execute_batch(week).unwrap();
    let error = scene.refused(3, &["ask", "three", "-m", "gpt-5-mini"]);
    assert!(error.contains("the clock moved back by 8 days"), "{error}");
    let accepted = scene.ok(&["budget", "settle", "clock"]).stdout;
    assert!(
        accepted.contains("2 charges are dated later and count today too"),
        "{accepted}"
    );
    scene
        .run(&["ask", "three", "-m", "gpt-5-mini"])
        .assert_code(0);
    let spent = scene.server.bill(&prices()).total();
    let day = row(&scene, "day");
    assert_eq!(
        Pico::usd(day["settled_usd"].as_str().unwrap()),
        spent,
        "nothing is lost: {day}"
    );
}
