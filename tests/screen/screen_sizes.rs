//! Every size draws, also while it changes.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::PATIENCE;
use support::home::run;
use support::screen::{Place, say, settled};
use support::server::{Answer, Gate, Script};
use support::terminal::sequences::assert_only_known_sequences;
use support::terminal::{Status, Terminal};

const TEXT: &str = "# Größe\n\nA paragraph that is long enough to be wrapped in most of these sizes, 日本語の文章 and 👍 too.\n\n\
    | a | b |\n|---|---|\n| 1 | two |\n\n```rust\nfn main() { println!(\"a rather long line of code, to be cut or wrapped\"); }\n```\n";

#[test]
fn a_screen_too_small_waits_for_room() {
    let place = Place::new(Script::always(Answer::text(TEXT)));
    for (cols, rows) in [(1, 1), (3, 2), (15, 4), (200, 1), (1, 50)] {
        let terminal = Terminal::spawn(&place.command(&[]), cols, rows);
        terminal.wait_for_bytes(0, b"\x1b[?1049h");
        terminal.send("still heard");
        terminal.resize(80, 24);
        terminal.wait_for("› still heard");
        terminal.wait_for("→ large");
        terminal.resize(cols, rows);
        terminal.resize(0, 0);
        terminal.resize(100, 30);
        terminal.wait_for("THIS REPLY");
        terminal.key("Ctrl-C");
        terminal.wait_for("ask something");
        terminal.key("Ctrl-D");
        assert_eq!(terminal.wait_exit(), Status::Exited(0), "{cols} by {rows}");
        assert_only_known_sequences(&terminal.raw_output());
    }
}

#[test]
fn usual_sizes_show_the_whole_chat() {
    let place = Place::new(Script::always(Answer::text(TEXT)));
    for (cols, rows, panel) in [(80, 24, false), (120, 40, true), (40, 12, false)] {
        let terminal = place.open(&[], cols, rows);
        say(&terminal, "size?");
        terminal.wait_for("fn main()");
        settled(&terminal);
        assert_eq!(
            terminal.screen().contains("THIS REPLY"),
            panel,
            "{}",
            terminal.screen()
        );
        // Prices stay in sight, whatever else is left off.
        terminal.wait_for("max $");
        for dialog in ["Alt-P", "F1", "Ctrl-P", "Ctrl-R"] {
            terminal.key(dialog);
            terminal.wait_for("┌ ");
            terminal.key("Esc");
            terminal.wait_gone("┌ ");
        }
        assert_only_known_sequences(&terminal.raw_output());
    }
}

/// A small generator, so that a storm can be had again from its seed.
struct Storm(u64);

impl Storm {
    fn below(&mut self, n: u64) -> u16 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u16::try_from(self.0 % n).unwrap()
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a failing storm names its seed")]
fn a_storm_of_sizes_while_an_answer_streams() {
    let time = u64::from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos(),
    ) + 1;
    let seed = std::env::var("SEED").map_or(time, |seed| seed.parse().unwrap());
    // Shown when the test fails.
    eprintln!("SEED={seed}");
    let mut storm = Storm(seed);
    let gate = Gate::new();
    let text = TEXT.repeat(20);
    let answer = Answer::text(&text)
        .pieces(400)
        .delay_between(1)
        .gate_after(390, &gate);
    let place = Place::new(Script::always(answer));
    let terminal = place.open(&[], 80, 24);
    say(&terminal, "storm");
    for _ in 0..200 {
        terminal.resize(storm.below(200), storm.below(60));
    }
    gate.wait_reached(1);
    gate.open();
    terminal.resize(110, 35);
    settled(&terminal);
    terminal.wait_for("fn main()");
    terminal.wait_for("THIS REPLY");
    // What is on the screen is what a fresh screen would show.
    let deadline = Instant::now() + PATIENCE;
    loop {
        terminal.wait_quiet(Duration::from_millis(200));
        let (after, mark) = (terminal.screen(), terminal.mark());
        terminal.key("Ctrl-L");
        terminal.wait_for_bytes(mark, b"\x1b[2J");
        terminal.wait_quiet(Duration::from_millis(200));
        let fresh = terminal.screen();
        if fresh == after {
            break;
        }
        // A figure that a busy machine brought between the two is no stain: taken again, they are the same.
        assert!(
            Instant::now() < deadline,
            "after the storm:\n{after}\nand fresh:\n{fresh}"
        );
    }
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert_only_known_sequences(&terminal.raw_output());
}

#[test]
fn a_dumb_terminal_gets_a_plain_answer() {
    let place = Place::new(Script::always(Answer::text("plain")));
    let mut command = place.command(&["a", "question"]);
    command.env("TERM", "dumb");
    let terminal = Terminal::spawn(&command, 80, 24);
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert_eq!(terminal.raw_output(), b"plain\r\n");
    // Without a question there is nothing to answer: an error, not a screen.
    let mut command = place.command(&[]);
    command.env("TERM", "dumb");
    let terminal = Terminal::spawn(&command, 80, 24);
    assert_eq!(terminal.wait_exit(), Status::Exited(2));
    assert!(
        !terminal.raw_output().contains(&0x1b),
        "{}",
        terminal.screen()
    );
}

#[test]
fn without_a_terminal_it_asks() {
    let place = Place::new(Script::always(Answer::text("piped")));
    let output = run(place.command(&[]), b"from a pipe", Duration::from_secs(20));
    output.assert_code(0);
    assert_eq!(output.stdout, "piped\n");
    assert_eq!(
        place.server.bodies()[0]["messages"][0]["content"],
        "from a pipe"
    );
}
