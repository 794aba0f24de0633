//! The kind of a question, as far as it matters for the length of the answer.
//!
//! Owns: [`QuestionKind`] and the marks by which a text shows its kind.
//! Refuses: understanding the text. It looks for English words and for marks common to every language (fences, the
//! shape of source code); what shows neither is `other`, and is learned from like the rest.
//! Invariant: a pure function of the text that reads a bounded part of it, so a megabyte costs what a page costs.

/// What is asked for. Answers of one kind have lengths of their own, so they are learned apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum QuestionKind {
    Code,
    Summary,
    /// The same text in other words or another language: about as long as what came in.
    Rewrite,
    List,
    /// A name, a number, a yes or no.
    Fact,
    Explanation,
    Other,
}

impl QuestionKind {
    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Summary => "summary",
            Self::Rewrite => "rewrite",
            Self::List => "list",
            Self::Fact => "fact",
            Self::Explanation => "explanation",
            Self::Other => "other",
        }
    }
}

/// Bytes read at either end: the instruction stands before or after the material.
const END: usize = 1_500;
/// A question with more words than this asks for more than a fact.
const SHORT: usize = 14;

/// Words and phrases that ask for a kind; the first row with one of them decides. The order is that of certainty:
/// "summarize this function" wants a summary, "explain this query" an explanation, whatever lies below it.
const ASKED: [(QuestionKind, &[&str]); 5] = [
    (
        QuestionKind::Summary,
        &[
            "summarize",
            "summarise",
            "summary",
            "tldr",
            "tl dr",
            "key points",
            "recap",
            "gist",
            "in a nutshell",
        ],
    ),
    (
        QuestionKind::Rewrite,
        &[
            "translate",
            "translation",
            "rewrite",
            "rephrase",
            "reword",
            "paraphrase",
            "proofread",
            "shorten",
            "polish",
            "correct the grammar",
            "fix the grammar",
            "fix the spelling",
            "more formal",
            "less formal",
        ],
    ),
    (
        QuestionKind::Explanation,
        &[
            "explain",
            "why",
            "how does",
            "how do",
            "how can",
            "how would",
            "what happens",
            "difference between",
            "compare",
            "pros and cons",
            "walk me through",
            "describe",
            "teach me",
            "what does",
        ],
    ),
    (
        QuestionKind::Code,
        &[
            "refactor",
            "implement",
            "debug",
            "a function",
            "a script",
            "a program",
            "a regex",
            "a class",
            "unit test",
            "unit tests",
            "a query",
            "in rust",
            "in python",
            "in javascript",
            "in typescript",
            "in go",
            "in java",
            "in sql",
            "in bash",
            "in c",
            "stack trace",
            "does not compile",
            "fix the bug",
            "fix this bug",
        ],
    ),
    (
        QuestionKind::List,
        &[
            "list",
            "give me some",
            "ideas for",
            "examples of",
            "names for",
            "bullet points",
            "enumerate",
            "top ten",
        ],
    ),
];

/// How a question for a fact begins.
const FACT: [&str; 18] = [
    "who", "when", "where", "which", "what is", "what s", "what are", "what was", "how many",
    "how much", "how old", "how far", "how long", "how tall", "is", "are", "does", "did",
];

/// How a line of source code begins or ends, in the languages that are asked about most.
const CODE_STARTS: [&str; 14] = [
    "fn ",
    "pub ",
    "def ",
    "class ",
    "import ",
    "from ",
    "#include",
    "function ",
    "const ",
    "let ",
    "var ",
    "SELECT ",
    "#!/",
    "public ",
];
const CODE_ENDS: [char; 3] = ['{', '}', ';'];
/// So many lines that look like code make the text code.
const CODE_LINES: usize = 3;

/// The kind of a question.
pub(crate) fn kind(question: &str) -> QuestionKind {
    let (head, tail) = ends(question);
    let words: Vec<String> = [head, tail].iter().map(|part| spaced(part)).collect();
    let asks = |phrase: &&str| {
        words
            .iter()
            .any(|text| text.contains(&format!(" {phrase} ")))
    };
    let asked = ASKED.iter().find(|(_, phrases)| phrases.iter().any(&asks));
    match asked {
        // "What is the difference between …" begins as a question for a fact, and asks for more.
        Some((kind, _)) => *kind,
        None if looks_like_code(head) || looks_like_code(tail) => QuestionKind::Code,
        None if is_short(question)
            && FACT
                .iter()
                .any(|start| words[0].starts_with(&format!(" {start} "))) =>
        {
            QuestionKind::Fact
        }
        None if counts_things(&words[0]) => QuestionKind::List,
        None => QuestionKind::Other,
    }
}

