//! From the events of a stream to the steps of an answer.
//!
//! Owns: what a piece means after the ones before it: the finish, rising usage, errors after the finish.
//! Refuses: bytes and lines (`decode` and `sse` have them).
//! Invariant: an error never takes back an answer that is complete; an answer of which a part could not be read counts as
//! cut, even if the server reports a finish.

use std::collections::VecDeque;

use super::super::chunk::{self, Chunk, ChunkChoice};
use super::super::classify;
use super::super::error::{ErrorClass, Sent, WireError};
use super::super::error_body::ErrorBody;
use super::super::mask::Mask;
use super::super::sse;
use super::super::usage::RawUsage;
use crate::chat::{Delta, Finish};

/// The most bytes of text and reasoning: a million tokens, several times what any model writes at once. Several copies of
/// it are in memory before it is stored and shown.
pub(crate) const WORDS_CAP: usize = 4 * 1024 * 1024;
/// Pieces that are not JSON and are skipped before the stream is given up.
pub(crate) const MALFORMED_CAP: u32 = 16;

/// The most bytes of an error that are read.
const ERROR_CAP: usize = 64 * 1024;

/// What a push contained, for the timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PushOutcome {
    /// Something of an answer: text, thought, tool call, finish, usage.
    pub(crate) event: bool,
    /// Something that counts as a first token (not a bare role, not usage).
    pub(crate) token: bool,
}

/// The fold from events to deltas.
#[derive(Debug)]
pub(super) struct Fold {
    mask: Mask,
    pub(super) out: VecDeque<Delta>,
    pub(super) malformed: u32,
    /// Reported once: some servers write it in every chunk.
    tier: Option<String>,
    /// The warning about an invalid usage was logged; it is logged once.
    warned: bool,
    streamed: bool,
    /// Bytes of text and of reasoning so far.
    words: usize,
    tool_called: bool,
    /// A part of the answer could not be read.
    pub(super) lost: bool,
    pub(super) finished: bool,
    pub(super) done: bool,
}

impl Fold {
    pub(super) fn new(mask: Mask) -> Self {
        Self {
            mask,
            out: VecDeque::new(),
            malformed: 0,
            tier: None,
            warned: false,
            streamed: false,
            words: 0,
            tool_called: false,
            lost: false,
            finished: false,
            done: false,
        }
    }

    /// Takes one event of a stream. After `[DONE]` nothing more is read.
    pub(super) fn take_event(
        &mut self,
        event: &sse::SseEvent<'_>,
        progress: &mut PushOutcome,
    ) -> Result<(), WireError> {
        if self.done {
            return Ok(());
        }
        let data = event.data.trim();
        if event.name == "error" && !self.finished {
            return Err(classify::in_answer(
                &ErrorBody::of_text(head(data)),
                self.streamed,
                &self.mask,
            ));
        }
        if data == "[DONE]" {
            return self.take_done();
        }
        match chunk::read(data) {
            Ok(chunk) => self.take_chunk(chunk, progress),
            Err(_) => self.take_parts(data, progress),
        }
    }

    fn take_done(&mut self) -> Result<(), WireError> {
        self.done = true;
        if self.finished {
            Ok(())
        } else {
            Err(self.truncated())
        }
    }

    /// Takes data that is not a single piece: some servers leave out the empty lines between pieces, or the line ends too.
    /// What cannot be read is skipped to the end of its line, and counted once.
    fn take_parts(&mut self, data: &str, progress: &mut PushOutcome) -> Result<(), WireError> {
        let mut broken = false;
        for line in data.lines() {
            let mut rest = line;
            loop {
                rest = rest.trim_start();
                rest = rest.strip_prefix("data:").map_or(rest, str::trim_start);
                if rest.is_empty() || self.done {
                    break;
                }
                if rest.starts_with("[DONE]") {
                    self.take_done()?;
                } else if rest.starts_with(['{', '['])
                    && let Ok((chunk, after)) = chunk::first(rest)
                {
                    self.take_chunk(chunk, progress)?;
                    rest = after;
                } else {
                    broken = true;
                    self.note_lost(rest);
                    break;
                }
            }
        }
        if broken {
            self.skip_malformed()
        } else {
            Ok(())
        }
    }

    fn skip_malformed(&mut self) -> Result<(), WireError> {
        if self.malformed < MALFORMED_CAP {
            self.malformed += 1;
            return Ok(());
        }
        Err(WireError::new(
            ErrorClass::NotSse,
            Sent::MaybeBilled,
            format!("the server sent more than {MALFORMED_CAP} pieces that are not JSON"),
        ))
    }

