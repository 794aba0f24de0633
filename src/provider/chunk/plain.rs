//! The ordinary piece of a stream, read in one walk without building a tree of it.
//!
//! Owns: the shape that nearly all pieces have, at all servers.
//! Refuses: every other shape (a list as content, several choices, an error, a key of ours that is there twice): the tree
//! reader in `chunk` takes those.
//! Invariant: what is read here is what the tree reader would have read (property tests hold the two together).

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::cursor::Cursor;
use super::{Choice, Chunk, name};
use crate::provider::usage::{Figure, Figures, Place, RawUsage};

/// The piece; `None`: it is not plain, or no JSON.
pub(super) fn read(json: &str) -> Option<Chunk<'_>> {
    let mut cursor = Cursor::new(json);
    let (mut choices, mut usage, mut groq, mut tier) = (None, None, None, None);
    cursor.object(|cursor, key| match key {
        "choices" => once(&mut choices, only_choice(cursor)?),
        "usage" => once(&mut usage, counted(cursor)?),
        "x_groq" => once(&mut groq, cursor.value()?),
        "service_tier" => once(&mut tier, text(cursor)?),
        key => no_error(cursor, key),
    })?;
    cursor.ends()?;
    let mut chunk = Chunk {
        service_tier: tier.flatten().map(name),
        ..Chunk::default()
    };
    let mut beside = None;
    if let Some(mut choice) = choices.flatten() {
        beside = choice.usage.take();
        chunk.choice = Some(choice.finish()?);
    }
    chunk.usage = usage
        .flatten()
        .or_else(|| groq.and_then(groqs).map(Box::new))
        .or(beside.flatten());
    Some(chunk)
}

/// Notes a member of an object; twice is once too often.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Groq's usage, in an object of its own at the end of a stream.
fn groqs(written: &str) -> Option<RawUsage> {
    let groq: Value = serde_json::from_str(written).ok()?;
    RawUsage::of(groq.get("usage")?)
}

/// A usage; none where there is something else.
fn counted(cursor: &mut Cursor<'_>) -> Option<OrNull<Box<RawUsage>>> {
    if cursor.peek() != Some(b'{') {
        return cursor.value().map(|_| None);
    }
    let (mut figures, mut seen) = (Figures::default(), [None; Place::DETAILS]);
    cursor.object(
        |cursor, key| match (Place::of("", key), Place::details(key)) {
            (Some(place), _) => figures.put(place, figure(cursor)?),
            (None, Some(which)) if cursor.peek() == Some(b'{') => {
                once(&mut seen[which], ())?;
                cursor.object(|cursor, inner| match Place::of(key, inner) {
                    Some(place) => figures.put(place, figure(cursor)?),
                    None => cursor.value().map(|_| ()),
                })
            }
            (None, Some(which)) => once(&mut seen[which], cursor.value().map(|_| ())?),
            (None, None) => cursor.value().map(|_| ()),
        },
    )?;
    Some(RawUsage::of_figures(&figures).map(Box::new))
}

fn figure(cursor: &mut Cursor<'_>) -> Option<Figure> {
    let written = cursor.value()?;
    Some(match written.as_bytes().first()? {
        b'n' => Figure::Null,
        b't' => Figure::Bool(true),
        b'f' => Figure::Bool(false),
        b'"' | b'[' | b'{' => Figure::Other,
        _ => Figure::Number(number(written)?),
    })
}

/// Most of them are plain counts; the others are left to the one who knows.
fn number(written: &str) -> Option<Number> {
    let plain = written.len() < 19 && written.bytes().all(|byte| byte.is_ascii_digit());
    if plain {
        written.parse::<u64>().ok().map(Number::from)
    } else {
        serde_json::from_str(written).ok()
    }
}

/// A list of no or one choice, or null.
fn only_choice<'a>(cursor: &mut Cursor<'a>) -> Option<OrNull<PlainChoice<'a>>> {
    if cursor.eat_null() {
        return Some(None);
    }
    cursor.expect(b'[')?;
    if cursor.eat(b']') {
        return Some(None);
    }
    let choice = PlainChoice::read(cursor)?;
    cursor.expect(b']')?;
    Some(Some(choice))
}

