//! Money on the screen, against a server that counts: the dialog at a limit, going on after a cut.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::screen::{Place, say, settled};
use support::server::{Answer, Gate, Script};
use support::terminal::Terminal;
use support::terminal::sequences::assert_only_known_sequences;

/// The smallest answer of `large` costs more than this, an answer of usual length of `small` does not.
const TIGHT: &str = "[budget]\nper_request = 0.002";

/// A chat in which `auto` would have to step down.
fn tight(answers: &[&str]) -> (Place, Terminal) {
    let place = Place::with(
        Script::each(answers.iter().map(|text| Answer::text(text))),
        TIGHT,
    );
    let terminal = Terminal::spawn(&place.command(&["--no-cache"]), 100, 30);
    // The receipt says what Enter would propose.
    terminal.wait_for("→ small (auto: large could cost");
    (place, terminal)
}

fn models(place: &Place) -> Vec<String> {
    place
        .server
        .chats()
        .iter()
        .map(|chat| chat.model().to_owned())
        .collect()
}

fn last_message(body: &Value) -> &str {
    body["messages"].as_array().unwrap().last().unwrap()["content"]
        .as_str()
        .unwrap()
}

#[test]
fn the_cheaper_model_is_taken_once_and_holds_for_the_chat() {
    let (place, terminal) = tight(&["the first", "the second"]);
    say(&terminal, "hello there");
    terminal.wait_for("at the limit");
    terminal.wait_for("could cost $0.0021, $0.002 left for one request");
    terminal.wait_for("1    small instead: ≈$0.0");
    terminal.wait_for("› hello there");
    assert!(
        place.server.chats().is_empty(),
        "a question asked of the user is none asked of a server"
    );
    terminal.key("Enter");
    terminal.wait_for("the first");
    settled(&terminal);
    // From now on the receipt says it, and that is enough.
    say(&terminal, "and again");
    terminal.wait_for("the second");
    settled(&terminal);
    assert_eq!(models(&place), ["small", "small"]);
    place.server.assert_clean();
}

#[test]
fn a_limit_is_raised_once_for_one_question() {
    let (place, terminal) = tight(&["from the better one"]);
    say(&terminal, "hello there");
    terminal.wait_for("2    raise the limit per request by $0.0");
    terminal.key("2");
    terminal.wait_for("from the better one");
    settled(&terminal);
    assert_eq!(models(&place), ["large"]);
    // The next question meets the limit as it was.
    say(&terminal, "and again");
    terminal.wait_for("at the limit");
    terminal.key("Esc");
    terminal.wait_gone("at the limit");
    assert_eq!(models(&place), ["large"]);
    place.server.assert_clean();
}

#[test]
fn any_number_of_dialogs_sends_nothing_and_keeps_the_draft() {
    let (place, terminal) = tight(&["never"]);
    terminal.send("precious");
    for _ in 0..5 {
        terminal.wait_for("› precious");
        terminal.key("Enter");
        terminal.wait_for("at the limit");
        terminal.key("Esc");
        terminal.wait_gone("at the limit");
    }
    terminal.wait_for("› precious");
    assert!(place.server.chats().is_empty());
    // Nor was anything stored: the chat has not begun.
    terminal.wait_for(" new chat");
    terminal.wait_for("month $   0.00");
}

#[test]
fn a_pinned_model_is_left_for_one_question_only() {
    let place = Place::with(Script::each([Answer::text("a small answer")]), TIGHT);
    let terminal = Terminal::spawn(&place.command(&["-m", "mock/large"]), 100, 30);
    terminal.wait_for("could cost $0.0021");
    say(&terminal, "hello there");
    terminal.wait_for("1    small instead: ≈$0.0");
    terminal.wait_for("for this question only");
    terminal.key("1");
    terminal.wait_for("a small answer");
    settled(&terminal);
    say(&terminal, "and again");
    terminal.wait_for("at the limit");
    terminal.key("Esc");
    terminal.wait_gone("at the limit");
    assert_eq!(models(&place), ["small"]);
}

#[test]
fn what_is_offered_instead_costs_less_even_where_a_dearer_rung_fits() {
    let middle = "[[models]]\nid = \"mock/middle\"\ninput = 1.0\noutput = 4.0\nper_day = 0.0001";
    let place = Place::with(Script::each([Answer::text("a small answer")]), middle);
    let terminal = Terminal::spawn(&place.command(&["-m", "mock/middle"]), 100, 30);
    terminal.wait_for("could cost $0.001");
    say(&terminal, "hello there");
    terminal.wait_for("at the limit");
    terminal.wait_for("1    small instead: ≈$0.0");
    terminal.key("1");
    terminal.wait_for("a small answer");
    settled(&terminal);
    assert_eq!(models(&place), ["small"]);
}

#[test]
fn a_better_model_with_little_room_is_asked_as_the_receipt_says() {
    // Room for a short answer of `large`, less than is usual, and no other is wanted.
    let toml = "[budget]\nper_request = 0.005\non_limit = \"refuse\"";
    let place = Place::with(Script::each([Answer::text("a short answer")]), toml);
    let terminal = place.open(&["--no-cache"], 100, 30);
    say(&terminal, "hello there");
    terminal.wait_for("a short answer");
    settled(&terminal);
    assert_eq!(
        models(&place),
        ["large"],
        "no lower rung is taken for money without a question"
    );
    place.server.assert_clean();
}

#[test]
fn a_better_answer_at_a_limit_asks_first_and_leaves_the_chat_as_it_was() {
    let (place, terminal) = tight(&["a small answer"]);
    say(&terminal, "hello there");
    terminal.wait_for("at the limit");
    terminal.key("1");
    terminal.wait_for("a small answer");
    settled(&terminal);
    terminal.key("Alt-E");
    terminal.wait_for("at the limit");
    terminal.key("Esc");
    terminal.wait_gone("at the limit");
    terminal.wait_for("a small answer");
    terminal.wait_for("ask something");
    assert_eq!(models(&place), ["small"]);
}