    /// Checks text that cannot be read: if it contains words of the answer, the user will not see them.
    fn note_lost(&mut self, unread: &str) {
        let lost = !self.lost && chunk::has_words(unread);
        self.lost |= lost;
        if lost && self.finished {
            self.out.push_back(Delta::Finish(Finish::Cut));
        }
    }

    fn take_chunk(
        &mut self,
        mut chunk: Chunk<'_>,
        progress: &mut PushOutcome,
    ) -> Result<(), WireError> {
        let finish = chunk
            .choice
            .as_mut()
            .and_then(|choice| choice.finish.take());
        // An error after the finish can no longer take back an answer that is complete.
        if let Some(error) = chunk.error.filter(|_| !self.finished) {
            return Err(classify::in_answer(&error, self.streamed, &self.mask));
        }
        if let Some(choice) = chunk.choice {
            self.take_choice(choice, progress)?;
        }
        if let Some(tier) = chunk
            .service_tier
            .filter(|tier| self.tier.as_deref() != Some(tier))
        {
            self.tier = Some(tier.clone().into_owned());
            self.out.push_back(Delta::ServiceTier(tier.into_owned()));
        }
        if let Some(usage) = chunk.usage {
            progress.event = true;
            self.take_usage(&usage);
        }
        let Some(reason) = finish else { return Ok(()) };
        *progress = PushOutcome {
            event: true,
            token: true,
        };
        match chunk::finish(&reason, self.tool_called) {
            Some(finish) => {
                self.finished = true;
                self.out
                    .push_back(Delta::Finish(if self.lost { Finish::Cut } else { finish }));
                Ok(())
            }
            None if self.finished => Ok(()),
            None => Err(classify::in_answer(
                &ErrorBody::default(),
                self.streamed,
                &self.mask,
            )),
        }
    }

    /// An invalid count also takes back the counts before it: of a rising usage only the last one is right.
    fn take_usage(&mut self, usage: &RawUsage) {
        let counted = usage.normalise();
        self.out.extend(counted.map(Delta::Usage));
        self.out.extend(usage.billed.map(Delta::Billed));
        if counted.is_none() && usage.is_refused() {
            self.out.push_back(Delta::NoUsage);
        }
        if usage.is_odd() && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("the server's usage or price cannot be one, so it is ignored");
        }
    }

    fn take_choice(
        &mut self,
        choice: ChunkChoice<'_>,
        progress: &mut PushOutcome,
    ) -> Result<(), WireError> {
        self.words = self
            .words
            .saturating_add(choice.text.len() + choice.reasoning.len());
        if self.words > WORDS_CAP {
            return Err(too_large("the answer passed 4 MiB of text and was stopped"));
        }
        self.tool_called |= choice.tool_call;
        progress.event |= choice.tool_call;
        progress.token |= choice.tool_call;
        for (text, make) in [
            (choice.reasoning, Delta::Reasoning as fn(String) -> Delta),
            (choice.text, Delta::Text),
        ] {
            if !text.is_empty() {
                *progress = PushOutcome {
                    event: true,
                    token: true,
                };
                self.streamed = true;
                self.out.push_back(make(text.into_owned()));
            }
        }
        Ok(())
    }

    /// Takes the answer of a server that does not stream.
    pub(super) fn take_whole(&mut self, whole: &[u8]) -> Result<(), WireError> {
        match chunk::read(String::from_utf8_lossy(whole).trim()) {
            Ok(chunk) => self.take_chunk(chunk, &mut PushOutcome::default()),
            Err(_) => Err(self.not_an_answer(whole)),
        }
    }

    pub(super) fn not_an_answer(&self, body: &[u8]) -> WireError {
        let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_CAP)]);
        let words = if text.starts_with('<') {
            classify::page_text(&text)
        } else {
            text.into_owned()
        };
        let message = format!(
            "what came back is not an answer: {}",
            self.mask.excerpt(&words)
        );
        WireError::new(ErrorClass::NotSse, Sent::MaybeBilled, message)
    }

    pub(super) fn truncated(&self) -> WireError {
        let what = if self.streamed {
            "the answer stopped"
        } else {
            "the stream ended before any answer"
        };
        let message = format!("{what} without the server's word that it is complete");
        WireError::new(ErrorClass::Truncated, Sent::MaybeBilled, message)
    }
}

/// The beginning of an error; the rest of a long one is not needed.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(ERROR_CAP)]
}

pub(super) fn too_large(message: &str) -> WireError {
    WireError::new(ErrorClass::TooLarge, Sent::MaybeBilled, message)
}
