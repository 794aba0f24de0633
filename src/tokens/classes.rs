//! The class of the character at an index of a text.
//!
//! Owns: the classes that the patterns of the encodings tell apart; every character has exactly one.
//! Invariant: the tables are those of the pattern engine that tiktoken-rs uses, written out by the build script.

pub(crate) use super::layout::{ACCENT, BLANK, BREAK, CASELESS, LOWER, NUMBER, OTHER, UPPER};

/// `L`.
pub(crate) const LETTER: u8 = UPPER | LOWER | CASELESS;
/// `\s`.
pub(crate) const SPACE: u8 = BLANK | BREAK;

static NUMBERS: &[u8; 0x1100] = include_bytes!(concat!(env!("OUT_DIR"), "/class_numbers"));
static PAGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/class_pages"));

/// The class of the character that starts at `at`, and where the next one starts. Behind the last character: 0.
#[inline]
pub(crate) fn class_at(text: &[u8], at: usize) -> (u8, usize) {
    match text.get(at) {
        None => (0, at),
        // The page of the first 256 characters is the first.
        Some(&byte) if byte < 0x80 => (PAGES[usize::from(byte)], at + 1),
        Some(&first) => wide_class_at(text, at, first),
    }
}

/// Not one byte: `text` is UTF-8, and `at` is where a character starts.
fn wide_class_at(text: &[u8], at: usize, first: u8) -> (u8, usize) {
    let more = |n: usize| text.get(at + n).map_or(0, |byte| usize::from(byte & 0x3F));
    let first = usize::from(first);
    let (character, width) = match first {
        0..0xE0 => ((first & 0x1F) << 6 | more(1), 2),
        0xE0..0xF0 => ((first & 0x0F) << 12 | more(1) << 6 | more(2), 3),
        _ => (
            (first & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3),
            4,
        ),
    };
    let page = usize::from(NUMBERS[character >> 8]);
    (PAGES[page << 8 | character & 0xFF], at + width)
}

/// The end of the run of characters of these classes that starts at `at`.
#[inline]
pub(crate) fn run_end(text: &[u8], mut at: usize, classes: u8) -> usize {
    loop {
        let (class, next) = class_at(text, at);
        if class & classes == 0 {
            return at;
        }
        at = next;
    }
}
