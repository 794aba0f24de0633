//! Several keys of one provider: which takes over when, what puts one out of use, and where none of them ever goes.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::PATIENCE;
use support::home::{Home, Output, run};
use support::scene::one_error;
use support::screen::{say, settled};
use support::server::{Answer, Keys, Request, Rules, Script, Server};
use support::terminal::Terminal;

const KEYS: [&str; 3] = [
    "sk-first-0123456789abcdef-aaa1",
    "sk-second-0123456789abcdef-bbb2",
    "sk-third-0123456789abcdef-ccc3",
];

fn server(script: Script) -> Server {
    let keys = Keys::Of(KEYS.map(str::to_owned).to_vec());
    Server::start(script.rules(Rules {
        keys,
        ..Rules::default()
    }))
}

/// A home whose `openai` is the server, with three keys.
fn home(server: &Server, toml: &str) -> Home {
    let home = Home::new();
    let sources = "{ env = \"ONE\" }, { env = \"TWO\" }, { env = \"THREE\" }";
    home.config(&format!(
        "{toml}\n[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{sources}]\n",
        server.base_url()
    ));
    home
}

fn ask(home: &Home, args: &[&str]) -> Output {
    let mut command = home.chat_agent();
    command
        .args(["ask", "hi", "--no-cache", "--json"])
        .args(args);
    command.envs(["ONE", "TWO", "THREE"].into_iter().zip(KEYS));
    run(command, b"", PATIENCE)
}

/// Which key asked for which model, in turn.
fn seen(server: &Server) -> Vec<(usize, String)> {
    let of = |request: &Request| {
        KEYS.iter()
            .position(|key| request.key() == Some(key))
            .unwrap()
            + 1
    };
    server
        .chats()
        .iter()
        .map(|request| (of(request), request.model().to_owned()))
        .collect()
}

fn is(request: &Request, key: usize, model: &str) -> bool {
    request.key() == Some(KEYS[key - 1]) && request.model() == model
}

#[test]
fn a_key_at_its_limit_on_one_model_still_serves_another() {
    let choose = |request: &Request| match () {
        () if is(request, 1, "gpt-5") => {
            Some(Answer::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "30"))
        }
        () if is(request, 2, "gpt-5") => Some(Answer::error(401, "invalid_api_key", "no such key")),
        () if is(request, 3, "gpt-5") => Some(Answer::error(404, "model_not_found", "not here")),
        () => None,
    };
    let server = server(Script::always(Answer::text("ok")).choose(choose));
    let home = home(
        &server,
        "[router]\nladder = [\"openai/gpt-5\", \"openai/gpt-5-mini\"]",
    );
    let report = ask(&home, &[]).assert_code(0).json();
    let expected = [(1, "gpt-5"), (2, "gpt-5"), (3, "gpt-5"), (1, "gpt-5-mini")];
    assert_eq!(
        seen(&server),
        expected.map(|(key, model)| (key, model.to_owned()))
    );
    let tails: Vec<_> = report["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["key"].clone())
        .collect();
    assert_eq!(tails, ["…aaa1", "…bbb2", "…ccc3", "…aaa1"]);
    server.assert_clean();
}

#[test]
fn a_key_that_stands_in_two_sources_is_not_sent_again_at_once() {
    let busy = Answer::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "90");
    let server = server(Script::always(busy));
    let home = home(&server, "");
    let mut command = home.chat_agent();
    command.args(["ask", "hi", "--no-cache", "-m", "gpt-5-mini"]);
    command.envs(["ONE", "TWO", "THREE"].map(|name| (name, KEYS[0])));
    run(command, b"", PATIENCE).assert_code(1);
    assert_eq!(seen(&server).len(), 1);
    server.assert_clean();
}

#[test]
fn a_quota_of_the_account_is_that_of_every_key_and_a_projects_is_not() {
    for (code, organization, asked) in [
        ("insufficient_quota", None, vec![1]),
        ("organization_spend_limit_exceeded", None, vec![1]),
        // The organisations are known, and the other keys were not seen with this one.
        ("insufficient_quota", Some("acme"), vec![1, 2]),
        ("project_spend_limit_exceeded", None, vec![1, 2]),
    ] {
        let choose = move |request: &Request| {
            let refusal = Answer::error(429, code, "no money left");
            let refusal = match organization {
                Some(name) => refusal.header("openai-organization", name),
                None => refusal,
            };
            is(request, 1, "gpt-5-mini").then_some(refusal)
        };
        let server = server(Script::always(Answer::text("ok")).choose(choose));
        let home = home(&server, "");
        let output = ask(&home, &["-m", "gpt-5-mini"]);
        assert_eq!(
            seen(&server)
                .iter()
                .map(|(key, _)| *key)
                .collect::<Vec<_>>(),
            asked,
            "{code} {organization:?}"
        );
        if asked.len() == 1 {
            let error = one_error(&output, 1);
            assert!(
                error.contains("no money left") && error.contains("…aaa1 from ONE"),
                "{error}"
            );
        } else {
            output.assert_code(0);
        }
        assert!(
            !KEYS
                .iter()
                .any(|key| output.stderr.contains(key) || output.stdout.contains(key))
        );
        server.assert_clean();
    }
}

