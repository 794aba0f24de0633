//! The count of a text that is being written.
//!
//! Owns: a text in blocks that begin and end where pieces do, and the tokens of each block.
//! Refuses: cursors, undo and all else that an editor has; the caller says what was replaced by what.
//! Invariant: [`IncrementalCount::tokens`] is what [`count`](super::count()) says of the whole text, after every change.
//!
//! A change costs what the pieces around it cost, wherever they are and however long the text is, and a look at the
//! length of each block, which is a few microseconds in a megabyte. Two kinds of text have
//! long surroundings: a piece without an end (a megabyte of one letter), and a long run of digits, which are cut in
//! threes from its start. There a change costs time linear in that run.

use std::fmt;
use std::ops::Range;

use super::Encoding;
use super::merge::Merger;
use super::pieces::piece_end;
use super::ranks::ranks;

/// Bytes of a block, as soon as it has as many. Fewer make the list of blocks long, more the work at each key.
const BLOCK: usize = 256;
/// How many whole pieces before a change can end elsewhere because of it. Where a piece ends depends on what follows it:
/// on all white space, on capitals, on an apostrophe with two letters; those are two pieces at most, and here is one to
/// spare.
const REACH: usize = 3;

/// A text as it is edited, with its count in one encoding.
#[derive(Debug, Clone)]
pub struct IncrementalCount {
    encoding: Encoding,
    blocks: Vec<TextBlock>,
    tokens: u64,
    len: usize,
}

#[derive(Debug, Clone)]
struct TextBlock {
    text: String,
    pieces: usize,
    tokens: u64,
}

impl IncrementalCount {
    /// An empty text.
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            blocks: Vec::new(),
            tokens: 0,
            len: 0,
        }
    }

    /// Tokens of the whole text.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    #[cfg(test)]
    /// Bytes of the whole text.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole text, in order and in parts.
    pub(crate) fn chunks(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.blocks.iter().map(|block| block.text.as_str())
    }

    /// Puts `with` in the place of the bytes in `range`. Bytes behind the end do not count; a character that the range
    /// touches goes as a whole.
    pub fn splice(&mut self, range: Range<usize>, with: &str) {
        let end = range.end.min(self.len);
        let range = range.start.min(end)..end;
        let (first, start) = self.first_block(range.start);
        let mut more = 1;
        loop {
            let window = EditWindow::over(&self.blocks, first, start, &range, with, more);
            if let Some((cut, until)) = window.meets(self.encoding, self.blocks.len()) {
                let new = self.blocked(&window.text, cut);
                let sum =
                    |blocks: &[TextBlock]| -> u64 { blocks.iter().map(|block| block.tokens).sum() };
                let size = |blocks: &[TextBlock]| -> usize {
                    blocks.iter().map(|block| block.text.len()).sum()
                };
                let old = &self.blocks[first..until];
                self.tokens = self.tokens - sum(old) + sum(&new);
                self.len = self.len - size(old) + size(&new);
                self.blocks.splice(first..until, new);
                return;
            }
            more *= 2;
        }
    }

    /// Makes the text `whole`, at the cost of comparing the two and of splicing what differs.
    pub(crate) fn replace_with(&mut self, whole: &str) {
        let before = shared(
            self.chunks().map(str::as_bytes),
            whole.as_bytes().iter(),
            <[u8]>::iter,
        );
        let before = whole.floor_char_boundary(before);
        let rest = &whole.as_bytes()[before..];
        let behind = shared(
            self.chunks().rev().map(str::as_bytes),
            rest.iter().rev(),
            |block| block.iter().rev(),
        );
        // What both end with must not reach into what both begin with, in either of them.
        let behind = behind.min(self.len - before);
        let end = whole.ceil_char_boundary(whole.len() - behind);
        let behind = whole.len() - end;
        if before + behind < self.len.max(whole.len()) {
            self.splice(before..self.len - behind, &whole[before..end]);
        }
    }

    /// The block from which pieces may end elsewhere when the text changes at `at`, and where it starts.
    fn first_block(&self, at: usize) -> (usize, usize) {
        let mut end = 0;
        let touched = self.blocks.iter().position(|block| {
            end += block.text.len();
            end >= at
        });
        let Some(touched) = touched else {
            return (0, 0);
        };
        let (mut first, mut pieces) = (touched, 0);
        let mut start = end - self.blocks[touched].text.len();
        while first > 0 && pieces < REACH {
            first -= 1;
            pieces += self.blocks[first].pieces;
            start -= self.blocks[first].text.len();
        }
        (first, start)
    }

    /// The pieces of `text` in blocks, counted.
    fn blocked(&self, text: &str, ends: Vec<usize>) -> Vec<TextBlock> {
        let mut merger = Merger::new(ranks(self.encoding));
        let mut blocks: Vec<TextBlock> = Vec::new();
        let mut at = 0;
        for end in ends {
            let piece = &text[at..end];
            if blocks.last().is_none_or(|block| block.text.len() >= BLOCK) {
                blocks.push(TextBlock {
                    text: String::new(),
                    pieces: 0,
                    tokens: 0,
                });
            }
            if let Some(block) = blocks.last_mut() {
                block.text.push_str(piece);
                block.pieces += 1;
                block.tokens += merger.count(piece.as_bytes());
            }
            at = end;
        }
        blocks
    }
}

