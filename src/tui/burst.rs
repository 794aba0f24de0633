//! Telling a pasted Enter from a typed one, for terminals without bracketed paste.
//!
//! Owns: the memory of how quickly the last keys came.
//! Refuses: reading keys or clocks.
//! Invariant: an Enter inside a burst of keys is a line break, and so is every later Enter of that burst;
//! an Enter that ends a burst of one line sends, a moment later. A key that no text brings ends the paste before it.

use std::time::{Duration, Instant};

/// Keys closer together than this were not typed by hand.
const QUICK: Duration = Duration::from_millis(5);
/// How long an Enter at the end of a burst waits for more.
const HOLD: Duration = Duration::from_millis(8);

/// What to do with an Enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enter {
    /// It was typed: act now.
    Act,
    /// Part of a paste: a line break.
    Break,
    /// Unclear until more comes or [`Burst::deadline`] passes.
    Hold,
}

#[derive(Debug, Default)]
pub(crate) struct Burst {
    last: Option<Instant>,
    /// This burst has broken a line already.
    lines: bool,
    held: Option<Instant>,
}

impl Burst {
    /// A key other than Enter came. Returns whether an Enter that was held turns out to be a line break.
    pub(crate) fn key(&mut self, now: Instant) -> bool {
        let quick = self.quick(now);
        self.last = Some(now);
        let held = self.held.take().is_some();
        self.lines = quick && (self.lines || held);
        held
    }

    /// A key came that no text brings. The lines before it were a paste; what follows is another burst, whose own Enter
    /// may send, however quickly it comes.
    pub(crate) fn pressed(&mut self) {
        self.lines = false;
    }

    /// An Enter came. When one was held already, that one is a line break too (`true`).
    pub(crate) fn enter(&mut self, now: Instant) -> (Enter, bool) {
        let quick = self.quick(now);
        self.last = Some(now);
        let before = self.held.take().is_some();
        self.lines = quick && (self.lines || before);
        if self.lines {
            return (Enter::Break, before);
        }
        if quick {
            self.held = Some(now + HOLD);
            return (Enter::Hold, before);
        }
        (Enter::Act, before)
    }

    /// When a held Enter stops waiting.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.held
    }

    /// Whether a held Enter is to send now.
    pub(crate) fn expired(&mut self, now: Instant) -> bool {
        let due = self.held.is_some_and(|at| at <= now);
        if due {
            self.held = None;
            self.last = None;
        }
        due
    }

    fn quick(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) < QUICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `keys` (`\r` is Enter, `^` a function key) `gap` ms apart; `S` where it sends, `/` where it breaks the line.
    fn play(keys: &str, gap: u64) -> String {
        let start = Instant::now();
        let (mut burst, mut out) = (Burst::default(), String::new());
        for (n, key) in (0u64..).zip(keys.chars()) {
            let now = start + Duration::from_millis(n * gap);
            if burst.expired(now) {
                out.push('S');
            }
            if key == '\r' {
                let (enter, before) = burst.enter(now);
                out.push_str(if before { "/" } else { "" });
                out.push_str(match enter {
                    Enter::Act => "S",
                    Enter::Break => "/",
                    Enter::Hold => "",
                });
            } else {
                out.push_str(if burst.key(now) { "/" } else { "" });
                out.push(key);
                if key == '^' {
                    burst.pressed();
                }
            }
        }
        if burst.expired(start + Duration::from_mins(1)) {
            out.push('S');
        }
        out
    }

    #[test]
    fn bursts_of_lines_never_send() {
        for (keys, gap, expected) in [
            ("hi\r", 120, "hiS"),
            ("hi\r", 0, "hiS"),
            ("a\rb\r", 120, "aSbS"),
            ("a\rb", 0, "a/b"),
            ("a\rb\r", 0, "a/b/"),
            ("a\r\r\rb\r", 1, "a///b/"),
            ("\r", 0, "S"),
            ("a\rb\r^c\r", 1, "a/b/^cS"),
            ("a\rb^\rc\r", 1, "a/b^/c/"),
            ("a\r^c\rd\r", 1, "a/^c/d/"),
        ] {
            assert_eq!(play(keys, gap), expected, "{keys:?} every {gap} ms");
        }
    }
}