#[derive(Default)]
struct PlainChoice<'a> {
    /// `delta` or `message`.
    words: Option<OrNull<Words<'a>>>,
    /// Where the oldest servers write the answer.
    text: Option<Text<'a>>,
    finish: Option<Text<'a>>,
    usage: Option<OrNull<Box<RawUsage>>>,
}

impl<'a> PlainChoice<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let (mut choice, mut index) = (Self::default(), None);
        cursor.object(|cursor, key| match key {
            // Any other is the answer to a question that nobody asked.
            "index" => {
                once(&mut index, cursor.value()?).filter(|()| matches!(index, Some("0" | "null")))
            }
            "delta" | "message" => once(&mut choice.words, Words::read(cursor)?),
            "text" => once(&mut choice.text, text(cursor)?),
            "finish_reason" => once(&mut choice.finish, text(cursor)?),
            "usage" => once(&mut choice.usage, counted(cursor)?),
            key => no_error(cursor, key),
        })?;
        Some(choice)
    }

    fn finish(self) -> Option<Choice<'a>> {
        let words = self.words.flatten().unwrap_or_default();
        let thought = filled(words.reasoning_content).or(filled(words.reasoning));
        // The thought may lie in its details only.
        if thought.is_none()
            && words
                .details
                .is_some_and(|details| !matches!(details, "null" | "[]"))
        {
            return None;
        }
        let calls = words
            .tool_calls
            .and_then(|calls| calls.strip_prefix('[')?.strip_suffix(']'));
        Some(Choice {
            // A content of null is there, and says that there is none.
            text: words.content.or(self.text).flatten().unwrap_or_default(),
            reasoning: thought.unwrap_or_default(),
            tool_call: calls.is_some_and(|calls| !calls.trim().is_empty())
                || words
                    .function_call
                    .is_some_and(|call| call.starts_with('{')),
            finish: filled(self.finish).map(name),
        })
    }
}

/// What a model says in one piece.
#[derive(Default)]
struct Words<'a> {
    content: Option<Text<'a>>,
    reasoning_content: Option<Text<'a>>,
    reasoning: Option<Text<'a>>,
    details: Option<&'a str>,
    tool_calls: Option<&'a str>,
    function_call: Option<&'a str>,
}

impl<'a> Words<'a> {
    /// These, or null.
    fn read(cursor: &mut Cursor<'a>) -> Option<OrNull<Self>> {
        if cursor.eat_null() {
            return Some(None);
        }
        let mut words = Self::default();
        cursor.object(|cursor, key| match key {
            "content" => once(&mut words.content, text(cursor)?),
            "reasoning_content" => once(&mut words.reasoning_content, text(cursor)?),
            "reasoning" => once(&mut words.reasoning, text(cursor)?),
            "reasoning_details" => once(&mut words.details, cursor.value()?),
            "tool_calls" => once(&mut words.tool_calls, cursor.value()?),
            "function_call" => once(&mut words.function_call, cursor.value()?),
            _ => cursor.value().map(|_| ()),
        })?;
        Some(Some(words))
    }
}

/// What is there, and may be null.
type OrNull<T> = Option<T>;
type Text<'a> = OrNull<Cow<'a, str>>;

/// A text or null; nothing else is plain.
fn text<'a>(cursor: &mut Cursor<'a>) -> Option<Text<'a>> {
    if cursor.eat_null() {
        Some(None)
    } else {
        cursor.string().map(Some)
    }
}

fn filled(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.flatten().filter(|text| !text.is_empty())
}

/// What calls itself an error is not plain; other keys mean nothing here.
fn no_error(cursor: &mut Cursor<'_>, key: &str) -> Option<()> {
    match key {
        "error" => cursor.value().filter(|value| *value == "null").map(|_| ()),
        // What is escaped may stand for anything.
        "object" | "type" if cursor.peek() == Some(b'"') => {
            matches!(cursor.string()?, Cow::Borrowed(text) if text != "error").then_some(())
        }
        _ => cursor.value().map(|_| ()),
    }
}
