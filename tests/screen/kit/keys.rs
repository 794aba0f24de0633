//! Names of keys and their bytes.

use crate::support::terminal::keys::bytes;

#[test]
fn keys_send_what_xterm_sends() {
    for (name, expected) in [
        ("Enter", "\r"),
        ("Shift-Enter", "\x1b[13;2u"),
        ("Alt-Enter", "\x1b\r"),
        ("Ctrl-J", "\n"),
        ("Esc", "\x1b"),
        ("Ctrl-C", "\x03"),
        ("Ctrl-D", "\x04"),
        ("F1", "\x1bOP"),
        ("F2", "\x1bOQ"),
        ("Shift-F2", "\x1b[1;2Q"),
        ("F9", "\x1b[20~"),
        ("Alt-P", "\x1bp"),
        ("Alt-Shift-P", "\x1bP"),
        ("Alt-E", "\x1be"),
        ("Up", "\x1b[A"),
        ("Ctrl-R", "\x12"),
        ("PgUp", "\x1b[5~"),
        ("Ctrl-Home", "\x1b[1;5H"),
        ("Ctrl-End", "\x1b[1;5F"),
        ("Tab", "\t"),
        ("Shift-Tab", "\x1b[Z"),
        ("Ctrl-Z", "\x1a"),
        ("y", "y"),
        ("Y", "Y"),
        ("?", "?"),
        ("/", "/"),
        ("-", "-"),
        ("Ctrl-/", "\x1f"),
        ("Backspace", "\x7f"),
        ("é", "é"),
    ] {
        assert_eq!(bytes(name, false), expected.as_bytes(), "{name}");
    }
    assert_eq!(
        bytes("Up", true),
        b"\x1bOA",
        "a program that switched the cursor keys gets what it asked for"
    );
}

#[test]
#[should_panic(expected = "no such key: Entre")]
fn a_misspelt_key_fails_the_test() {
    bytes("Entre", false);
}
