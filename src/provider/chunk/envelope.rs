//! What all pieces of a stream have in common, so that only what differs is read.
//!
//! Owns: [`Reader`], which remembers the bytes around the text of the last plain piece.
//! Refuses: pieces in any other envelope; they are read as if nothing were remembered.
//! Invariant: what is read here is what `Chunk::read` reads: one JSON string in the place of another changes nothing but
//! that string (a property test holds the two together).

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::Cursor;
use super::{Choice, Chunk, Malformed};

/// Envelopes longer than this are not remembered.
const CAP: usize = 4 * 1024;
/// OpenAI's padding against eavesdroppers: of another length in every piece, and read by nobody.
const PADDING: &str = ",\"obfuscation\":\"";

/// So many envelopes in a row that fitted nothing say that no two are alike.
const TRIES: u32 = 16;

/// Reads the pieces of one stream.
#[derive(Debug, Default)]
pub struct Reader {
    last: Option<Envelope>,
    /// Envelopes remembered since one was of use.
    tried: u32,
}

#[derive(Debug)]
struct Envelope {
    head: String,
    tail: String,
    /// What follows the padding, where there is some: then `tail` ends where it begins.
    after_padding: Option<String>,
    thought: bool,
    service_tier: Option<String>,
}

impl Reader {
    pub fn read<'a>(&mut self, json: &'a str) -> Result<Chunk<'a>, Malformed> {
        if let Some(chunk) = self.last.as_ref().and_then(|envelope| envelope.open(json)) {
            self.tried = 0;
            return Ok(chunk);
        }
        let chunk = Chunk::read(json)?;
        if self.tried < TRIES
            && let Some(envelope) = Envelope::of(json, &chunk)
        {
            self.tried += 1;
            self.last = Some(envelope);
        }
        Ok(chunk)
    }
}

impl Envelope {
    /// The envelope of a piece that holds one text without escapes, and nothing else that means anything.
    fn of(json: &str, chunk: &Chunk<'_>) -> Option<Self> {
        let choice = chunk.choice.as_ref()?;
        if chunk.error.is_some()
            || chunk.usage.is_some()
            || choice.tool_call
            || choice.finish.is_some()
        {
            return None;
        }
        let (text, thought) = match (&choice.text, &choice.reasoning) {
            (Cow::Borrowed(text), none) if none.is_empty() => (*text, false),
            (none, Cow::Borrowed(text)) if none.is_empty() => (*text, true),
            _ => return None,
        };
        let place = place(json, text)
            .filter(|place| !place.is_empty() && json.len() - place.len() <= CAP)?;
        let tail = &json[place.end..];
        let (tail, after_padding) = match tail
            .find(PADDING)
            .map(|at| tail.split_at(at + PADDING.len()))
        {
            Some((tail, padding)) => (tail, Some(string(padding)?.1.to_owned())),
            None => (tail, None),
        };
        Some(Self {
            head: json[..place.start].to_owned(),
            tail: tail.to_owned(),
            after_padding,
            thought,
            service_tier: chunk.service_tier.as_deref().map(str::to_owned),
        })
    }

    /// The piece in this envelope; `None`: it is in another.
    fn open<'a>(&self, json: &'a str) -> Option<Chunk<'a>> {
        let (text, rest) = match string(json.strip_prefix(&*self.head)?) {
            Some((text, rest)) => (Cow::Borrowed(text), rest),
            // With escapes; the head ends in the quote.
            None => Cursor::new(&json[self.head.len() - 1..]).string_and_rest()?,
        };
        let rest = rest.strip_prefix(&*self.tail)?;
        let ends = match &self.after_padding {
            None => rest.is_empty(),
            Some(after) => string(rest)?.1 == after,
        };
        if !ends || text.is_empty() {
            return None;
        }
        let none = Cow::Borrowed("");
        let (text, reasoning) = if self.thought {
            (none, text)
        } else {
            (text, none)
        };
        Some(Chunk {
            choice: Some(Choice {
                text,
                reasoning,
                tool_call: false,
                finish: None,
            }),
            service_tier: self.service_tier.clone().map(Cow::Owned),
            ..Chunk::default()
        })
    }
}

