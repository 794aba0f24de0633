//! How long a model's answers were.
//!
//! Owns: the lengths of past answers, by model, effort and kind of question, and how an answer that was cut counts.
//! Refuses: to estimate the next one; `router` does.
//! Invariant: a query reads a bounded number of rows; answers from a cache are left out; an answer that was cut never
//! counts as shorter than its cap.

use rusqlite::params;

use super::cells::unsigned;
use super::percentile::percentile;
use super::{Db, StoreError};
use crate::chat::{Effort, ModelId};

/// Lengths are taken over this many answers, however old.
const ANSWERS: usize = 50;
/// Exchanges looked through for them.
const LOOKED_THROUGH: i64 = 400;
/// Answers of one kind, or of one effort, without which those of the model say more.
const ENOUGH: usize = 5;

/// Lengths of past answers in tokens, reasoning included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) median: u64,
    /// The middle half.
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) p95: u64,
    /// How many answers these are.
    pub(crate) answers: u64,
    /// They are of the kind and effort asked for; else of the model in general.
    pub(crate) of_kind: bool,
    /// The largest cap among them that has cut an answer off.
    pub(crate) cut_at: Option<u64>,
    /// How many of the answers were cut at their cap.
    pub(crate) cut: u64,
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Length {
    output: u64,
    /// The cap, when it cut the answer off.
    cut_at: Option<u64>,
    effort: Option<String>,
    kind: Option<String>,
}

/// The lengths of past answers.
pub(crate) struct PastLengths<'a>(pub &'a Db);

impl PastLengths<'_> {
    /// The answers of this model: those of the same kind and effort when there are 5, else those of the same effort, else
    /// all. `None` before the first.
    pub(crate) fn lengths(
        &self,
        model: &ModelId,
        effort: Option<Effort>,
        kind: &str,
    ) -> Result<Option<Lengths>, StoreError> {
        let all = self.past_lengths(model)?;
        let same_effort: Vec<_> = all
            .iter()
            .filter(|l| l.effort.as_deref() == effort.map(Effort::as_str))
            .cloned()
            .collect();
        let of_kind: Vec<_> = same_effort
            .iter()
            .filter(|l| l.kind.as_deref() == Some(kind))
            .cloned()
            .collect();
        if of_kind.len() >= ENOUGH {
            return Ok(Lengths::of(&of_kind).map(|lengths| Lengths {
                of_kind: true,
                ..lengths
            }));
        }
        Ok(Lengths::of(if same_effort.len() >= ENOUGH {
            &same_effort
        } else {
            &all
        }))
    }

    /// Newest first.
    pub(super) fn past_lengths(&self, model: &ModelId) -> Result<Vec<Length>, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT output, iif(finish = 'length', coalesce(output_cap, output), NULL), effort, kind
             FROM (SELECT * FROM exchanges WHERE model = ?1 ORDER BY at DESC LIMIT ?2)
             WHERE cache = 'none' AND output IS NOT NULL AND finish IN ('stop', 'length') ORDER BY at DESC",
        )?;
        let rows = query.query_map(params![model.to_string(), LOOKED_THROUGH], |row| {
            let cut_at: Option<i64> = row.get(1)?;
            Ok(Length {
                output: unsigned(row.get(0)?),
                cut_at: cut_at.map(unsigned),
                effort: row.get(2)?,
                kind: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Lengths {
    /// Figures over the newest of these answers. The full length of an answer that was cut is unknown; it only is above
    /// its cap. Leaving it out would make answers look short, because the long ones are cut first. So it counts as the
    /// median of the whole answers that were longer than its cap, or as its cap when there was none.
    pub(super) fn of(newest_first: &[Length]) -> Option<Self> {
        let recent = &newest_first[..newest_first.len().min(ANSWERS)];
        let mut whole: Vec<u64> = recent
            .iter()
            .filter(|l| l.cut_at.is_none())
            .map(|l| l.output)
            .collect();
        whole.sort_unstable();
        let length = |answer: &Length| match answer.cut_at {
            None => answer.output,
            Some(cap) => {
                let cap = cap.max(answer.output);
                let longer = &whole[whole.partition_point(|length| *length <= cap)..];
                longer.get(longer.len() / 2).copied().unwrap_or(cap)
            }
        };
        let lengths: Vec<u64> = recent.iter().map(length).collect();
        Some(Self {
            median: percentile(lengths.clone(), 50)?,
            low: percentile(lengths.clone(), 25)?,
            high: percentile(lengths.clone(), 75)?,
            p95: percentile(lengths, 95)?,
            answers: recent.len() as u64,
            of_kind: false,
            cut_at: recent.iter().filter_map(|l| l.cut_at).max(),
            cut: recent.iter().filter(|l| l.cut_at.is_some()).count() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(output: u64, cut_at: Option<u64>) -> Length {
        Length {
            output,
            cut_at,
            effort: None,
            kind: None,
        }
    }

    #[test]
    fn a_cut_answer_never_teaches_that_answers_are_short() {
        let whole = |n| answer(n, None);
        let cut = |cap| answer(cap, Some(cap));
        for (name, answers, median, p95, cut_at) in [
            (
                "whole ones",
                vec![whole(100), whole(300), whole(200)],
                200,
                300,
                None,
            ),
            (
                "cut by a small cap: as long as the longer ones",
                vec![cut(50), whole(600), whole(700)],
                700,
                700,
                Some(50),
            ),
            (
                "cut beyond all others: its cap",
                vec![whole(100), cut(4_096), whole(200)],
                200,
                4_096,
                Some(4_096),
            ),
            ("all cut", vec![cut(256), cut(512)], 256, 512, Some(512)),
            (
                "a server that stopped before the cap",
                vec![answer(200, Some(256))],
                256,
                256,
                Some(256),
            ),
        ] {
            let lengths = Lengths::of(&answers).unwrap();
            assert_eq!(
                (lengths.median, lengths.p95, lengths.cut_at),
                (median, p95, cut_at),
                "{name}"
            );
        }
        assert_eq!(Lengths::of(&[]), None);
        let many: Vec<_> = (0..60)
            .map(|n| whole(if n < 50 { 10 } else { 9_999 }))
            .collect();
        assert_eq!(Lengths::of(&many).unwrap().p95, 10, "only the newest count");
    }
}