/// The first and the last bytes, cut between characters; the same text twice when it is short.
fn ends(text: &str) -> (&str, &str) {
    if text.len() <= END {
        return (text, text);
    }
    (
        &text[..text.floor_char_boundary(END)],
        &text[text.ceil_char_boundary(text.len() - END)..],
    )
}

/// Lower case, with one space around every word, so that a phrase is found whole or not at all.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        out.extend(word.chars().flat_map(char::to_lowercase));
        out.push(' ');
    }
    out
}

fn is_short(question: &str) -> bool {
    question.len() <= END && question.split_whitespace().nth(SHORT).is_none()
}

const NUMBERS: [&str; 10] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "some",
];

/// "Name five rivers", "give me 10 titles".
fn counts_things(words: &str) -> bool {
    let mut words = words.split_whitespace();
    let starts = match (words.next(), words.next()) {
        (Some("name" | "suggest"), number) => number,
        (Some("give"), Some("me")) => words.next(),
        _ => None,
    };
    starts.is_some_and(|word| NUMBERS.contains(&word) || word.bytes().all(|b| b.is_ascii_digit()))
}

fn looks_like_code(text: &str) -> bool {
    let code = |line: &&str| {
        let line = line.trim();
        CODE_STARTS.iter().any(|start| line.starts_with(start)) || line.ends_with(CODE_ENDS)
    };
    text.lines()
        .any(|line| line.trim_start().starts_with("```"))
        || text.lines().filter(code).count() >= CODE_LINES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_shows_its_kind() {
        let fenced = "Main.rs:\n```\nfn main() {}\n```";
        let bare = "fn add(a: u32) {\n    a + 1;\n}";
        let (long, code) = (
            "lorem ipsum ".repeat(100_000),
            "let x = 1;\n".repeat(10_000),
        );
        for (question, expected) in [
            ("Summarize the article below.", QuestionKind::Summary),
            ("TL;DR?", QuestionKind::Summary),
            (
                &format!("Give me the key points:\n{fenced}"),
                QuestionKind::Summary,
            ),
            ("Translate to French: good morning", QuestionKind::Rewrite),
            ("Could you make this more formal?", QuestionKind::Rewrite),
            ("Write a function that adds two numbers", QuestionKind::Code),
            ("Refactor it, please", QuestionKind::Code),
            (fenced, QuestionKind::Code),
            (bare, QuestionKind::Code),
            (&format!("Explain this:\n{bare}"), QuestionKind::Explanation),
            ("Why does `push` move my string?", QuestionKind::Explanation),
            (
                "What is the difference between a mutex and a semaphore?",
                QuestionKind::Explanation,
            ),
            ("List the planets", QuestionKind::List),
            ("Name 12 rivers of Asia", QuestionKind::List),
            ("Give me five titles", QuestionKind::List),
            ("Who wrote Hamlet?", QuestionKind::Fact),
            ("what's the capital of Peru", QuestionKind::Fact),
            ("How many legs has a spider?", QuestionKind::Fact),
            (
                "Who would say so, and what would they say to those who said before that they would not?",
                QuestionKind::Other,
            ),
            ("Hello", QuestionKind::Other),
            ("", QuestionKind::Other),
            ("Куда идём?", QuestionKind::Other),
            ("A whylist is no list-of why's", QuestionKind::Explanation),
            (
                "unlisted, translated words decide nothing",
                QuestionKind::Other,
            ),
            (&format!("Summarize:\n{long}"), QuestionKind::Summary),
            (
                &format!("{long}\nTranslate this to Dutch."),
                QuestionKind::Rewrite,
            ),
            (&code, QuestionKind::Code),
            (&long, QuestionKind::Other),
        ] {
            assert_eq!(kind(question), expected, "{question:.60}");
        }
    }

    #[test]
    fn any_text_has_a_kind() {
        for unit in ["é", "漢", "👩‍👩‍👧", "\u{0}", " "] {
            for n in [1, END / unit.len(), END, END + 1, 3 * END] {
                assert_eq!(kind(&unit.repeat(n)), QuestionKind::Other);
            }
        }
    }
}
