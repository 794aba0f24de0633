//! Money: the ledger agrees with the server's bill to the last digit, and limits refuse before anything is sent.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::{Scene, prices};
use support::server::{Answer, Pico, Script};

/// What `budget show` has for a scope.
fn scope(scene: &Scene, name: &str) -> Value {
    let budget = scene.json(&["budget", "show", "--json"]);
    budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == name)
        .cloned()
        .unwrap_or(Value::Null)
}

fn usd(value: &Value) -> Pico {
    Pico::usd(value.as_str().unwrap())
}

#[test]
fn the_ledger_is_the_servers_bill_to_the_last_digit() {
    let soon = |answer: Answer| answer.header("retry-after-ms", "5");
    let scene = Scene::new(Script::each([
        Answer::text("one").usage(1_234, 77),
        Answer::text("two").usage(10_007, 3).cached(8_192),
        soon(Answer::error(429, "rate_limit_exceeded", "slow")),
        Answer::text("three").usage(333, 1_999).reasoning("", 1_800),
        soon(Answer::error(500, "server_error", "oops")),
        soon(Answer::status(503)),
        Answer::text("four").usage(1, 1),
        Answer::error(400, "invalid_value", "no"),
        Answer::text("five").usage(271_999, 4_096).cached(1),
    ]));
    let mut told = Pico::default();
    for (model, prompt, code) in [
        ("gpt-5-mini", "a", 0),
        ("gpt-5", "b", 0),
        ("gpt-5-nano", "c", 0),
        ("o3-mini", "d", 0),
        ("gpt-5", "e", 1),
        ("gpt-5", "f", 0),
        // From the cache, for nothing.
        ("gpt-5-mini", "a", 0),
    ] {
        let output = scene.run(&["ask", prompt, "-m", model, "--json"]);
        let cost = output.assert_code(code).json()["cost"].clone();
        assert_eq!(cost["kind"], "exact", "{prompt}: {cost}");
        told.0 += usd(&cost["usd"]).0;
    }
    let bill = scene.server.bill(&prices());
    assert_eq!((bill.lines.len(), scene.server.chats().len()), (5, 9));
    assert_eq!(told, bill.total());
    for name in ["day", "month"] {
        let scope = scope(&scene, name);
        assert_eq!(
            (usd(&scope["settled_usd"]), &scope["reserved_usd"]),
            (bill.total(), &json!("0")),
            "{name}"
        );
        assert_eq!(
            (&scope["limit_usd"], &scope["left_usd"]),
            (&Value::Null, &Value::Null)
        );
    }
    let sessions = scene.json(&["sessions", "--json"]);
    let sum: i128 = sessions
        .as_array()
        .unwrap()
        .iter()
        .map(|s| usd(&s["cost_usd"]).0)
        .sum();
    assert_eq!(Pico(sum), bill.total());
    scene.server.assert_clean();
}

#[test]
fn a_cut_answer_is_booked_at_no_less_than_the_bill_and_no_more_than_was_allowed() {
    for (name, answer) in [
        (
            "closed",
            Answer::text("abcdefgh").usage(20, 800).close_after(3),
        ),
        (
            "no usage",
            Answer::text("abcdefgh").usage(20, 8).without_usage(),
        ),
        (
            "nothing came",
            Answer::text("abcdefgh").usage(20, 800).close_after(0),
        ),
    ] {
        // Without an open count the whole reservation is booked: some of a model's thinking cannot be seen.
        let scene = Scene::new(Script::always(answer));
        let report = scene
            .run(&["ask", "hi", "-m", "gpt-5-mini", "--json"])
            .json();
        let day = scope(&scene, "day");
        let booked = usd(&day["settled_usd"]);
        assert_eq!(day["reserved_usd"], "0", "{name}");
        assert_eq!(
            (usd(&report["cost"]["usd"]), &report["cost"]["kind"]),
            (booked, &json!("estimated")),
            "{name}"
        );
        let (least, most) = (
            scene.server.bill(&prices()).total(),
            usd(&report["estimate"]["worst_usd"]),
        );
        assert!(
            least <= booked && booked <= most,
            "{name}: {least} <= {booked} <= {most}"
        );
    }
}

