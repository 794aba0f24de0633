//! `sessions` and `budget show`: the shapes that scripts rely on, and what each action does.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::Scene;

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn id(row: &Value) -> &str {
    row["session"].as_str().unwrap()
}

#[test]
fn an_empty_home_has_empty_lists() {
    let scene = Scene::saying("never");
    for args in [
        vec!["sessions", "--json"],
        vec!["sessions", "search", "x", "--json"],
    ] {
        assert_eq!(scene.json(&args), json!([]), "{args:?}");
    }
    let budget = scene.json(&["budget", "show", "--json"]);
    assert_eq!(budget["open"], json!([]));
    assert!(scene.ok(&["sessions"]).stderr.is_empty());
}

#[test]
fn list_show_rename_and_delete() {
    let scene = Scene::saying("because it is");
    for question in ["why is the sky blue", "why is grass green"] {
        scene.ok(&["ask", question, "-m", "gpt-5-mini"]);
    }
    let list = scene.json(&["sessions", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["title"], "why is grass green", "the newest first");
    assert_eq!(
        scene
            .json(&["sessions", "list", "--limit", "1", "--json"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(
        scene
            .ok(&["sessions"])
            .stdout
            .contains("why is the sky blue")
    );
    let first = id(&list[1]).to_owned();
    let chat = scene.json(&["sessions", "show", &first, "--json"]);
    assert_eq!(keys(&chat), ["session", "title", "at", "messages"]);
    let texts: Vec<_> = chat["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["text"].clone())
        .collect();
    assert_eq!(texts, ["why is the sky blue", "because it is"]);
    let page = scene.ok(&["sessions", "show", &first[..6]]).stdout;
    assert!(
        page.contains("why is the sky blue") && page.contains("because it is"),
        "{page}"
    );
    scene.ok(&["sessions", "rename", &first, "Sky", "matters"]);
    assert_eq!(
        scene.json(&["sessions", "show", &first, "--json"])["title"],
        "Sky matters"
    );
    scene.refused(2, &["sessions", "rename", &first]);
    let spent = |budget: Value| {
        budget["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["scope"] == "day")
            .cloned()
    };
    let before = spent(scene.json(&["budget", "show", "--json"])).unwrap();
    scene.ok(&["sessions", "delete", &first]);
    let error = scene.refused(2, &["sessions", "show", &first]);
    assert!(error.contains(&first), "{error}");
    assert_eq!(
        scene
            .json(&["sessions", "--json"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        scene.json(&["sessions", "search", "sky", "--json"]),
        json!([])
    );
    let after = spent(scene.json(&["budget", "show", "--json"])).unwrap();
    assert_eq!(
        after["settled_usd"], before["settled_usd"],
        "what was spent stays spent"
    );
}

#[test]
fn search_finds_words_without_marks_and_takes_any_query() {
    let scene = Scene::saying("the **borrow checker** says no");
    scene.ok(&["ask", "what of lifetimes?"]);
    let hits = scene.json(&["sessions", "search", "borrow", "checker", "--json"]);
    assert_eq!(keys(&hits[0]), ["session", "title", "at", "role", "text"]);
    assert_eq!(
        (&hits[0]["role"], &hits[0]["title"]),
        (&json!("assistant"), &json!("what of lifetimes?"))
    );
    assert!(
        hits[0]["text"].as_str().unwrap().contains("borrow checker"),
        "{hits}"
    );
    for query in [
        "\"", "*", "NOT", "a AND", "(", "borrow\"", "x:y", "^", "-", "' OR 1=1", "世界", "",
    ] {
        let output = scene.run(&["sessions", "search", "--json", "--", query]);
        output.assert_code(0);
        assert!(output.json().is_array(), "{query:?}");
    }
    for n in 0..4 {
        scene.ok(&["ask", &format!("more lifetimes {n}"), "--no-cache"]);
    }
    let few = scene.json(&["sessions", "search", "lifetimes", "--limit", "2", "--json"]);
    assert_eq!(few.as_array().unwrap().len(), 2);
}

#[test]
fn budget_show_has_the_promised_shape() {
    let scene = Scene::saying("ok");
    scene.config("[budget]\nper_request = 0.1\nper_session = 1\nper_day = 5.00\nper_month = 50\n");
    scene.ok(&["ask", "hi", "-m", "gpt-5-mini"]);
    let budget = scene.json(&["budget", "show", "--json"]);
    assert_eq!(keys(&budget), ["scopes", "open"]);
    let scopes = budget["scopes"].as_array().unwrap();
    let names: Vec<_> = scopes
        .iter()
        .map(|s| s["scope"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["request", "session", "day", "month"]);
    for scope in scopes {
        let expected = [
            "scope",
            "limit_usd",
            "settled_usd",
            "reserved_usd",
            "left_usd",
            "resets_at",
            "estimated",
            "unknown",
        ];
        assert_eq!(keys(scope), expected);
    }
    // 10 x 0.25 + 2 x 2 millionths.
    assert_eq!(
        (&scopes[2]["limit_usd"], &scopes[2]["settled_usd"]),
        (&json!("5"), &json!("0.0000065"))
    );
    assert_eq!(scopes[2]["left_usd"], "4.9999935");
    assert!(
        scopes[2]["resets_at"]
            .as_str()
            .unwrap()
            .ends_with("T00:00:00Z"),
        "{budget}"
    );
    let table = scene.ok(&["budget", "show"]).stdout;
    assert!(table.contains("day") && table.contains("$5.00"), "{table}");
}
