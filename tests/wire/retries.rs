//! Failures on the way: what is tried again, how often, with which key, and what is never tried again.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::closed::Closed;
use support::home::Output;
use support::scene::{KEY, Scene, one_error};
use support::server::{Answer, Keys, Rules, Script, Server, Step};

const SECOND: &str = "sk-second-8c1d5e90a7b24f63-mm3k";

fn ask(answers: impl IntoIterator<Item = Answer>) -> (Scene, Output) {
    let scene = Scene::new(Script::each(answers));
    let output = scene.run(&["ask", "hi", "-m", "gpt-5-mini", "--json"]);
    (scene, output)
}

/// Status and outcome of each attempt.
fn attempts(output: &Output) -> Vec<(Value, String)> {
    let report = output.json();
    let row = |a: &Value| {
        (
            a["status"].clone(),
            a["outcome"].as_str().unwrap().to_owned(),
        )
    };
    report["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(row)
        .collect()
}

#[test]
fn what_may_pass_is_tried_again_until_it_does() {
    let soon = |answer: Answer| answer.header("retry-after-ms", "20");
    let busy = || soon(Answer::error(429, "rate_limit_exceeded", "slow down"));
    let down = || soon(Answer::error(500, "server_error", "oops"));
    for (name, failures) in [
        ("429 that names a time", vec![busy()]),
        (
            "429 that names none",
            vec![Answer::error(429, "rate_limit_exceeded", "slow down")],
        ),
        ("500", vec![down()]),
        ("503 and an empty body", vec![soon(Answer::status(503))]),
        ("three in a row", vec![busy(), down(), busy()]),
    ] {
        let made = failures.len() + 1;
        let (scene, output) = ask(failures.into_iter().chain([Answer::text("ok")]));
        output.assert_code(0);
        assert_eq!(output.json()["answer"], "ok", "{name}");
        assert_eq!(scene.server.chats().len(), made, "{name}");
        let seen = attempts(&output);
        assert_eq!(
            (seen.len(), &seen[made - 1]),
            (made, &(json!(200), "ok".to_owned())),
            "{name}"
        );
        assert_eq!(output.stderr, "", "{name}: retries are told with -v only");
        scene.server.assert_clean();
    }
}

#[test]
fn the_wait_that_the_server_asks_for_is_kept() {
    let busy = Answer::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "1");
    let (scene, output) = ask([busy, Answer::text("ok")]);
    let chats = scene.server.chats();
    let waited = chats[1].arrived - chats[0].arrived;
    assert!(waited.as_millis() >= 990, "{waited:?}");
    assert!(output.json()["attempts"][1]["wait_ms"].as_u64().unwrap() >= 1000);
}

#[test]
fn retries_end_after_as_many_as_are_configured() {
    let down = Answer::error(500, "server_error", "oops").header("retry-after-ms", "5");
    for retries in [0, 2] {
        let scene = Scene::with(
            Script::always(down.clone()),
            &format!("[limits]\nretries = {retries}\n"),
        );
        let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
        assert!(error.contains("500") && error.contains("oops"), "{error}");
        assert_eq!(scene.server.chats().len(), retries + 1);
    }
}

#[test]
fn with_v_every_failed_attempt_is_a_line_on_standard_error() {
    let down = Answer::error(500, "server_error", "oops").header("retry-after-ms", "5");
    let scene = Scene::new(Script::each([down.clone(), down, Answer::text("ok")]));
    let output = scene.ok(&["ask", "hi", "-v"]);
    assert_eq!(output.stdout, "ok\n");
    let lines: Vec<_> = output.stderr.lines().collect();
    assert!(
        lines.len() == 2
            && lines
                .iter()
                .all(|l| l.contains("openai 500") && l.contains("oops")),
        "{lines:?}"
    );
}

