//! Whether a request was sent, and cancelling it before that.
//!
//! Owns: the bit that decides whether a stopped request may be billed: a server cannot bill what it never received.
//! Refuses: to guess. A body that was handed to a connection counts as sent.
//! Invariant: a request is either sent or called back, never both, however the two threads interleave.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const WAITING: u8 = 0;
const SENT: u8 = 1;
const CALLED_BACK: u8 = 2;

/// Shared by the request and by the task that may cancel it. All clones guard the same request.
#[derive(Debug, Clone, Default)]
pub struct SendGuard(Arc<AtomicU8>);

/// The request was called back before it left.
#[derive(Debug, thiserror::Error)]
#[error("called back before it was sent")]
pub(super) struct CalledBack;

impl SendGuard {
    /// Cancels the request. `true`: no byte of it was sent, and none will be.
    pub(crate) fn call_back(&self) -> bool {
        self.decide(CALLED_BACK)
    }

    /// The body to send. It counts as sent when an established, encrypted connection asks for it.
    pub(super) fn body(&self, bytes: Bytes) -> reqwest::Body {
        reqwest::Body::wrap(GuardedBody {
            bytes: Some(bytes),
            send_guard: self.clone(),
        })
    }

    /// Moves to a final state; the first call decides. `true`: the final state is `to`.
    fn decide(&self, to: u8) -> bool {
        match self
            .0
            .compare_exchange(WAITING, to, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => true,
            Err(decided) => decided == to,
        }
    }
}

struct GuardedBody {
    bytes: Option<Bytes>,
    send_guard: SendGuard,
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = CalledBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CalledBack>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        let may_send = self.send_guard.decide(SENT);
        Poll::Ready(Some(if may_send {
            Ok(Frame::data(bytes))
        } else {
            Err(CalledBack)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    /// Exact, so that a content-length is sent: not every server accepts a chunked body.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn body(send_guard: &SendGuard) -> GuardedBody {
        GuardedBody {
            bytes: Some(Bytes::from_static(b"hi")),
            send_guard: send_guard.clone(),
        }
    }

    #[tokio::test]
    async fn a_sent_request_cannot_be_called_back() {
        let send_guard = SendGuard::default();
        let body = body(&send_guard);
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "hi");
        assert!(!send_guard.call_back());
    }

    #[tokio::test]
    async fn a_request_that_was_called_back_is_not_sent() {
        let send_guard = SendGuard::default();
        assert!(send_guard.call_back() && send_guard.call_back());
        assert!(body(&send_guard).collect().await.is_err());
    }
}
