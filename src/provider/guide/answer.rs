//! What the guide says.
//!
//! Owns: choosing sections for a conversation and composing an answer of their sentences.
//! Refuses: sentences about the program that are not in the manual.
//! Invariant: the first line of every answer says that no language model wrote it.

use std::fmt::Write as _;

use super::manual::{Section, sections};
use super::search::{Index, QueryTerm, SectionHit};
use super::words::words;

/// The first line of every answer.
pub(super) const INTRODUCTION_LINE: &str =
    "I am the built-in guide: I know only this program's manual, and I am not a language model.";
/// The last line of every answer.
const CLOSING_LINE: &str =
    "For a real model, set `OPENAI_API_KEY` and start again, or run a local server such as Ollama.";

/// Sentences quoted from the best section, and from the second one.
const SENTENCES: usize = 6;
const SECOND_SENTENCES: usize = 2;
/// A section longer than this is a list: only sentences with this share of the best sentence's score are quoted from it.
const LIST_LENGTH: usize = 4;
const LIST_SCORE_SHARE: f64 = 0.66;
/// A second section is quoted from this share of the best section's score on, and named from that share on.
const QUOTE_SHARE: f64 = 0.85;
const NAME_SHARE: f64 = 0.5;
/// The weight of words of earlier questions, used when the last one finds nothing, and how many of them are searched.
const EARLIER_WEIGHT: f64 = 0.3;
const EARLIER_QUESTIONS: usize = 3;
/// Characters of a message that are searched: a question is at its beginning, a pasted file after it.
const SEARCHED: usize = 2_000;

/// Words of a question that only greets, thanks or asks who is there.
const GREETINGS: &str = "hi hello hey hallo howdy greetings good morning afternoon evening day welcome again thanks thank thx \
    cheers help test ping bot guide everyone world ok okay yo";

/// The manual with its index.
#[derive(Debug)]
pub(super) struct AnswerComposer {
    sections: Vec<Section>,
    index: Index,
}

/// The search terms of a conversation, and the sections found with them.
#[derive(Debug)]
struct Found {
    terms: Vec<QueryTerm>,
    hits: Vec<SectionHit>,
}

impl AnswerComposer {
    pub(crate) fn new() -> Self {
        let sections = sections();
        let index = Index::new(&sections);
        Self { sections, index }
    }

    /// The answer to the last of these questions, in Markdown. `questions` are the user's messages, oldest first.
    pub(crate) fn answer(&self, questions: &[String]) -> String {
        let last = questions.last().map_or("", |last| beginning(last));
        let body = if is_greeting(last) && (questions.len() < 2 || !words(last).is_empty()) {
            introduction()
        } else {
            let found = self.find(questions);
            if found.hits.is_empty() {
                self.topics()
            } else {
                self.quote(&found)
            }
        };
        format!("{INTRODUCTION_LINE}\n\n{body}\n\n{CLOSING_LINE}")
    }

    /// Searches with the last question; if that finds nothing, with earlier ones as well.
    fn find(&self, questions: &[String]) -> Found {
        let Some((last, earlier)) = questions.split_last() else {
            return Found {
                terms: Vec::new(),
                hits: Vec::new(),
            };
        };
        let mut terms = self.index.terms(beginning(last), 1.0);
        let mut hits = self.index.search(&terms);
        if hits.is_empty() {
            for question in earlier.iter().rev().take(EARLIER_QUESTIONS) {
                for term in self.index.terms(beginning(question), EARLIER_WEIGHT) {
                    if !terms.iter().any(|known| known.stem == term.stem) {
                        terms.push(term);
                    }
                }
                hits = self.index.search(&terms);
                if !hits.is_empty() {
                    break;
                }
            }
        }
        Found { terms, hits }
    }

