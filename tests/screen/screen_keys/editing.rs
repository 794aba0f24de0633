//! Writing a prompt: new lines, pastes, history, the editor.

use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::support::screen::{Place, say, settled};
use crate::support::server::{Answer, Script};
use crate::support::terminal::sequences::assert_only_known_sequences;
use crate::support::terminal::{Nature, Terminal};

fn place() -> Place {
    Place::new(Script::always(Answer::text("heard")))
}

/// The text of the last message that the server got.
fn heard(place: &Place, requests: usize) -> String {
    let all = place.server.wait_for_requests(requests);
    let messages = all
        .last()
        .unwrap()
        .field("messages")
        .unwrap()
        .as_array()
        .unwrap()
        .clone();
    messages.last().unwrap()["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn every_newline_key_makes_a_line() {
    let place = place();
    let terminal = place.open_in(
        Nature {
            kitty: true,
            ..Nature::default()
        },
        &[],
        80,
        24,
    );
    for (n, key) in ["Alt-Enter", "Ctrl-J", "Shift-Enter"]
        .into_iter()
        .enumerate()
    {
        terminal.send(format!("line{n}"));
        terminal.wait_for(&format!("line{n}"));
        terminal.key(key);
        terminal.wait_until("a new line", |s| usize::from(s.cursor_position().1) == 3);
    }
    terminal.send("line3\\");
    terminal.wait_for("line3\\");
    terminal.key("Enter");
    terminal.wait_gone("line3\\");
    say(&terminal, "line4");
    terminal.wait_for("heard");
    assert_eq!(heard(&place, 1), "line0\nline1\nline2\nline3\nline4");
    assert_eq!(place.server.chats().len(), 1);
}

#[test]
fn a_paste_is_text_whatever_is_in_it() {
    let place = place();
    let terminal = place.open(&[], 80, 24);
    let pasted = "first\nsecond \x1b[2J\x1b]52;c;aGk=\x07 third\u{202e}\n";
    terminal.paste(pasted);
    terminal.wait_for("second ␛[2J␛]52;c;aGk=␇ third⟪RLO⟫");
    assert_eq!(
        place.server.chats().len(),
        0,
        "a line break in a paste sends nothing"
    );
    assert_only_known_sequences(&terminal.raw_output());
    terminal.key("Enter");
    terminal.wait_for("heard");
    assert_eq!(
        heard(&place, 1),
        pasted.trim_end(),
        "what is sent is what was pasted"
    );
    assert_only_known_sequences(&terminal.raw_output());
}

#[test]
fn a_megabyte_is_pasted_and_typing_goes_on() {
    let place = place();
    let terminal = place.open(&[], 80, 24);
    let line = "the quick brown fox jumps over the lazy dog and the dog does not mind it\n";
    terminal.paste(&line.repeat(1_000_000 / line.len()));
    terminal.send("and this behind it");
    terminal.wait_for("and this behind it");
    // The receipt follows: that many tokens do not fit any model here.
    terminal.wait_for("holds 128000 tokens");
    terminal.key("Ctrl-C");
    terminal.wait_for("ask something");
    terminal.wait_for("→ large");
    assert_eq!(place.server.chats().len(), 0);
}

#[test]
fn a_paste_without_brackets_never_sends() {
    let place = place();
    let terminal = place.open(&[], 80, 24);
    terminal.send("rm -rf build\rmake\rmake install\r");
    terminal.wait_for("make install");
    // The answer to a key proves that all before it was taken.
    terminal.key("F3");
    terminal.send("tail");
    terminal.wait_for("tail");
    for line in ["› rm -rf build", "   make", "   make install", "   tail"] {
        terminal.wait_for(line);
    }
    assert_eq!(place.server.chats().len(), 0);
    terminal.key("Enter");
    terminal.wait_for("heard");
    assert_eq!(heard(&place, 1), "rm -rf build\nmake\nmake install\ntail");
}

#[test]
fn typing_as_fast_as_can_be_loses_no_letter() {
    let place = place();
    let terminal = place.open(&[], 80, 24);
    let text: String = ('a'..='z').cycle().take(70).collect();
    for c in text.chars() {
        terminal.send(c.to_string());
    }
    terminal.wait_for(&text);
    terminal.key("Enter");
    terminal.wait_for("heard");
    assert_eq!(heard(&place, 1), text);
}

#[test]
fn earlier_prompts_come_back() {
    let place = Place::new(Script::each([
        Answer::text("one"),
        Answer::text("two"),
        Answer::text("three"),
    ]));
    let terminal = place.open(&[], 80, 24);
    for (prompt, answer) in [("apples and pears", "one"), ("plums", "two")] {
        say(&terminal, prompt);
        terminal.wait_for(answer);
        settled(&terminal);
    }
    terminal.key("Up");
    terminal.wait_for("› plums");
    terminal.key("Up");
    terminal.wait_for("› apples and pears");
    terminal.key("Down");
    terminal.wait_for("› plums");
    terminal.key("Down");
    terminal.wait_for("› ask something");
    terminal.key("Ctrl-R");
    terminal.wait_for("earlier prompts");
    terminal.send("pear");
    terminal.wait_for("search: pear");
    terminal.wait_for("│apples and pears");
    terminal.key("Enter");
    terminal.wait_for("› apples and pears");
    terminal.key("Ctrl-D");
    // Not on a draft, which it would delete from.
    terminal.key("Ctrl-U");
    terminal.wait_for("› ask something");
    // In a new chat, and in the next run.
    say(&terminal, "/new");
    terminal.wait_gone("two");
    terminal.key("Up");
    terminal.wait_for("› plums");
    terminal.key("Ctrl-U");
    terminal.wait_for("› ask something");
    terminal.key("Ctrl-D");
    terminal.wait_exit();
    let terminal = place.open(&[], 80, 24);
    terminal.key("Up");
    terminal.wait_for("› plums");
}

#[test]
fn esc_twice_edits_an_earlier_message() {
    let place = Place::new(Script::each([
        Answer::text("one"),
        Answer::text("two"),
        Answer::text("three"),
    ]));
    let terminal = place.open(&[], 80, 24);
    for (prompt, answer) in [("first question", "one"), ("second question", "two")] {
        say(&terminal, prompt);
        terminal.wait_for(answer);
        settled(&terminal);
    }
    // The second within a second of the first; a busy machine may have to try again.
    let deadline = Instant::now() + PATIENCE;
    loop {
        terminal.key("Esc");
        terminal.wait_for("Esc again: edit an earlier message");
        terminal.key("Esc");
        if terminal.shows_within(Duration::from_secs(10), "edit an earlier message ─") {
            break;
        }
        assert!(Instant::now() < deadline, "{}", terminal.screen());
        // Takes the hint away.
        terminal.send("x");
        terminal.wait_gone("Esc again");
        terminal.key("Ctrl-U");
        terminal.wait_for("› ask something");
    }
    terminal.key("Down");
    terminal.key("Enter");
    terminal.wait_for("› first question");
    terminal.wait_gone("two");
    terminal.send(", better");
    terminal.wait_for("› first question, better");
    terminal.key("Enter");
    terminal.wait_for("three");
    let bodies = place.server.bodies();
    let sent = bodies[2]["messages"].as_array().unwrap();
    assert_eq!(sent.len(), 1, "the old branch is not sent: {sent:?}");
    assert_eq!(sent[0]["content"], "first question, better");
}

#[test]
fn the_draft_goes_to_the_editor_and_comes_back() {
    let place = place();
    let script = place.home.file(
        "editor.sh",
        "#!/bin/sh\ncat \"$1\" > seen\nprintf 'from the editor' > \"$1\"\n",
    );
    let mut command = place.command(&[]);
    command.env("EDITOR", format!("sh {}", script.display()));
    let terminal = Terminal::spawn(&command, 80, 24);
    terminal.wait_for("→ large");
    terminal.send("from the screen");
    terminal.wait_for("› from the screen");
    terminal.key("Ctrl-G");
    terminal.wait_for("› from the editor");
    assert_eq!(
        std::fs::read_to_string(place.home.work_dir().join("seen")).unwrap(),
        "from the screen"
    );
    // The screen is whole again.
    terminal.wait_for("→ large");
    terminal.key("Enter");
    terminal.wait_for("heard");
    assert_eq!(heard(&place, 1), "from the editor");
}
