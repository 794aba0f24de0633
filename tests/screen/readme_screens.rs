//! The screens in README.md are what the program shows.
//!
//! `UPDATE_README=1 cargo test --test screen readme_screens` writes them. Times and speeds, which differ from run to run, are
//! masked; all else is compared letter by letter.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the small functions of tests are tests"
)]

use crate::support;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use support::PATIENCE;
use support::home::Home;
use support::screen::{say, settled};
use support::server::{Answer, Script, Server};
use support::terminal::Terminal;

const SIZE: (u16, u16) = (110, 28);

const ANSWER: &str = "`Vec::push` takes its argument **by value**, so the string now belongs to the vector. Either clone it, \
    or push a reference:\n\n```rust\nlet s = String::from(\"a\");\nv.push(s.clone());\nprintln!(\"{s}\");\n```\n\n\
    A clone costs an allocation; a reference costs a lifetime.\n";

#[test]
fn the_screens_in_the_readme_are_what_the_program_shows() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let before = std::fs::read_to_string(&path).unwrap();
    let mut after = before.clone();
    let update = std::env::var_os("UPDATE_README").is_some();
    for (name, show) in [
        ("start", start as fn(&dyn Fn(&str) -> bool) -> String),
        ("answer", answer),
        ("picker", picker),
    ] {
        let screen = show(&|screen| update || with_block(&before, name, screen) == before);
        after = with_block(&after, name, &screen);
    }
    if update {
        std::fs::write(&path, after).unwrap();
        return;
    }
    let differs = before
        .lines()
        .zip(after.lines())
        .find(|(old, new)| old != new);
    assert!(
        before == after,
        "README.md shows other screens than the program, first at {differs:#?}\n\
        `UPDATE_README=1 cargo test --test screen readme_screens` writes them"
    );
}

/// Puts `screen` between the marks of this name.
fn with_block(readme: &str, name: &str, screen: &str) -> String {
    let (open, close) = (format!("<!-- screen:{name} -->"), "<!-- /screen -->");
    let words = format!("README.md has no block {open} … {close}");
    let start = readme.find(&open).expect(&words) + open.len();
    let end = start + readme[start..].find(close).expect(&words);
    format!(
        "{}\n```text\n{screen}\n```\n{}",
        &readme[..start],
        &readme[end..]
    )
}

/// Without a key.
fn start(is_right: &dyn Fn(&str) -> bool) -> String {
    let home = Home::new();
    let terminal = Terminal::spawn(&home.chat_agent(), SIZE.0, SIZE.1);
    terminal.wait_for("→ guide");
    terminal.wait_for("month $   0.00");
    picture(&terminal, is_right)
}

fn chat(server: &Server, home: &Home) -> Command {
    home.config(&format!(
        r#"[budget]
per_session = 1.00
per_day = 5.00
per_month = 50.00
[router]
pace = false
[[providers]]
name = "openai"
base_urls = ["{}"]
keys = [{{ env = "OPENAI_API_KEY" }}]
[[models]]
id = "openai/gpt-5-mini"
input = 0.25
cached_input = 0.025
output = 2.0
[[models]]
id = "openai/gpt-5"
input = 1.25
cached_input = 0.125
output = 10.0
[[models]]
id = "openai/gpt-5-nano"
input = 0.05
cached_input = 0.005
output = 0.4
"#,
        server.base_url()
    ));
    let mut command = home.chat_agent();
    command.env("OPENAI_API_KEY", "sk-proj-0123456789-f3a1");
    command
}

