//! Answers kept on disk: what is a hit, what it saves, and what never becomes one.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::Scene;
use support::server::{Answer, Request, Script};

fn ask(scene: &Scene, more: &[&str]) -> Value {
    scene.json(&[&["ask", "hi", "-m", "gpt-5-mini", "--json"], more].concat())
}

fn hit(report: &Value) -> &str {
    report["cache"]["hit"].as_str().unwrap()
}

#[test]
fn the_second_ask_is_a_hit_from_disk_and_costs_nothing() {
    let scene = Scene::new(Script::always(
        Answer::text("Hello").usage(100, 50).cached(40),
    ));
    let first = ask(&scene, &[]);
    let second = ask(&scene, &[]);
    assert_eq!((hit(&first), hit(&second)), ("none", "disk"));
    assert_eq!(
        (&second["answer"], &second["finish_reason"]),
        (&json!("Hello"), &json!("stop"))
    );
    // 60 x 0.25 + 40 x 0.025 + 50 x 2 millionths.
    assert_eq!(first["cost"]["usd"], "0.000116");
    assert_eq!(
        second["cost"],
        json!({"usd": "0", "kind": "exact", "saved_usd": "0.000116"})
    );
    assert_eq!(
        (&second["attempts"], &second["usage"]),
        (&json!([]), &first["usage"])
    );
    assert!(second["cache"]["age_s"].as_u64().unwrap() < 30);
    assert_ne!(
        first["session"], second["session"],
        "every ask is a session"
    );
    assert_eq!(
        scene.ok(&["ask", "hi", "-m", "gpt-5-mini"]).stdout,
        "Hello\n"
    );
    assert_eq!(scene.server.chats().len(), 1);
    assert_eq!(
        scene.json(&["budget", "show", "--json"])["scopes"][1]["settled_usd"],
        "0.000116"
    );
}

#[test]
fn what_a_hit_of_unknown_price_spared_is_unknown_and_never_nothing() {
    let scene = Scene::saying("Hello");
    scene.config(&format!(
        "[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n",
        scene.server.base_url()
    ));
    for n in 0..2 {
        let report = scene.json(&["ask", "hi", "-m", "mine/x", "--json"]);
        let saved = if n == 0 { json!("0") } else { Value::Null };
        assert_eq!(
            (hit(&report) != "none", &report["cost"]["saved_usd"]),
            (n == 1, &saved),
            "{report}"
        );
    }
    assert_eq!(
        scene.json(&["cache", "stats", "--json"])["saved_usd"],
        Value::Null
    );
    assert!(
        scene
            .ok(&["cache", "stats"])
            .stdout
            .contains("1 of 2 answers, saved n/a\n")
    );
    assert_eq!(
        scene.json(&["stats", "--json"])["total"]["saved_usd"],
        Value::Null
    );
    // Beside what is known, the unknown is told.
    for _ in 0..2 {
        scene.ok(&["ask", "hi", "-m", "openai/gpt-5-mini"]);
    }
    let page = scene.ok(&["cache", "stats"]).stdout;
    assert!(
        page.contains("2 of 4 answers, saved $0.0") && page.ends_with(" + n/a\n"),
        "{page}"
    );
}

#[test]
fn another_question_is_another_question() {
    let scene = Scene::saying("ok");
    ask(&scene, &[]);
    for more in [
        vec!["--system", "be brief"],
        vec!["--effort", "low"],
        vec!["--max-output", "500"],
        vec!["-m", "gpt-5-nano"],
        vec!["-c"],
    ] {
        let args: Vec<&str> = match more[..] {
            ["-m", model] => vec!["ask", "hi", "-m", model, "--json"],
            _ => [&["ask", "hi", "-m", "gpt-5-mini", "--json"], &more[..]].concat(),
        };
        assert_eq!(hit(&scene.json(&args)), "none", "{more:?}");
    }
    assert_eq!(scene.server.chats().len(), 6);
}

#[test]
fn no_cache_neither_reads_nor_writes_and_refresh_asks_anew() {
    let numbered = |n: usize| Answer::text(&format!("answer {n}"));
    let scene = Scene::new(Script::each((0..4).map(numbered)));
    assert_eq!(ask(&scene, &["--no-cache"])["answer"], "answer 0");
    assert!(
        !scene.home.data_dir().join("cache").exists(),
        "nothing is opened"
    );
    assert_eq!(
        ask(&scene, &[])["answer"],
        "answer 1",
        "nothing had been written"
    );
    assert_eq!(ask(&scene, &["--no-cache"])["answer"], "answer 2");
    assert_eq!(ask(&scene, &[])["answer"], "answer 1", "nor overwritten");
    assert_eq!(ask(&scene, &["--refresh"])["answer"], "answer 3");
    assert_eq!(
        ask(&scene, &[])["answer"],
        "answer 3",
        "the new one is stored"
    );
    assert_eq!(scene.server.chats().len(), 4);
}

