//! However it ends, the terminal is as it was.
//!
//! A panic is not provoked here, since a shipped way to provoke one would be a back door: that the hook restores, once
//! and before the panic's own words, is a unit test beside it (`tui::terminal`).

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use rustix::process::Signal;
use support::screen::{Place, say, settled};
use support::server::{Answer, Gate, Outcome, Script};
use support::terminal::sequences::assert_only_known_sequences;
use support::terminal::{Modes, Status, Terminal};

/// The program started by a shell that lets us look at the terminal first.
fn start(place: &Place, args: &str) -> (Terminal, Modes) {
    let command = place.command(&[]);
    let program = command.get_program().to_str().unwrap().to_owned();
    let mut shell = place.home.command("/bin/sh");
    shell.envs(
        command
            .get_envs()
            .map(|(name, value)| (name, value.unwrap())),
    );
    // Held open from both ends, this pipe has no end.
    shell.args([
        "-c",
        &format!("mkfifo held; exec 3<>held; echo before; read x; exec \"$0\" {args}"),
        &program,
    ]);
    let terminal = Terminal::spawn(&shell, 100, 30);
    terminal.wait_for("before");
    let modes = terminal.modes();
    terminal.send("\n");
    (terminal, modes)
}

#[track_caller]
fn assert_restored(terminal: &Terminal, before: &Modes) {
    assert_eq!(&terminal.modes(), before);
    terminal.look(|screen| {
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.bracketed_paste(), "pastes are no longer marked");
        assert!(!screen.hide_cursor(), "the cursor is to be seen");
        assert!(!screen.application_cursor() && !screen.application_keypad());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    });
    let raw = String::from_utf8_lossy(&terminal.raw_output()).into_owned();
    for (on, off) in [
        ("\x1b[?1004h", "\x1b[?1004l"),
        ("\x1b[>1u", "\x1b[<1u"),
        ("\x1b[?2026h", "\x1b[?2026l"),
    ] {
        assert_eq!(
            raw.matches(on).count(),
            raw.matches(off).count(),
            "{on:?} and {off:?}"
        );
    }
    assert_only_known_sequences(&terminal.raw_output());
}

fn place() -> Place {
    Place::new(Script::always(Answer::text("an answer")))
}

#[test]
fn after_ctrl_d_with_a_word_of_how_to_come_back() {
    let place = place();
    let (terminal, before) = start(&place, "");
    terminal.wait_for("→ large");
    say(&terminal, "hello");
    terminal.wait_for("an answer");
    settled(&terminal);
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert_restored(&terminal, &before);
    let screen = terminal.screen();
    let line = screen
        .lines()
        .find(|line| line.contains("resumes this chat"))
        .unwrap();
    let id = line
        .split("--session ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    // And it is the way back.
    let terminal = place.open(&["--session", &id], 100, 30);
    terminal.wait_for("an answer");
}

#[test]
fn after_ctrl_c_twice_and_nothing_said() {
    let (place, key) = (place(), "Ctrl-C");
    let (terminal, before) = start(&place, "");
    terminal.wait_for("→ large");
    terminal.key(key);
    terminal.wait_for("Ctrl-C again quits");
    terminal.key(key);
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert_restored(&terminal, &before);
    assert!(
        !terminal.screen().contains("resumes"),
        "there is nothing to come back to"
    );
}

#[test]
fn after_signals() {
    let place = place();
    for (signal, status) in [
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::INT, 130),
    ] {
        let (terminal, before) = start(&place, "");
        terminal.wait_for("→ large");
        terminal.signal(signal);
        assert_eq!(terminal.wait_exit(), Status::Exited(status), "{signal:?}");
        assert_restored(&terminal, &before);
    }
}

#[test]
fn after_a_signal_while_an_answer_streams() {
    let gate = Gate::new();
    let place = Place::new(Script::always(
        Answer::text("half of an answer").gate_after(2, &gate),
    ));
    let (terminal, before) = start(&place, "");
    terminal.wait_for("→ large");
    say(&terminal, "go");
    terminal.wait_for("half of");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.wait_exit(), Status::Exited(143));
    assert_restored(&terminal, &before);
    assert_eq!(
        place.server.wait_for_outcomes(1)[0].outcome,
        Some(Outcome::ClientGone)
    );
    terminal.wait_for_bytes(0, b"resumes this chat");
}

#[test]
fn after_a_start_that_fails() {
    let place = place();
    // Nothing can be kept in a folder that is a file.
    std::fs::write(place.home.data_dir(), "in the way").unwrap();
    let (terminal, before) = start(&place, "-c");
    assert_eq!(terminal.wait_exit(), Status::Exited(1));
    assert_restored(&terminal, &before);
    // The cause and the mend, where they can be read.
    let screen = terminal.screen();
    let words: String = screen.split_whitespace().collect();
    assert!(
        words.contains("cannotbeused") && words.contains("--data-dir"),
        "{screen}"
    );
}

#[test]
fn after_a_wrong_key_binding() {
    let place = Place::with(
        Script::always(Answer::text("fine")),
        "[keys]\nsend = [\"Hyper-Q\"]",
    );
    let (terminal, before) = start(&place, "");
    assert_eq!(terminal.wait_exit(), Status::Exited(2));
    assert_restored(&terminal, &before);
    assert!(
        terminal.screen().contains("Hyper-Q"),
        "{}",
        terminal.screen()
    );
}

/// Standard input that is never closed: the program says what it waits for, and Ctrl-C ends it.
#[test]
fn after_ctrl_c_while_a_pipe_is_read() {
    let place = place();
    let (terminal, before) = start(&place, "ask hi < held");
    terminal.wait_for("waiting for the end of standard input");
    terminal.key("Ctrl-C");
    assert_eq!(terminal.wait_exit(), Status::Exited(130));
    assert_restored(&terminal, &before);
    assert_eq!(place.server.bodies().len(), 0, "nothing was sent");
}
