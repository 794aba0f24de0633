//! The screens in the documentation are what the program shows, as text and as a picture.
//!
//! `UPDATE_DOCS=1 cargo test --test screen readme_screens` writes them. Times and speeds differ from run to run: they are masked before
//! screens are compared, and the files keep the figures of the run that wrote them. All else is compared letter by letter.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the small functions of tests are tests"
)]

mod svg;

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

/// Where each screen is shown: between the marks of its name in a page, or as a picture.
#[test]
fn screens_in_the_docs_match_the_program() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for (name, page, show) in [
        (
            "start",
            "docs/screens.md",
            start as fn(&Wanted<'_>) -> Picture,
        ),
        ("answer", "README.md", answer),
        ("picker", "docs/screens.md", picker),
    ] {
        let text = read(page);
        let shown = block(&text, name);
        let wanted = |rows: &[String]| update || masked_rows(rows) == masked_rows(&rows_of(shown));
        let picture = show(&wanted);
        let rows = kept_figures(&rows_of(shown), &picture.rows, update);
        write_or_compare(page, &text.replace(shown, &rows.join("\n")), update);
        if name == "answer" {
            let old = std::fs::read_to_string(path(PICTURE)).unwrap_or_default();
            let rows = kept_figures(&svg::rows(&old), &picture.rows, update);
            write_or_compare(PICTURE, &svg::draw(&rows, &picture.styles), update);
        }
    }
}

const PICTURE: &str = "docs/screen.svg";

/// Whether these rows are the expected ones.
type Wanted<'a> = dyn Fn(&[String]) -> bool + 'a;

/// A screen: its rows without trailing spaces, and the style of each cell.
struct Picture {
    rows: Vec<String>,
    styles: Vec<Vec<svg::Style>>,
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

fn write_or_compare(file: &str, wanted: &str, update: bool) {
    if update {
        std::fs::write(path(file), wanted).unwrap();
        return;
    }
    let found = read(file);
    let mut lines = found.lines().zip(wanted.lines());
    let differs = lines.find(|(old, new)| old != new);
    assert!(
        found == wanted,
        "{file} shows another screen than the program, first at {differs:#?}\n\
        `UPDATE_DOCS=1 cargo test --test screen readme_screens` writes it"
    );
}

/// The screen between the marks of this name.
fn block<'a>(page: &'a str, name: &str) -> &'a str {
    let open = format!("<!-- screen:{name} -->\n```text\n");
    let (_, rest) = page.split_once(&open).expect(&open);
    rest.split_once("\n```\n<!-- /screen -->").unwrap().0
}

fn rows_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn masked_rows(rows: &[String]) -> Vec<String> {
    let masked = rows.iter().map(|row| masked(row).trim_end().to_owned());
    masked.collect()
}

/// The rows of the program, with the figures of the page where nothing else differs.
fn kept_figures(page: &[String], program: &[String], update: bool) -> Vec<String> {
    let same = |old: &&String, new: &String| masked(old).trim_end() == masked(new).trim_end();
    let rows = program.iter().enumerate().map(|(at, new)| {
        let old = page.get(at).filter(|old| !update && same(old, new));
        old.unwrap_or(new).clone()
    });
    rows.collect()
}

/// Without a key.
fn start(wanted: &Wanted<'_>) -> Picture {
    let home = Home::new();
    let terminal = Terminal::spawn(&home.chat_agent(), SIZE.0, SIZE.1);
    terminal.wait_for("→ guide");
    terminal.wait_for("month $   0.00");
    picture(&terminal, wanted)
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

fn answer(wanted: &Wanted<'_>) -> Picture {
    let (_server, _home, terminal) = answered();
    picture(&terminal, wanted)
}

fn picker(wanted: &Wanted<'_>) -> Picture {
    let (_server, _home, terminal) = answered();
    terminal.key("Alt-P");
    terminal.wait_for("rung 1");
    terminal.send("gpt-5");
    terminal.wait_for("› gpt-5");
    picture(&terminal, wanted)
}

/// The screen when it has come to rest. A busy machine pauses before all is there, so the screen is read again until it
/// is the wanted one.
fn picture(terminal: &Terminal, wanted: &Wanted<'_>) -> Picture {
    let deadline = Instant::now() + PATIENCE;
    loop {
        terminal.wait_quiet(Duration::from_millis(300));
        let (rows, styles) = terminal.look(|screen| {
            let rows = screen.rows(0, SIZE.0).map(|row| row.trim_end().to_owned());
            (rows.collect::<Vec<_>>(), svg::styles(screen))
        });
        if wanted(&rows) || Instant::now() > deadline {
            return Picture { rows, styles };
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