    fn quote(&self, found: &Found) -> String {
        let Some((best, others)) = found.hits.split_first() else {
            return self.topics();
        };
        let mut text = self.passage(best, &found.terms, SENTENCES);
        for block in &self.sections[best.section].code {
            text.push_str("\n\n");
            text.push_str(block);
        }
        let mut others = others
            .iter()
            .take_while(|hit| hit.score >= best.score * NAME_SHARE)
            .take(3)
            .peekable();
        if let Some(second) = others.next_if(|hit| hit.score >= best.score * QUOTE_SHARE) {
            text.push_str("\n\n");
            text.push_str(&self.passage(second, &found.terms, SECOND_SENTENCES));
        }
        let names: Vec<String> = others.map(|hit| self.name(hit)).collect();
        if !names.is_empty() {
            let _ = write!(text, "\n\nSee also: {}.", names.join(", "));
        }
        text
    }

    /// The sentences of a section that say most about the question, in the section's own order.
    fn passage(&self, hit: &SectionHit, terms: &[QueryTerm], most: usize) -> String {
        let sentences = &self.sections[hit.section].sentences;
        let mut ranked: Vec<(usize, f64)> = sentences
            .iter()
            .enumerate()
            .map(|(index, sentence)| (index, self.weigh(sentence, terms)))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        if sentences.len() > LIST_LENGTH {
            let least = ranked.first().map_or(0.0, |best| best.1 * LIST_SCORE_SHARE);
            ranked.retain(|&(_, score)| score >= least);
        }
        let mut chosen: Vec<usize> = ranked
            .into_iter()
            .take(most)
            .map(|(index, _)| index)
            .collect();
        chosen.sort_unstable();
        let quoted: Vec<&str> = chosen.into_iter().map(|index| sentences[index]).collect();
        format!("From {}:\n\n{}", self.name(hit), quoted.join(" "))
    }

    fn weigh(&self, sentence: &str, terms: &[QueryTerm]) -> f64 {
        let said = words(sentence);
        terms
            .iter()
            .filter(|term| said.iter().any(|word| word.stem == term.stem))
            .map(|term| term.weight * self.index.rarity(&term.stem))
            .sum()
    }

    fn name(&self, hit: &SectionHit) -> String {
        let section = &self.sections[hit.section];
        format!("'{} / {}'", section.chapter, section.title)
    }

    /// For a question that the manual does not cover.
    fn topics(&self) -> String {
        let mut chapters: Vec<&str> = self
            .sections
            .iter()
            .map(|section| section.chapter)
            .collect();
        chapters.dedup();
        format!(
            "I found nothing about that in the manual. The topics I know are: {}.",
            chapters.join(", ")
        )
    }

    /// The title of the section that answers, for tests.
    #[cfg(test)]
    pub(crate) fn title(&self, questions: &[String]) -> Option<&'static str> {
        self.find(questions)
            .hits
            .first()
            .map(|hit| self.sections[hit.section].title)
    }
}

/// The part of a message that is searched.
fn beginning(message: &str) -> &str {
    message
        .char_indices()
        .nth(SEARCHED)
        .map_or(message, |(end, _)| &message[..end])
}

/// Whether a message is only a greeting; a message without words counts as one.
fn is_greeting(question: &str) -> bool {
    words(question).iter().all(|word| {
        GREETINGS
            .split_ascii_whitespace()
            .any(|greeting| greeting == word.raw)
    })
}

