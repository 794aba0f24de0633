//! What still comes when an answer is to end here: after a stop, and after a server passed its cap.
//!
//! Owns: how long that is read, and whether the answer turns out to be whole after all.
//! Refuses: to settle; `live` does, with what is found here.
//! Invariant: it takes no longer than [`DRAIN`], whatever the server sends, and all that arrived is counted.

use std::time::{Duration, Instant};

use crate::chat::{Delta, Failure, FailureKind, Finish};
use crate::gateway::attempt::run::AttemptContext;
use crate::gateway::exchange::ExchangeRun;
use crate::gateway::money::settle::IN_FLIGHT;
use crate::gateway::stream::accumulator::StreamState;
use crate::gateway::stream::reader::End;
use crate::provider::{Endpoint, ReplyStream};

/// Longest time spent on reading what had already arrived when the user stops an answer.
const DRAIN: Duration = Duration::from_millis(50);

impl ExchangeRun {
    /// Takes what has arrived and was not read yet: after a stop it is part of what is billed. `true` when the answer
    /// turns out to be whole.
    pub(in crate::gateway) async fn drain(
        &self,
        stream: &mut ReplyStream,
        live: &mut StreamState,
    ) -> bool {
        let before = live.written.tokens();
        let (rest, end) = rest(stream).await;
        for delta in rest {
            self.take(live, delta).await;
        }
        // No model writes so fast: it lay there, and nobody knows how much more does. Nor does anybody where it broke
        // before it could be stopped.
        let piled_up =
            end == Rest::Goes && live.written.tokens().saturating_sub(before) > IN_FLIGHT;
        live.backlog = piled_up || end == Rest::Broke;
        end == Rest::Whole
    }

    /// Cuts an answer that is too long by our count, unless the server's own, when it has arrived by now, says that it
    /// is not. What is not shown any more may be billed all the same.
    /// One that had ended, and only then was told to have been too long, is whole; what it costs shows as a breach.
    pub(in crate::gateway) async fn past_cap(
        &self,
        on: &AttemptContext<'_>,
        stream: &mut ReplyStream,
        live: &mut StreamState,
        told: bool,
    ) -> End {
        let (rest, end) = rest(stream).await;
        let whole = end == Rest::Whole;
        let ended = told
            && !rest
                .iter()
                .any(|delta| matches!(delta, Delta::Text(_) | Delta::Reasoning(_)));
        let said = rest.iter().rev().find_map(|d| {
            if let Delta::Usage(usage) = d {
                Some(usage.output)
            } else {
                None
            }
        });
        if whole && (ended || said.is_some_and(|output| output <= on.rung.estimate.output_cap)) {
            for delta in rest {
                self.take(live, delta).await;
            }
            return End::whole(stream);
        }
        for delta in &rest {
            live.pass_over(delta);
        }
        live.reply.finish = Some(Finish::Cut);
        End::PastCap { whole }
    }
}

/// What becomes of a stream that nobody wants to read on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It came to its end.
    Whole,
    /// Nothing more had arrived.
    Quiet,
    Broke,
    /// It goes on and on.
    Goes,
}

/// What has arrived by now. A server that never pauses must not keep the user waiting: the clock decides, not the silence.
async fn rest(stream: &mut ReplyStream) -> (Vec<Delta>, Rest) {
    let (mut rest, end) = (Vec::new(), Instant::now() + DRAIN);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match tokio::time::timeout(left.min(DRAIN / 5), stream.next()).await {
            Ok(Some(Ok(delta))) => rest.push(delta),
            Ok(None) => return (rest, Rest::Whole),
            Ok(Some(Err(_))) => return (rest, Rest::Broke),
            Err(_) if left > DRAIN / 5 => return (rest, Rest::Quiet),
            Err(_) => {}
        }
    }
    (rest, Rest::Goes)
}

/// The outcome of an attempt whose server did not stop at its cap.
pub(in crate::gateway) fn wrote_past_its_cap(on: &AttemptContext<'_>) -> String {
    format!(
        "kept writing past the cap of {} tokens it was given; it was cut",
        on.rung.estimate.output_cap
    )
}

/// The same as the user hears of it, with the name of the server.
pub(in crate::gateway) fn past_its_cap(on: &AttemptContext<'_>, outcome: &str) -> Failure {
    let host = on.endpoint.map_or("its server", Endpoint::host);
    Failure::new(
        FailureKind::Cut,
        format!("{} at {host} {outcome}", on.rung.model),
    )
    .hint("choose another model or another server, for this one cannot be held to a price")
}
