//! What the screen says of the wire, end to end: failed attempts, reasoning, kept answers, and what a stream costs the
//! terminal.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::Instant;

use support::screen::{Place, say, settled};
use support::server::{Answer, Gate, Script};

#[test]
fn an_attempt_that_failed_is_told_below_the_answer() {
    let place = Place::new(Script::each([
        Answer::error(503, "overloaded", "overloaded"),
        Answer::text("Because."),
    ]));
    let terminal = place.open(&[], 120, 40);
    say(&terminal, "why?");
    terminal.wait_for("Because.");
    settled(&terminal);
    terminal.wait_for("2 attempts: mock 503");
    terminal.wait_for("then mock with key …w3rt");
    terminal.wait_for("circuit");
    place.server.assert_clean();
}

#[test]
fn reasoning_is_seen_while_it_comes_then_folds_with_its_price() {
    let gate = Gate::new();
    let answer = Answer::text("It moves.")
        .usage(100, 120)
        .reasoning("Let me think about it.", 100)
        .gate_after(1, &gate);
    let place = Place::new(Script::always(answer));
    let terminal = place.open(&[], 120, 40);
    say(&terminal, "why?");
    terminal.wait_for("▾ thinking");
    terminal.wait_for("Let me think about it.");
    gate.open();
    settled(&terminal);
    // 100 tokens at 8 dollars a million.
    terminal.wait_for("▸ thought · 100 tokens · $0.0008");
    terminal.wait_gone("Let me think about it.");
    terminal.key("Tab");
    terminal.wait_for("r reasoning");
    terminal.key("r");
    terminal.wait_for("Let me think about it.");
}

#[test]
fn a_kept_answer_is_given_again_unless_the_chat_says_no() {
    let place = Place::new(Script::always(Answer::text("Because.")));
    let terminal = place.open(&[], 120, 40);
    for (command, requests, says) in [
        ("", 1, "cache hit 0 %"),
        ("/cache off", 2, "cache hit off"),
        ("/cache on", 2, "cached "),
    ] {
        if !command.is_empty() {
            say(&terminal, "/new");
            // The help of the command says "new chat" too: only an empty chat says this.
            terminal.wait_for("A chat with any model");
            say(&terminal, command);
            terminal.wait_gone(command);
        }
        say(&terminal, "why is it so?");
        terminal.wait_for("would have cost");
        terminal.wait_for(says);
        assert_eq!(place.server.requests().len(), requests, "{command}");
    }
}

/// Hundredths of a second that the program has computed so far, on Linux; there is no limit to it here, since a debug
/// build says little.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    fields
        .iter()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}

/// The highest number of a word `w123` on the screen.
fn last_word(shown: &str) -> Option<usize> {
    let number = |word: &str| word.strip_prefix('w')?.trim_end_matches('.').parse().ok();
    shown.split_whitespace().filter_map(number).max()
}

/// 2,000 tokens at 200 a second are 200 KB to the terminal at most.
#[test]
#[expect(clippy::print_stdout, reason = "the figure is quoted in the README")]
fn a_long_stream_is_little_to_write() {
    let words = (0..2_000).map(|n| {
        if n % 12 == 11 {
            format!("w{n}.\n\n")
        } else {
            format!("w{n} ")
        }
    });
    let answer = Answer::of_pieces(words).delay_between(5);
    let place = Place::new(Script::always(answer));
    let terminal = place.open(&["--no-cache", "--max-output", "16000"], 120, 40);
    let (before, began) = (terminal.mark(), Instant::now());
    say(&terminal, "go on");
    // Each within its own time: a busy machine takes longer than ten seconds for all of them.
    for n in (199..2_000).step_by(200) {
        // Or what came after it: it may have been on the screen for a moment only.
        terminal.wait_until(&format!("w{n} or a later one"), |screen| {
            last_word(&screen.contents()) >= Some(n)
        });
    }
    settled(&terminal);
    let (written, seconds) = (
        terminal.bytes_since(before).len(),
        began.elapsed().as_secs_f64().max(10.0),
    );
    println!(
        "{written} bytes for 2,000 tokens at 200 a second; {} ticks of processor time",
        ticks(terminal.pid())
    );
    // Where a busy machine sends them more slowly, they are more frames.
    let most = 20_000.0 * seconds;
    assert!(
        f64::from(u32::try_from(written).unwrap()) <= most,
        "{written} bytes in {seconds:.1} seconds"
    );
}