#[test]
fn a_limit_refuses_with_status_3_and_nothing_is_sent() {
    for (flags, toml, scope) in [
        (vec!["--max-usd", "0.0001"], "", "this run"),
        (vec!["--max-usd", "0"], "", "this run"),
        (vec![], "[budget]\nper_request = 0.0001\n", "one request"),
        (vec![], "[budget]\nper_session = 0.0001\n", "this chat"),
        (vec![], "[budget]\nper_day = 0.0001\n", "today"),
        (vec![], "[budget]\nper_month = 0.0001\n", "this month"),
        (
            vec![],
            "[budget]\nper_day = 0.0001\non_limit = \"refuse\"\n",
            "today",
        ),
    ] {
        let scene = Scene::with(Script::always(Answer::text("never")), toml);
        for model in ["gpt-5", "auto"] {
            let args = [&["ask", "hi", "-m", model], &flags[..]].concat();
            let error = scene.refused(3, &args);
            assert!(error.contains(scope), "{toml}{flags:?}: {error}");
            scene.refused(3, &[&args[..], &["--estimate"]].concat());
        }
        assert_eq!(scene.server.connections(), 0, "{toml}{flags:?}");
        assert_eq!(scene.json(&["sessions", "--json"]), json!([]));
    }
}

#[test]
fn auto_takes_a_cheaper_rung_where_a_pinned_model_is_refused() {
    let toml = |limit: &str| format!("[budget]\nper_request = 0.002\non_limit = \"{limit}\"\n");
    let scene = Scene::with(Script::always(Answer::text("ok")), &toml("downgrade"));
    scene.refused(3, &["ask", "hi", "-m", "gpt-5"]);
    let report = scene.json(&["ask", "hi", "--json"]);
    assert_ne!(report["model"], "openai/gpt-5");
    let first = &report["route"]["considered"][0];
    assert!(
        first["model"] == "openai/gpt-5" && first["skipped"].as_str().unwrap().contains("left"),
        "{report}"
    );
    // `refuse` does not step down.
    scene.config(&toml("refuse"));
    scene.refused(3, &["ask", "again"]);
    assert_eq!(scene.server.chats().len(), 1);
}

#[test]
fn the_cap_shrinks_to_the_money_left_and_never_below_256() {
    // 2 millionths a token of output: 0.002 holds fewer than 1000 tokens, 0.0005 fewer than 256.
    for (limit, range) in [
        ("0.002", Some(256..=1000)),
        ("0.0006", Some(256..=300)),
        ("0.0005", None),
    ] {
        let scene = Scene::new(Script::always(Answer::text("ok")));
        let args = ["ask", "hi", "-m", "gpt-5-mini", "--max-usd", limit];
        let Some(range) = range else {
            scene.refused(3, &args);
            assert_eq!(scene.server.connections(), 0);
            continue;
        };
        scene.ok(&args);
        let cap = scene.server.chats()[0].cap().unwrap();
        assert!(range.contains(&cap), "{limit}: {cap}");
        assert!(scene.server.upper_bill(&prices()).total() <= Pico::usd(limit));
    }
}

#[test]
fn a_cap_that_the_user_asks_for_is_sent_as_given_or_refused() {
    let scene = Scene::new(Script::always(Answer::text("ok")));
    for cap in ["1", "17", "9000", "128000"] {
        scene.run(&[
            "ask",
            "hi",
            "-m",
            "gpt-5-mini",
            "--no-cache",
            "--max-output",
            cap,
        ]);
        assert_eq!(
            scene
                .server
                .chats()
                .last()
                .unwrap()
                .cap()
                .unwrap()
                .to_string(),
            cap
        );
    }
    let sent = scene.server.chats().len();
    let error = scene.refused(
        3,
        &[
            "ask",
            "hi",
            "-m",
            "gpt-5-mini",
            "--max-output",
            "9000",
            "--max-usd",
            "0.01",
        ],
    );
    assert!(error.contains("0.01"), "{error}");
    let error = scene.refused(
        2,
        &["ask", "hi", "-m", "gpt-5-mini", "--max-output", "128001"],
    );
    assert!(
        error.contains("128000") || error.contains("128,000"),
        "{error}"
    );
    assert_eq!(scene.server.chats().len(), sent);
    // Without an order: the configured one.
    scene.config("[limits]\nmax_output = 1234\n");
    scene.ok(&["ask", "other", "-m", "gpt-5-mini"]);
    assert_eq!(scene.server.chats().last().unwrap().cap(), Some(1234));
}

