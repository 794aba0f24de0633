//! Cutting a long text into parts of about equal size.
//!
//! Owns: where a text may be cut, and where it is.
//! Refuses: to know what a part is for, or how tokens are counted; the caller brings the count.
//! Invariant: the parts in order are the text; none counts more than the limit; the same text is cut the same way.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// The smallest limit that can be kept, in tokens: a single character may take several.
pub(super) const LEAST: u64 = 64;
/// Nothing longer than this share of a part is taken as one piece, so that parts come out nearly equal.
const PIECES: u64 = 8;

/// How good a place for a cut is, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seam {
    Grapheme,
    Word,
    Line,
    Paragraph,
}

/// A stretch of text that is not cut further, and the seam behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TextPiece {
    end: usize,
    tokens: u64,
    seam: Seam,
}

/// Cuts `text` into at least `least` parts (if it has as many pieces) of at most `limit` tokens, which is [`LEAST`] or
/// more. No text takes no part. `count` must give no more tokens than there are bytes.
pub(super) fn split(
    text: &str,
    limit: u64,
    least: u64,
    count: &dyn Fn(&str) -> u64,
) -> Vec<Range<usize>> {
    let limit = limit.max(LEAST);
    let pieces = pieces(text, limit / PIECES, count);
    let mut parts = Vec::new();
    let mut start = 0;
    for end in cuts(&pieces, limit, least) {
        settle(text, start..end, limit, count, &mut parts);
        start = end;
    }
    parts
}

/// Adds the part, or its halves where it counts more as a whole than its pieces did one by one.
fn settle(
    text: &str,
    part: Range<usize>,
    limit: u64,
    count: &dyn Fn(&str) -> u64,
    parts: &mut Vec<Range<usize>>,
) {
    if part.len() as u64 <= limit || count(&text[part.clone()]) <= limit {
        return parts.push(part);
    }
    let pieces = pieces(&text[part.clone()], limit / PIECES, count);
    let total: u64 = pieces.iter().map(|piece| piece.tokens).sum();
    let mut start = part.start;
    for end in cuts(&pieces, total.div_ceil(2).max(1), 2) {
        let end = part.start + end;
        if (start..end) == part {
            return parts.push(part);
        }
        settle(text, start..end, limit, count, parts);
        start = end;
    }
}

/// The ends of the parts.
fn cuts(pieces: &[TextPiece], limit: u64, least: u64) -> Vec<usize> {
    let mut left: u64 = pieces.iter().map(|piece| piece.tokens).sum();
    let mut parts = least.max(1);
    let mut rest = pieces;
    let mut ends = Vec::new();
    while let Some(last) = rest.last() {
        parts = parts.max(left.div_ceil(limit));
        let taken = if parts == 1 {
            rest.len()
        } else {
            next(rest, left.div_ceil(parts), limit)
        };
        left -= rest[..taken].iter().map(|piece| piece.tokens).sum::<u64>();
        ends.push(rest.get(taken - 1).unwrap_or(last).end);
        rest = &rest[taken..];
        parts = parts.saturating_sub(1).max(1);
    }
    ends
}

/// How many pieces the next part takes: up to the best seam near the target, and of equal ones the nearest.
fn next(pieces: &[TextPiece], target: u64, limit: u64) -> usize {
    let (low, high) = (target - target / 8, (target + target / 8).min(limit));
    let (mut sum, mut taken, mut best) = (0, 0, None);
    for (at, piece) in pieces.iter().enumerate() {
        sum += piece.tokens;
        if sum > high {
            break;
        }
        taken = at + 1;
        let here = (piece.seam, std::cmp::Reverse(sum.abs_diff(target)));
        if sum >= low && best.is_none_or(|(seam, _)| here > seam) {
            best = Some((here, taken));
        }
    }
    best.map_or(taken, |(_, taken)| taken).max(1)
}

/// The text in pieces of at most `most` tokens: lines; where these are longer, words; then graphemes.
fn pieces(text: &str, most: u64, count: &dyn Fn(&str) -> u64) -> Vec<TextPiece> {
    let blank = |line: &str| line.trim().is_empty();
    let mut found = Vec::new();
    let mut start = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let paragraph = blank(line) && lines.peek().is_none_or(|next| !blank(next));
        let tokens = count(line);
        if tokens <= most {
            found.push(TextPiece {
                end: start + line.len(),
                tokens,
                seam: Seam::Line,
            });
        } else {
            found.extend(line_pieces(line, most, count).map(|piece| TextPiece {
                end: start + piece.end,
                ..piece
            }));
        }
        if let Some(last) = found.last_mut() {
            last.seam = if paragraph {
                Seam::Paragraph
            } else {
                Seam::Line
            };
        }
        start += line.len();
    }
    found
}