#[test]
fn what_cannot_pass_is_told_at_once() {
    for (name, answer, words) in [
        (
            "quota",
            Answer::error(429, "insufficient_quota", "You exceeded your current quota"),
            vec!["429", "quota"],
        ),
        (
            "filter",
            Answer::error(400, "content_filter", "flagged"),
            vec!["flagged", "reword"],
        ),
        (
            "key",
            Answer::error(401, "invalid_api_key", "Incorrect API key provided"),
            vec!["401", "key"],
        ),
        (
            "rights",
            Answer::error(403, "permission_denied", "not for you"),
            vec!["403", "not for you"],
        ),
        (
            "length",
            Answer::error(400, "context_length_exceeded", "too long"),
            vec!["too long", "shorten"],
        ),
        (
            "model",
            Answer::error(404, "model_not_found", "no such model"),
            vec!["404", "no such model"],
        ),
        (
            "request",
            Answer::error(400, "invalid_value", "bad value"),
            vec!["bad value"],
        ),
        (
            "a page",
            Answer::status(200).bytes("text/html", "<html><title>Login</title></html>"),
            vec!["Login"],
        ),
    ] {
        let scene = Scene::new(Script::always(answer));
        let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{name}: {error}"
        );
        assert_eq!(scene.server.chats().len(), 1, "{name}");
    }
}

