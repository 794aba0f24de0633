//! What comes in broken: configuration, names, keys, files, folders, pipes, and foreign bytes from the server.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use support::PATIENCE;
use support::home::run;
use support::scene::{KEY, Scene, one_error};
use support::server::{Answer, Gate, Script};

#[test]
fn a_broken_configuration_is_named_by_file_line_and_column() {
    let scene = Scene::saying("never");
    let file = scene.home.config_file();
    for (toml, place, words) in [
        ("modle = \"auto\"\n", "1:1", "model"),
        ("[budget]\nper_dya = 5\n", "2:1", "per_day"),
        ("[budget]\nper_day = \"much\"\n", "2:11", "US dollars"),
        ("[budget]\nper_day = -1\n", "2:11", "0 or more"),
        ("[cahce]\nenabled = true\n", "1:2", "cache"),
        ("[limits]\nretries = \n", "2:11", ""),
        (
            "[[providers]]\nname = \"p\"\nkeys = [{ envv = \"X\" }]\n",
            "3:11",
            "env",
        ),
        ("[ui]\ntheme = \"drak\"\n", "2:9", "dark"),
    ] {
        scene.home.config(toml);
        for args in [
            vec!["ask", "hi"],
            vec!["config", "check"],
            vec!["config", "show"],
            vec!["sessions"],
        ] {
            let error = scene.refused(2, &args);
            let expected = format!("{}:{place}:", file.display());
            assert!(
                error.contains(&expected) && error.contains(words),
                "{toml}{args:?}: {error}"
            );
        }
    }
    scene.home.config("\u{feff}model = \"gpt-5-mini\"\r\n");
    scene.ok(&["config", "check"]);
    fs::write(&file, b"model = \"\xff\"\n").unwrap();
    scene.refused(2, &["config", "check"]);
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn config_path_init_check_and_show() {
    let home = support::home::Home::new();
    let file = home.config_file();
    assert_eq!(
        home.run(&["config", "path"], "").stdout,
        format!("{}\n", file.display())
    );
    assert!(
        home.run(&["config", "check"], "")
            .assert_code(0)
            .stdout
            .contains("built-in")
    );
    home.run(&["config", "init"], "").assert_code(0);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written, include_str!("../../config.example.toml"));
    home.run(&["config", "check"], "").assert_code(0);
    fs::write(&file, "model = \"gpt-5-nano\"\n").unwrap();
    one_error(&home.run(&["config", "init"], ""), 2);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "model = \"gpt-5-nano\"\n",
        "never overwritten"
    );
    let mut show = home.chat_agent();
    show.env("OPENAI_API_KEY", KEY)
        .args(["config", "show", "--json"]);
    let shown = run(show, b"", PATIENCE);
    shown.assert_code(0);
    let rows = shown.json();
    let model = rows
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["key"] == "model")
        .unwrap();
    assert_eq!(
        (model["value"].as_str(), model["origin"].as_str()),
        (Some("\"gpt-5-nano\""), Some("file"))
    );
    assert!(!shown.stdout.contains(KEY));
    let elsewhere = home.file("other.toml", "model = \"o3\"\n");
    let path = elsewhere.to_str().unwrap();
    assert_eq!(
        home.run(&["config", "path", "--config", path], "").stdout,
        format!("{path}\n")
    );
}

