//! Byte-pair merging: how many tokens one piece becomes.
//!
//! Owns: the merging itself, lowest rank first and leftmost among equals, exactly as tiktoken does it.
//! Refuses: cutting a text into pieces.
//! Invariant: the time is at most n log n in the length of the piece, and nothing recurses.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ranks::{NONE, Ranks};

/// Most bytes that are merged by looking through all of them for the lowest rank; as few are faster than any order
/// kept among them.
const WINDOW: usize = 256;
/// Bytes before the end of a window that the next one merges again: few as a rule, and several of the longest tokens
/// in runs of spaces, where the end of the run is felt that far.
const OVERLAPS: [usize; 3] = [32, 128, 512];
/// Tokens that are kept for the next overlap: no overlap has as many, a token being a byte at least.
const KEPT: usize = 1024;

/// Counts pieces in one vocabulary; keeps its memory from one to the next.
pub(crate) struct Merger {
    ranks: &'static Ranks,
    /// The tokens as merged so far.
    parts: Vec<Part>,
    /// What each token and the one behind it merge into; none for the last.
    merges: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Part {
    token: u32,
    /// Where it ends in the bytes that are merged.
    end: u32,
}

impl Merger {
    pub(crate) fn new(ranks: &'static Ranks) -> Self {
        Self {
            ranks,
            parts: Vec::new(),
            merges: Vec::new(),
        }
    }

    /// Tokens of one piece.
    #[inline]
    pub(crate) fn count(&mut self, piece: &[u8]) -> u64 {
        if piece.len() < 2 {
            return piece.len() as u64;
        }
        if self.ranks.holds(piece) {
            1
        } else {
            self.merged(piece)
        }
    }

    fn merged(&mut self, piece: &[u8]) -> u64 {
        if piece.len() > WINDOW {
            return self
                .merged_in_windows(piece, WINDOW, &OVERLAPS)
                .unwrap_or_else(|| self.merged_at_once(piece));
        }
        self.merge(piece);
        self.parts.len() as u64
    }

    /// Merges these bytes, at least one, into `parts`.
    fn merge(&mut self, bytes: &[u8]) {
        let ranks = self.ranks;
        self.parts.clear();
        self.parts.extend((1..).zip(bytes).map(|(end, byte)| Part {
            token: ranks.byte(*byte),
            end,
        }));
        self.merges.clear();
        self.merges.extend(
            self.parts
                .windows(2)
                .map(|pair| ranks.merged(pair[0].token, pair[1].token)),
        );
        self.merges.push(NONE);
        while let Some((at, rank)) = lowest(&self.merges) {
            self.merge_all(at, rank);
        }
    }

    /// Merges every two neighbours that make the token `rank`, of which the first stand at `first`.
    ///
    /// From left to right in one go: what they make merges into higher ranks only (the build script has made sure of
    /// that), so none of it comes before the next of these.
    fn merge_all(&mut self, first: usize, rank: u32) {
        let (mut read, mut write) = (first, first);
        loop {
            self.parts[write] = Part {
                token: rank,
                ..self.parts[read + 1]
            };
            if write > 0 {
                self.merges[write - 1] = self.ranks.merged(self.parts[write - 1].token, rank);
            }
            (read, write) = (read + 2, write + 1);
            self.merges[write - 1] = match self.parts.get(read) {
                Some(next) => self.ranks.merged(rank, next.token),
                None => NONE,
            };
            let more = position(&self.merges[read..], rank);
            let until = more.map_or(self.parts.len(), |more| read + more);
            self.parts.copy_within(read..until, write);
            self.merges.copy_within(read..until, write);
            (read, write) = (until, write + until - read);
            if more.is_none() {
                break;
            }
        }
        self.parts.truncate(write);
        self.merges.truncate(write);
    }

    /// Merges a long piece, one window after the other; none when two windows cannot be joined, which no text has
    /// shown so far.
    ///
    /// Tokens are what merging leaves exactly when each two neighbours, merged alone, stay as they are: until something
    /// merges across the border of two tokens, each side merges as if alone. So two windows that overlap may be joined
    /// wherever they have a token in common: every two neighbours then come from one window or the other.
    fn merged_in_windows(
        &mut self,
        piece: &[u8],
        window: usize,
        overlaps: &[usize],
    ) -> Option<u64> {
        let mut count = 0;
        // How far the piece is merged, and where its tokens end but for those that are counted.
        let (mut done, mut ends) = (0, Vec::new());
        while done < piece.len() {
            let end = piece.len().min(done + window);
            let joined = overlaps.iter().find_map(|overlap| {
                let kept = ends.iter().rposition(|at| at + overlap <= done);
                let start = kept.map_or(0, |kept| ends[kept]);
                if kept.is_none() && count > 0 {
                    return None;
                }
                self.merge(&piece[start..end]);
                let new: Vec<usize> = self
                    .parts
                    .iter()
                    .map(|part| start + part.end as usize)
                    .collect();
                let old = kept.map_or(0, |kept| kept + 1);
                let (old_common, new_common) = if start == 0 {
                    (0, 0)
                } else {
                    common_token(start, &ends[old..], &new)?
                };
                Some((old + old_common, new, new_common))
            });
            let (old, new, common) = joined?;
            ends.truncate(old);
            ends.extend(&new[common..]);
            done = end;
            let certain = ends.len().saturating_sub(KEPT);
            if certain > KEPT {
                count += ends.drain(..certain).len() as u64;
            }
        }
        Some(count + ends.len() as u64)
    }

