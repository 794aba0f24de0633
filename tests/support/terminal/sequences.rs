//! The wall around the terminal: which sequences our own program may write.
//!
//! Owns: the allow-list, and [`foreign`], which names everything else.
//! Refuses: knowing where a sequence came from: what is not on the list is a fault.
//! Invariant: every byte is either text, on the list, or reported.

use std::fmt::Write;

use vte::{Params, Parser, Perform};

/// What is allowed besides drawing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// Writing to the clipboard (OSC 52), after the user's copy key.
    pub clipboard: bool,
    /// The window's title (OSC 0 and 2), in at most 64 ASCII characters.
    pub title: bool,
    pub bell: bool,
}

/// Private modes that a program may switch: cursor keys, wrapping, blinking, cursor, mouse, focus, alternate screen, paste,
/// synchronised output, colour scheme reports.
const MODES: [u16; 14] = [
    1, 7, 12, 25, 1000, 1002, 1003, 1004, 1006, 1015, 1049, 2004, 2026, 2031,
];

/// Everything in `bytes` that is not on the allow-list, in words, in order.
pub fn foreign(bytes: &[u8], allowed: Allowed) -> Vec<String> {
    let mut wall = Wall {
        allowed,
        found: Vec::new(),
        at_rest: false,
    };
    // The parser swallows these strings without a word.
    for (introducer, name) in [(b"\x1bX", "SOS"), (b"\x1b^", "PM"), (b"\x1b_", "APC")] {
        if bytes.windows(2).any(|pair| pair == introducer) {
            wall.found.push(name.to_owned());
        }
    }
    let mut parser = Parser::new();
    parser.advance(&mut wall, bytes);
    wall.at_rest = false;
    // A letter that is not printed now is part of something that never ended.
    parser.advance(&mut wall, b".");
    if !wall.at_rest {
        wall.found.push("a sequence that does not end".to_owned());
    }
    wall.found
}

#[track_caller]
pub fn assert_only_known_sequences(bytes: &[u8]) {
    assert_only(bytes, Allowed::default());
}

#[track_caller]
pub fn assert_only(bytes: &[u8], allowed: Allowed) {
    let found = foreign(bytes, allowed);
    assert!(
        found.is_empty(),
        "written to the terminal, and not on the list:\n  {}",
        found.join("\n  ")
    );
}

struct Wall {
    allowed: Allowed,
    found: Vec<String>,
    at_rest: bool,
}

impl Perform for Wall {
    fn print(&mut self, c: char) {
        self.at_rest = true;
        // Bidirectional overrides and isolates, line separators, tags: never drawn as they are.
        if matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{E0000}'..='\u{E007F}')
        {
            self.found.push(format!("U+{:04X}", c as u32));
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' | b'\n' | b'\t' | 0x08 => {}
            0x07 if self.allowed.bell => {}
            _ => self.found.push(format!("control 0x{byte:02x}")),
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let first = params
            .iter()
            .next()
            .and_then(|p| p.first())
            .copied()
            .unwrap_or(0);
        let known = match (intermediates, action) {
            // Moving, erasing, inserting, deleting, scrolling, colours; saving the cursor; which terminal is this?
            (b"", 'A'..='H' | 'J'..='M' | 'P' | 'S' | 'T' | 'X' | '@' | 'c' | 'd' | 'f' | 'm' | 'r' | 's' | 'u')
            // The cursor's shape. The enhanced keyboard: ask, push, pop, set. More of: which terminal, which modes?
            | (b" ", 'q') | (b"?" | b">" | b"<" | b"=", 'u') | (b">", 'q' | 'c') | (b"?$", 'p') => true,
            (b"", 'n') => first == 5 || first == 6,
            (b"?", 'n') => first == 6 || first == 996,
            (b"?", 'h' | 'l') => params.iter().all(|p| p.first().is_some_and(|mode| MODES.contains(mode))),
            _ => false,
        };
        if !known || ignore {
            let params: Vec<String> = params
                .iter()
                .map(|p| p.iter().map(u16::to_string).collect::<Vec<_>>().join(":"))
                .collect();
            let intermediates = String::from_utf8_lossy(intermediates);
            self.found
                .push(format!("CSI {intermediates}{} {action}", params.join(";")));
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        // Saving the cursor, the keypad, the end of a string, ASCII.
        let known = matches!(
            (intermediates, byte),
            (b"", b'7' | b'8' | b'=' | b'>' | b'\\') | (b"(", b'B')
        );
        if !known || ignore {
            let intermediates = String::from_utf8_lossy(intermediates);
            self.found
                .push(format!("ESC {intermediates}{}", byte.escape_ascii()));
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        let known = match params {
            [b"10" | b"11" | b"12", b"?"] | [b"4", _, b"?"] => true,
            [b"52", _, data] => self.allowed.clipboard && *data != b"?",
            [b"0" | b"2", title] => {
                self.allowed.title
                    && title.len() <= 64
                    && title.iter().all(|b| (0x20..0x7f).contains(b))
            }
            _ => false,
        };
        if !known {
            let mut words = "OSC".to_owned();
            for param in params {
                let shown: String = String::from_utf8_lossy(param).chars().take(60).collect();
                let _ = write!(words, " {}", shown.escape_debug());
            }
            self.found.push(words);
        }
    }

    fn hook(&mut self, _params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        self.found.push(format!(
            "DCS {}{action}",
            String::from_utf8_lossy(intermediates)
        ));
    }
}
