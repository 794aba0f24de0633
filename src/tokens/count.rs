//! Counting one text.
//!
//! Owns: the way a text is cut before it reaches tiktoken-rs.
//! Refuses: special tokens; `<|endoftext|>` in a prompt is plain text, as it is for the servers.
//! Invariant: no piece handed to tiktoken-rs is longer than [`PIECE`]; its pattern engine overflows its stack near a
//! megabyte of spaces.

use tiktoken_rs::CoreBPE;

use super::Encoding;

/// Longest piece, in bytes, given to the library at once.
const PIECE: usize = 32 * 1024;

/// Tokens of `text`, without any framing.
///
/// Equal to tiktoken's own count as long as every 32 KiB hold a line that starts with a letter or a digit; a text
/// without one is cut in the middle, which can add a token for each cut.
pub fn count(encoding: Encoding, text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let bpe = ranks(encoding);
    pieces(text).map(|piece| bpe.count_ordinary(piece) as u64).sum()
}

fn ranks(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        // Harmony adds special tokens only; plain text has the same ranks, so one table serves both.
        Encoding::O200kBase | Encoding::O200kHarmony => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
        Encoding::P50kBase => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50kBase => tiktoken_rs::r50k_base_singleton(),
    }
}

fn pieces(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(cut(rest));
        rest = tail;
        Some(piece)
    })
}

/// Where to cut: behind the last line feed within reach that is followed by an ASCII letter or digit. No pattern of any
/// encoding joins a line feed with a following letter or digit, so such a cut changes no count.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let bytes = text.as_bytes();
    let seam = memchr::memrchr_iter(b'\n', &bytes[..PIECE]).find(|&at| bytes[at + 1].is_ascii_alphanumeric());
    seam.map_or_else(|| text.floor_char_boundary(PIECE), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_counts() {
        for (encoding, text, tokens) in [
            (Encoding::Cl100kBase, "tiktoken is great!", 6),
            (Encoding::O200kBase, "", 0),
            (Encoding::O200kBase, "hello world", 2),
            (Encoding::O200kBase, "<|endoftext|>", 7),
        ] {
            assert_eq!(count(encoding, text), tokens, "{encoding} {text:?}");
        }
    }

    #[test]
    fn a_long_text_of_lines_counts_as_if_it_were_whole() {
        let mut text = String::new();
        for n in 0..6000 {
            let line = format!("line {n}: fn main() {{ println!(\"héllo 世界 🦀\"); }}\n\n    // indented;\n\t/path\n");
            text.push_str(&line);
        }
        assert!(text.len() > 4 * PIECE);
        for encoding in [Encoding::O200kBase, Encoding::Cl100kBase] {
            assert_eq!(count(encoding, &text), ranks(encoding).count_ordinary(&text) as u64, "{encoding}");
        }
    }

    #[test]
    fn a_megabyte_of_one_character_is_survived() {
        for c in [' ', '\t', '\n', 'a', '=', '界'] {
            let text: String = std::iter::repeat_n(c, 1_000_000 / c.len_utf8()).collect();
            assert!(count(Encoding::O200kBase, &text) > 0, "{c:?}");
        }
    }

    #[test]
    fn cuts_lose_nothing() {
        let text = "é".repeat(PIECE) + "\nx" + &"界".repeat(PIECE);
        assert_eq!(pieces(&text).collect::<String>(), text);
        assert!(pieces(&text).all(|piece| piece.len() <= PIECE));
    }
}