/// A long line in pieces. One of so many bytes cannot be more tokens.
fn line_pieces<'a>(
    line: &'a str,
    most: u64,
    count: &'a dyn Fn(&str) -> u64,
) -> impl Iterator<Item = TextPiece> + 'a {
    let bytes = usize::try_from(most).unwrap_or(usize::MAX);
    joined(words(line), bytes)
        .into_iter()
        .flat_map(move |word| {
            let tokens = count(&line[word.clone()]);
            if tokens <= most {
                return vec![TextPiece {
                    end: word.end,
                    tokens,
                    seam: Seam::Word,
                }];
            }
            let finer = finest(&line[word.clone()], bytes).into_iter();
            let piece = |at: Range<usize>| (word.start + at.start)..(word.start + at.end);
            finer
                .map(piece)
                .map(|at| {
                    let seam = if at.end == word.end {
                        Seam::Word
                    } else {
                        Seam::Grapheme
                    };
                    TextPiece {
                        end: at.end,
                        tokens: count(&line[at]),
                        seam,
                    }
                })
                .collect()
        })
}

/// Where the words of a line end: before the space that follows, for tokenizers take a space with the word behind it.
fn words(line: &str) -> impl Iterator<Item = usize> {
    let said = line.trim_end().len();
    let mut spaced = true;
    let ends = line.char_indices().filter(move |(at, c)| {
        let before = std::mem::replace(&mut spaced, c.is_whitespace());
        c.is_whitespace() && !before && *at < said
    });
    ends.map(|(at, _)| at).chain([line.len()])
}

/// A long word: by graphemes, and one that is too long itself by characters.
fn finest(word: &str, most: usize) -> Vec<Range<usize>> {
    let graphemes = joined(
        word.grapheme_indices(true)
            .map(|(at, grapheme)| at + grapheme.len()),
        most,
    );
    let chars = |at: Range<usize>| {
        // A grapheme that fits stays whole: its only end is its last.
        let whole = (at.len() <= most).then_some(at.len());
        let ends = word[at.clone()]
            .char_indices()
            .map(|(end, c)| end + c.len_utf8());
        let pieces = joined(
            whole
                .into_iter()
                .chain(ends.filter(move |_| whole.is_none())),
            most,
        );
        pieces
            .into_iter()
            .map(move |piece| (at.start + piece.start)..(at.start + piece.end))
    };
    graphemes.into_iter().flat_map(chars).collect()
}

/// The stretches between these ends, neighbours joined as long as they are at most so many bytes together.
fn joined(ends: impl Iterator<Item = usize>, most: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for end in ends {
        match found.last_mut() {
            Some(last) if end - last.start <= most => last.end = end,
            _ => found.push(start..end),
        }
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::{self, Encoding};

    fn tokens(text: &str) -> u64 {
        tokens::count(Encoding::O200kBase, text)
    }

    fn parts(text: &str, limit: u64, least: u64) -> Vec<&str> {
        split(text, limit, least, &tokens)
            .into_iter()
            .map(|part| &text[part])
            .collect()
    }

    #[test]
    fn a_text_is_split_at_its_best_boundaries() {
        let line = "One two three four five six seven eight.\n";
        let paragraph = format!("{}\n", line.repeat(7));
        let text = paragraph.repeat(6);
        assert_eq!(parts(&text, 150, 2), vec![paragraph.repeat(2); 3]);
        for (text, limit, seam) in [
            (line.repeat(60), 100, "\n"),
            ("word ".repeat(600), 100, "d"),
            ("é".repeat(4000), 100, "é"),
        ] {
            let parts = parts(&text, limit, 2);
            assert!(
                parts.len() > 2
                    && parts
                        .iter()
                        .all(|part| part.ends_with(seam) || part.ends_with("d ")),
                "{parts:?}"
            );
            let sizes: Vec<u64> = parts.iter().map(|part| tokens(part)).collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(most - least <= 2 * limit / 5, "nearly equal: {sizes:?}");
        }
    }

    #[test]
    fn a_short_text_is_not_split_more_than_asked() {
        assert_eq!(parts("", 100, 2), Vec::<&str>::new());
        assert_eq!(parts("a short line", 100, 1), ["a short line"]);
        assert_eq!(parts("one\ntwo\n", 100, 2), ["one\n", "two\n"]);
    }

    #[test]
    fn a_grapheme_is_cut_only_when_it_is_longer_than_a_piece() {
        let family = "👩‍👩‍👧‍👦".repeat(300);
        assert!(
            parts(&family, 400, 2)
                .iter()
                .all(|part| part.starts_with('👩') && part.ends_with('👦'))
        );
        let pile = format!("e{}", "\u{301}".repeat(2000));
        assert_eq!(parts(&pile, 100, 2).concat(), pile);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_parts_are_the_text_and_each_fits(
            text in prop::collection::vec("([a-z]{1,9} ){1,9}\n?|\n\n|\\PC{0,40}| {1,200}|(ab){1,300}", 0..60),
            limit in 64u64..400,
            least in 1u64..5,
        ) {
            let text = text.concat();
            let cut = parts(&text, limit, least);
            prop_assert_eq!(cut.concat(), text.as_str());
            prop_assert!(cut.iter().all(|part| !part.is_empty() && tokens(part) <= limit));
            prop_assert_eq!(&cut, &parts(&text, limit, least));
        }
    }
}