#[test]
fn a_refused_key_is_named_by_its_end_and_its_source() {
    let server = server(Script::always(Answer::error(
        401,
        "invalid_api_key",
        "no such key",
    )));
    let error = one_error(&ask(&home(&server, ""), &["-m", "gpt-5-mini"]), 1);
    assert!(
        error.contains("401") && error.contains("check the key …ccc3 from THREE"),
        "{error}"
    );
    assert_eq!(
        seen(&server)
            .iter()
            .map(|(key, _)| *key)
            .collect::<Vec<_>>(),
        [1, 2, 3],
        "each of them once"
    );
}

#[test]
fn a_key_goes_to_its_own_provider_only() {
    let mine = server(Script::always(Answer::error(
        404,
        "model_not_found",
        "not here",
    )));
    let other = Server::start(Script::always(Answer::text("ok")).rules(Rules {
        keys: Keys::Forbidden,
        ..Rules::default()
    }));
    let home = home(&mine, "[router]\nladder = [\"openai/gpt-5\", \"other/m\"]");
    let toml = fs::read_to_string(home.config_file()).unwrap();
    home.config(&format!("{toml}[[providers]]\nname = \"other\"\nbase_urls = [\"{}\"]\n[[models]]\nid = \"other/m\"\nfree = true\ncontext = 8000\n", other.base_url()));
    let report = ask(&home, &[]).assert_code(0).json();
    assert_eq!(report["model"], "other/m");
    assert_eq!((seen(&mine).len(), other.chats().len()), (1, 1));
    mine.assert_clean();
    other.assert_clean();
}

/// A chat whose keys come from files.
fn chat(server: &Server, files: &[(&str, &str)]) -> (Home, Terminal) {
    let home = Home::new();
    let sources: Vec<_> = files
        .iter()
        .map(|(name, key)| {
            let path = home.file(name, key);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            format!("{{ file = \"{}\" }}", path.display())
        })
        .collect();
    home.config(&format!(
        "model = \"openai/gpt-5-mini\"\n[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{}]\n",
        server.base_url(),
        sources.join(", ")
    ));
    let mut command = home.chat_agent();
    command.arg("--no-cache");
    let terminal = Terminal::spawn(&command, 100, 30);
    terminal.wait_for("→ gpt-5-mini");
    (home, terminal)
}

#[test]
fn the_key_with_the_most_left_of_its_limits_is_used() {
    let left = |n: &str| {
        let answer = Answer::text("ok").header("x-ratelimit-limit-requests", "100");
        answer
            .header("x-ratelimit-remaining-requests", n)
            .header("x-ratelimit-reset-requests", "10m0s")
    };
    let choose = move |request: &Request| {
        let left_of = [left("10"), left("80"), left("0")];
        KEYS.iter()
            .position(|key| request.key() == Some(key))
            .map(|at| left_of[at].clone())
    };
    let server = server(Script::always(Answer::status(500)).choose(choose));
    let (_home, terminal) = chat(&server, &[("a", KEYS[0]), ("b", KEYS[1]), ("c", KEYS[2])]);
    for n in 1..=6 {
        say(&terminal, &format!("question {n}"));
        server.wait_for_outcomes(n);
        settled(&terminal);
    }
    // Each once, for nothing is known at first; then the one with 80 of 100.
    assert_eq!(
        seen(&server)
            .iter()
            .map(|(key, _)| *key)
            .collect::<Vec<_>>(),
        [1, 2, 3, 2, 2, 2]
    );
    server.assert_clean();
}

#[test]
fn a_key_file_that_is_mended_needs_no_restart() {
    let refuse = |request: &Request| {
        (request.key() == Some(KEYS[0]))
            .then(|| Answer::error(401, "invalid_api_key", "no such key"))
    };
    let server = server(Script::always(Answer::text("At last.")).choose(refuse));
    let (home, terminal) = chat(&server, &[("key", KEYS[0])]);
    say(&terminal, "one");
    terminal.wait_for("…aaa1");
    terminal.wait_for("Enter send");
    home.file("key", KEYS[1]);
    say(&terminal, "two");
    terminal.wait_for("At last.");
    assert_eq!(
        seen(&server)
            .iter()
            .map(|(key, _)| *key)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    server.assert_clean();
}