impl fmt::Display for IncrementalCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chunks().try_for_each(|chunk| f.write_str(chunk))
    }
}

/// The text from some blocks on, with the change in it, as far as it is looked at.
struct EditWindow {
    text: String,
    /// Where old blocks begin that lie behind the change, with their numbers.
    old: Vec<(usize, usize)>,
    until: usize,
}

impl EditWindow {
    /// From block `first`, which begins at byte `start`, to as many as `more` blocks behind the change.
    fn over(
        blocks: &[TextBlock],
        first: usize,
        start: usize,
        range: &Range<usize>,
        with: &str,
        more: usize,
    ) -> Self {
        let mut text = String::new();
        let mut until = first;
        while until < blocks.len() && (start + text.len() < range.end || until == first) {
            text.push_str(&blocks[until].text);
            until += 1;
        }
        let place = text.floor_char_boundary(range.start - start)
            ..text.ceil_char_boundary(range.end - start);
        text.replace_range(place, with);
        let mut old = vec![(text.len(), until)];
        for block in blocks[until..].iter().take(more) {
            text.push_str(&block.text);
            until += 1;
            old.push((text.len(), until));
        }
        Self { text, old, until }
    }

    /// The new pieces up to the first place behind the change where one ends and an old block begins, and that block:
    /// from there on all is as it was. None when there is no such place that is certain without reading more.
    fn meets(&self, encoding: Encoding, blocks: usize) -> Option<(Vec<usize>, usize)> {
        let mut ends = Vec::new();
        let mut at = 0;
        while at < self.text.len() {
            at = piece_end(encoding, &self.text, at);
            ends.push(at);
        }
        // The last piece has not been seen to its end, and those before it depend on it.
        let certain = if self.until == blocks {
            ends.len()
        } else {
            ends.len().saturating_sub(REACH + 1)
        };
        ends.truncate(certain);
        let certain_end = ends.last().copied().unwrap_or(0);
        let met = self
            .old
            .iter()
            .find(|(at, _)| *at <= certain_end && (*at == 0 || ends.binary_search(at).is_ok()))?;
        let pieces = ends.partition_point(|end| *end <= met.0);
        ends.truncate(pieces);
        Some((ends, met.1))
    }
}

