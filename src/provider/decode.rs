//! From the bytes of a body to the steps of an answer: pure, without a clock.
//!
//! Owns: telling a stream from a whole answer and from a web page; what ends an answer; what is skipped.
//! Refuses: timers and sockets (`stream` has them).
//! Invariant: an answer is complete only with a finish; whatever arrives, memory stays below the caps.

use std::collections::VecDeque;

use super::chunk::{self, Choice, Chunk};
use super::classify;
use super::error::{ErrorClass, Sent, WireError};
use super::error_body::ErrorBody;
use super::mask::Mask;
use super::sse;
use crate::chat::Delta;

/// The most bytes that one answer may have.
pub const TOTAL_CAP: usize = 64 * 1024 * 1024;
/// The most bytes that a whole answer in one piece (or a web page) may have.
pub const UNARY_CAP: usize = 32 * 1024 * 1024;
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

/// The fold from bytes to deltas.
#[derive(Debug)]
pub struct Decoder {
    body: Body,
    mask: Mask,
    out: VecDeque<Delta>,
    events: Vec<sse::Event>,
    total: usize,
    malformed: u32,
    /// Told once: some servers write it on every chunk.
    tier: Option<String>,
    streamed: bool,
    tool_called: bool,
    finished: bool,
    done: bool,
}

impl Decoder {
    pub fn new(mask: Mask) -> Self {
        Self {
            body: Body::Undecided,
            mask,
            out: VecDeque::new(),
            events: Vec::new(),
            total: 0,
            malformed: 0,
            tier: None,
            streamed: false,
            tool_called: false,
            finished: false,
            done: false,
        }
    }

    /// The next step that is ready.
    pub fn pop(&mut self) -> Option<Delta> {
        self.out.pop_front()
    }

    /// A finish was seen: the answer is complete, only usage may still come.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Nothing more is wanted from the connection.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Pieces that were passed over because they were no JSON.
    pub fn malformed(&self) -> u32 {
        self.malformed
    }

