//! One key press, as written in the configuration and as it arrives.
//!
//! Owns: [`Chord`]: reading `alt-p`, printing `Alt-P`, and making equal what terminals send differently.
//! Refuses: meaning; that is the table's.
//! Invariant: a chord read from its own printed form is the same chord.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub(crate) struct Chord {
    code: KeyCode,
    mods: KeyModifiers,
}

const NAMED: [(&str, KeyCode); 14] = [
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Space", KeyCode::Char(' ')),
];

impl Chord {
    /// Terminals disagree about Shift on letters, Shift-Tab and capital letters under Ctrl: here they agree.
    pub(crate) fn new(code: KeyCode, mods: KeyModifiers) -> Self {
        let mut mods = mods & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match code {
            KeyCode::BackTab => {
                mods |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            KeyCode::Char(c) => {
                let shifted = mods.contains(KeyModifiers::SHIFT);
                mods -= KeyModifiers::SHIFT;
                if mods.contains(KeyModifiers::CONTROL) {
                    KeyCode::Char(c.to_ascii_lowercase())
                } else if shifted && mods.is_empty() {
                    KeyCode::Char(c.to_ascii_uppercase())
                } else {
                    KeyCode::Char(c)
                }
            }
            other => other,
        };
        Self { code, mods }
    }

    /// The character this chord types, when it types one.
    pub(crate) fn types(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.mods.is_empty() => Some(c),
            _ => None,
        }
    }

    /// What a terminal would send for it.
    #[cfg(test)]
    pub(crate) fn parts(text: &str) -> (KeyCode, KeyModifiers) {
        let chord: Self = text
            .parse()
            .unwrap_or(Self::new(KeyCode::Null, KeyModifiers::NONE));
        (chord.code, chord.mods)
    }

    /// Whether a text that is pasted can bring it. Only keys that no output of a program contains are sure to have been
    /// pressed; the sequences of the arrows and of Home, for instance, move the cursor in such output too.
    pub(crate) fn is_in_text(self) -> bool {
        !matches!(
            self.code,
            KeyCode::F(_) | KeyCode::Insert | KeyCode::Delete | KeyCode::PageUp | KeyCode::PageDown
        )
    }

    pub(crate) fn is_enter(self) -> bool {
        self.code == KeyCode::Enter && self.mods.is_empty()
    }
}

impl From<KeyEvent> for Chord {
    fn from(key: KeyEvent) -> Self {
        Self::new(key.code, key.modifiers)
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, name) in [
            (KeyModifiers::CONTROL, "Ctrl-"),
            (KeyModifiers::ALT, "Alt-"),
            (KeyModifiers::SHIFT, "Shift-"),
        ] {
            if self.mods.contains(flag) {
                f.write_str(name)?;
            }
        }
        match self.code {
            KeyCode::F(n) => write!(f, "F{n}"),
            KeyCode::Char(c) if c != ' ' && self.mods.is_empty() => write!(f, "{c}"),
            KeyCode::Char(c) if c != ' ' => write!(f, "{}", c.to_ascii_uppercase()),
            code => f.write_str(
                NAMED
                    .iter()
                    .find(|(_, named)| *named == code)
                    .map_or("?", |(name, _)| name),
            ),
        }
    }
}

/// The text names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key; write it as Enter, F2, y, Ctrl-P, Alt-Up or Shift-Tab")]
pub(crate) struct NotAKey(String);

impl FromStr for Chord {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut rest = text;
        let mut mods = KeyModifiers::empty();
        'prefix: loop {
            for (name, flag) in [
                ("ctrl-", KeyModifiers::CONTROL),
                ("alt-", KeyModifiers::ALT),
                ("shift-", KeyModifiers::SHIFT),
            ] {
                if let Some((head, tail)) = rest.split_at_checked(name.len())
                    && head.eq_ignore_ascii_case(name)
                    && !tail.is_empty()
                {
                    mods |= flag;
                    rest = tail;
                    continue 'prefix;
                }
            }
            break;
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            // Under a modifier letters are written large (`Ctrl-P`) and meant small.
            (Some(c), None) if !mods.is_empty() && !mods.contains(KeyModifiers::SHIFT) => {
                KeyCode::Char(c.to_ascii_lowercase())
            }
            (Some(c), None) => KeyCode::Char(c),
            (Some('f' | 'F'), Some(_))
                if rest[1..].parse::<u8>().is_ok_and(|n| (1..=24).contains(&n)) =>
            {
                KeyCode::F(rest[1..].parse().unwrap_or(1))
            }
            _ => NAMED
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(rest))
                .map(|(_, code)| *code)
                .ok_or_else(|| NotAKey(text.to_owned()))?,
        };
        Ok(Self::new(code, mods))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_print_as_they_are_read() {
        for text in [
            "Enter",
            "Ctrl-P",
            "Alt-Up",
            "Shift-Tab",
            "Shift-F2",
            "F1",
            "y",
            "Y",
            "?",
            "/",
            "Ctrl-Home",
            "Ctrl-_",
            "Space",
        ] {
            assert_eq!(text.parse::<Chord>().unwrap().to_string(), text);
        }
        for (text, same) in [
            ("ctrl-p", "Ctrl-P"),
            ("shift-y", "Y"),
            ("pgup", "PgUp"),
            ("CTRL-ALT-x", "Ctrl-Alt-X"),
            ("-", "-"),
        ] {
            assert_eq!(text.parse::<Chord>().unwrap().to_string(), same);
        }
        for bad in ["", "foo", "f0", "f25", "meta-x", "ctrl-"] {
            assert!(bad.parse::<Chord>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_terminals_send_differently_is_one_chord() {
        let shift_tab = Chord::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(shift_tab, "Shift-Tab".parse().unwrap());
        assert_eq!(
            Chord::new(KeyCode::Char('Y'), KeyModifiers::SHIFT),
            "Y".parse().unwrap()
        );
        assert_eq!(
            Chord::new(KeyCode::Char('P'), KeyModifiers::CONTROL),
            "Ctrl-P".parse().unwrap()
        );
        assert_eq!(
            Chord::new(KeyCode::Char('y'), KeyModifiers::SHIFT).types(),
            Some('Y')
        );
    }
}