/// How many bytes of `whole` are those of the blocks, in this order.
fn shared<'a, I>(
    blocks: impl Iterator<Item = &'a [u8]>,
    mut whole: impl Iterator<Item = &'a u8>,
    bytes: impl Fn(&'a [u8]) -> I,
) -> usize
where
    I: Iterator<Item = &'a u8>,
{
    blocks
        .flat_map(bytes)
        .take_while(|byte| whole.next() == Some(byte))
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::count;

    /// What decides where pieces end, in one character or a few, and runs longer than a block.
    fn text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            8 => proptest::sample::select(vec![
                " ", "  ", "\n", "\r\n", "\t", "\u{a0}", "a", "the", "A", "RE", "ſ", "世", "ʰ", "\u{301}", "1", "23",
                "4567", "'", "'s", "'l", "l", "'re", "/", "!", "--", "🦀", "\u{200d}", ". And so ", "fn main() {\n    ",
            ])
            .prop_map(str::to_owned),
            1 => (proptest::sample::select(vec![" ", "\n", "a", "A", "1", "世", "!", " b"]), 1..900_usize)
                .prop_map(|(part, times)| part.repeat(times)),
            1 => any::<String>(),
        ];
        proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    fn change() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
        let few = prop_oneof![3 => 0..4_usize, 1 => 0..2000_usize];
        let with = prop_oneof![2 => text(), 3 => proptest::sample::select(vec!["", "x", " ", "'", "\n", "世", "7", "A", "s"])
            .prop_map(str::to_owned)];
        (any::<prop::sample::Index>(), few, with)
    }

    fn encoding() -> impl Strategy<Value = Encoding> {
        proptest::sample::select(Encoding::ALL.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn after_any_changes_the_count_is_that_of_the_whole_text(
            encoding in encoding(),
            start in text(),
            changes in proptest::collection::vec(change(), 1..12),
        ) {
            let mut draft = IncrementalCount::new(encoding);
            draft.splice(0..0, &start);
            let mut whole = start;
            for (at, length, with) in changes {
                let at = whole.floor_char_boundary(at.index(whole.len() + 1));
                let end = whole.ceil_char_boundary((at + length).min(whole.len()));
                draft.splice(at..end, &with);
                whole.replace_range(at..end, &with);
                prop_assert_eq!(draft.to_string(), whole.as_str());
                prop_assert_eq!((draft.len(), draft.tokens()), (whole.len(), count(encoding, &whole)));
            }
        }

        #[test]
        fn replacing_the_whole_is_the_same_as_writing_it_anew(encoding in encoding(), old in text(), new in text(), at: prop::sample::Index) {
            let mut draft = IncrementalCount::new(encoding);
            let at = old.floor_char_boundary(at.index(old.len() + 1));
            let longer = format!("{}{new}{}", &old[..at], &old[at..]);
            for whole in [&old, &longer, &new, &longer, &old] {
                draft.replace_with(whole);
                prop_assert_eq!(draft.to_string(), whole.as_str());
                prop_assert_eq!((draft.len(), draft.tokens()), (whole.len(), count(encoding, whole)));
            }
        }
    }

    #[test]
    fn a_change_touches_no_more_blocks_in_a_long_text_than_in_a_short_one() {
        let line = "The cat sat on 12 mats; it's ~fine~, isn't it?\n";
        let mut draft = IncrementalCount::new(Encoding::O200kBase);
        draft.splice(0..0, &line.repeat(20_000));
        let before: Vec<_> = draft.chunks().map(str::as_ptr).collect();
        draft.splice(500_000..500_000, "x");
        let kept = draft
            .chunks()
            .filter(|chunk| before.contains(&chunk.as_ptr()))
            .count();
        assert!(
            draft.blocks.len() - kept <= 4,
            "{} of {} are new",
            draft.blocks.len() - kept,
            draft.blocks.len()
        );
    }

    #[test]
    fn a_range_outside_the_text_or_inside_a_character_takes_what_it_touches() {
        let mut draft = IncrementalCount::new(Encoding::Cl100kBase);
        draft.splice(7..90, "a世b");
        draft.splice(2..3, "-");
        assert_eq!(draft.to_string(), "a-b");
        draft.splice(9..12, "!");
        assert_eq!(
            (draft.to_string().as_str(), draft.len(), draft.is_empty()),
            ("a-b!", 4, false)
        );
    }
}
