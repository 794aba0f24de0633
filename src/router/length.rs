//! How long an answer is likely to be and may become, from past answers to questions of the same kind.
//!
//! Owns: the first guess, and how many past answers are needed.
//! Refuses: looking answers up; `store` has them.
//! Invariant: a cap is a generous multiple of what is usual, and larger than one that has cut an answer off.

use crate::protocol::Spread;
use crate::store::Lengths;

/// Output expected of a model that has not answered yet, in tokens.
pub(crate) const FIRST_GUESS: u64 = 600;
/// With fewer answers no spread is shown.
const ENOUGH: u64 = 5;
/// With fewer answers of a kind the cap does not follow them.
const ENOUGH_FOR_A_CAP: u64 = 10;
/// A learned cap is this many times the length that 95 of 100 answers stay below, and never smaller than this. Either
/// makes the reservation much smaller; a cut answer would cost a second question.
const GENEROUS: u64 = 4;
const SMALLEST: u64 = 1024;
/// A cap that has cut an answer off is this many times too small.
const GROWTH: u64 = 2;

/// Output tokens to expect.
pub(crate) fn expected_output(lengths: Option<&Lengths>) -> u64 {
    lengths.map_or(FIRST_GUESS, |lengths| {
        // When most were cut, their lengths only show what the caps were.
        if lengths.cut * 2 >= lengths.answers {
            lengths.median.max(FIRST_GUESS)
        } else {
            lengths.median
        }
    })
}

/// The middle half of such answers; `None` before there are enough.
pub(crate) fn spread(lengths: Option<&Lengths>) -> Option<Spread> {
    let lengths = lengths.filter(|lengths| lengths.answers >= ENOUGH)?;
    Some(Spread {
        low: lengths.low,
        high: lengths.high,
        answers: lengths.answers,
    })
}

/// The cap for a task of this kind; `None` before enough of them were answered, and while more than one in twenty is cut:
/// caps must not teach that answers are short.
pub(crate) fn task_cap(lengths: Option<&Lengths>) -> Option<u64> {
    let lengths = lengths
        .filter(|lengths| lengths.of_kind && lengths.answers >= ENOUGH_FOR_A_CAP)
        .filter(|lengths| lengths.cut * 20 < lengths.answers)?;
    let usual = lengths.p95.saturating_mul(GENEROUS);
    let grown = lengths.cut_at.unwrap_or(0).saturating_mul(GROWTH);
    Some(usual.max(grown).max(SMALLEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_learned_only_from_enough_answers() {
        let past = |answers, of_kind, p95, cut_at| Lengths {
            median: 300,
            low: 200,
            high: 400,
            p95,
            answers,
            of_kind,
            cut_at,
            cut: 0,
        };
        for (lengths, expected, shown, cap) in [
            (None, FIRST_GUESS, false, None),
            (Some(past(1, false, 500, None)), 300, false, None),
            (Some(past(5, true, 500, None)), 300, true, None),
            (Some(past(50, false, 500, None)), 300, true, None),
            (Some(past(10, true, 500, None)), 300, true, Some(2_000)),
            (Some(past(10, true, 90, None)), 300, true, Some(1_024)),
            (
                Some(past(10, true, 500, Some(2_000))),
                300,
                true,
                Some(4_000),
            ),
            (
                Some(past(10, true, u64::MAX, Some(u64::MAX))),
                300,
                true,
                Some(u64::MAX),
            ),
        ] {
            let lengths = lengths.as_ref();
            assert_eq!(expected_output(lengths), expected, "{lengths:?}");
            assert_eq!(spread(lengths).is_some(), shown, "{lengths:?}");
            assert_eq!(task_cap(lengths), cap, "{lengths:?}");
        }
    }
}
