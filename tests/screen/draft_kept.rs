//! No text is lost when the program is killed.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::Instant;

use support::PATIENCE;
use support::screen::{Place, say};
use support::server::{Answer, Gate, Script};

/// Blocks until the store's files hold these words.
#[track_caller]
fn wait_stored(place: &Place, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    let holds = |name: &str| {
        let bytes = std::fs::read(place.home.data_dir().join(name)).unwrap_or_default();
        bytes
            .windows(words.len())
            .any(|window| window == words.as_bytes())
    };
    while !holds("chat.db-wal") && !holds("chat.db") {
        assert!(
            Instant::now() < deadline,
            "{words:?} was not stored within {PATIENCE:?}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_draft_survives_kill() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 100, 30);
    terminal.send("a thought that took an hour");
    terminal.wait_for("› a thought that took an hour");
    // That it takes no more than a second is proved where the clock is the test's: src/tui/tests/flows.rs.
    wait_stored(&place, "a thought that took an hour");
    terminal.end();
    let terminal = place.open(&[], 100, 30);
    terminal.wait_for("› a thought that took an hour");
    // It is a draft, not a chat.
    terminal.key("Ctrl-U");
    terminal.wait_for("› ask something");
    say(&terminal, "/resume");
    terminal.wait_for("no chat found");
}

#[test]
fn a_draft_that_was_put_aside_survives_too() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 100, 30);
    terminal.send("put aside for later");
    terminal.wait_for("› put aside for later");
    terminal.key("Ctrl-C");
    terminal.wait_for("draft put aside");
    wait_stored(&place, "put aside for later");
    terminal.end();
    let terminal = place.open(&[], 100, 30);
    terminal.wait_for("› put aside for later");
}

#[test]
fn a_prompt_and_half_an_answer_survive_kill() {
    let gate = Gate::new();
    let half = Answer::text("the first half and the second half")
        .pieces(2)
        .gate_after(1, &gate);
    let place = Place::new(Script::each([half, Answer::text("and so on")]));
    let terminal = place.open(&[], 100, 30);
    say(&terminal, "a long story please");
    terminal.wait_for("the first half an");
    wait_stored(&place, "the first half an");
    terminal.end();
    let terminal = place.open(&["-c"], 100, 30);
    terminal.wait_for("   a long story please");
    terminal.wait_for("the first half an");
    // It says that it is not whole.
    terminal.wait_for(" · cut");
    say(&terminal, "go on");
    terminal.wait_for("and so on");
    let bodies = place.server.bodies();
    assert_eq!(bodies.len(), 2, "nothing is sent again unasked");
    assert_eq!(bodies[1]["messages"][0]["content"], "a long story please");
}

#[test]
fn a_sent_prompt_survives_kill_before_the_first_word() {
    let gate = Gate::new();
    let place = Place::new(Script::always(Answer::text("late").gate_after(0, &gate)));
    let terminal = place.open(&[], 100, 30);
    say(&terminal, "is anybody there?");
    gate.wait_reached(1);
    terminal.end();
    let terminal = place.open(&["-c"], 100, 30);
    terminal.wait_for("   is anybody there?");
    assert_eq!(place.server.chats().len(), 1);
}
