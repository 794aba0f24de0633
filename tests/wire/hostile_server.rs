//! A server that attacks: through its errors, its answers and its list of models, on a terminal, in a pipe and as JSON.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Instant;

use serde_json::{Value, json};
use support::PATIENCE;
use support::home::Home;
use support::scene::{KEY, Scene};
use support::server::{Answer, Script, Server};
use support::terminal::sequences::assert_only_known_sequences;
use support::terminal::{Status, Terminal};

const ATTACK: &str =
    "mad \u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}txt.exe\u{200b}\u{e0041}\u{8}\u{7f} end";

/// A terminal would obey it, or it hides.
fn is_foreign(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

#[track_caller]
fn assert_tame(text: &str) {
    assert_eq!(text.chars().find(|c| is_foreign(*c)), None, "{text:?}");
    assert!(!text.contains(KEY), "{text:?}");
}

/// What the server says instead of an answer, and as one; and the exit status that it comes to.
fn attacks() -> Vec<(Answer, i32)> {
    let refusal = |status| {
        Answer::error(status, ATTACK, &format!("{ATTACK} {KEY}")).header("x-should-retry", "false")
    };
    vec![
        (refusal(400), 1),
        (refusal(401), 1),
        (
            refusal(429)
                .header("retry-after", "3600")
                .header("x-request-id", "\u{9b}31m"),
            1,
        ),
        (refusal(500), 1),
        (
            Answer::status(502)
                .bytes("text/html", format!("<title>{ATTACK}</title>"))
                .header("x-should-retry", "false"),
            1,
        ),
        (Answer::text(ATTACK), 0),
        (Answer::text("ok").reasoning(ATTACK, 3).finish(ATTACK), 0),
        (
            Answer::text("cut off here")
                .error_after(2, &json!({"message": ATTACK, "code": ATTACK})),
            4,
        ),
    ]
}

#[test]
fn neither_pipe_nor_json_carries_it() {
    for (n, (answer, code)) in attacks().into_iter().enumerate() {
        for flags in [&[][..], &["--json"], &["-v"], &["--json", "-v"]] {
            let scene = Scene::new(Script::always(answer.clone()));
            let output =
                scene.run(&[&["ask", "hi", "-m", "gpt-5-mini", "--no-cache"], flags].concat());
            output.assert_code(code);
            assert_tame(&output.stdout);
            assert_tame(&output.stderr);
            if flags.is_empty() {
                assert_eq!(
                    output.stderr.lines().count(),
                    usize::from(code != 0),
                    "{n}: {output:?}"
                );
            }
            if flags.contains(&"--json") {
                let report: Value = output.json();
                // The value is what it was, only its writing is tame.
                assert!(
                    code != 0 || n != 5 || report["answer"] == ATTACK,
                    "{n}: {report}"
                );
            }
        }
    }
}

#[test]
fn a_terminal_gets_nothing_to_obey() {
    for (n, (answer, code)) in attacks().into_iter().enumerate() {
        let scene = Scene::new(Script::always(answer));
        for flags in [&[][..], &["--json"]] {
            let command =
                scene.command(&[&["ask", "hi", "-m", "gpt-5-mini", "--no-cache"], flags].concat());
            let terminal = Terminal::spawn(&command, 120, 30);
            assert_eq!(terminal.wait_exit(), Status::Exited(code), "{n}");
            let raw = terminal.raw_output();
            assert_only_known_sequences(&raw);
            let text = String::from_utf8(raw).unwrap();
            assert!(
                !text.contains("\u{1b}]0;owned") && !text.contains("\u{1b}[2J"),
                "{n}: {text:?}"
            );
            assert!(
                !text
                    .chars()
                    .any(|c| is_foreign(c) && !matches!(c, '\u{1b}' | '\r')),
                "{n}: {text:?}"
            );
            assert!(!text.contains(KEY), "{n}");
        }
    }
}

#[test]
fn a_list_of_models_with_attacks_for_names_is_shown_as_text() {
    let server = Server::start(
        Script::always(Answer::text("ok"))
            .models([ATTACK, "plain-one"])
            .rules(no_key()),
    );
    let home = Home::new();
    home.config(&format!(
        "model = \"ollama/plain-one\"\n[[providers]]\nname = \"ollama\"\nbase_urls = [{:?}]\n",
        server.base_url()
    ));
    let terminal = Terminal::spawn(&home.chat_agent(), 120, 40);
    terminal.wait_for("→ plain-one");
    assert_eq!(
        server.connections(),
        0,
        "servers are not searched before the picker is opened"
    );
    // A busy machine may be too slow for the time that the servers of this machine are given: it is opened again.
    let deadline = Instant::now() + PATIENCE;
    loop {
        terminal.key("Alt-P");
        terminal.wait_for("┌ ");
        terminal.send("mad");
        terminal.wait_for("› mad");
        terminal.wait_gone("asking …");
        if terminal.screen().contains("owned") {
            break;
        }
        assert!(Instant::now() < deadline, "{}", terminal.screen());
        terminal.key("Esc");
        terminal.wait_gone("┌ ");
    }
    assert_only_known_sequences(&terminal.raw_output());
    terminal.key("Esc");
    terminal.wait_gone("┌ ");
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    let doctor = home.run(&["doctor"], "");
    assert!(doctor.stdout.contains("2 models"), "{}", doctor.stdout);
    assert_tame(&doctor.stdout);
    assert_tame(&doctor.stderr);
}

fn no_key() -> support::server::Rules {
    support::server::Rules {
        keys: support::server::Keys::Unchecked,
        ..Default::default()
    }
}

/// One server that sends every question elsewhere, also that for its models, which `doctor` asks with the key.
#[test]
fn a_redirect_of_the_list_takes_no_key_with_it() {
    for status in [301, 302, 307, 308] {
        let trap = Server::trap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let location = format!("{}/models", trap.base_url());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let answer = format!(
                    "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let mut asked = BufReader::new(&stream).lines().map_while(Result::ok);
                asked.find(String::is_empty);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let home = Home::new();
        home.config(&format!("[[providers]]\nname = \"openai\"\nbase_urls = [\"http://{address}/v1\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n"));
        let mut command = home.chat_agent();
        command.env("OPENAI_API_KEY", KEY).arg("doctor");
        let output = support::home::run(command, b"", PATIENCE);
        assert!(output.stdout.contains(&status.to_string()), "{output:?}");
        assert_tame(&output.stdout);
        assert_eq!(trap.connections(), 0, "{status}");
        trap.assert_clean();
    }
}