#[test]
fn limits_count_what_was_spent_before() {
    let toml = "[budget]\nper_session = 0.01\nper_day = 0.03\n";
    let scene = Scene::with(Script::always(Answer::text("ok").usage(10, 4_000)), toml);
    // Each costs 0.0080025.
    let first = scene.json(&["ask", "a", "-m", "gpt-5-mini", "--json"])["session"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = scope(&scene, "session");
    assert_eq!(
        (&session["settled_usd"], &session["left_usd"]),
        (&json!("0.0080025"), &json!("0.0019975"))
    );
    // The chat has less than 1000 tokens of output left, so the answer is cut there; then nothing is.
    scene
        .run(&["ask", "b", "-m", "gpt-5-mini", "--session", &first])
        .assert_code(4);
    assert!(scene.server.chats()[1].cap().unwrap() < 1000);
    let error = scene.refused(3, &["ask", "c", "-m", "gpt-5-mini", "--session", &first]);
    assert!(error.contains("this chat"), "{error}");
    // Another chat may still spend, until the day is used up.
    let mut sent = 2;
    let refused = loop {
        let output = scene.run(&["ask", &format!("d{sent}"), "-m", "gpt-5-mini"]);
        if output.code() == Some(3) {
            break output;
        }
        sent += 1;
        assert!(sent < 10);
    };
    assert!(refused.stderr.contains("today"), "{refused:?}");
    let day = scope(&scene, "day");
    assert!(usd(&day["settled_usd"]) <= usd(&day["limit_usd"]), "{day}");
    assert_eq!(
        usd(&day["settled_usd"]),
        scene.server.bill(&prices()).total()
    );
    assert_eq!(scene.server.chats().len(), sent);
}

#[test]
fn a_server_that_bills_more_than_allowed_is_booked_shown_and_not_asked_again() {
    let scene = Scene::new(Script::always(
        Answer::text("long").usage(10, 5_000).ignore_cap(),
    ));
    let output = scene.run(&[
        "ask",
        "hi",
        "-m",
        "gpt-5-mini",
        "--max-output",
        "300",
        "--json",
    ]);
    // 10 x 0.25 + 5000 x 2 millionths.
    assert_eq!(output.json()["cost"]["usd"], "0.0100025");
    assert_eq!(scope(&scene, "day")["settled_usd"], "0.0100025");
    let error = scene.refused(3, &["ask", "again", "-m", "gpt-5-mini"]);
    assert!(
        error.contains("openai/gpt-5-mini") && error.contains("budget settle"),
        "{error}"
    );
    assert_eq!(scene.server.chats().len(), 1);
    scene.ok(&["ask", "again", "-m", "gpt-5-nano"]);
}

#[test]
fn an_unknown_price_is_null_and_refused_under_a_limit() {
    let scene = Scene::saying("ok");
    let report = scene.json(&["ask", "hi", "-m", "openai/my-own", "--json"]);
    assert_eq!(
        (&report["cost"]["usd"], &report["cost"]["kind"]),
        (&Value::Null, &json!("unknown"))
    );
    assert_eq!(report["estimate"]["worst_usd"], Value::Null);
    let error = scene.refused(
        3,
        &["ask", "again", "-m", "openai/my-own", "--max-usd", "1"],
    );
    assert!(
        error.contains("price") && error.contains("[[models]]"),
        "{error}"
    );
    scene.config("[[models]]\nid = \"openai/my-own\"\nfree = true\n");
    let report = scene.json(&[
        "ask",
        "third",
        "-m",
        "openai/my-own",
        "--max-usd",
        "1",
        "--json",
    ]);
    assert_eq!(
        report["cost"],
        json!({"usd": "0", "kind": "free", "saved_usd": "0"})
    );
}
