//! A chat as a person has it: from the first letter to the bill.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::Value;
use support::home::Home;
use support::screen::{Place, say, settled};
use support::server::{Answer, Gate, Outcome, Pico, Script};
use support::terminal::{Status, Terminal};

const ANSWER: &str = "# Moves\n\nIt takes **its argument** by `value`.\n\n```rust\nlet a = b.clone();\n```\n\n- one\n";

/// The texts of a request's messages, each with its role's first letter.
fn messages(body: &Value) -> Vec<String> {
    let each = body["messages"].as_array().unwrap().iter();
    each.map(|m| {
        format!(
            "{}: {}",
            &m["role"].as_str().unwrap()[..1],
            m["content"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn the_receipt_tells_the_price_and_the_panel_the_bill() {
    let gate = Gate::new();
    let answer = Answer::text(ANSWER)
        .usage(1200, 100)
        .cached(400)
        .reasoning("Let me think.", 20)
        .pieces(8)
        .gate_after(6, &gate);
    let place = Place::new(Script::always(answer));
    let terminal = place.open(&[], 120, 40);
    terminal.send("Why does push move?");
    terminal
        .wait_for("→ large (auto: best of the ladder) · 12 in · ~600 out · ≈$0.0048 · max $0.066");
    terminal.key("Enter");
    gate.wait_reached(1);
    let streaming = terminal.mark();
    // What has come is shown before the end, in place, without its marks.
    terminal.wait_for("It takes its argument by value.");
    terminal.wait_for("Esc stop");
    terminal.wait_for("elapsed");
    gate.open();
    settled(&terminal);
    terminal.wait_for("┃ let a = b.clone();");
    terminal.wait_for("• one");
    let erased = terminal
        .bytes_since(streaming)
        .windows(4)
        .any(|bytes| bytes == b"\x1b[2J");
    assert!(
        !erased,
        "nothing flickers: the screen is never erased while an answer streams"
    );
    // The title is the first prompt.
    terminal.wait_until("the title", |screen| {
        screen
            .rows(0, 60)
            .next()
            .unwrap()
            .contains("Why does push move?")
    });
    assert_eq!(place.bill(), Pico::usd("0.0026"));
    for figures in [
        "│ model     mock/large",
        "│ why       auto: best of the ladder",
        "│ TTFT      ",
        "│ tok/s     ",
        "│ elapsed   ",
        "│ in        1,200      cached 400",
        "│ out       100        reasoning 20",
        "│ reply $   0.0026     max 0.066",
        "│ session $ 0.0026     no limit",
        "│ today $   0.0026     no limit",
        "│ month $   0.0026     no limit",
        "│ next turn ~0.0",
        "of 128k",
        "│ cache hit 0 %        saved $0.00",
        "│ p50       ",
        " p95 ",
        "│ errors    0",
        "│ key       …w3rt      circuit closed",
    ] {
        terminal.wait_for(figures);
    }
    place.server.assert_clean();
    support::terminal::sequences::assert_only_known_sequences(&terminal.raw_output());
}

#[test]
fn the_second_turn_sends_the_first() {
    let place = Place::new(Script::each([
        Answer::text("Because."),
        Answer::text("Really."),
    ]));
    let terminal = place.open(&["--no-cache"], 80, 24);
    say(&terminal, "why?");
    terminal.wait_for("Because.");
    settled(&terminal);
    say(&terminal, "really?");
    terminal.wait_for("Really.");
    settled(&terminal);
    let bodies = place.server.bodies();
    assert_eq!(messages(&bodies[0]), ["u: why?"]);
    assert_eq!(
        messages(&bodies[1]),
        ["u: why?", "a: Because.", "u: really?"]
    );
    assert_eq!(bodies.len(), 2, "two sends are two requests");
    place.server.assert_clean();
}

#[test]
fn what_is_sent_while_an_answer_streams_waits_its_turn() {
    let gate = Gate::new();
    let first = Answer::text("the first answer").gate_after(2, &gate);
    let place = Place::new(Script::each([first, Answer::text("the second answer")]));
    let terminal = place.open(&[], 80, 24);
    say(&terminal, "one");
    gate.wait_reached(1);
    say(&terminal, "two");
    terminal.wait_for("queued: two");
    say(&terminal, "three");
    terminal.wait_for("queued: three");
    // The last one comes back to be changed.
    terminal.key("Alt-Up");
    terminal.wait_for("› three");
    terminal.wait_gone("queued: three");
    terminal.key("Ctrl-U");
    assert_eq!(
        place.server.chats().len(),
        1,
        "nothing is sent behind an answer"
    );
    gate.open();
    terminal.wait_for("the second answer");
    settled(&terminal);
    assert_eq!(
        messages(&place.server.bodies()[1]),
        ["u: one", "a: the first answer", "u: two"]
    );
    assert_eq!(place.server.chats().len(), 2);
}

#[test]
fn esc_stops_the_answer_and_keeps_what_came() {
    let cut = Answer::text("begun but never to be ended")
        .pieces(9)
        .hang_after(4);
    let place = Place::new(Script::each([cut, Answer::text("going on")]));
    let terminal = place.open(&[], 80, 24);
    say(&terminal, "begin");
    terminal.wait_for("begun but ne");
    say(&terminal, "queued behind it");
    terminal.wait_for("queued: queued behind it");
    terminal.key("Esc");
    terminal.wait_for("interrupted");
    assert_eq!(
        place.server.wait_for_outcomes(1)[0].outcome,
        Some(Outcome::ClientGone)
    );
    // What waited is the user's to decide on again.
    terminal.wait_for("› queued behind it");
    settled(&terminal);
    terminal.key("Enter");
    terminal.wait_for("going on");
    let sent = messages(&place.server.bodies()[1]);
    assert_eq!(sent[0], "u: begin");
    assert!(
        sent[1].starts_with("a: begun but ne"),
        "the model knows how far it came: {sent:?}"
    );
    assert_eq!(sent[2], "u: queued behind it");
}

#[test]
fn an_error_is_one_item_with_its_mend_and_loses_no_prompt() {
    let refused = Answer::error(
        400,
        "invalid_request",
        "Not with sk-mock-0123456789abcdef-w3rt, not today.",
    );
    let place = Place::new(Script::each([refused, Answer::text("better now")]));
    let terminal = place.open(&[], 100, 30);
    say(&terminal, "a precious prompt");
    terminal.wait_for("✗ ");
    settled(&terminal);
    let screen = terminal.screen();
    assert_eq!(screen.matches('✗').count(), 1, "{screen}");
    assert!(
        !screen.contains("large · auto"),
        "no answer is headed that never began: {screen}"
    );
    assert!(screen.contains("not today"), "the cause: {screen}");
    assert!(screen.contains("\n → "), "the mend: {screen}");
    assert!(
        !screen.contains("sk-mock-0123"),
        "no key on the screen: {screen}"
    );
    assert!(
        screen.contains("   a precious prompt"),
        "it stays in sight: {screen}"
    );
    terminal.key("Up");
    terminal.wait_for("› a precious prompt");
    terminal.key("Ctrl-U");
    terminal.wait_gone("› a precious prompt");
    say(&terminal, "/retry");
    terminal.wait_for("better now");
    assert_eq!(
        messages(&place.server.bodies()[1]),
        ["u: a precious prompt"]
    );
}

#[test]
fn the_picker_pins_and_f2_goes_back_to_auto() {
    let place = Place::new(Script::always(Answer::text("cheap answer")));
    let terminal = place.open(&[], 120, 30);
    terminal.send("hello there");
    terminal.wait_for("→ large (auto");
    terminal.key("Alt-P");
    // Prices, and the price of this draft on each.
    terminal.wait_for("mock/small · rung 2");
    terminal.wait_for("0.20    0.80");
    terminal.send("mosm");
    terminal.wait_for("› mosm");
    terminal.wait_gone("mock/large");
    terminal.key("Enter");
    terminal.wait_for("→ small (your choice)");
    terminal.wait_for("› hello there");
    terminal.key("Enter");
    terminal.wait_for("cheap answer");
    settled(&terminal);
    assert_eq!(place.server.chats()[0].model(), "small");
    // A favourite is one F2 away, and so is auto.
    terminal.key("Alt-P");
    terminal.wait_for("▸ mock/small");
    terminal.key("f");
    terminal.key("Esc");
    terminal.wait_gone("┌ models");
    terminal.key("F2");
    terminal.wait_for("→ large (auto");
    terminal.key("F2");
    terminal.wait_for("→ small (your choice)");
    terminal.key("Shift-F2");
    terminal.wait_for("→ large (auto");
    let written = std::fs::read_to_string(place.home.config_file()).unwrap();
    assert!(
        written.contains("favourites = [\"mock/small\"]"),
        "{written}"
    );
    // The default of new chats.
    terminal.key("Alt-P");
    terminal.wait_for("▸ auto");
    terminal.key("Down");
    terminal.wait_until("a selected row", |screen| {
        screen.contents().contains("mock/small")
    });
    terminal.send("/smd");
    terminal.key("Esc");
    terminal.wait_gone("┌ models");
}

#[test]
fn why_says_what_was_considered() {
    let place = Place::with(
        Script::always(Answer::text("fine")),
        "[budget]\nper_request = 0.004",
    );
    let terminal = Terminal::spawn(&place.command(&[]), 120, 30);
    // The dear one does not fit: auto steps down before anything is sent, and says so.
    terminal.wait_for("→ small (auto: ");
    say(&terminal, "hi");
    terminal.wait_for("fine");
    settled(&terminal);
    assert_eq!(place.server.chats()[0].model(), "small");
    say(&terminal, "/why");
    terminal.wait_for("the last reply");
    terminal.wait_for("the next turn");
    terminal.wait_for("mock/large");
    terminal.wait_for("chosen");
}

#[test]
fn a_chat_is_found_again() {
    let place = Place::new(Script::each([
        Answer::text("A blue whale."),
        Answer::text("Its calf."),
    ]));
    let terminal = place.open(&[], 100, 30);
    say(&terminal, "biggest animal?");
    terminal.wait_for("A blue whale.");
    settled(&terminal);
    say(&terminal, "/new");
    terminal.wait_for(" new chat");
    terminal.wait_gone("A blue whale.");
    say(&terminal, "/resume");
    terminal.wait_for("biggest animal?");
    terminal.key("Enter");
    terminal.wait_for("A blue whale.");
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    // In another process, the newest of all.
    let terminal = place.open(&["-c"], 100, 30);
    terminal.wait_for("A blue whale.");
    say(&terminal, "smallest?");
    terminal.wait_for("Its calf.");
    assert_eq!(
        messages(&place.server.bodies()[1])[..2],
        ["u: biggest animal?", "a: A blue whale."]
    );
    say(&terminal, "/rename Whales");
    terminal.wait_until("the new title", |screen| {
        screen.rows(0, 60).next().unwrap().contains("Whales")
    });
}

#[test]
fn a_prompt_on_the_command_line_is_sent_at_once() {
    let place = Place::new(Script::always(Answer::text("At once.")));
    let terminal = place.open(&["are", "you", "quick?"], 80, 24);
    terminal.wait_for("At once.");
    assert_eq!(messages(&place.server.bodies()[0]), ["u: are you quick?"]);
}

#[test]
fn without_a_key_the_guide_answers_and_costs_nothing() {
    let home = Home::new();
    let terminal = Terminal::spawn(&home.chat_agent(), 100, 30);
    terminal.wait_for("→ guide (auto: no key is set)");
    say(&terminal, "how do I get a key?");
    terminal.wait_for("export OPENAI_API_KEY=");
    settled(&terminal);
    terminal.wait_for("reply $   free");
}