#[test]
fn a_name_that_no_model_has_brings_the_nearest() {
    let scene = Scene::saying("never");
    let home = support::home::Home::new();
    for (name, nearest) in [
        ("gpt-5-mni", "gpt-5-mini"),
        ("openai/gpt5-nano", "gpt-5-nano"),
        ("o3mini", "o3-mini"),
    ] {
        let mut command = home.chat_agent();
        command
            .env("OPENAI_API_KEY", KEY)
            .args(["ask", "hi", "-m", name]);
        let error = one_error(&run(command, b"", PATIENCE), 2);
        assert!(error.contains(name) && error.contains(nearest), "{error}");
    }
    for name in ["", "/", "openai/", "a/b/c", "nosuch/model", "\u{1b}[31mred"] {
        let error = scene.refused(2, &["ask", "hi", "-m", name]);
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn a_missing_or_malformed_key_is_named_by_its_source_and_never_shown() {
    let scene = Scene::saying("never");
    let canary = "sk-canary-77aa";
    for (key, words) in [
        (String::new(), "OPENAI_API_KEY"),
        (format!("{canary}\nsecond"), "white space"),
        (format!("{canary} second"), "white space"),
        (format!("{canary}ü"), "ASCII"),
        (format!("{canary}\u{1}"), "control"),
        (canary.repeat(1000), "8 KiB"),
    ] {
        let mut command = scene.command(&["ask", "hi", "-m", "gpt-5-mini", "-vv", "--json"]);
        command.env("OPENAI_API_KEY", &key);
        let output = run(command, b"", PATIENCE);
        let error = one_error(&output, 2);
        assert!(
            error.contains("OPENAI_API_KEY") && error.contains(words),
            "{error}"
        );
        assert!(
            !error.contains("canary") && !output.stdout.contains("canary"),
            "{output:?}"
        );
    }
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn files_and_pipes_that_cannot_be_read_as_text() {
    let scene = Scene::saying("ok");
    scene.home.file("bad.txt", b"a\xffb\xfe");
    let output = scene.ok(&["ask", "see", "-f", "bad.txt"]);
    assert_eq!(output.stdout, "ok\n");
    assert!(
        output.stderr.contains("bad.txt") && output.stderr.contains("2 places"),
        "{output:?}"
    );
    let output = scene.piped(&["ask"], b"\x80hi");
    assert!(output.stderr.contains("standard input"), "{output:?}");
    let sent = &scene.server.bodies()[1]["messages"][0]["content"];
    assert_eq!(sent, "\u{fffd}hi");
    fs::create_dir(scene.home.work_dir().join("folder")).unwrap();
    for (file, words) in [
        ("folder", "is a folder"),
        ("missing.txt", "missing.txt"),
        ("bad\u{1b}[2J", "No such file"),
    ] {
        let error = scene.refused(2, &["ask", "see", "-f", file]);
        assert!(
            error.contains(words) && !error.contains('\u{1b}'),
            "{error:?}"
        );
    }
    assert_eq!(scene.server.chats().len(), 2);
}

#[test]
fn a_data_folder_that_cannot_be_used_stops_it_before_anything_is_sent() {
    let scene = Scene::saying("never");
    fs::write(scene.home.data_dir(), "a file in its place").unwrap();
    for args in [vec!["ask", "hi"], vec!["sessions"], vec!["budget", "show"]] {
        let error = scene.refused(1, &args);
        assert!(error.contains("--data-dir"), "{error}");
    }
    let other = scene.home.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(
        other.join("chat.db"),
        "this is no database, whatever its name says",
    )
    .unwrap();
    let error = scene.refused(1, &["ask", "hi", "--data-dir", other.to_str().unwrap()]);
    assert!(error.contains("chat.db"), "{error}");
    assert!(
        fs::read_to_string(other.join("chat.db"))
            .unwrap()
            .starts_with("this is"),
        "left as it was"
    );
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn a_full_disk_behind_standard_output_is_told_and_settled() {
    let scene = Scene::saying("ok");
    for args in [
        vec!["ask", "hi"],
        vec!["ask", "hi", "--json"],
        vec!["models"],
        vec!["--help"],
        vec!["sessions"],
    ] {
        let mut command = scene.command(&args);
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr.lines().count()),
            (Some(1), 1),
            "{args:?}: {stderr}"
        );
        assert!(stderr.contains("standard output"), "{stderr}");
    }
    assert_eq!(
        scene.json(&["budget", "show", "--json"])["open"],
        serde_json::json!([])
    );
}

#[test]
fn a_reader_that_goes_away_stops_the_answer_quietly() {
    let gate = Gate::new();
    let scene = Scene::new(Script::always(
        Answer::text("abcdefgh").gate_after(2, &gate),
    ));
    let mut running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
    running.wait_for("abcd");
    running.close_stdout();
    gate.open();
    let output = running.end();
    assert_eq!((output.code(), output.stderr.as_str()), (Some(1), ""));
    let budget = scene.json(&["budget", "show", "--json"]);
    assert!(
        budget["open"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["state"] == "uncertain"),
        "{budget}"
    );
}

#[test]
fn hostile_bytes_are_made_visible_wherever_they_come_from() {
    let hostile = "a\u{1b}[31mred\u{9b}2J\u{1b}]52;c;aGk=\u{7}b\u{202e}c\u{200b}d\u{0}e\r\u{8}";
    let raw = [
        '\u{1b}', '\u{9b}', '\u{7}', '\u{202e}', '\u{200b}', '\u{0}', '\u{8}', '\r',
    ];
    let scene = Scene::new(Script::always(Answer::text(hostile).pieces(30)));
    for args in [
        vec!["ask", hostile.split('\u{0}').next().unwrap()],
        vec!["ask", "two", "--no-stream"],
        vec!["ask", "three", "--json"],
        vec!["sessions"],
        vec!["sessions", "search", "red"],
    ] {
        let output = scene.ok(&args);
        assert!(
            !output.stdout.contains(raw) && !output.stderr.contains(raw),
            "{args:?}: {output:?}"
        );
        assert!(
            args[0] == "sessions" || output.stdout.contains("red"),
            "{output:?}"
        );
    }
    let ids = scene.json(&["sessions", "--json"]);
    for row in ids.as_array().unwrap() {
        let shown = scene.ok(&["sessions", "show", row["session"].as_str().unwrap()]);
        assert!(
            shown.stdout.contains("red") && !shown.stdout.contains(raw),
            "{shown:?}"
        );
    }
    for answer in [
        Answer::error(400, "invalid_value", hostile),
        Answer::text("x").error_after(0, &serde_json::json!({"message": hostile})),
    ] {
        let failing = Scene::new(Script::always(answer));
        let output = failing.run(&["ask", "hi", "-v"]);
        assert!(
            output.stderr.contains("red") && !output.stderr.contains(raw),
            "{output:?}"
        );
    }
}