/// Where a part lies in the text that it was borrowed from.
fn place(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    (whole.get(place.clone())? == part).then_some(place)
}

/// The inside of a JSON string that has begun, without escapes, and what follows from its closing quote on.
fn string(json: &str) -> Option<(&str, &str)> {
    let end = memchr::memchr2(b'"', b'\\', json.as_bytes())?;
    let (inside, rest) = json.split_at(end);
    (rest.starts_with('"') && inside.bytes().all(|byte| byte >= b' ')).then_some((inside, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(text: &str, padding: &str) -> String {
        format!(
            r#"{{"id":"c","service_tier":"default","choices":[{{"delta":{{"content":"{text}"}}}}],"obfuscation":"{padding}"}}"#
        )
    }

    /// Whether the reader, which has read the first, needs to read the second.
    fn is_remembered(first: &str, second: &str) -> bool {
        let mut reader = Reader::default();
        reader.read(first).unwrap();
        let opened = reader
            .last
            .as_ref()
            .and_then(|envelope| envelope.open(second));
        let is_opened = opened.is_some();
        assert_eq!(
            opened.map_or_else(|| Chunk::read(second), Ok),
            Chunk::read(second),
            "{second}"
        );
        is_opened
    }

    #[test]
    fn only_what_differs_in_nothing_but_its_text_is_not_read_again() {
        let first = piece("one", "q7");
        for (second, expected) in [
            (piece("two", "q7"), true),
            (piece("twenty 🦀", "xyz"), true),
            (piece("", "q7"), false),
            (piece(r"a\n", "q7"), true),
            (piece(r"a\q", "q7"), false),
            (piece(r"\ud800", "q7"), false),
            (piece("a\n", "q7"), false),
            (piece("two", r"\u0041"), false),
            (piece("two", "q7").replace("default", "flex"), false),
            (piece("two", "q7").replace("\"}", "\"} "), false),
            (piece("two\",\"role\":\"assistant", "q7"), false),
            (piece("two\"},\"finish_reason\":\"stop", "q7"), false),
        ] {
            assert_eq!(is_remembered(&first, &second), expected, "{second}");
        }
        let thinks = |text: &str| {
            format!(r#"{{"choices":[{{"delta":{{"content":null,"reasoning":"{text}"}}}}]}}"#)
        };
        assert!(is_remembered(&thinks("hm"), &thinks("so")));
        let twice = |text: &str| {
            format!(r#"{{"choices":[{{"delta":{{"content":"{text}","reasoning":"{text}"}}}}]}}"#)
        };
        assert!(!is_remembered(&twice("hm"), &twice("so")));
        let long = |text: &str| {
            format!(
                r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"x":"{}"}}"#,
                "x".repeat(CAP)
            )
        };
        assert!(!is_remembered(&long("a"), &long("b")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_remembered_changes_nothing(
            shapes in prop::collection::vec(super::super::tests::any_piece(), 1..4),
            order in prop::collection::vec((any::<prop::sample::Index>(), 0..6u8, any::<prop::sample::Index>()), 1..12),
        ) {
            let mut reader = Reader::default();
            for (which, text, at) in order {
                // The shapes in turn, with other texts, and now and then with a wrong byte.
                let text = [r#""a""#, r#""b c""#, r#""""#, r#""\n""#, r#""stop""#, r#""a""#][usize::from(text)];
                let mut json = which.get(&shapes).replace(r#""a""#, text);
                if at.index(8) == 0 {
                    let at = at.index(json.len());
                    json.replace_range(at..=at, "\"");
                }
                prop_assert_eq!(reader.read(&json), Chunk::read(&json), "{}", json);
            }
        }
    }
}
