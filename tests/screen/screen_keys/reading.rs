//! Looking around: the panel, help, scrolling, copying.

use crate::support::screen::{Place, say, settled};
use crate::support::server::{Answer, Script};
use crate::support::terminal::Terminal;
use crate::support::terminal::sequences::{Allowed, assert_only, assert_only_known_sequences};

/// An answer of sixty lines and two code blocks.
fn long() -> (Place, Terminal) {
    let lines: Vec<String> = (1..=60).map(|n| format!("- item {n} of it")).collect();
    let text = format!(
        "{}\n\n```sh\nmake\n```\n\n```c\nint a;\n```\n",
        lines.join("\n")
    );
    let place = Place::new(Script::always(Answer::text(&text)));
    let terminal = place.open(&[], 100, 30);
    say(&terminal, "list");
    terminal.wait_for("int a;");
    settled(&terminal);
    (place, terminal)
}

#[test]
fn the_panel_goes_and_comes() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 120, 30);
    terminal.wait_for("THIS REPLY");
    terminal.key("F3");
    terminal.wait_gone("THIS REPLY");
    // Its most wanted figures have a line then.
    terminal.wait_for("session $ 0.00 · today $ 0.00");
    terminal.key("F3");
    terminal.wait_for("THIS REPLY");
}

#[test]
fn help_and_commands_open_on_an_empty_input_only() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 80, 30);
    terminal.key("?");
    terminal.wait_for("┌ help");
    terminal.key("Esc");
    terminal.wait_gone("┌ help");
    terminal.key("F1");
    terminal.wait_for("┌ help");
    terminal.key("q");
    terminal.wait_gone("┌ help");
    terminal.key("/");
    terminal.wait_for("┌ commands");
    terminal.send("cos");
    terminal.wait_for("/cos");
    terminal.key("Enter");
    terminal.wait_for("┌ cost");
    terminal.key("Esc");
    terminal.wait_gone("┌ cost");
    terminal.key("Ctrl-P");
    terminal.wait_for("┌ commands");
    terminal.key("Esc");
    terminal.wait_gone("┌ commands");
    terminal.send("why? and/or how?");
    terminal.wait_for("› why? and/or how?");
    assert!(!terminal.screen().contains('┌'));
}

#[test]
fn the_transcript_scrolls() {
    let (_place, terminal) = long();
    terminal.key("PgUp");
    terminal.wait_for("↓ more");
    terminal.wait_gone("int a;");
    terminal.key("Ctrl-Home");
    terminal.wait_for("• item 1 of it");
    terminal.key("Ctrl-End");
    terminal.wait_for("int a;");
    terminal.wait_gone("↓ more");
    terminal.key("Tab");
    terminal.wait_for("y copy");
    terminal.key("g");
    terminal.wait_for("• item 1 of it");
    terminal.key("G");
    terminal.wait_for("int a;");
    terminal.key("k");
    terminal.wait_for("↓ more");
    terminal.key("j");
    terminal.wait_gone("↓ more");
    // A letter that means nothing here does nothing; Esc goes back to writing.
    terminal.key("Esc");
    terminal.wait_for("Enter send");
    terminal.send("jk");
    terminal.wait_for("› jk");
}

#[test]
fn copying_writes_the_clipboard_and_nothing_else_does() {
    let (_place, terminal) = long();
    terminal.key("Tab");
    terminal.wait_for("y copy");
    assert_only_known_sequences(&terminal.raw_output());
    let clipboard = Allowed {
        clipboard: true,
        ..Allowed::default()
    };
    for (key, encoded, toast) in [
        // `make` and `int a;` in base 64.
        ("1", "bWFrZ", "code block 1 copied"),
        ("2", "aW50IGE7", "code block 2 copied"),
        // `- item 1`
        ("y", "LSBpdGVtIDEg", "the last answer copied"),
        // `## you`
        ("Y", "IyMgeW91", "the chat copied"),
    ] {
        let mark = terminal.mark();
        terminal.key(key);
        terminal.wait_for(toast);
        terminal.wait_for_bytes(mark, format!("\x1b]52;c;{encoded}").as_bytes());
    }
    assert_only(&terminal.raw_output(), clipboard);
}

#[test]
fn redrawing_mends_a_screen_that_others_wrote_on() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 80, 24);
    let before = terminal.screen();
    terminal.key("Ctrl-L");
    terminal.wait_for_bytes(0, b"\x1b[2J");
    terminal.wait_until("the same screen", |s| {
        s.rows(0, 80)
            .map(|row| row.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
            == before
    });
}