    /// Takes bytes. Steps that were complete before an error can still be popped after it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Progress, WireError> {
        if self.done {
            return Ok(Progress::default());
        }
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_CAP {
            return Err(too_large("the answer passed 64 MiB and was stopped"));
        }
        let bytes = self.decide(bytes);
        match &mut self.body {
            Body::Undecided => Ok(Progress::default()),
            Body::Stream(sse) => {
                let pushed = sse.push(bytes, &mut self.events);
                let progress = self.take_events()?;
                if self.done {
                    return Ok(progress);
                }
                pushed.map(|()| progress).map_err(|error| too_large(&error.to_string()))
            }
            Body::Whole(whole) | Body::Page(whole) => {
                if whole.len() + bytes.len() > UNARY_CAP {
                    return Err(too_large("the answer passed 32 MiB and was stopped"));
                }
                whole.extend_from_slice(bytes);
                Ok(Progress::default())
            }
        }
    }

    /// The body ended in order. Without a finish that is an error, `[DONE]` or not.
    pub fn end(&mut self) -> Result<(), WireError> {
        if !self.done {
            match std::mem::replace(&mut self.body, Body::Undecided) {
                Body::Undecided => {}
                Body::Stream(mut sse) => {
                    sse.finish(&mut self.events);
                    self.take_events()?;
                }
                Body::Whole(whole) => self.take_whole(&whole)?,
                Body::Page(page) => return Err(self.not_an_answer(&page)),
            }
            self.done = true;
        }
        if self.finished { Ok(()) } else { Err(self.truncated()) }
    }

    /// The first byte that is not white space (or a byte order mark) tells what the body is; servers that pad the wait
    /// with empty lines make it come late. Returns what is left to read.
    fn decide<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !matches!(self.body, Body::Undecided) {
            return bytes;
        }
        let padding = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
        let Some(first) = bytes.iter().position(|byte| !padding(byte)) else { return &[] };
        self.body = match bytes[first] {
            b'{' | b'[' => Body::Whole(Vec::new()),
            b'<' => Body::Page(Vec::new()),
            _ => Body::Stream(sse::Decoder::default()),
        };
        &bytes[first..]
    }

    fn take_events(&mut self) -> Result<Progress, WireError> {
        let mut progress = Progress::default();
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            if self.done {
                break;
            }
            self.take_event(&event, &mut progress)?;
        }
        self.events = events;
        Ok(progress)
    }

    fn take_event(&mut self, event: &sse::Event, progress: &mut Progress) -> Result<(), WireError> {
        let data = event.data.trim();
        if event.name == "error" && !self.finished {
            return Err(classify::in_answer(&ErrorBody::of_text(data), self.streamed, &self.mask));
        }
        if data == "[DONE]" {
            self.done = true;
            return if self.finished { Ok(()) } else { Err(self.truncated()) };
        }
        match Chunk::read(data.as_bytes()) {
            Ok(chunk) => self.take_chunk(chunk, progress),
            Err(_) if self.malformed < MALFORMED_CAP => {
                self.malformed += 1;
                Ok(())
            }
            Err(_) => Err(WireError::new(
                ErrorClass::NotSse,
                Sent::MaybeBilled,
                format!("the server sent more than {MALFORMED_CAP} pieces that are not JSON"),
            )),
        }
    }

    fn take_chunk(&mut self, chunk: Chunk, progress: &mut Progress) -> Result<(), WireError> {
        let finish = chunk.choice.as_ref().and_then(|choice| choice.finish.clone());
        // An error after the finish can no longer take back an answer that is complete.
        if let Some(error) = chunk.error.filter(|_| !self.finished) {
            return Err(classify::in_answer(&error, self.streamed, &self.mask));
        }
        if let Some(choice) = chunk.choice {
            self.take_choice(choice, progress);
        }
        if let Some(tier) = chunk.service_tier.filter(|tier| self.tier.as_ref() != Some(tier)) {
            self.tier = Some(tier.clone());
            self.out.push_back(Delta::ServiceTier(tier));
        }
        if let Some(usage) = chunk.usage {
            progress.event = true;
            self.out.extend(usage.normalise().map(Delta::Usage));
            self.out.extend(usage.billed.map(Delta::Billed));
        }
        let Some(reason) = finish else { return Ok(()) };
        *progress = Progress { event: true, token: true };
        match chunk::finish(&reason, self.tool_called) {
            Some(finish) => {
                self.finished = true;
                self.out.push_back(Delta::Finish(finish));
                Ok(())
            }
            None if self.finished => Ok(()),
            None => Err(classify::in_answer(&ErrorBody::default(), self.streamed, &self.mask)),
        }
    }

    fn take_choice(&mut self, choice: Choice, progress: &mut Progress) {
        self.tool_called |= choice.tool_call;
        progress.event |= choice.tool_call;
        progress.token |= choice.tool_call;
        for (text, make) in [(choice.reasoning, Delta::Reasoning as fn(String) -> Delta), (choice.text, Delta::Text)] {
            if !text.is_empty() {
                *progress = Progress { event: true, token: true };
                self.streamed = true;
                self.out.push_back(make(text));
            }
        }
    }

    fn take_whole(&mut self, whole: &[u8]) -> Result<(), WireError> {
        match Chunk::read(whole.trim_ascii()) {
            Ok(chunk) => self.take_chunk(chunk, &mut Progress::default()),
            Err(_) => Err(self.not_an_answer(whole)),
        }
    }

    fn not_an_answer(&self, body: &[u8]) -> WireError {
        let text = String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]);
        let words = if text.starts_with('<') { classify::page_text(&text) } else { text.into_owned() };
        let message = format!("what came back is not an answer: {}", self.mask.excerpt(&words));
        WireError::new(ErrorClass::NotSse, Sent::MaybeBilled, message)
    }

    fn truncated(&self) -> WireError {
        let what = if self.streamed { "the answer stopped" } else { "the stream ended before any answer" };
        let message = format!("{what} without the server's word that it is complete");
        WireError::new(ErrorClass::Truncated, Sent::MaybeBilled, message)
    }
}

fn too_large(message: &str) -> WireError {
    WireError::new(ErrorClass::TooLarge, Sent::MaybeBilled, message)
}

#[cfg(test)]
mod tests;
