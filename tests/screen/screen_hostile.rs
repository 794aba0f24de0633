//! What a server says reaches the terminal only in its visible form.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use support::screen::{Place, say, settled};
use support::server::{Answer, Script};
use support::terminal::sequences::assert_only_known_sequences;
use support::terminal::{Status, Terminal};

/// What must not come through, and how it is shown.
const ATTACKS: [(&str, &str); 12] = [
    ("clear \x1b[2J\x1b[1;1H", "clear ␛[2J␛[1;1H"),
    ("clip \x1b]52;c;ZXZpbA==\x07", "clip ␛]52;c;ZXZpbA==␇"),
    ("title \x1b]0;owned\x1b\\", "title ␛]0;owned␛"),
    ("link \x1b]8;;http://evil\x1b\\x", "link ␛]8;;http://evil"),
    ("ask \x1bP$qm\x1b\\ \x1b[21t\x1b[c", "ask ␛P$qm␛"),
    (
        "mode \x1b[?1000h\x1b[?1049l\x1b[>1u",
        "mode ␛[?1000h␛[?1049l␛[>1u",
    ),
    (
        "c1 \u{9b}31m\u{9d}0;x\u{9c}",
        "c1 ⟪U+009B⟫31m⟪U+009D⟫0;x⟪U+009C⟫",
    ),
    (
        "bidi \u{202e}txt.exe\u{202c}\u{2066}\u{2069}",
        "bidi ⟪RLO⟫txt.exe⟪PDF⟫⟪LRI⟫⟪PDI⟫",
    ),
    ("zero a\u{200b}b\u{feff}c", "zero a⟪U+200B⟫b⟪U+FEFF⟫c"),
    ("tags \u{e0041}\u{e0042}", "tags ⟪U+E0041⟫⟪U+E0042⟫"),
    ("back safe\x08\x08\x7f\0", "back safe␈␈␡␀"),
    ("shift \x0e\x0f\x0c", "shift ␎␏␌"),
];

fn hostile() -> String {
    ATTACKS.map(|(raw, _)| raw).join("\n\n")
}

/// The terminal works as before: modes, colours, clear cursor, our own drawing.
#[track_caller]
fn assert_sane(terminal: &Terminal) {
    assert_only_known_sequences(&terminal.raw_output());
    terminal.look(|screen| {
        assert!(screen.alternate_screen() && screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    });
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert!(!terminal.look(vt100::Screen::alternate_screen));
    assert_only_known_sequences(&terminal.raw_output());
}

#[test]
fn an_answer_shows_its_attacks() {
    // One character a piece: every sequence is cut at every place.
    let text = hostile();
    let place = Place::new(Script::always(Answer::text(&text).pieces(text.len())));
    let terminal = place.open(&[], 100, 50);
    say(&terminal, "attack");
    settled(&terminal);
    for (_, shown) in ATTACKS {
        terminal.wait_for(shown);
    }
    assert_sane(&terminal);
}

#[test]
fn code_tables_and_links_show_them_too() {
    let text = "| \x1b[2Jcell | b |\n|---|---|\n| \u{202e}x | \x1b]52;c;aGk=\x07 |\n\n```\x1b[31mrust\nlet a\x1b[0m;\n```\n\n\
        [text\x1b[1m](http://evil/\x1b[5m) ![p\u{202e}](http://evil/?q=secret)\n\n# head\x1b[7m\n\n- item\u{9b}m\n\n> quote\x07\n";
    let place = Place::new(Script::always(Answer::text(text).pieces(text.len())));
    let terminal = place.open(&[], 100, 50);
    say(&terminal, "attack");
    settled(&terminal);
    for shown in [
        "␛[2Jcell",
        "⟪RLO⟫x",
        "let a␛[0m;",
        "head␛[7m",
        "item⟪U+009B⟫m",
        "quote␇",
        "http://evil/",
    ] {
        terminal.wait_for(shown);
    }
    assert_eq!(place.server.requests().len(), 1, "no link is followed");
    assert_sane(&terminal);
}

#[test]
fn reasoning_model_and_title_show_them() {
    let answer = Answer::text("done")
        .reasoning(&hostile(), 9)
        .model("evil\x1b]0;x\x07\u{202e}");
    let place = Place::new(Script::always(answer));
    let terminal = place.open(&[], 120, 50);
    terminal.paste("title \x1b]0;owned\x07 \u{202e}txt");
    terminal.wait_for("title ␛]0;owned␇ ⟪RLO⟫txt");
    terminal.key("Enter");
    terminal.wait_for("done");
    settled(&terminal);
    terminal.key("Tab");
    terminal.wait_for("y copy");
    terminal.key("r");
    for (_, shown) in ATTACKS {
        terminal.wait_for(shown);
    }
    terminal.key("Esc");
    settled(&terminal);
    // In the list of chats too.
    say(&terminal, "/resume");
    terminal.wait_for("┌ chats");
    terminal.wait_for("messages");
    terminal.key("Esc");
    terminal.wait_gone("┌ chats");
    assert_sane(&terminal);
}

#[test]
fn errors_show_them() {
    let message = hostile().replace("\n\n", " ");
    let place = Place::new(Script::always(Answer::error(400, "bad\x1b[2J", &message)));
    let terminal = place.open(&[], 120, 50);
    say(&terminal, "attack");
    terminal.wait_for("✗");
    settled(&terminal);
    // Of an error's words the control characters are left out; what else deceives is shown.
    for shown in ["⟪RLO⟫txt.exe⟪PDF⟫", "zero a⟪U+200B⟫b⟪U+FEFF⟫c"] {
        terminal.wait_for(shown);
    }
    assert_sane(&terminal);
}

#[test]
fn a_hostile_line_in_the_stream_and_zalgo_are_bounded() {
    let zalgo = format!("z{}!", "\u{301}".repeat(10_000));
    let place = Place::new(Script::always(
        Answer::text(&format!("{zalgo}\n\nafter\u{2028}it")).pieces(50),
    ));
    let terminal = place.open(&[], 100, 30);
    say(&terminal, "attack");
    settled(&terminal);
    terminal.wait_for("⟪+9992⟫!");
    terminal.wait_for("after");
    assert!(
        terminal.mark() < 60_000,
        "{} bytes for one letter",
        terminal.mark()
    );
    assert_sane(&terminal);
}

#[test]
fn what_the_terminal_answers_unasked_is_no_text() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 80, 24);
    // Reports as terminals send them: position, device, colour, title, modes.
    terminal.send("\x1b[12;40R\x1b[?62;22c\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?2026;2$y\x1b[?1u");
    terminal.send("typed");
    terminal.wait_for("typed");
    terminal.wait_for("› typed");
    assert_eq!(place.server.chats().len(), 0);
    terminal.key("Ctrl-U");
    terminal.wait_for("ask something");
    assert_sane(&terminal);
}