#[test]
fn what_is_not_whole_or_not_repeatable_is_not_kept() {
    for (name, answer, more, code) in [
        ("cut", Answer::text("abcdefgh").close_after(2), vec![], 4),
        (
            "length",
            Answer::text("abcdefgh").usage(9, 900),
            vec!["--max-output", "300"],
            4,
        ),
        (
            "filter",
            Answer::text("abcd").finish("content_filter"),
            vec![],
            4,
        ),
        (
            "sampled",
            Answer::text("abcd"),
            vec!["--temperature", "0.5"],
            0,
        ),
    ] {
        let scene = Scene::new(Script::always(answer));
        // Only a model that samples takes a temperature.
        let model = if code == 0 {
            "gpt-4o-mini"
        } else {
            "gpt-5-mini"
        };
        let args = [&["ask", "hi", "-m", model, "--json"], &more[..]].concat();
        for _ in 0..2 {
            assert_eq!(
                hit(&scene.run(&args).assert_code(code).json()),
                "none",
                "{name}"
            );
        }
        assert_eq!(scene.server.chats().len(), 2, "{name}");
    }
}

#[test]
fn a_sampled_answer_that_was_kept_is_given_only_where_it_would_be_kept() {
    let sampled = "[cache]\nsampled = true\n";
    let scene = Scene::with(Script::always(Answer::text("one throw of many")), sampled);
    let args = [
        "ask",
        "hi",
        "-m",
        "gpt-4o-mini",
        "--temperature",
        "0.7",
        "--json",
    ];
    let estimate = || scene.ok(&[&args[..6], &["--estimate"]].concat()).stdout;
    assert_eq!(hit(&scene.json(&args)), "none");
    assert_eq!(hit(&scene.json(&args)), "disk");
    assert!(estimate().contains("cached"));
    scene.config("");
    assert_eq!(hit(&scene.json(&args)), "none", "another throw");
    assert!(!estimate().contains("cached"));
    assert_eq!(scene.server.chats().len(), 2);
    scene.config(sampled);
    assert_eq!(
        hit(&scene.json(&args)),
        "disk",
        "it lies there all the same"
    );
}

#[test]
fn switched_off_or_damaged_it_is_only_dearer() {
    let scene = Scene::with(
        Script::always(Answer::text("ok")),
        "[cache]\nenabled = false\n",
    );
    ask(&scene, &[]);
    assert_eq!(hit(&ask(&scene, &[])), "none");
    scene.config("");
    let cache = scene.home.data_dir().join("cache");
    std::fs::write(&cache, "not a folder").unwrap();
    let output = scene.ok(&["ask", "hi", "-m", "gpt-5-mini"]);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.lines().count()),
        ("ok\n", 1),
        "one notice: {output:#?}"
    );
    std::fs::remove_file(&cache).unwrap();
    ask(&scene, &[]);
    assert_eq!(hit(&ask(&scene, &[])), "disk");
    // Under the feet of the process that has it open.
    for entry in std::fs::read_dir(cache.join("g-1"))
        .unwrap()
        .flatten()
        .filter(|e| e.path().is_file())
    {
        std::fs::write(entry.path(), b"\xff garbage").unwrap();
    }
    assert_eq!(scene.ok(&["ask", "hi", "-m", "gpt-5-mini"]).stdout, "ok\n");
    std::fs::remove_dir_all(&cache).unwrap();
    assert_eq!(scene.ok(&["ask", "hi", "-m", "gpt-5-mini"]).stdout, "ok\n");
}

#[test]
fn an_answer_that_costs_nothing_is_given_when_nothing_may_be_spent() {
    let scene = Scene::saying("kept");
    scene.ok(&["ask", "again and again", "-m", "gpt-5-mini"]);
    let report = scene.json(&[
        "ask",
        "again and again",
        "-m",
        "gpt-5-mini",
        "--max-usd",
        "0",
        "--json",
    ]);
    assert_eq!(
        (
            &report["answer"],
            &report["cache"]["hit"],
            &report["cost"]["usd"]
        ),
        (&"kept".into(), &"disk".into(), &"0".into())
    );
    scene.refused(
        3,
        &["ask", "something new", "-m", "gpt-5-mini", "--max-usd", "0"],
    );
    assert_eq!(scene.server.chats().len(), 1);
}

#[test]
fn an_answer_of_a_lower_rung_is_kept_as_that_rungs() {
    let oops = || Answer::error(500, "server_error", "oops").header("retry-after-ms", "1");
    let down = move |request: &Request| (request.model() == "gpt-5").then(oops);
    let scene = Scene::new(Script::always(Answer::text("from below").usage(9, 9)).choose(down));
    let fallen = scene.json(&["ask", "hi", "-m", "auto", "--json"]);
    assert_eq!(
        (&fallen["answer"], &fallen["model"]),
        (&json!("from below"), &json!("openai/gpt-5-mini"))
    );
    assert_eq!(
        hit(&ask(&scene, &[])),
        "disk",
        "asked of the model that answered"
    );
    let estimate = scene.ok(&["ask", "hi", "-m", "gpt-5", "--estimate"]).stdout;
    assert!(
        estimate.contains("openai/gpt-5-mini answered it"),
        "offered, and not taken: {estimate}"
    );
    let output = scene.run(&["ask", "hi", "-m", "gpt-5", "--json"]);
    assert_eq!(
        (hit(&output.json()), output.code()),
        ("none", Some(1)),
        "asked of the other"
    );
}
