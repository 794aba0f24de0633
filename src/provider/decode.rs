//! From the bytes of a body to the steps of an answer: pure, without a clock.
//!
//! Owns: telling a stream from a whole answer and from a web page; what ends an answer; what is skipped.
//! Refuses: timers and sockets (`stream` has them).
//! Invariant: an answer is complete only with a finish; whatever arrives, memory stays below the caps.

mod fold;

use self::fold::Fold;
use super::error::{ErrorClass, Sent, WireError};
use super::mask::Mask;
use super::sse;
use crate::chat::Delta;

/// The most bytes that the stream of one answer may have.
pub const TOTAL_CAP: usize = 64 * 1024 * 1024;
/// The most bytes of text and reasoning: a million tokens, and several times what any model writes at once. It is in
/// memory several times over before it is stored and told.
pub const WORDS_CAP: usize = 4 * 1024 * 1024;
/// The most bytes that a whole answer in one piece (or a web page) may have.
pub const UNARY_CAP: usize = 8 * 1024 * 1024;
/// Pieces that are no JSON and are passed over before the stream is given up.
pub const MALFORMED_CAP: u32 = 16;

#[derive(Debug)]
enum Body {
    /// Nothing but white space so far.
    Undecided,
    Stream(sse::Decoder),
    Whole(Vec<u8>),
    Page(Vec<u8>),
}

/// What a push brought, for the timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Something of an answer: text, thought, tool call, finish, usage.
    pub event: bool,
    /// Something that counts as a first token (not a bare role, not usage).
    pub token: bool,
}

/// From bytes to deltas.
#[derive(Debug)]
pub struct Decoder {
    body: Body,
    fold: Fold,
    total: usize,
}

impl Decoder {
    pub fn new(mask: Mask) -> Self {
        Self {
            body: Body::Undecided,
            fold: Fold::new(mask),
            total: 0,
        }
    }

    /// The next step that is ready.
    pub fn pop(&mut self) -> Option<Delta> {
        self.fold.out.pop_front()
    }

    /// A finish was seen: the answer is complete, only usage may still come.
    pub fn finished(&self) -> bool {
        self.fold.finished
    }

    /// Nothing more is wanted from the connection.
    pub fn done(&self) -> bool {
        self.fold.done
    }

    /// Pieces that were passed over because they were no JSON.
    pub fn malformed(&self) -> u32 {
        self.fold.malformed
    }

    /// Words of the answer were in pieces that could not be read: it is not complete, whatever the server says.
    pub fn lost(&self) -> bool {
        self.fold.lost
    }

    /// Takes bytes. Steps that were complete before an error can still be popped after it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Progress, WireError> {
        let mut progress = Progress::default();
        if self.fold.done {
            return Ok(progress);
        }
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_CAP {
            return Err(too_large("the answer passed 64 MiB and was stopped"));
        }
        let bytes = self.decide(bytes);
        match &mut self.body {
            Body::Undecided => {}
            Body::Stream(sse) => {
                let pushed = sse.push(bytes, |event| self.fold.take_event(&event, &mut progress));
                // Once all is said, what becomes of the rest is nobody's concern.
                if !self.fold.done || !self.fold.finished {
                    pushed?;
                }
            }
            Body::Whole(whole) | Body::Page(whole) => {
                if whole.len() + bytes.len() > UNARY_CAP {
                    return Err(too_large("the answer passed 8 MiB and was stopped"));
                }
                whole.extend_from_slice(bytes);
            }
        }
        Ok(progress)
    }

    /// The body ended in order. Without a finish that is an error, `[DONE]` or not.
    pub fn end(&mut self) -> Result<(), WireError> {
        if !self.fold.done {
            match std::mem::replace(&mut self.body, Body::Undecided) {
                Body::Undecided => {}
                Body::Stream(mut sse) => {
                    let mut progress = Progress::default();
                    sse.finish(|event| self.fold.take_event(&event, &mut progress))?;
                }
                Body::Whole(whole) => self.fold.take_whole(&whole)?,
                Body::Page(page) => return Err(self.fold.not_an_answer(&page)),
            }
            self.fold.done = true;
        }
        if self.fold.finished {
            Ok(())
        } else {
            Err(self.fold.truncated())
        }
    }

    /// The first byte that is not white space (or a byte order mark) tells what the body is; servers that pad the wait
    /// with empty lines make it come late. Returns what is left to read.
    fn decide<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !matches!(self.body, Body::Undecided) {
            return bytes;
        }
        let padding = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
        let Some(first) = bytes.iter().position(|byte| !padding(byte)) else {
            return &[];
        };
        self.body = match bytes[first] {
            b'{' | b'[' => Body::Whole(Vec::new()),
            b'<' => Body::Page(Vec::new()),
            _ => Body::Stream(sse::Decoder::default()),
        };
        &bytes[first..]
    }
}

impl From<sse::EventTooLarge> for WireError {
    fn from(error: sse::EventTooLarge) -> Self {
        too_large(&error.to_string())
    }
}

fn too_large(message: &str) -> WireError {
    WireError::new(ErrorClass::TooLarge, Sent::MaybeBilled, message)
}

#[cfg(test)]
mod tests;
