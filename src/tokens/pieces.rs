//! Cutting a text into the pieces that are encoded one by one.
//!
//! Owns: what the pattern of each encoding matches, written out by hand.
//! Refuses: looking back. Where a piece ends depends on what follows its start and on nothing else.
//! Invariant: each character is looked at a fixed number of times at most, whatever the text.
//!
//! The patterns are those of tiktoken-rs. They are matched with the first alternative that fits, so the order of the
//! steps below is theirs.

use super::Encoding;
use super::classes::{
    ACCENT, BLANK, BREAK, CASELESS, LETTER, LOWER, NUMBER, OTHER, SPACE, UPPER, class_at, run_end,
};

/// Where the piece ends that starts at byte `start`, which must be the end of a piece or 0.
#[inline]
pub(crate) fn piece_end(encoding: Encoding, text: &str, start: usize) -> usize {
    let text = text.as_bytes();
    match encoding {
        Encoding::O200kBase | Encoding::O200kHarmony => o200k(text, start),
        Encoding::Cl100kBase => cl100k(text, start),
        Encoding::P50kBase | Encoding::R50kBase => gpt2(text, start),
    }
}

/// ```text
/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
/// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
/// \p{N}{1,3}
///  ?[^\s\p{L}\p{N}]+[\r\n/]*
/// \s*[\r\n]+
/// \s+(?!\S)
/// \s+
/// ```
fn o200k(text: &[u8], start: usize) -> usize {
    let (first, after) = class_at(text, start);
    if first & (LETTER | BLANK | OTHER | ACCENT) != 0 {
        let from = if first & LETTER == 0 { after } else { start };
        if let Some(end) = cased_word_end(text, from, first & ACCENT != 0) {
            return end + contraction(text, end);
        }
    }
    match first {
        NUMBER => up_to_three_numbers(text, after),
        BREAK => space_end(text, start, Trailing::Apart),
        _ => {
            let end = others_end(text, start, first, after);
            if end == start {
                return space_end(text, start, Trailing::Apart);
            }
            let rest = text[end..]
                .iter()
                .position(|byte| !matches!(byte, b'\r' | b'\n' | b'/'));
            rest.map_or(text.len(), |more| end + more)
        }
    }
}

/// The two alternatives for words: capitals then small letters, where what has no case may stand for either. The first
/// alternative needs a letter at its end that is not a capital and gives back what it must for that; so does the second
/// when there are capitals only.
///
/// With `accented`, the character before `from` is a mark: it opens the word, or is one itself when no small letter
/// follows the capitals.
fn cased_word_end(text: &[u8], from: usize, accented: bool) -> Option<usize> {
    let mut at = from;
    let mut caseless_end = accented.then_some(from);
    loop {
        let (class, next) = class_at(text, at);
        match class {
            UPPER => at = next,
            CASELESS | ACCENT => (at, caseless_end) = (next, Some(next)),
            LOWER => return Some(run_end(text, next, LOWER | CASELESS | ACCENT)),
            _ => break,
        }
    }
    caseless_end.or((at > from).then_some(at))
}

/// ```text
/// '(?i:[sdmt]|ll|ve|re)
/// [^\r\n\p{L}\p{N}]?+\p{L}++
/// \p{N}{1,3}+
///  ?[^\s\p{L}\p{N}]++[\r\n]*+
/// \s++$
/// \s*[\r\n]
/// \s+(?!\S)
/// \s
/// ```
fn cl100k(text: &[u8], start: usize) -> usize {
    let short = contraction(text, start);
    if short > 0 {
        return start + short;
    }
    let (first, after) = class_at(text, start);
    match first {
        NUMBER => return up_to_three_numbers(text, after),
        BREAK => return space_end(text, start, Trailing::Whole),
        _ => {}
    }
    let word_end = run_end(text, after, LETTER);
    if first & LETTER != 0 || word_end > after {
        return word_end;
    }
    let end = others_end(text, start, first, after);
    if end == start {
        return space_end(text, start, Trailing::Whole);
    }
    let rest = text[end..]
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'));
    rest.map_or(text.len(), |more| end + more)
}

/// ```text
/// '(?:[sdmt]|ll|ve|re)
///  ?\p{L}++
///  ?\p{N}++
///  ?[^\s\p{L}\p{N}]++
/// \s++$
/// \s+(?!\S)
/// \s
/// ```
fn gpt2(text: &[u8], start: usize) -> usize {
    // Small letters only, and only the plain `s`.
    let short = contraction(text, start);
    if short > 0
        && text[start + 1..start + short]
            .iter()
            .all(u8::is_ascii_lowercase)
    {
        return start + short;
    }
    let opens = if text.get(start) == Some(&b' ') {
        start + 1
    } else {
        start
    };
    let (class, after) = class_at(text, opens);
    for same in [LETTER, NUMBER, OTHER | ACCENT] {
        if class & same != 0 {
            return run_end(text, after, same);
        }
    }
    space_end(text, start, Trailing::Joined)
}

/// Bytes of `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` or `'d` at `at`, in either case; 0 when none is there. The long ſ is
/// an s to a pattern that ignores case.
#[inline]
fn contraction(text: &[u8], at: usize) -> usize {
    if text.get(at) != Some(&b'\'') {
        return 0;
    }
    let letter = |n: usize| text.get(at + n).map_or(0, u8::to_ascii_lowercase);
    match (letter(1), letter(2)) {
        (b's' | b't' | b'm' | b'd', _) => 2,
        (b'r' | b'v', b'e') | (b'l', b'l') | (0xC5, 0xBF) => 3,
        _ => 0,
    }
}

/// `\p{N}{1,3}`, the first of which ends at `after`.
fn up_to_three_numbers(text: &[u8], after: usize) -> usize {
    let mut end = after;
    for _ in 0..2 {
        let (class, next) = class_at(text, end);
        if class != NUMBER {
            break;
        }
        end = next;
    }
    end
}

/// ` ?[^\s\p{L}\p{N}]+`; `start` when it does not match.
fn others_end(text: &[u8], start: usize, first: u8, after: usize) -> usize {
    if first & (OTHER | ACCENT) != 0 {
        return run_end(text, after, OTHER | ACCENT);
    }
    if text[start] != b' ' {
        return start;
    }
    let end = run_end(text, after, OTHER | ACCENT);
    if end > after { end } else { start }
}

/// What a pattern does with white space that has a line end in it.
#[derive(Clone, Copy, PartialEq)]
enum Trailing {
    /// The piece ends behind the last line end.
    Apart,
    /// So it does, unless the text ends with the white space, which then is one piece.
    Whole,
    /// A line end is white space like any other.
    Joined,
}

/// White space in front of something else leaves its last character to that.
fn space_end(text: &[u8], start: usize, trailing: Trailing) -> usize {
    let (mut at, mut last, mut break_end) = (start, start, None);
    loop {
        let (class, next) = class_at(text, at);
        if class & SPACE == 0 {
            break;
        }
        if class == BREAK {
            break_end = Some(next);
        }
        (last, at) = (at, next);
    }
    let to_the_end = at == text.len();
    match break_end {
        Some(end)
            if trailing == Trailing::Apart || (trailing == Trailing::Whole && !to_the_end) =>
        {
            end
        }
        _ if to_the_end || last == start => at,
        _ => last,
    }
}
