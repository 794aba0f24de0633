//! Finding sections: BM25 with weighted fields.
//!
//! Owns: [`Index`] (postings of the whole manual) and the ranking.
//! Refuses: composing answers.
//! Invariant: ranking is a pure function of manual and query; sections with equal scores keep the order of the manual.

use std::collections::BTreeMap;

use super::manual::Section;
use super::words::{StemmedWord, one_typo_apart, words};

/// BM25's saturation of repeated words, and its penalty for long sections (the usual values).
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// The weight of one occurrence, by field.
const TITLE: f64 = 3.0;
const LOOKUP: f64 = 2.0;
const CHAPTER: f64 = 1.0;
const PROSE: f64 = 1.0;
const CODE: f64 = 0.5;
/// The weight of a word that was found only after correcting a typo.
const CORRECTED: f64 = 0.8;
/// The weight of a short word that is not in the manual: it is more often a typo than the topic of the question.
const SHORT_UNKNOWN: f64 = 0.7;
/// Words of at least this length are corrected.
const CORRECTABLE: usize = 5;
/// A section must cover this share of the query's weight, otherwise the manual does not cover the topic.
const MIN_COVERAGE: f64 = 0.4;

/// A stem of the question with its weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueryTerm {
    pub(crate) stem: String,
    pub(crate) weight: f64,
}

/// A section found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SectionHit {
    /// Its index in the manual.
    pub(crate) section: usize,
    pub(crate) score: f64,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Per stem: the sections that hold it, with the weighted number of occurrences.
    postings: BTreeMap<String, Vec<(usize, f64)>>,
    /// Every word of the manual as written, with its stem, for correcting typos.
    raw: BTreeMap<String, String>,
    lengths: Vec<f64>,
    mean_length: f64,
    /// The stems of each title.
    titles: Vec<Vec<String>>,
}

impl Index {
    pub(crate) fn new(sections: &[Section]) -> Self {
        let mut index = Self::default();
        for (number, section) in sections.iter().enumerate() {
            index.titles.push(
                words(section.title)
                    .into_iter()
                    .map(|word| word.stem)
                    .collect(),
            );
            let mut length = index.add(number, section.title, TITLE);
            length += index.add(number, section.index, LOOKUP);
            length += index.add(number, section.chapter, CHAPTER);
            length += section
                .sentences
                .iter()
                .map(|sentence| index.add(number, sentence, PROSE))
                .sum::<f64>();
            length += section
                .code
                .iter()
                .map(|block| index.add(number, block, CODE))
                .sum::<f64>();
            index.lengths.push(length);
        }
        index.mean_length = index.lengths.iter().sum::<f64>() / real(sections.len().max(1));
        index
    }

    fn add(&mut self, section: usize, text: &str, weight: f64) -> f64 {
        let mut length = 0.0;
        for StemmedWord { raw, stem } in words(text) {
            let posting = self.postings.entry(stem.clone()).or_default();
            match posting.last_mut() {
                Some((last, count)) if *last == section => *count += weight,
                _ => posting.push((section, weight)),
            }
            self.raw.entry(raw).or_insert(stem);
            length += weight;
        }
        length
    }

    /// The words of a question as stems; a word with one typo is corrected to a word of the manual.
    pub(crate) fn terms(&self, question: &str, weight: f64) -> Vec<QueryTerm> {
        let mut terms: Vec<QueryTerm> = Vec::new();
        for word in words(question) {
            let term = if self.postings.contains_key(&word.stem) {
                QueryTerm {
                    stem: word.stem,
                    weight,
                }
            } else if word.raw.chars().count() < CORRECTABLE {
                QueryTerm {
                    stem: word.stem,
                    weight: weight * SHORT_UNKNOWN,
                }
            } else {
                match self.correct(&word.raw) {
                    Some(stem) => QueryTerm {
                        stem: stem.to_owned(),
                        weight: weight * CORRECTED,
                    },
                    None => QueryTerm {
                        stem: word.stem,
                        weight,
                    },
                }
            };
            if !terms.iter().any(|known| known.stem == term.stem) {
                terms.push(term);
            }
        }
        // A compound that is not in the manual must not count as missing, because its parts count too.
        if terms.len() > 1 {
            terms.retain(|term| {
                !term.stem.contains(['-', '_', '/', '.']) || self.postings.contains_key(&term.stem)
            });
        }
        terms
    }