/// A question, an answer with code, a draft for the next.
fn answered() -> (Server, Home, Terminal) {
    // Slow enough for a speed.
    let answer = Answer::text(ANSWER)
        .usage(2310, 318)
        .cached(1920)
        .pieces(40)
        .delay_between(5);
    let server = Server::start(Script::always(answer));
    let home = Home::new();
    let terminal = Terminal::spawn(&chat(&server, &home), SIZE.0, SIZE.1);
    terminal.wait_for("→ gpt-5");
    say(&terminal, "Why does `push` move my string?");
    terminal.wait_for("costs a lifetime");
    settled(&terminal);
    terminal.wait_for("key       …f3a1");
    terminal.send("and when is a clone too dear?");
    terminal.wait_for("and when is a clone too dear?");
    // The receipt and the panel price the same draft.
    terminal.wait_until("the receipt of the draft", |screen| {
        let shown = screen.contents();
        shown.contains("→ gpt-5 (auto") && !shown.contains("~600 out")
    });
    (server, home, terminal)
}

fn answer(is_right: &dyn Fn(&str) -> bool) -> String {
    let (_server, _home, terminal) = answered();
    picture(&terminal, is_right)
}

fn picker(is_right: &dyn Fn(&str) -> bool) -> String {
    let (_server, _home, terminal) = answered();
    terminal.key("Alt-P");
    terminal.wait_for("rung 1");
    terminal.send("gpt-5");
    terminal.wait_for("› gpt-5");
    picture(&terminal, is_right)
}

/// The screen when it has come to rest, without what differs from run to run. A busy machine rests before all is there:
/// until it is right it is taken again.
fn picture(terminal: &Terminal, is_right: &dyn Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        terminal.wait_quiet(Duration::from_millis(300));
        let screen = terminal.screen();
        let screen = screen
            .lines()
            .map(|line| masked(line).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n");
        if is_right(&screen) || Instant::now() > deadline {
            return screen;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Masks times (`233 ms`, `1.2 s`) and the speed; the columns behind them stay where they are.
fn masked(line: &str) -> String {
    let line = match line.split_once("│ tok/s     ") {
        Some((before, speed)) if !speed.starts_with("n/a") => {
            format!(
                "{before}│ tok/s     {}",
                padded(speed, speed.find(' '), "···.·")
            )
        }
        _ => line.to_owned(),
    };
    // Until when a prompt is kept is a time of the day.
    let line = match line.split_once(" · until ") {
        Some((before, time)) => format!("{before} · until ··:··{}", &time[5..]),
        None => line,
    };
    let mut out = String::new();
    let mut rest = line.as_str();
    while let Some((start, end)) = time(rest) {
        let right = out.contains("rung") || rest[..start].contains("rung");
        let mask = "··· ms";
        let (mut before, mut after) = (rest[..start].to_owned(), &rest[end..]);
        // Figures of a list stand at the right of their column, those of the panel at the left.
        let more = mask.chars().count() - (end - start).min(6);
        for _ in 0..more {
            if right {
                before.pop();
            } else {
                after = after.strip_prefix(' ').unwrap_or(after);
            }
        }
        out.push_str(&before);
        out.push_str(mask);
        rest = after;
    }
    // In the list of models the speed stands behind the time, at the right of its column.
    let speed = rest
        .trim_start()
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if out.contains("rung") && speed > 0 {
        let column = rest.len() - rest.trim_start().len() + speed;
        write!(out, "{:>column$}", "···").unwrap();
        rest = &rest[column..];
    }
    out + rest
}

/// `value` up to `end` replaced, what follows kept in its column.
fn padded(value: &str, end: Option<usize>, mask: &str) -> String {
    let Some(end) = end else {
        return mask.to_owned();
    };
    let rest = value[end..].trim_start();
    let column = value.chars().count() - rest.chars().count();
    format!("{mask:<column$}{rest}")
}

/// Where the next `233 ms` or `1.2 s` stands.
fn time(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let figure = |b: &u8| b.is_ascii_digit() || *b == b'.';
    text.match_indices(' ').find_map(|(space, _)| {
        let unit = ["ms", "s"].into_iter().find(|unit| {
            let behind = &text[space + 1..];
            behind
                .strip_prefix(unit)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })?;
        let start = space
            - bytes[..space]
                .iter()
                .rev()
                .take_while(|b| figure(b))
                .count();
        (start < space).then_some((start, space + 1 + unit.len()))
    })
}
