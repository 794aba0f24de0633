//! A walk over JSON text, once, from left to right.
//!
//! Owns: white space, strings, objects, and passing over what nobody asks for.
//! Refuses: whatever is out of the ordinary (escapes in keys, deep nesting, thousands of values): [`None`] says that the
//! text is to be read in another way, never that it is no JSON.
//! Invariant: what is walked over to its end is JSON that serde_json reads, and what is taken from it is what it would give.

use std::borrow::Cow;
use std::ops::Range;

/// Values that are passed over in one text; far below the cap of the tree reader.
const MOST: u32 = 4096;
/// How deep passing over goes; far below the depth at which serde_json gives up.
const DEEPEST: u32 = 32;

/// A place in a JSON text.
pub(super) struct Cursor<'a> {
    json: &'a str,
    at: usize,
    left: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(json: &'a str) -> Self {
        Self {
            json,
            at: 0,
            left: MOST,
        }
    }

    /// Nothing but white space is left.
    pub(super) fn ends(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes past this byte, if it is the next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// Goes past this word, if it is next.
    fn eat_word(&mut self, word: &str) -> bool {
        let found =
            self.peek().is_some() && self.json.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    pub(super) fn eat_null(&mut self) -> bool {
        self.eat_word("null")
    }

    /// An object, each member of it to `member`, which goes past the value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            let key = self.raw().filter(|key| !key.escaped)?;
            let key = self.json.get(key.inside)?;
            self.expect(b':')?;
            member(self, key)?;
            if !self.eat(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// A string; borrowed where it has no escapes.
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        let raw = self.raw()?;
        if raw.escaped {
            return self.unescaped(&raw).map(Cow::Owned);
        }
        self.json.get(raw.inside).map(Cow::Borrowed)
    }

    /// What a string with escapes stands for; what an escape means, and which are none, is left to the one who knows.
    fn unescaped(&self, raw: &Raw) -> Option<String> {
        serde_json::from_str(self.json.get(raw.inside.start - 1..=raw.inside.end)?).ok()
    }

    /// A string as it is written.
    fn raw(&mut self) -> Option<Raw> {
        self.expect(b'"')?;
        let (start, mut escaped) = (self.at, false);
        let bytes = self.json.as_bytes();
        loop {
            self.at += stop(&bytes[self.at..])?;
            match bytes[self.at] {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    // Whatever it stands for, the byte after it ends nothing.
                    self.at += 2;
                    bytes.get(self.at)?;
                }
                _ => return None,
            }
        }
        self.at += 1;
        Some(Raw {
            inside: start..self.at - 1,
            escaped,
        })
    }

    /// A string, and what follows it from its closing quote on.
    pub(super) fn string_and_rest(mut self) -> Option<(Cow<'a, str>, &'a str)> {
        let text = self.string()?;
        Some((text, &self.json[self.at - 1..]))
    }

    /// Goes past a value of any kind, and gives it as it is written.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        self.pass_over(DEEPEST)?;
        Some(&self.json[start..self.at])
    }

    fn pass_over(&mut self, depth: u32) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let deeper = depth.checked_sub(1)?;
        match self.peek()? {
            b'"' => {
                let raw = self.raw()?;
                (!raw.escaped || self.unescaped(&raw).is_some()).then_some(())
            }
            b'{' => self.object(|cursor, _| cursor.pass_over(deeper)),
            b'[' => {
                self.at += 1;
                if self.eat(b']') {
                    return Some(());
                }
                loop {
                    self.pass_over(deeper)?;
                    if !self.eat(b',') {
                        return self.expect(b']');
                    }
                }
            }
            b'n' => self.eat_null().then_some(()),
            b't' => self.eat_word("true").then_some(()),
            b'f' => self.eat_word("false").then_some(()),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.json[self.at..];
        let in_number =
            |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let number = &rest[..rest
            .bytes()
            .position(|byte| !in_number(byte))
            .unwrap_or(rest.len())];
        self.at += number.len();
        // Most of them are plain counts and times; which of the others are numbers is left to the one who knows.
        let plain = number.len() < 19
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !number.starts_with('0');
        (number == "0"
            || (plain && !number.is_empty())
            || serde_json::from_str::<f64>(number).is_ok())
        .then_some(())
    }
}

/// Where a string lies, between its quotes.
struct Raw {
    inside: Range<usize>,
    escaped: bool,
}

/// Where a run of plain characters inside a string ends: at a quote, a backslash or a control character.
fn stop(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return Some(n * 8 + (stops.trailing_zeros() / 8) as usize);
        }
    }
    let found = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    Some(words.len() * 8 + found)
}

/// Eight bytes at once: the lowest bit set is the highest of the first byte that ends a run. Those behind it may be
/// wrong. (`x - 1` borrows from the highest bit of a byte only when the byte is 0; see "Bit Twiddling Hacks", haszero and
/// hasless.)
fn stops(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    is(b'"') | is(b'\\') | below(word, b' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_ends_where_its_first_stop_is(
            plain in prop::collection::vec(prop_oneof![3 => 0x20..0x80u8, 1 => 0x80..=0xffu8], 0..40),
            rest in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let bytes = [plain, rest].concat();
            let first = bytes.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(stop(&bytes), first, "{:?}", bytes);
        }
    }
}
