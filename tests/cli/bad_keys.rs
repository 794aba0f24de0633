//! Keys, addresses and headers that cannot be used: each is told in one line, with the mend, and nothing is sent.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use support::PATIENCE;
use support::home::{Home, Output, run};
use support::scene::one_error;
use support::server::{Answer, Keys, Rules, Script, Server};

const CANARY: &str = "sk-canary-5512aa90cc-q7q7";

fn server() -> Server {
    let keys = Keys::Of(vec![CANARY.to_owned()]);
    Server::start(Script::always(Answer::text("ok")).rules(Rules {
        keys,
        ..Rules::default()
    }))
}

/// Asks with a key from this source.
fn ask(home: &Home, server: &Server, source: &str) -> Output {
    home.config(&format!(
        "[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{source}]\n",
        server.base_url()
    ));
    let mut command = home.chat_agent();
    command.args(["ask", "hi", "--no-cache", "-vv"]);
    let path = format!(
        "{}:{}",
        home.work_dir().display(),
        std::env::var("PATH").unwrap()
    );
    command.env("PATH", path);
    // Longer than a key command may take.
    run(command, b"", 3 * PATIENCE)
}

#[track_caller]
fn refused(home: &Home, server: &Server, source: &str, words: &str) {
    let output = ask(home, server, source);
    assert_eq!(output.code(), Some(2), "{source}: {output:?}");
    let error = one_error(&output, 2);
    assert!(error.contains(words), "{source}: {error}");
    assert!(
        !error.contains("canary") && !error.contains('\u{1b}') && !output.stdout.contains("canary"),
        "{output:?}"
    );
}

