//! The prompts for the parts of a long input and for their joins.
//!
//! Owns: which part of the user's text is the instruction, and the wording of each request.
//! Refuses: counting and splitting.
//! Invariant: the instruction goes with every part and every join, as the user wrote it.

use std::ops::Range;

/// An instruction and a long material. One of them may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) instruction: String,
    pub(super) material: String,
}

impl Task {
    /// The user's text in two. `seam` is where the material begins, if that is known; otherwise the first
    /// paragraph is the instruction if what follows is longer, and without one the whole text is the material.
    pub(super) fn of(text: &str, seam: Option<usize>) -> Self {
        let given = seam.filter(|&at| at < text.len() && text.is_char_boundary(at));
        let at = given.unwrap_or_else(|| first_paragraph(text));
        let (instruction, material) = (&text[..at], without_blank_lines(&text[at..]));
        Self {
            instruction: instruction.trim().to_owned(),
            material: material.to_owned(),
        }
    }

    /// The same with the instruction as part of the material, because it is too long to repeat with every part.
    pub(super) fn undivided(self) -> Self {
        let Self {
            instruction,
            material,
        } = self;
        let material = if instruction.is_empty() {
            material
        } else {
            format!("{instruction}\n\n{material}")
        };
        Self {
            instruction: String::new(),
            material,
        }
    }

    /// The question about part `at` (from 0) of `of`.
    pub(super) fn part(&self, at: usize, of: usize, text: &str) -> String {
        let what = if self.instruction.is_empty() {
            "a text"
        } else {
            "the material"
        };
        let words = format!(
            "Part {} of {of} of {what} that is too long for one request follows. Answer for this part alone; the answers \
             to all parts are joined afterwards.",
            at + 1
        );
        self.with_instruction(&format!("{words}\n\n{text}"))
    }

    /// The question that joins answers to the parts, each with the parts (from 0) that it covers, of `of`.
    pub(super) fn join(&self, answers: &[(Range<usize>, &str)], of: usize) -> String {
        let words = "The material was too long for one request, so it was answered part by part. Make one answer of the \
                     answers below, in their order, leaving out what is said twice. Do not mention the parts.";
        let labelled = answers
            .iter()
            .map(|(parts, answer)| format!("\n\n{}:\n{answer}", label(parts, of)));
        self.with_instruction(&format!("{words}{}", labelled.collect::<String>()))
    }

    fn with_instruction(&self, words: &str) -> String {
        if self.instruction.is_empty() {
            words.to_owned()
        } else {
            format!("{}\n\n{words}", self.instruction)
        }
    }
}

/// What follows the blank lines at the top.
fn without_blank_lines(text: &str) -> &str {
    let blank = text
        .split_inclusive('\n')
        .take_while(|line| line.ends_with('\n') && line.trim().is_empty());
    &text[blank.map(str::len).sum()..]
}

/// Where the first paragraph ends, when what follows is longer; else 0.
fn first_paragraph(text: &str) -> usize {
    let first = text.trim_start();
    let start = text.len() - first.len();
    let mut end = start;
    for line in first.split_inclusive('\n') {
        if line.trim().is_empty() {
            return if text[end..].trim().len() > text[start..end].trim().len() {
                end
            } else {
                0
            };
        }
        end += line.len();
    }
    0
}

/// `Part 2 of 5`, `Parts 1 to 4 of 12`.
pub(super) fn label(parts: &Range<usize>, of: usize) -> String {
    if parts.len() == 1 {
        format!("Part {} of {of}", parts.end)
    } else {
        format!("Parts {} to {} of {of}", parts.start + 1, parts.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_is_the_text_before_the_material() {
        for (text, seam, instruction, material) in [
            (
                "Sum it up\n\na long text",
                Some(9),
                "Sum it up",
                "a long text",
            ),
            (
                "Sum it up\n\na longer text\n\nand more",
                None,
                "Sum it up",
                "a longer text\n\nand more",
            ),
            (
                "\n\nSum\n \n  indented text\n",
                None,
                "Sum",
                "  indented text\n",
            ),
            (
                "a long first paragraph\n\nshort",
                None,
                "",
                "a long first paragraph\n\nshort",
            ),
            ("one\ntwo\nthree", None, "", "one\ntwo\nthree"),
            // With only words or only material the text itself decides.
            ("only words", Some(10), "", "only words"),
            ("only material", Some(0), "", "only material"),
            (
                "Why?\n\nbecause of this",
                Some(99),
                "Why?",
                "because of this",
            ),
        ] {
            let expected = Task {
                instruction: instruction.to_owned(),
                material: material.to_owned(),
            };
            let task = Task::of(text, seam);
            assert_eq!(task, expected, "{text:?}");
            assert_eq!(task.undivided().instruction, "");
        }
    }

    #[test]
    fn every_request_says_what_it_is_about() {
        let task = Task::of("Name the colours\n\nred and blue and so on", None);
        let part = task.part(1, 5, "red");
        assert!(
            part.starts_with("Name the colours\n\nPart 2 of 5 of the material")
                && part.ends_with("\n\nred"),
            "{part}"
        );
        let join = task.join(&[(0..4, "red"), (4..5, "blue")], 5);
        assert!(join.starts_with("Name the colours\n\n"), "{join}");
        assert!(
            join.ends_with("\n\nParts 1 to 4 of 5:\nred\n\nPart 5 of 5:\nblue"),
            "{join}"
        );
    }
}