fn introduction() -> String {
    "Hello. Ask me how to use this program, for example:\n\n\
     - How do I set a daily budget?\n\
     - How do I switch the model with the keyboard?\n\
     - Where are my chats stored?"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(questions: &[&str]) -> String {
        AnswerComposer::new().answer(&questions.iter().map(|&q| q.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_answer_says_what_the_guide_is_names_its_source_and_a_next_step() {
        let said = answer(&["How do I stop an answer?"]);
        assert!(said.starts_with(INTRODUCTION_LINE), "{said}");
        assert!(
            said.contains(
                "From 'Keys / Stop an answer':\n\nEsc stops the answer that is streaming."
            ),
            "{said}"
        );
        assert!(said.ends_with(CLOSING_LINE), "{said}");
        for question in ["hi", "What is the capital of France?", ""] {
            assert!(
                answer(&[question]).starts_with(INTRODUCTION_LINE)
                    && answer(&[question]).ends_with(CLOSING_LINE),
                "{question}"
            );
        }
    }

    #[test]
    fn every_quoted_sentence_is_in_the_manual() {
        let manual: String = sections()
            .iter()
            .flat_map(|s| s.sentences.iter().copied())
            .collect::<Vec<_>>()
            .join(" ");
        let said = answer(&["how do I keep spending below a limit"]);
        let passages = said
            .split("':\n\n")
            .skip(1)
            .map(|rest| rest.split("\n\n").next().unwrap());
        let mut sentences = 0;
        for sentence in passages.flat_map(|passage| passage.split_inclusive(". ")) {
            assert!(manual.contains(sentence.trim()), "{sentence}");
            sentences += 1;
        }
        assert!(sentences > 1, "{said}");
    }

    #[test]
    fn only_the_matching_sentences_of_a_list_are_quoted() {
        let said = answer(&["what does exit code 3 mean"]);
        assert!(
            said.contains("Exit code 3 means") && !said.contains("Exit code 1"),
            "{said}"
        );
        let said = answer(&["what exit codes are there?"]);
        assert!(
            ["0", "1", "2", "3", "4", "130"]
                .iter()
                .all(|code| said.contains(&format!("Exit code {code} "))),
            "{said}"
        );
        let said = answer(&["what is p95"]);
        assert!(
            said.contains("`p50` and `p95`") && !said.contains("TTFT"),
            "{said}"
        );
    }

    #[test]
    fn a_configuration_block_is_quoted_whole() {
        let said = answer(&["how do I set a daily budget?"]);
        assert!(
            said.contains("```toml\n[budget]\nper_request = 0.10\n")
                && said.contains("on_limit = \"ask\"\n```"),
            "{said}"
        );
    }

    #[test]
    fn a_greeting_is_answered_with_three_example_questions() {
        for greeting in [
            "hi",
            "Hello!",
            "good morning",
            "hey there",
            "Help",
            "",
            "who are you?",
            "what can you do",
        ] {
            let said = answer(&[greeting]);
            assert_eq!(said.matches("\n- ").count(), 3, "{greeting}: {said}");
        }
    }

    #[test]
    fn a_question_outside_the_manual_is_answered_with_its_topics() {
        for question in [
            "What is the capital of France?",
            "Write a poem about the sea",
            "Why does `push` move my string in Rust?",
            "asdfghjkl",
            "Solve x^2 = 9 for x",
            "Wie ist das Wetter in Berlin?",
        ] {
            let said = answer(&[question]);
            assert!(
                said.contains("I found nothing about that"),
                "{question}: {said}"
            );
            assert!(
                said.contains("Start, Keys,") && said.contains("Troubleshooting."),
                "{said}"
            );
        }
    }

    #[test]
    fn a_pasted_file_after_the_question_is_not_searched() {
        let question = format!(
            "use ollama {} {}",
            " ".repeat(SEARCHED),
            "budget ".repeat(1_000_000)
        );
        assert!(answer(&[&question]).contains("'Providers / Use Ollama'"));
    }

    #[test]
    fn a_follow_up_is_understood_from_what_came_before() {
        let said = answer(&["how do I set a daily budget?", "and how do I do that?"]);
        assert!(said.contains("'Budgets / Set a budget'"), "{said}");
        let said = answer(&["use ollama", "please tell me more"]);
        assert!(said.contains("'Providers / Use Ollama'"), "{said}");
        let said = answer(&["use ollama", "how do I quit?"]);
        assert!(
            said.contains("'Keys / Quit'"),
            "the last question comes first: {said}"
        );
    }
}
