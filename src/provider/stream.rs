//! An answer as it arrives, with the timers that limit the waiting.
//!
//! Owns: the first-token and idle timers, the short wait for usage after the finish, [`ReplyStream`].
//! Refuses: retries; spawning (the consumer polls the stream, and dropping it closes the connection).
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

/// How long to wait for the usage chunk once the answer is complete.
pub(crate) const AFTER_FINISH: Duration = Duration::from_secs(2);

/// How long to wait for the end of the body after `[DONE]`, so that the connection can be used again.
const AFTER_DONE: Duration = Duration::from_millis(50);

/// A piece of the body, or why the connection broke (already masked).
pub(super) type BodyPiece = Result<Bytes, String>;
pub(super) type BodyStream = Pin<Box<dyn Stream<Item = BodyPiece> + Send>>;

/// The time limits of one answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// When the request was sent.
    pub(crate) sent_at: Instant,
    pub(crate) first_token: Duration,
    pub(crate) idle: Duration,
}

/// Shorter pauses between two polls are the consumer's ordinary work.
const CONSUMER_PAUSE: Duration = Duration::from_secs(1);

/// Held while the consumer waits for the next step; notes the time when the wait ends or is cancelled.
struct PollGuard<'a>(&'a mut Instant);

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        *self.0 = Instant::now();
    }
}

/// An answer that is arriving.
pub struct ReplyStream {
    /// `None` once nothing more is needed: the connection is closed (or goes back to the pool) at that moment.
    pieces: Option<BodyStream>,
    decoder: Decoder,
    meta: ResponseMeta,
    waits: Waits,
    /// The last event that was part of the answer; `None` before the first token.
    last_event: Option<Instant>,
    /// When the consumer last waited for a step: the end of that wait.
    last_polled: Instant,
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
    pub(super) fn new(pieces: BodyStream, meta: ResponseMeta, mask: Mask, waits: Waits) -> Self {
        Self {
            pieces: Some(pieces),
            decoder: Decoder::new(mask),
            meta,
            waits,
            last_event: None,
            last_polled: Instant::now(),
            failed: None,
        }
    }

    /// What the headers said.
    pub(crate) fn meta(&self) -> &ResponseMeta {
        &self.meta
    }

    /// Pieces that were skipped because they were not JSON.
    pub(crate) fn malformed(&self) -> u32 {
        self.decoder.malformed()
    }

    /// They contained words of the answer.
    pub(crate) fn lost(&self) -> bool {
        self.decoder.lost()
    }

    /// When the wait ends unless something arrives.
    pub(crate) fn deadline(&self) -> Instant {
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
                self.read_to_end().await;
                return None;
            }
            self.extend_after_pause();
            let deadline = self.deadline();
            let pieces = self.pieces.as_mut()?;
            let guard = PollGuard(&mut self.last_polled);
            // A server that floods us with comments always has a next piece, so check the deadline first.
            let piece = if Instant::now() >= deadline {
                None
            } else {
                timeout_at(deadline, pieces.next()).await.ok()
            };
            drop(guard);
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
                // A complete answer stays complete even if the connection fails afterwards.
                self.failed = Some(error).filter(|_| !self.decoder.finished());
            }
        }
    }

    /// Extends the deadlines by the time in which the consumer did not poll: if it was stopped (`| less`, Ctrl-Z), the
    /// server is not to blame.
    fn extend_after_pause(&mut self) {
        // Each pause counts once.
        let away = std::mem::replace(&mut self.last_polled, Instant::now()).elapsed();
        if away > CONSUMER_PAUSE {
            self.waits.sent_at += away;
            self.last_event = self.last_event.map(|last| last + away);
        }
    }

    /// Waits a moment for the end of the body: a connection that was read to its end can be used again.
    async fn read_to_end(&mut self) {
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
