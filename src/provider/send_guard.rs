//! Whether a request has left, and calling it back while it has not.
//!
//! Owns: the one bit that money hangs on when a user stops a request: a server bills no question that it never read.
//! Refuses: to guess. What was handed to a connection counts as gone.
//! Invariant: a request either leaves or was called back, never both, whatever the two threads do.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const WAITS: u8 = 0;
const LEFT: u8 = 1;
const CALLED_BACK: u8 = 2;

/// Shared by the request and by whoever may call it back. Clones are the same departure.
#[derive(Debug, Clone, Default)]
pub struct SendGuard(Arc<AtomicU8>);

/// The request was called back before it left.
#[derive(Debug, thiserror::Error)]
#[error("called back before it was sent")]
pub(super) struct CalledBack;

impl SendGuard {
    /// Calls the request back. `true`: no byte of it has left, and none will.
    pub fn call_back(&self) -> bool {
        self.decide(CALLED_BACK)
    }

    /// The body to send: it leaves when a connection, made and encrypted, asks for it.
    pub(super) fn body(&self, bytes: Bytes) -> reqwest::Body {
        reqwest::Body::wrap(Departing {
            bytes: Some(bytes),
            send_guard: self.clone(),
        })
    }

    /// The first to decide has decided; `true`: it came to this.
    fn decide(&self, to: u8) -> bool {
        match self
            .0
            .compare_exchange(WAITS, to, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => true,
            Err(decided) => decided == to,
        }
    }
}

struct Departing {
    bytes: Option<Bytes>,
    send_guard: SendGuard,
}

impl Body for Departing {
    type Data = Bytes;
    type Error = CalledBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CalledBack>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        let leaves = self.send_guard.decide(LEFT);
        Poll::Ready(Some(if leaves {
            Ok(Frame::data(bytes))
        } else {
            Err(CalledBack)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    /// Exact, so that the length is in the head: not every server reads a body in chunks.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn body(send_guard: &SendGuard) -> Departing {
        Departing {
            bytes: Some(Bytes::from_static(b"hi")),
            send_guard: send_guard.clone(),
        }
    }

    #[tokio::test]
    async fn what_left_cannot_be_called_back() {
        let send_guard = SendGuard::default();
        let body = body(&send_guard);
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hi");
        assert!(!send_guard.call_back());
    }

    #[tokio::test]
    async fn what_was_called_back_does_not_leave() {
        let send_guard = SendGuard::default();
        assert!(send_guard.call_back() && send_guard.call_back());
        assert!(body(&send_guard).collect().await.is_err());
    }
}
