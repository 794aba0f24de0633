//! Answers of the terminal that we did not ask for.
//!
//! Owns: telling an operating-system reply (`ESC ] … ESC \`) that arrives as keys from keys that were pressed.
//! Refuses: asking the terminal anything; other programs do, and their answers may come to us.
//! Invariant: only keys that follow Alt-] faster than a hand can type are taken away, and only so many.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Keys closer together than this were not typed by hand.
const QUICK: Duration = Duration::from_millis(5);
/// No reply is longer.
const MOST: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// When the last key of a reply came, and how many came.
    inside: Option<(Instant, usize)>,
}

impl Replies {
    /// Whether this key is part of a reply.
    pub(crate) fn swallow(&mut self, key: KeyEvent, now: Instant) -> bool {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let Some((last, count)) = self.inside else {
            let begins = alt && key.code == KeyCode::Char(']');
            self.inside = begins.then_some((now, 0));
            return begins;
        };
        if now.saturating_duration_since(last) >= QUICK || count >= MOST {
            self.inside = None;
            return self.swallow(key, now);
        }
        self.inside = Some((now, count + 1));
        let bell = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('g');
        if bell || alt && key.code == KeyCode::Char('\\') {
            self.inside = None;
            return true;
        }
        let text = matches!(key.code, KeyCode::Char(_))
            && !alt
            && !key.modifiers.contains(KeyModifiers::CONTROL);
        if !text {
            self.inside = None;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `keys` (`[x]` with Alt, `{x}` with Ctrl) when they come `gap` ms apart.
    fn left(keys: &str, gap: u64) -> String {
        let (mut replies, mut out, start) = (Replies::default(), String::new(), Instant::now());
        let mut modifiers = KeyModifiers::NONE;
        let mut now = start;
        for c in keys.chars() {
            match c {
                '<' => modifiers = KeyModifiers::ALT,
                '{' => modifiers = KeyModifiers::CONTROL,
                '>' | '}' => modifiers = KeyModifiers::NONE,
                c => {
                    now += Duration::from_millis(gap);
                    if !replies.swallow(KeyEvent::new(KeyCode::Char(c), modifiers), now) {
                        out.push(c);
                    }
                }
            }
        }
        out
    }

    #[test]
    fn a_reply_is_taken_away_and_typing_is_not() {
        for (keys, gap, expected) in [
            ("<]>11;rgb:0000/0000/0000<\\>hi", 0, "hi"),
            ("<]>11;rgb:ffff{g}hi", 1, "hi"),
            ("<]>hello", 80, "hello"),
            ("hello<p>", 0, "hellop"),
            ("<]>11;rgb<a>bc", 0, "abc"),
        ] {
            assert_eq!(left(keys, gap), expected, "{keys:?} every {gap} ms");
        }
        assert_eq!(
            left(&format!("<]>{}", "x".repeat(1_000)), 0).len(),
            1_000 - MOST,
            "no end is in sight"
        );
    }
}