fn file(home: &Home, name: &str, bytes: &[u8], mode: u32) -> String {
    let path = home.file(name, bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    from(&path)
}

fn from(path: &Path) -> String {
    format!("{{ file = \"{}\" }}", path.display())
}

fn canary(end: &str) -> Vec<u8> {
    format!("{CANARY}{end}").into_bytes()
}

#[test]
fn key_files() {
    let (home, server) = (Home::new(), server());
    let good = home.work_dir().join("good");
    file(&home, "good", &canary(""), 0o600);
    let link = |name: &str, target: &Path| {
        let path = home.work_dir().join(name);
        std::os::unix::fs::symlink(target, &path).unwrap();
        from(&path)
    };
    for source in [
        file(&home, "crlf", &canary("\r\n"), 0o600),
        file(
            &home,
            "bom",
            &[b"\xef\xbb\xbf", &canary("\n")[..]].concat(),
            0o400,
        ),
        link("link", &good),
    ] {
        assert_eq!(
            ask(&home, &server, &source).assert_code(0).stdout,
            "ok\n",
            "{source}"
        );
    }
    let pipe = home.work_dir().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let open = file(&home, "open", &canary(""), 0o644);
    for (source, words) in [
        (file(&home, "empty", b"", 0o600), "is empty"),
        (file(&home, "blank", b" \r\n\n", 0o600), "is empty"),
        (open, "chmod 600"),
        (file(&home, "group", &canary(""), 0o640), "chmod 600"),
        (link("to-open", &home.work_dir().join("open")), "chmod 600"),
        (
            file(&home, "nul", &canary("\0"), 0o600),
            "control character",
        ),
        (
            file(&home, "lines", &canary("\nsecond"), 0o600),
            "white space",
        ),
        (
            file(&home, "utf16", b"\xff\xfes\0k\0", 0o600),
            "control character",
        ),
        (
            file(&home, "quoted", &[b"\"", &canary("\"")[..]].concat(), 0o600),
            "quotation marks",
        ),
        (
            file(
                &home,
                "huge",
                &canary("x").repeat(10 * 1024 * 1024 / 25),
                0o600,
            ),
            "8 KiB",
        ),
        (from(&pipe), "not a regular file"),
        (from(Path::new("/dev/zero")), "not a regular file"),
        (from(&home.work_dir()), "not a regular file"),
        (from(Path::new("missing")), "cannot read"),
        (link("dangling", Path::new("nowhere")), "cannot read"),
    ] {
        refused(&home, &server, &source, words);
    }
    // Only root can give a file away, and only root can then read it.
    let given = home.file("given", canary(""));
    fs::set_permissions(&given, fs::Permissions::from_mode(0o600)).unwrap();
    if std::os::unix::fs::chown(&given, Some(12345), None).is_ok() {
        refused(&home, &server, &from(&given), "belongs to another user");
    }
    assert_eq!(server.chats().len(), 3);
    server.assert_clean();
}

#[test]
fn a_bad_key_beside_a_good_one_is_told_once_with_its_mend() {
    let (home, server) = (Home::new(), server());
    let sources = [
        file(&home, "open", &canary(""), 0o644),
        file(&home, "good", &canary(""), 0o600),
    ]
    .join(", ");
    let run_with = |args: &[&str]| {
        let mut command = home.chat_agent();
        command.args(args);
        run(command, b"", PATIENCE)
    };
    assert_eq!(ask(&home, &server, &sources).assert_code(0).stdout, "ok\n");
    let output = run_with(&["ask", "hi", "--no-cache"]);
    let told = |line: &&str| {
        line.contains("openai goes on with its other keys") && line.contains("chmod 600")
    };
    assert_eq!(output.stderr.lines().filter(told).count(), 1, "{output:?}");
    let doctor = run_with(&["doctor"]);
    doctor.assert_code(0);
    let lines: Vec<_> = doctor
        .stdout
        .lines()
        .filter(|line| line.contains("openai "))
        .collect();
    assert!(
        lines[0].starts_with("ok") && lines[0].contains("key …q7q7"),
        "{}",
        doctor.stdout
    );
    assert!(
        lines[1].starts_with("!!") && lines[1].contains("chmod 600"),
        "{}",
        doctor.stdout
    );
    server.assert_clean();
}

#[test]
fn key_commands() {
    let (home, server) = (Home::new(), server());
    let sh = |script: &str| format!("{{ command = '''sh -c \"{script}\"''' }}");
    assert_eq!(
        ask(
            &home,
            &server,
            &sh(&format!("echo {CANARY}; echo noise >&2"))
        )
        .assert_code(0)
        .stdout,
        "ok\n"
    );
    for (source, words) in [
        (sh("exit 3"), "failed (exit status: 3)"),
        (
            sh(&format!(
                "echo {CANARY}; echo the vault is sealed >&2; exit 1"
            )),
            "the vault is sealed",
        ),
        (sh("true"), "is empty"),
        (
            sh(&format!("yes {CANARY} | head -c 1000000")),
            "more than 8 KiB",
        ),
        (
            sh(&format!("printf '\\\\033[32m{CANARY}\\\\033[0m'")),
            "colours or another escape sequence",
        ),
        (sh(&format!("read x < /dev/tty && echo {CANARY}")), "`sh`"),
        (
            "{ command = \"no-such-program-here\" }".to_owned(),
            "cannot be started",
        ),
        (
            "{ command = \"printf 'open\" }".to_owned(),
            "quote that never ends",
        ),
    ] {
        refused(&home, &server, &source, words);
    }
    assert_eq!(server.chats().len(), 1);
}

#[test]
fn a_key_command_that_hangs_ends_with_what_it_started() {
    let (home, server) = (Home::new(), server());
    let [pid, starts] = ["pid", "starts"].map(|name| home.work_dir().join(name));
    let script = format!(
        "echo >> {}; sleep 300 & echo $! > {}; wait",
        starts.display(),
        pid.display()
    );
    refused(
        &home,
        &server,
        &format!("{{ command = '''sh -c \"{script}\"''' }}"),
        "did not end within 10 s",
    );
    assert_eq!(
        fs::read_to_string(&starts).unwrap(),
        "\n",
        "once, not for each rung of the ladder"
    );
    let child: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let state = || fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // Killed; the system may take a moment for it, and its new parent may not have collected it yet.
    let deadline = Instant::now() + PATIENCE;
    while !(state().is_empty() || state().contains(" Z ")) {
        assert!(Instant::now() < deadline, "{}", state());
        std::thread::yield_now();
    }
}

#[test]
fn the_keyring_is_asked_through_the_systems_own_tool() {
    let (home, server) = (Home::new(), server());
    let tool = |script: &str| {
        let path = home.file("secret-tool", format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    };
    let source = "{ keyring = \"chat-agent/openai\" }";
    tool(&format!(
        "[ \"$*\" = \"lookup service chat-agent account openai\" ] && printf {CANARY}"
    ));
    assert_eq!(ask(&home, &server, source).assert_code(0).stdout, "ok\n");
    tool("exit 1");
    refused(
        &home,
        &server,
        source,
        "secret-tool store --label=chat-agent service chat-agent account openai",
    );
    tool("echo 'secret-tool: Cannot get secret of a locked object' >&2; exit 1");
    refused(&home, &server, source, "unlock the keyring");
    refused(
        &home,
        &server,
        "{ keyring = \"openai\" }",
        "service/account",
    );
    assert_eq!(server.chats().len(), 1);
    server.assert_clean();
}

#[test]
fn addresses_and_headers_are_refused_when_the_configuration_is_read() {
    let home = Home::new();
    let canary = "canary-5512aa90cc";
    for (toml, words) in [
        (
            "base_urls = [\"api.example.com/v1\"]".to_owned(),
            "expected an http or https address",
        ),
        (
            format!("base_urls = [\"https://me:{canary}@api.example.com/v1\"]"),
            "put the key under `keys`",
        ),
        (
            format!("base_urls = [\"https://api.example.com/v1?key={canary}\"]"),
            "ends before `?`",
        ),
        (
            "base_urls = [\"http://api.example.com/v1\"]".to_owned(),
            "plain http shows the key",
        ),
        (
            "base_urls = [\"ftp://api.example.com/v1\"]".to_owned(),
            "expected an http or https address",
        ),
        (
            format!("headers = {{ \"x-a\" = \"{canary}\\r\\nx-b: 1\" }}"),
            "without line breaks",
        ),
        (
            format!("headers = {{ \"x-a\" = \"{canary}\\nmore\" }}"),
            "without line breaks",
        ),
        (
            format!("headers = {{ \"x a\" = \"{canary}\" }}"),
            "a header's name",
        ),
        (
            format!("headers = {{ \"Host\" = \"{canary}\" }}"),
            "belongs to the transport",
        ),
    ] {
        home.config(&format!("[[providers]]\nname = \"openai\"\n{toml}\n"));
        for args in [&["config", "check"][..], &["ask", "hi"]] {
            let output = home.run(args, "");
            let error = one_error(&output, 2);
            let place = error.contains("config.toml:3:") || error.contains("openai");
            assert!(error.contains(words) && place, "{toml} {args:?}: {error}");
            assert!(
                !error.contains("canary") && !output.stdout.contains("canary"),
                "{output:?}"
            );
        }
    }
}
