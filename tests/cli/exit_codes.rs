//! The exit status: each one for its reason, and an error in exactly one line.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use rustix::process::Signal;
use serde_json::json;
use support::scene::{Scene, one_error};
use support::server::{Answer, Gate, Script, Step};

#[test]
fn bad_usage_is_2_and_one_line() {
    let scene = Scene::saying("never");
    for (args, words) in [
        (vec!["ask"], "nothing to ask"),
        (vec!["ask", "  \n "], "nothing to ask"),
        (vec![], "nothing to ask"),
        (vec!["ask", "hi", "--no-such-flag"], "--no-such-flag"),
        (vec!["ask", "hi", "--max-usd", "much"], "--max-usd"),
        (vec!["ask", "hi", "--max-usd=-1"], "--max-usd"),
        (vec!["ask", "hi", "--max-output", "0"], "--max-output"),
        (vec!["ask", "hi", "--temperature", "3"], "--temperature"),
        (vec!["ask", "hi", "--temperature", "NaN"], "--temperature"),
        (vec!["ask", "hi", "--effort", "huge"], "--effort"),
        (vec!["ask", "hi", "-c", "--session", "x"], "--session"),
        (vec!["ask", "hi", "-m"], "--model"),
        (vec!["config"], "config"),
        (vec!["config", "chekc"], "chekc"),
        (vec!["sessions", "show"], "<ID>"),
        (vec!["sessions", "show", "zz"], "zz"),
        (vec!["completions", "nosuchshell"], "nosuchshell"),
        (vec!["-f", "x", "config", "path"], "-f"),
        (
            vec!["ask", "hi", "--config", "/no/such/file.toml"],
            "/no/such/file.toml",
        ),
    ] {
        let error = scene.refused(2, &args);
        assert!(error.contains(words), "{args:?}: {error}");
    }
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn each_status_has_its_reason_and_its_kind() {
    let down = Answer::error(400, "invalid_value", "bad value");
    for (code, kind, answer, args) in [
        (1, "request", down, vec![]),
        (
            2,
            "usage",
            Answer::text("x"),
            vec!["-m", "gpt-4o-mini", "--effort", "low"],
        ),
        (
            3,
            "budget",
            Answer::text("x"),
            vec!["--max-usd", "0.0000001"],
        ),
        (4, "cut", Answer::text("abcd").close_after(1), vec![]),
    ] {
        let scene = Scene::new(Script::always(answer));
        let output = scene.run(&[&["ask", "hi", "--json"], &args[..]].concat());
        let line = one_error(&output, code);
        let error = &output.json()["error"];
        assert_eq!(error["kind"], kind, "{line}");
        assert!(line.contains(error["message"].as_str().unwrap()), "{line}");
        assert!(error.as_object().unwrap().contains_key("hint"));
        assert_eq!(output.stdout.lines().count(), 1);
    }
}

#[test]
fn a_signal_stops_the_answer_prints_what_came_and_settles() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let gate = Gate::new();
        let scene = Scene::new(Script::always(
            Answer::text("abcdefgh").gate_after(2, &gate),
        ));
        let mut running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
        running.wait_for("abcd");
        running.signal(signal);
        let output = running.end();
        one_error(&output, 130);
        assert_eq!(output.stdout, "abcd\n");
        let budget = scene.json(&["budget", "show", "--json"]);
        let open = budget["open"].as_array().unwrap();
        assert_eq!(
            (open.len(), &open[0]["state"]),
            (1, &json!("uncertain")),
            "{signal:?}: {budget}"
        );
        assert!(
            budget["scopes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|s| s["reserved_usd"] == "0"),
            "{budget}"
        );
        assert_ne!(budget["scopes"][0]["settled_usd"], "0");
        let id = scene.json(&["sessions", "--json"])[0]["session"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            scene.json(&["sessions", "show", &id, "--json"])["messages"][1]["text"],
            "abcd"
        );
        assert_eq!(
            scene.server.wait_for_outcomes(1).len(),
            1,
            "the connection is closed, so the server can stop"
        );
    }
}

#[test]
fn a_signal_before_the_first_word_is_130_too() {
    let scene = Scene::new(Script::always(Answer::raw([Step::Hang])));
    let running = scene.start(&["ask", "hi", "-m", "gpt-5-mini", "--json"]);
    scene.server.wait_for_requests(1);
    running.signal(Signal::INT);
    let output = running.end();
    one_error(&output, 130);
    assert_eq!(output.json()["error"]["kind"], "interrupted");
    let budget = scene.json(&["budget", "show", "--json"]);
    assert_ne!(
        budget["scopes"][0]["settled_usd"], "0",
        "it may have been billed: {budget}"
    );
}

#[test]
fn help_version_and_completions_are_reports() {
    let scene = Scene::saying("never");
    for (args, words) in [
        (vec!["--help"], "Usage: chat-agent"),
        (vec!["ask", "--help"], "--max-usd"),
        (vec!["help", "ask"], "--max-usd"),
        (
            vec!["--version"],
            concat!("chat-agent ", env!("CARGO_PKG_VERSION")),
        ),
        (vec!["completions", "bash"], "complete -F"),
        (vec!["completions", "zsh"], "#compdef chat-agent"),
        (vec!["completions", "fish"], "complete -c chat-agent"),
        (vec!["completions", "man"], ".SH SYNOPSIS"),
    ] {
        let output = scene.ok(&args);
        assert!(
            output.stdout.contains(words) && output.stderr.is_empty(),
            "{args:?}: {output:#?}"
        );
    }
    assert!(!scene.home.data_dir().exists(), "reports make no files");
}

#[test]
fn bash_completes_the_options_of_a_command() {
    let scene = Scene::saying("never");
    let script = scene
        .home
        .file("complete.bash", scene.ok(&["completions", "bash"]).stdout);
    let ask = "source \"$1\"; COMP_WORDS=(chat-agent sessions sea); COMP_CWORD=2; _chat__agent chat-agent sea sessions";
    let mut bash = scene.home.command("bash");
    bash.args(["-c", &format!("{ask}; echo \"${{COMPREPLY[@]}}\""), "bash"])
        .arg(script);
    let output = support::home::run(bash, b"", support::PATIENCE);
    assert_eq!(output.stdout, "search\n", "{output:?}");
}

#[test]
fn shared_options_stand_before_or_after_the_command() {
    let scene = Scene::saying("ok");
    for args in [
        vec!["-m", "gpt-5-nano", "ask", "hi"],
        vec!["ask", "-m", "gpt-5-nano", "hi"],
        vec!["ask", "hi", "-m", "gpt-5-nano"],
        vec!["-m", "gpt-5-nano", "hi"],
        vec!["hi", "-m", "gpt-5-nano"],
    ] {
        let output = scene.ok(&[&args[..], &["--no-cache"]].concat());
        assert_eq!(output.stdout, "ok\n");
        let body = scene.server.bodies().pop().unwrap();
        assert_eq!(
            (&body["model"], &body["messages"][0]["content"]),
            (&json!("gpt-5-nano"), &json!("hi")),
            "{args:?}"
        );
    }
    let list = scene.json(&["--json", "sessions", "list"]);
    assert_eq!(list, scene.json(&["sessions", "--json", "list"]));
    assert_eq!(list.as_array().unwrap().len(), 5);
    scene.home.file("a.txt", "alpha");
    scene.ok(&["-f", "a.txt", "ask", "see"]);
    assert_eq!(
        scene.server.bodies().pop().unwrap()["messages"][0]["content"],
        "see\n\na.txt:\n```\nalpha\n```"
    );
}
