//! From the bytes of a body to the steps of an answer: pure, without a clock.
//!
//! Owns: telling a stream from a whole answer and from a web page; what ends an answer; what is skipped.
//! Refuses: timers and sockets (`stream` has them).
//! Invariant: an answer is complete only with a finish; memory stays below the caps for any input.

mod fold;

pub(crate) use self::fold::PushOutcome;
#[cfg(test)]
pub(crate) use self::fold::WORDS_CAP;
use self::fold::{Fold, too_large};
use super::error::WireError;
use super::mask::Mask;
use super::sse;
use crate::chat::Delta;

/// The most bytes that the stream of one answer may have.
pub(crate) const TOTAL_CAP: usize = 64 * 1024 * 1024;
/// The most bytes that a whole answer in one piece (or a web page) may have.
pub(crate) const UNARY_CAP: usize = 8 * 1024 * 1024;
/// Up to here the buffer of such an answer doubles; then it gets all that it may need.
const DOUBLED_CAP: usize = 512 * 1024;

#[derive(Debug)]
enum BodyKind {
    /// Nothing but white space so far.
    Undecided,
    Stream(sse::SseParser),
    Whole(Vec<u8>),
    Page(Vec<u8>),
}

/// From bytes to deltas.
#[derive(Debug)]
pub struct Decoder {
    body: BodyKind,
    fold: Fold,
    total: usize,
}

impl Decoder {
    /// A decoder for one body; `mask` hides keys in the server's words.
    pub fn new(mask: Mask) -> Self {
        Self {
            body: BodyKind::Undecided,
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

    /// Nothing more is needed from the connection.
    pub fn done(&self) -> bool {
        self.fold.done
    }

    /// Pieces that were skipped because they were not JSON.
    pub fn malformed(&self) -> u32 {
        self.fold.malformed
    }

    /// Pieces that could not be read contained words of the answer: it is incomplete even if the server reports a finish.
    pub(crate) fn lost(&self) -> bool {
        self.fold.lost
    }

    /// Takes bytes. Steps that were complete before an error can still be popped after it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<PushOutcome, WireError> {
        let mut progress = PushOutcome::default();
        if self.fold.done {
            return Ok(progress);
        }
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_CAP {
            return Err(too_large("the answer passed 64 MiB and was stopped"));
        }
        let bytes = self.decide(bytes);
        match &mut self.body {
            BodyKind::Undecided => {}
            BodyKind::Stream(sse) => {
                let pushed = sse.push(bytes, |event| self.fold.take_event(&event, &mut progress));
                // After the end of a complete answer, errors no longer matter.
                if !self.fold.done || !self.fold.finished {
                    pushed?;
                }
            }
            BodyKind::Whole(whole) | BodyKind::Page(whole) => {
                if whole.len() + bytes.len() > UNARY_CAP {
                    return Err(too_large("the answer passed 8 MiB and was stopped"));
                }
                if whole.len() + bytes.len() > whole.capacity().max(DOUBLED_CAP) {
                    // Pages that are not written take no memory; doubling would copy megabytes at each step.
                    whole.reserve_exact(UNARY_CAP - whole.len());
                }
                whole.extend_from_slice(bytes);
            }
        }
        Ok(progress)
    }

    /// The body ended in order. Without a finish that is an error, even after `[DONE]`.
    pub fn end(&mut self) -> Result<(), WireError> {
        if !self.fold.done {
            match std::mem::replace(&mut self.body, BodyKind::Undecided) {
                BodyKind::Undecided => {}
                BodyKind::Stream(mut sse) => {
                    let mut progress = PushOutcome::default();
                    sse.finish(|event| self.fold.take_event(&event, &mut progress))?;
                }
                BodyKind::Whole(whole) => self.fold.take_whole(&whole)?,
                BodyKind::Page(page) => return Err(self.fold.not_an_answer(&page)),
            }
            self.fold.done = true;
        }
        if self.fold.finished {
            Ok(())
        } else {
            Err(self.fold.truncated())
        }
    }

    /// The first byte that is not white space (or a byte order mark) tells what kind of body this is. It may come late:
    /// some servers send empty lines while they wait. Returns the bytes that are left to read.
    fn decide<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !matches!(self.body, BodyKind::Undecided) {
            return bytes;
        }
        let padding = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
        let Some(first) = bytes.iter().position(|byte| !padding(byte)) else {
            return &[];
        };
        self.body = match bytes[first] {
            b'{' | b'[' => BodyKind::Whole(Vec::new()),
            b'<' => BodyKind::Page(Vec::new()),
            _ => BodyKind::Stream(sse::SseParser::default()),
        };
        &bytes[first..]
    }
}

impl From<sse::EventTooLarge> for WireError {
    fn from(error: sse::EventTooLarge) -> Self {
        too_large(&error.to_string())
    }
}

#[cfg(test)]
mod tests;