#[test]
fn a_rule_in_the_configuration_asks_nothing() {
    let refuse = Place::with(
        Script::always(Answer::text("never")),
        &format!("{TIGHT}\non_limit = \"refuse\""),
    );
    let terminal = Terminal::spawn(&refuse.command(&[]), 100, 30);
    terminal.wait_for("could cost $0.0021");
    say(&terminal, "hello there");
    terminal.wait_for("✗ mock/large could cost");
    terminal.wait_for("› hello there");
    assert!(!terminal.screen().contains("at the limit") && refuse.server.chats().is_empty());

    let down = Place::with(
        Script::always(Answer::text("down it went")),
        &format!("{TIGHT}\non_limit = \"downgrade\""),
    );
    let terminal = Terminal::spawn(&down.command(&[]), 100, 30);
    terminal.wait_for("→ small (auto: large could cost");
    say(&terminal, "hello there");
    terminal.wait_for("down it went");
    assert!(!terminal.screen().contains("at the limit"));
    assert_eq!(models(&down), ["small"]);
}

#[test]
fn going_on_after_a_cut_is_one_request_for_one_key() {
    let long = Answer::text("abcdefghij").pieces(10).usage(3, 20);
    let place = Place::new(Script::each([long, Answer::text("klm").usage(9, 3)]));
    let terminal = place.open(&["--no-cache", "--max-output", "8"], 100, 30);
    say(&terminal, "the alphabet?");
    terminal.wait_for("cut at its cap of 8 tokens · Alt-C continue ≈$0.0");
    settled(&terminal);
    assert_eq!(place.server.chats().len(), 1, "an offer is no request");
    terminal.key("Alt-C");
    terminal.wait_for("klm");
    settled(&terminal);
    terminal.wait_gone("Alt-C continue");
    terminal.key("Alt-C");
    terminal.wait_for("no answer that was cut at its output cap");
    let bodies = place.server.bodies();
    assert_eq!(bodies.len(), 2, "one key is one request");
    assert_eq!(
        last_message(&bodies[1]),
        "Continue exactly where you stopped."
    );
    place.server.assert_clean();
}

#[test]
fn money_that_is_gone_when_the_way_is_chosen_is_not_spent() {
    let elsewhere = Answer::text("spent elsewhere").usage(1_000, 2_000);
    let place = Place::with(
        Script::each([elsewhere, Answer::text("never")]),
        "[budget]\nper_day = 0.002",
    );
    let terminal = Terminal::spawn(&place.command(&[]), 100, 30);
    terminal.wait_for("→ small (auto: large could cost");
    say(&terminal, "hello there");
    terminal.wait_for("1    small instead");
    // While the dialog is open, another process spends nearly everything.
    let spent = place
        .command(&["ask", "-m", "mock/small", "quickly"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(spent.status.success(), "{spent:?}");
    terminal.key("1");
    terminal.wait_for("could cost $0.0002");
    terminal.wait_gone("small instead");
    terminal.wait_for("at the limit");
    terminal.key("Esc");
    terminal.wait_for("› hello there");
    assert_eq!(
        place.server.chats().len(),
        1,
        "only the other process has sent anything"
    );
    place.server.assert_clean();
}

/// A chat that passes 80 % of its day while the window is not looked at, and how long its turn took at most.
fn alarmed(notify: &str) -> (Place, Terminal, Duration) {
    let gate = Gate::new();
    let dear = Answer::text("a dear answer")
        .usage(1_000, 1_800)
        .gate_after(1, &gate);
    let script = Script::each([dear, Answer::text("a cheap answer").usage(5, 5)]);
    let place = Place::with(script, &format!("[budget]\nper_day = 0.02\n{notify}"));
    let terminal = place.open(&["--no-cache"], 120, 30);
    let began = Instant::now();
    say(&terminal, "hello there");
    gate.wait_reached(1);
    // The terminal says that its window is no longer in front; the answer to a key proves that it was heard.
    terminal.send("\x1b[O");
    terminal.send("x");
    terminal.wait_for("› x");
    gate.open();
    terminal.wait_for("a dear answer");
    terminal.wait_for("80 % of $0.02 is used today: $0.016");
    terminal.wait_for("alert     day 80 % of $0.02");
    let took = began.elapsed();
    (place, terminal, took)
}

#[test]
fn an_alert_is_told_once_and_stands_in_the_panel() {
    let (place, terminal, took) = alarmed("");
    terminal.wait_quiet(Duration::from_millis(200));
    // By default nothing goes to the desktop, and nothing rings but the end of a turn of five seconds or more.
    let mut raw = terminal.raw_output();
    raw.retain(|byte| *byte != 7 || took < Duration::from_secs(5));
    assert_only_known_sequences(&raw);
    // A new screen on the same day: the panel knows, and the alert is not repeated.
    let again = Terminal::spawn(&place.command(&["--no-cache"]), 120, 30);
    again.wait_for("alert     day 80 % of $0.02");
    settled(&again);
    say(&again, "and again");
    again.wait_for("a cheap answer");
    settled(&again);
    assert!(
        !again.screen().contains("is used today"),
        "{}",
        again.screen()
    );
}

#[test]
fn an_alert_goes_to_the_desktop_where_that_is_wanted() {
    let (_place, terminal, _) = alarmed("[ui]\nnotify = true");
    terminal.wait_for_bytes(0, b"\x1b]9;80 % of $0.02 is used today: $0.016\x1b\\\x07");
}