#[test]
fn a_bad_key_gives_way_to_the_next_one() {
    let home = support::home::Home::new();
    let rules = Rules {
        keys: Keys::Of(vec![KEY.to_owned(), SECOND.to_owned()]),
        ..Rules::default()
    };
    for refusal in [
        Answer::error(401, "invalid_api_key", "Incorrect API key provided"),
        // That of the project, which is the key's alone; see tests/keys.rs for the account's.
        Answer::error(429, "project_spend_limit_exceeded", "no money"),
        Answer::error(429, "rate_limit_exceeded", "slow").header("retry-after", "30"),
    ] {
        let server =
            Server::start(Script::each([refusal, Answer::text("ok")]).rules(rules.clone()));
        home.config(&format!(
            "[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"ONE\" }}, {{ env = \"TWO\" }}]\n",
            server.base_url()
        ));
        let mut command = home.chat_agent();
        command
            .env("ONE", KEY)
            .env("TWO", SECOND)
            .args(["ask", "hi", "--no-cache", "--json"]);
        let output = support::home::run(command, b"", support::PATIENCE);
        let report = output.assert_code(0).json();
        let tails: Vec<_> = report["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["key"].clone())
            .collect();
        assert_eq!(tails, ["…zq7w", "…mm3k"]);
        let seen: Vec<_> = server
            .chats()
            .iter()
            .map(|r| r.key().unwrap().to_owned())
            .collect();
        assert_eq!(seen, [KEY, SECOND]);
        server.assert_clean();
    }
}

#[test]
fn a_refused_connection_is_tried_again_and_then_told() {
    let closed = Closed::new();
    let home = support::home::Home::new();
    home.config(&format!(
        "[limits]\nretries = 1\n[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"K\" }}]\n",
        closed.base_url()
    ));
    let mut command = home.chat_agent();
    command
        .env("K", KEY)
        .args(["ask", "hi", "-m", "gpt-5-mini", "--json"]);
    let output = support::home::run(command, b"", support::PATIENCE);
    let error = one_error(&output, 1);
    assert!(
        error.contains(&closed.address().port().to_string()) || error.contains("connect"),
        "{error}"
    );
    assert_eq!(
        output.json()["attempts"].as_array().map(Vec::len),
        Some(2),
        "{output:#?}"
    );
    // Nothing reached a server, so nothing is booked.
    let budget = home.run(&["budget", "show", "--json"], "").json();
    assert!(
        budget["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|s| s["settled_usd"] == "0" && s["reserved_usd"] == "0")
    );
}

#[test]
fn a_redirect_is_refused_and_its_target_hears_nothing() {
    let other = Server::trap();
    for status in [301, 302, 307, 308] {
        let target = format!("{}/chat/completions", other.base_url());
        let scene = Scene::new(Script::always(Answer::redirect(status, &target)));
        let error = scene.refused(1, &["ask", "hi", "-m", "gpt-5-mini"]);
        assert!(
            error.contains(&status.to_string()) && error.contains("base_urls"),
            "{error}"
        );
        assert_eq!((scene.server.chats().len(), other.connections()), (1, 0));
        scene.server.assert_clean();
    }
}

#[test]
fn silence_ends_at_the_time_limit_and_stays_booked() {
    let scene = Scene::with(
        Script::always(Answer::raw([Step::Hang])),
        "[limits]\nfirst_token_timeout = \"300ms\"\n",
    );
    let output = scene.run(&["ask", "hi", "-m", "gpt-5-mini", "--json"]);
    let error = one_error(&output, 1);
    assert_eq!(
        output.json()["error"]["kind"],
        "unavailable",
        "nothing came, so nothing was cut"
    );
    assert!(
        error.contains("0.3 s") && error.contains("first_token_timeout"),
        "{error}"
    );
    assert_eq!(
        scene.server.chats().len(),
        1,
        "who knows what the first one costs"
    );
    let day = &scene.json(&["budget", "show", "--json"])["scopes"][0];
    assert_ne!(day["settled_usd"], "0", "{day}");
}

#[test]
fn a_cut_answer_is_printed_kept_and_never_asked_again() {
    for (name, answer) in [
        ("closed", Answer::text("abcdefgh").close_after(2)),
        ("reset", Answer::text("abcdefgh").reset_after(2)),
        ("ended", Answer::text("abcdefgh").end_after(2)),
        ("no finish", Answer::text("abcd").pieces(1).without_finish()),
        (
            "error",
            Answer::text("abcdefgh")
                .error_after(2, &json!({"message": "overheated", "code": "server_error"})),
        ),
        ("still", Answer::text("abcdefgh").hang_after(2)),
    ] {
        // The usual limit where something else ends it: two pieces come first, also from a busy machine.
        let limit = if name == "still" {
            "[limits]\nidle_timeout = \"3s\"\n"
        } else {
            ""
        };
        let scene = Scene::with(Script::always(answer), limit);
        let output = scene.run(&["ask", "hi", "-m", "gpt-5-mini"]);
        one_error(&output, 4);
        assert_eq!(output.stdout, "abcd\n", "{name}");
        assert_eq!(scene.server.chats().len(), 1, "{name}");
        let id = scene.json(&["sessions", "--json"])[0]["session"]
            .as_str()
            .unwrap()
            .to_owned();
        let chat = scene.json(&["sessions", "show", &id, "--json"]);
        assert_eq!(
            (&chat["messages"][0]["text"], &chat["messages"][1]["text"]),
            (&json!("hi"), &json!("abcd")),
            "{name}"
        );
        assert_eq!(
            chat["messages"][1]["answer"]["finish"], "cut",
            "{name}: {chat}"
        );
        // A cut answer is no answer: the next ask asks.
        let again = scene.run(&["ask", "hi", "-m", "gpt-5-mini", "--json"]);
        let report = again.assert_code(4).json();
        assert_eq!(
            (&report["answer"], &report["error"]["kind"]),
            (&json!("abcd"), &json!("cut")),
            "{name}"
        );
        assert_eq!(scene.server.chats().len(), 2, "{name}");
    }
}

#[test]
fn auto_goes_down_the_ladder_and_a_pinned_model_stays() {
    let missing = || Answer::error(404, "model_not_found", "no such model");
    let scene = Scene::new(Script::each([missing(), Answer::text("ok")]));
    let report = scene.json(&["ask", "hi", "--json"]);
    assert_eq!(
        (&report["model"], &report["answer"]),
        (&json!("openai/gpt-5-mini"), &json!("ok"))
    );
    let asked: Vec<_> = scene
        .server
        .chats()
        .iter()
        .map(|r| r.model().to_owned())
        .collect();
    assert_eq!(asked, ["gpt-5", "gpt-5-mini"]);
    let pinned = Scene::new(Script::each([missing(), Answer::text("ok")]));
    pinned.refused(1, &["ask", "hi", "-m", "gpt-5"]);
    assert_eq!(pinned.server.chats().len(), 1);
    // A filter's word is final even for auto.
    let filtered = Scene::new(Script::always(Answer::error(
        400,
        "content_filter",
        "flagged",
    )));
    filtered.refused(1, &["ask", "hi"]);
    assert_eq!(filtered.server.chats().len(), 1);
}
