//! An answer as it arrives, with the clocks that bound the waiting.
//!
//! Owns: the first-token and idle timers, the short wait for usage after the finish, [`ReplyStream`].
//! Refuses: retries; spawning (the stream is polled by whoever wants it, and dropping it closes the connection).
//! Invariant: `next` returns `None` only after a finish was seen; every other end is an error, given once.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::decode::Decoder;
use super::error::{ErrorClass, Sent, WireError};
use super::mask::Mask;
use super::meta::ResponseMeta;
use crate::chat::Delta;

/// How long the usage chunk is awaited once the answer is complete.
pub const AFTER_FINISH: Duration = Duration::from_secs(2);

/// How long the end of the body is awaited after `[DONE]`, so that the connection can serve again.
const AFTER_DONE: Duration = Duration::from_millis(50);

/// A piece of the body, or why the connection broke (already masked).
pub(super) type Piece = Result<Bytes, String>;
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Piece> + Send>>;

/// The limits of one answer's waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// When the request was sent.
    pub sent_at: Instant,
    pub first_token: Duration,
    pub idle: Duration,
}

/// Shorter pauses between two looks are the reader's ordinary work.
const ABSENT: Duration = Duration::from_secs(1);

/// Somebody is looking for the next step. It ends with the step, or when they are called away.
struct Look<'a>(&'a mut Instant);

impl Drop for Look<'_> {
    fn drop(&mut self) {
        *self.0 = Instant::now();
    }
}

/// An answer that is arriving.
pub struct ReplyStream {
    /// `None` once nothing more is wanted: the connection is closed (or goes back to the pool) at that moment.
    pieces: Option<Pieces>,
    decoder: Decoder,
    meta: ResponseMeta,
    waits: Waits,
    /// The last event that was part of the answer; `None` before the first token.
    last_event: Option<Instant>,
    /// When somebody last looked for the next step, until it came or they gave up.
    looked: Instant,
    failed: Option<WireError>,
}

impl std::fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyStream")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

impl ReplyStream {
    pub(super) fn new(pieces: Pieces, meta: ResponseMeta, mask: Mask, waits: Waits) -> Self {
        Self {
            pieces: Some(pieces),
            decoder: Decoder::new(mask),
            meta,
            waits,
            last_event: None,
            looked: Instant::now(),
            failed: None,
        }
    }

    /// What the headers said.
    pub fn meta(&self) -> &ResponseMeta {
        &self.meta
    }

    /// Pieces that were passed over because they were no JSON.
    pub fn malformed(&self) -> u32 {
        self.decoder.malformed()
    }

    /// Words of the answer were among them.
    pub fn lost(&self) -> bool {
        self.decoder.lost()
    }

    /// When the waiting ends unless something arrives.
    pub fn deadline(&self) -> Instant {
        match self.last_event {
            Some(last) if self.decoder.finished() => last + AFTER_FINISH,
            Some(last) => last + self.waits.idle,
            None => self.waits.sent_at + self.waits.first_token,
        }
    }

    /// The next step of the answer; `None` when it is complete. After an error there is only `None`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Delta, WireError>> {
        loop {
            if let Some(delta) = self.decoder.pop() {
                return Some(Ok(delta));
            }
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            if self.decoder.done() {
                self.let_go().await;
                return None;
            }
            self.forgive_absence();
            let deadline = self.deadline();
            let pieces = self.pieces.as_mut()?;
            let look = Look(&mut self.looked);
            // A server that floods us with comments always has a next piece: look at the clock first.
            let piece = if Instant::now() >= deadline {
                None
            } else {
                timeout_at(deadline, pieces.next()).await.ok()
            };
            drop(look);
            let result = match piece {
                None => Err(self.waited_too_long()),
                Some(None) => {
                    self.pieces = None;
                    self.decoder.end()
                }
                Some(Some(Ok(bytes))) => self.take(&bytes),
                Some(Some(Err(cause))) => {
                    let message =
                        format!("the connection broke in the middle of the answer: {cause}");
                    Err(WireError::new(ErrorClass::Cut, Sent::MaybeBilled, message))
                }
            };
            if let Err(error) = result {
                self.pieces = None;
                // A complete answer stays complete, whatever happened to the rest of the connection.
                self.failed = Some(error).filter(|_| !self.decoder.finished());
            }
        }
    }

    /// Puts the timers off by the time in which nobody asked for the next step: a reader that was stopped (`| less`,
    /// Ctrl-Z) is no server that stood still.
    fn forgive_absence(&mut self) {
        // Once for each absence: whoever looks again and again was there.
        let away = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        if away > ABSENT {
            self.waits.sent_at += away;
            self.last_event = self.last_event.map(|last| last + away);
        }
    }

    /// Waits a moment for the end of the body: a connection that was read to its end can serve again.
    async fn let_go(&mut self) {
        let Some(mut pieces) = self.pieces.take() else {
            return;
        };
        let rest = async { while let Some(Ok(_)) = pieces.next().await {} };
        let _ = timeout_at(Instant::now() + AFTER_DONE, rest).await;
    }

    /// Takes a piece of the body.
    fn take(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let complete = self.decoder.finished();
        let progress = self.decoder.push(bytes)?;
        // Usage after the finish does not lengthen the wait for more of it; text does (some servers go on).
        let counts = match self.last_event {
            None => progress.token,
            Some(_) if complete => progress.token,
            Some(_) => progress.event,
        };
        if counts {
            self.last_event = Some(Instant::now());
        }
        Ok(())
    }

    fn waited_too_long(&self) -> WireError {
        let (class, message) = if self.last_event.is_some() {
            (
                ErrorClass::IdleTimeout,
                format!(
                    "the answer stood still for {} s",
                    self.waits.idle.as_secs_f32()
                ),
            )
        } else {
            (
                ErrorClass::FirstTokenTimeout,
                format!(
                    "no answer within {} s",
                    self.waits.first_token.as_secs_f32()
                ),
            )
        };
        WireError::new(class, Sent::MaybeBilled, message)
    }
}

#[cfg(test)]
mod tests;
