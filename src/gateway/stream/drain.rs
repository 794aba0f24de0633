//! What still arrives when an answer is to end here: after a stop, and after a server passed its cap.
//!
//! Owns: how long it is read.
//! Refuses: to judge what it means for the answer and the bill; `reader` does.
//! Invariant: it takes no longer than [`DRAIN`], whatever the server sends.

use std::time::{Duration, Instant};

use crate::chat::Delta;
use crate::provider::ReplyStream;

/// Longest time spent on reading what has arrived.
const DRAIN: Duration = Duration::from_millis(50);

/// How reading the rest of a stream ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum DrainEnd {
    /// It came to its end.
    Whole,
    /// Nothing more had arrived.
    Quiet,
    Broke,
    /// More was still arriving when the time was up.
    Flowing,
}

/// What has arrived by now. The clock ends it, not only a pause: a server that never pauses must not keep the user waiting.
pub(in crate::gateway) async fn drain(stream: &mut ReplyStream) -> (Vec<Delta>, DrainEnd) {
    let (mut rest, end) = (Vec::new(), Instant::now() + DRAIN);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match tokio::time::timeout(left.min(DRAIN / 5), stream.next()).await {
            Ok(Some(Ok(delta))) => rest.push(delta),
            Ok(None) => return (rest, DrainEnd::Whole),
            Ok(Some(Err(_))) => return (rest, DrainEnd::Broke),
            Err(_) if left > DRAIN / 5 => return (rest, DrainEnd::Quiet),
            Err(_) => {}
        }
    }
    (rest, DrainEnd::Flowing)
}