    /// Merges a piece of any length with its ranks in a heap.
    fn merged_at_once(&mut self, piece: &[u8]) -> u64 {
        let ranks = self.ranks;
        let mut tokens: Vec<u32> = piece.iter().map(|byte| ranks.byte(*byte)).collect();
        // Where the token before the one that starts here starts, and where the one behind it does.
        let mut before: Vec<usize> = (0..piece.len()).map(|at| at.saturating_sub(1)).collect();
        let mut behind: Vec<usize> = (1..=piece.len()).collect();
        let mut merges: Vec<u32> = tokens
            .windows(2)
            .map(|pair| ranks.merged(pair[0], pair[1]))
            .collect();
        merges.push(NONE);
        let waiting = merges.iter().zip(0..).filter(|(rank, _)| **rank != NONE);
        let mut waiting: BinaryHeap<_> = waiting
            .map(|(rank, at): (_, usize)| Reverse((*rank, at)))
            .collect();
        let mut left = piece.len() as u64;
        while let Some(Reverse((rank, at))) = waiting.pop() {
            if merges[at] != rank {
                continue;
            }
            left -= 1;
            let gone = behind[at];
            (tokens[at], behind[at], merges[gone]) = (rank, behind[gone], NONE);
            if let Some(back) = before.get_mut(behind[at]) {
                *back = at;
            }
            for at in [at, before[at]] {
                let next = tokens.get(behind[at]);
                merges[at] = next.map_or(NONE, |next| ranks.merged(tokens[at], *next));
                if merges[at] != NONE {
                    waiting.push(Reverse((merges[at], at)));
                }
            }
        }
        left
    }
}

/// Where the lowest rank stands first, and which it is; none when nothing merges.
#[inline]
fn lowest(merges: &[u32]) -> Option<(usize, u32)> {
    // Signed, because that is what the smallest processors compare many of at a time.
    let rank = merges
        .iter()
        .map(|rank| rank.cast_signed())
        .min()?
        .cast_unsigned();
    if rank == NONE {
        return None;
    }
    Some((position(merges, rank)?, rank))
}

/// Where `rank` stands first.
#[inline]
fn position(merges: &[u32], rank: u32) -> Option<usize> {
    // Sixteen at a time: a search that may stop at each would be compiled to look at each.
    let (blocks, rest) = merges.as_chunks::<16>();
    let has = |block: &[u32; 16]| {
        block
            .iter()
            .fold(0, |found, other| found | u32::from(*other == rank))
            != 0
    };
    let start = blocks
        .iter()
        .position(has)
        .map_or(merges.len() - rest.len(), |block| block * 16);
    Some(start + merges[start..].iter().position(|other| *other == rank)?)
}

/// The first token that both have: the number of tokens before it in each. Both begin at `start`, and are given by
/// where their tokens end.
fn common_token(start: usize, old: &[usize], new: &[usize]) -> Option<(usize, usize)> {
    let (mut i, mut j) = (0, 0);
    let (mut old_start, mut new_start) = (start, start);
    while let (Some(&old_end), Some(&new_end)) = (old.get(i), new.get(j)) {
        if (old_start, old_end) == (new_start, new_end) {
            return Some((i, j));
        }
        if old_end <= new_end {
            (i, old_start) = (i + 1, old_end);
        }
        if new_end <= old_end {
            (j, new_start) = (j + 1, new_end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::ranks::ranks;
    use super::*;
    use crate::tokens::Encoding;

    /// The windows are so small at first that some cannot be joined.
    #[test]
    fn a_piece_has_as_many_tokens_however_it_is_merged() {
        let texts = [
            "a".repeat(700),
            " ".repeat(700),
            "abcab".repeat(90),
            include_str!("merge.rs").to_owned(),
        ];
        let mut not_joined = 0;
        for encoding in Encoding::ALL {
            let mut merger = Merger::new(ranks(encoding));
            for text in &texts {
                let piece = text.as_bytes();
                merger.merge(piece);
                let whole = merger.parts.len() as u64;
                assert_eq!(merger.merged_at_once(piece), whole, "{encoding} {text:?}");
                for (window, overlap) in [
                    (2, 1),
                    (8, 2),
                    (9, 3),
                    (16, 8),
                    (33, 16),
                    (100, 40),
                    (256, 32),
                    (600, 128),
                ] {
                    match merger.merged_in_windows(piece, window.min(piece.len()), &[overlap]) {
                        Some(count) => {
                            assert_eq!(count, whole, "{encoding} {window} {overlap} {text:?}");
                        }
                        None => not_joined += 1,
                    }
                }
            }
        }
        assert!(not_joined > 0);
    }

    #[test]
    fn windows_as_they_are_can_be_joined_in_long_texts() {
        let state = |n: usize| {
            n.wrapping_mul(0x9E37_79B9).rotate_right(13) ^ n.wrapping_mul(2_654_435_761) >> 7
        };
        let letters = |all: &[u8]| {
            (0..10_000)
                .map(|n| all[state(n) % all.len()])
                .collect::<Vec<u8>>()
        };
        let mut pieces = vec![
            letters(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            letters(b"ab"),
            letters(b"=-_#"),
        ];
        pieces.push(letters(&[0xE4, 0xB8, 0xAD, 0x96, 0x87]));
        pieces.extend(
            [
                " ", "\t", "\n", "a", "=", "-", "*", "#", "_", "0", "/", "的", "\\", "é",
            ]
            .map(|c| c.repeat(3000).into_bytes()),
        );
        for encoding in Encoding::ALL {
            let mut merger = Merger::new(ranks(encoding));
            for piece in &pieces {
                let joined = merger.merged_in_windows(piece, WINDOW, &OVERLAPS);
                assert_eq!(
                    joined,
                    Some(merger.merged_at_once(piece)),
                    "{encoding} {:?}",
                    str::from_utf8(&piece[..9])
                );
            }
        }
    }
}
