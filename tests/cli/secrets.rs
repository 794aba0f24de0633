//! Keys stay home: not in an output, an error, the log, the database, the cache or any other file.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::scene::{KEY, Scene};
use support::server::{Answer, Script};

/// Every file and folder below.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in there(fs::read_dir(folder)).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found
}

fn holds_key(bytes: &[u8]) -> bool {
    bytes
        .windows(KEY.len())
        .any(|window| window == KEY.as_bytes())
}

/// What is still there: a process that is ending may have removed it since.
fn there<T>(found: std::io::Result<T>) -> Option<T> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        found => Some(found.unwrap()),
    }
}

/// What may not be left behind: the key, and enough of it to guess the rest.
#[track_caller]
fn assert_clean(scene: &Scene) {
    for file in tree(scene.home.path())
        .into_iter()
        .filter(|path| path.is_file())
    {
        let bytes = there(fs::read(&file)).unwrap_or_default();
        assert!(!holds_key(&bytes), "{} holds the key", file.display());
    }
}

#[test]
fn no_output_and_no_file_ever_holds_a_key() {
    let echo = |status, code| {
        Answer::error(
            status,
            code,
            &format!("Incorrect API key provided: {KEY}. Find yours at x"),
        )
    };
    let text = Answer::status(502).bytes(
        "text/html",
        format!("<html><body>upstream: Bearer {KEY}</body></html>"),
    );
    let cut = Answer::text("abcd").error_after(
        1,
        &serde_json::json!({"message": format!("key {KEY} expired")}),
    );
    let scene = Scene::with(
        Script::each([
            Answer::text("fine"),
            echo(401, "invalid_api_key"),
            echo(400, "invalid_value"),
            echo(403, "permission_denied"),
            text,
            cut,
            Answer::redirect(307, &format!("http://127.0.0.1:1/{KEY}")),
            Answer::text("fine").header("x-request-id", KEY),
        ]),
        "[limits]\nretries = 0\n",
    );
    let asks = (0..8).map(|n| {
        vec![
            "ask".to_owned(),
            format!("question {n}"),
            "-m".to_owned(),
            "gpt-5-mini".to_owned(),
        ]
    });
    let reports = [
        "config show",
        "config check",
        "config path",
        "models",
        "sessions list",
        "sessions search question",
        "budget show",
    ];
    let reports = reports
        .iter()
        .map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    for (n, mut args) in asks.chain(reports).enumerate() {
        args.push("-vv".to_owned());
        if n % 2 == 1 {
            args.push("--json".to_owned());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = scene.run(&args);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(
            !said.contains(KEY) && !said.contains(&KEY[3..19]),
            "{args:?}: {output:?}"
        );
    }
    assert_eq!(scene.server.chats().len(), 8);
    assert_clean(&scene);
}

#[test]
fn what_is_written_is_the_users_alone() {
    let scene = Scene::saying("ok");
    scene.ok(&["ask", "hi", "-vv"]);
    // Something to log: a failure.
    let failing = Scene::with(
        Script::always(Answer::error(500, "server_error", "oops")),
        "[limits]\nretries = 0\n",
    );
    failing
        .run(&["ask", "hi", "-m", "gpt-5-mini", "-vv"])
        .assert_code(1);
    assert!(failing.home.data_dir().join("log/chat-agent.log").is_file());
    for scene in [&scene, &failing] {
        let data = scene.home.data_dir();
        assert!(data.join("chat.db").is_file() && data.join("cache").is_dir());
        for path in tree(&data).into_iter().chain([data]) {
            let Some(about) = there(fs::metadata(&path)) else {
                continue;
            };
            let mode = about.permissions().mode() & 0o777;
            assert_eq!(
                mode,
                if about.is_dir() { 0o700 } else { 0o600 },
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn a_key_from_a_file_that_others_can_read_is_refused() {
    let scene = Scene::saying("ok");
    let file = scene.home.file("key", format!("{KEY}\n"));
    let toml = format!(
        "[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{{ file = \"{}\" }}]\n",
        scene.server.base_url(),
        file.display()
    );
    scene.home.config(&toml);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = scene.refused(2, &["ask", "hi"]);
    assert!(error.contains("chmod 600"), "{error}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(scene.ok(&["ask", "hi"]).stdout, "ok\n");
    scene.home.config(
        &toml
            .replace("file =", "command =")
            .replace(&file.display().to_string(), "cat key"),
    );
    scene.ok(&["ask", "again"]);
    assert_eq!(scene.server.chats().len(), 2);
    scene.server.assert_clean();
}
