//! Makes text from a server fit for an error: one short line without anything that looks like a key.
//!
//! Owns: the masking of keys and the excerpt of a server's message.
//! Refuses: removing bidirectional and invisible characters; the sanitiser of displayed text does that later.
//! Invariant: an excerpt has at most [`EXCERPT`] characters, no control character, and none of the secrets.

use std::fmt;
use std::sync::Arc;

use super::secret::Secret;

/// Longest excerpt of a server's text, in characters.
pub(crate) const EXCERPT: usize = 300;

/// The most bytes of a server's text that are read; far more than an excerpt needs.
const READ_CAP: usize = 16 * 1024;
const MASKED: &str = "[key]";
/// Known prefixes of keys, and how many characters must follow.
const PREFIXES: [(&str, usize); 14] = [
    ("sk-", 3),
    ("sk_", 8),
    ("gsk_", 3),
    ("AIza", 8),
    ("xai-", 3),
    ("csk-", 8),
    ("tgp_", 8),
    ("hf_", 8),
    ("nvapi-", 8),
    ("r8_", 8),
    ("ghp_", 8),
    ("AKIA", 12),
    ("pk-", 16),
    ("key-", 16),
];

/// The secrets to hide: the key in use and the values of the headers that the user configured.
#[derive(Clone, Default)]
pub struct Mask {
    secrets: Vec<Arc<str>>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({})", self.secrets.len())
    }
}

impl Mask {
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self {
            secrets: secrets
                .into_iter()
                .map(|secret| secret.expose().into())
                .collect(),
        }
    }

    /// Also hides these header values if they are long enough to be secrets: hiding the `a` of `x-team: a` everywhere would
    /// make the message unreadable.
    #[must_use]
    pub(crate) fn and_values<'a>(mut self, values: impl Iterator<Item = &'a str>) -> Self {
        self.secrets
            .extend(values.filter(|value| value.len() >= 8).map(Arc::from));
        self
    }

    /// One line of at most [`EXCERPT`] characters without control characters and without anything like a key.
    pub(crate) fn excerpt(&self, raw: &str) -> String {
        let line = one_line(head(raw, READ_CAP));
        let mut text = line;
        for secret in &self.secrets {
            text = text.replace(&**secret, MASKED);
        }
        let masked = mask_words(&text);
        match masked.char_indices().nth(EXCERPT) {
            Some(_) => masked.chars().take(EXCERPT - 1).chain(['…']).collect(),
            None => masked,
        }
    }
}

fn head(text: &str, cap: usize) -> &str {
    if text.len() <= cap {
        return text;
    }
    let end = (0..=cap)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    // Cut between words: half a key at the end would not be recognised.
    let end = text[..end].rfind(char::is_whitespace).unwrap_or(end);
    &text[..end]
}

/// Removes control characters (line ends and tabs become spaces) and joins runs of white space into one space.
fn one_line(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() || c.is_whitespace())
        .collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn mask_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_bearer = false;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !in_word(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(length);
        let secret =
            !word.is_empty() && (looks_like_key(word) || (after_bearer && word.len() >= 6));
        out.push_str(if secret { MASKED } else { word });
        if !word.is_empty() {
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
        let mut others = tail.chars();
        out.extend(others.next());
        rest = others.as_str();
    }
    out
}

/// Characters that keys are made of; `*` because servers mask keys by halves.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*')
}

fn looks_like_key(word: &str) -> bool {
    let known = PREFIXES.iter().any(|(prefix, more)| {
        word.match_indices(prefix).any(|(at, _)| {
            let starts = at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric();
            starts && word.len() - at >= prefix.len() + more
        })
    });
    let has = |test: fn(&u8) -> bool| word.bytes().any(|byte| test(&byte));
    let random = word.len() >= 32
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic);
    let random_with_dashes = word.len() >= 40
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase);
    known || random || random_with_dashes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask() -> Mask {
        Mask::new([Secret::parse(b"canary+key/0815==", "x").unwrap()])
    }

    #[test]
    fn everything_that_looks_like_a_key_is_masked() {
        for (raw, expected) in [
            (
                "Incorrect API key provided: sk-abc***wxyz.",
                "Incorrect API key provided: [key].",
            ),
            (
                "key gsk_12345678 and AIzaSyA-12345678",
                "key [key] and [key]",
            ),
            ("xai-abcdef, sk-proj-a_b-c", "[key], [key]"),
            (
                "Authorization: Bearer abc.def",
                "Authorization: Bearer abc.def",
            ),
            (
                "Authorization: Bearer abcdef123",
                "Authorization: Bearer [key]",
            ),
            ("you sent canary+key/0815== to us", "you sent [key] to us"),
            ("token 0123456789abcdef0123456789abcdef", "token [key]"),
            (
                "model gpt-5-mini-2025-08-07 at risk-free task-list",
                "model gpt-5-mini-2025-08-07 at risk-free task-list",
            ),
            (
                "the max_completion_tokens_of_the_request_parameter",
                "the max_completion_tokens_of_the_request_parameter",
            ),
            ("a\nb\tc\u{1b}[31md\u{0}", "a b c[31md"),
        ] {
            assert_eq!(mask().excerpt(raw), expected);
        }
        assert_eq!(format!("{:?}", mask()), "Mask(1)");
    }

    #[test]
    fn an_excerpt_is_short_and_a_key_is_masked_before_it_is_cut() {
        let excerpt = mask().excerpt(&format!("{} sk-secretsecret", "é ".repeat(146)));
        assert_eq!(excerpt.chars().count(), 297);
        assert!(!excerpt.contains("secret"));
        assert_eq!(
            mask().excerpt(&"é".repeat(100_000)).chars().count(),
            EXCERPT
        );
        let at_the_end = format!("{}canary+key/0815==", " ".repeat(READ_CAP - 8));
        assert_eq!(mask().excerpt(&at_the_end), "");
    }

    proptest! {
        #[test]
        fn the_key_in_use_is_never_seen(before in ".{0,40}", after in ".{0,400}") {
            let excerpt = mask().excerpt(&format!("{before}canary+key/0815=={after}"));
            prop_assert!(!excerpt.contains("canary+key/0815=="));
            prop_assert!(excerpt.chars().count() <= EXCERPT && !excerpt.chars().any(char::is_control));
        }
    }
}