    /// The stem of the most common word that is one typo away.
    fn correct(&self, typed: &str) -> Option<&str> {
        self.raw
            .iter()
            .filter(|(raw, _)| raw.len() + 1 >= CORRECTABLE && one_typo_apart(typed, raw))
            .max_by_key(|(_, stem)| self.postings.get(*stem).map_or(0, Vec::len))
            .map(|(_, stem)| stem.as_str())
    }

    /// The inverse document frequency of a stem: rare ones weigh more, unknown ones as much as the rarest.
    pub(crate) fn rarity(&self, stem: &str) -> f64 {
        let (all, with) = (
            real(self.lengths.len()),
            real(self.postings.get(stem).map_or(0, Vec::len)),
        );
        ((all - with + 0.5) / (with + 0.5)).ln_1p()
    }

    /// The sections that match these terms, best first; empty if the manual does not cover them.
    pub(crate) fn search(&self, terms: &[QueryTerm]) -> Vec<SectionHit> {
        // Single digits alone are no question.
        if terms
            .iter()
            .all(|term| matches!(term.stem.as_bytes(), [b'0'..=b'9']))
        {
            return Vec::new();
        }
        let query_weight: f64 = terms
            .iter()
            .map(|term| term.weight * self.rarity(&term.stem))
            .sum();
        let mut scores = vec![(0.0, 0.0); self.lengths.len()];
        for term in terms {
            let worth = term.weight * self.rarity(&term.stem);
            for &(section, count) in self.postings.get(&term.stem).into_iter().flatten() {
                let length = 1.0 - B + B * self.lengths[section] / self.mean_length;
                let (score, covered) = &mut scores[section];
                *score += worth * count * (K1 + 1.0) / (count + K1 * length);
                *covered += worth;
            }
        }
        let mut hits: Vec<SectionHit> = Vec::new();
        for (section, (score, covered)) in scores.into_iter().enumerate() {
            let coverage = if query_weight > 0.0 {
                covered / query_weight
            } else {
                0.0
            };
            if score > 0.0 && coverage >= MIN_COVERAGE {
                hits.push(SectionHit {
                    section,
                    score: score * coverage * self.title_match(section, terms),
                });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits
    }

    /// From 1 (no word of the title is in the query) to 1.25 (all are).
    fn title_match(&self, section: usize, terms: &[QueryTerm]) -> f64 {
        let title = &self.titles[section];
        let named = title
            .iter()
            .filter(|stem| terms.iter().any(|term| term.stem == **stem))
            .count();
        1.0 + 0.25 * real(named) / real(title.len().max(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of words and sections")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(title: &'static str, sentence: &'static str) -> Section {
        Section {
            chapter: "Test",
            title,
            index: "",
            sentences: vec![sentence],
            code: Vec::new(),
        }
    }

    fn best(index: &Index, question: &str) -> Option<usize> {
        index
            .search(&index.terms(question, 1.0))
            .first()
            .map(|hit| hit.section)
    }

    #[test]
    fn a_title_beats_a_mention_and_rare_words_beat_common_ones() {
        let index = Index::new(&[
            section("Apples", "Pears are eaten with cheese."),
            section("Pears", "Apples are eaten with bread."),
            section("Quinces", "Apples and pears are eaten before quinces."),
        ]);
        assert_eq!(best(&index, "pears"), Some(1));
        assert_eq!(best(&index, "apple"), Some(0));
        assert_eq!(best(&index, "eaten cheese"), Some(0));
        assert_eq!(best(&index, "QUINSES?"), Some(2));
        assert_eq!(best(&index, "the"), None);
        assert_eq!(best(&index, "trains to the moon and cheese"), None);
    }

    #[test]
    fn an_empty_manual_matches_nothing() {
        let index = Index::new(&[]);
        assert!(
            index
                .search(&index.terms("anything at all", 1.0))
                .is_empty()
        );
    }
}
