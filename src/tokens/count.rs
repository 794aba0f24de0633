//! Counting one text.
//!
//! Owns: the way from a text through its pieces to a number.
//! Refuses: special tokens; `<|endoftext|>` in a prompt is plain text, as it is for the servers.
//! Invariant: the count is tiktoken's own, for every text.

use super::Encoding;
use super::merge::Merger;
use super::pieces::piece_end;
use super::ranks::ranks;

/// Tokens of `text`, without any framing.
pub fn count(encoding: Encoding, text: &str) -> u64 {
    let mut merger = Merger::new(ranks(encoding));
    let (mut at, mut tokens) = (0, 0);
    while at < text.len() {
        let end = piece_end(encoding, text, at);
        tokens += merger.count(&text.as_bytes()[at..end]);
        at = end;
    }
    tokens
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
    fn a_megabyte_of_one_character_is_counted() {
        for c in [' ', '\t', '\n', 'a', '=', '界'] {
            let text: String = std::iter::repeat_n(c, 1_000_000 / c.len_utf8()).collect();
            assert!(count(Encoding::O200kBase, &text) > 0, "{c:?}");
        }
    }
}
