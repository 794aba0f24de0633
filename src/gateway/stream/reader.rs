//! Reading a streaming answer.
//!
//! Owns: the order of reading, showing, writing down every 250 ms, and stopping; [`StreamEnd`], all that is known then.
//! Refuses: a second request; once a piece has arrived, a broken stream is a cut answer.
//! Invariant: what was shown is recorded, cut or whole; a cut answer is never called complete.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::catalog::Price;
use crate::chat::usage::Usage;
use crate::chat::{Cost, CostKind, Delta, Finish, MessageId, Reply};
use crate::gateway::money::rows::millis;
use crate::gateway::money::settle::{Close, IN_FLIGHT};
use crate::gateway::stream::accumulator::StreamState;
use crate::gateway::stream::drain::{DrainEnd, drain};
use crate::gateway::stream::output_cap::Side;
use crate::gateway::stream::recorder::AnswerRecorder;
use crate::gateway::stream::reporter::Reporter;
use crate::protocol::{Event, Latency, Progress};
use crate::provider::{ReplyStream, WireError};
use crate::store::Store;
use crate::tokens::{TokenCount, Tokenizer};

/// How often the task that reads the socket gets a turn before a stream counts as quiet: it hands on one piece of the
/// body a turn, and pieces that arrived together are shown together.
const TURNS: usize = 2;

/// Why reading ended.
pub(in crate::gateway) enum StreamEnding {
    Whole,
    /// The end came, but some words could not be read.
    Damaged,
    Stopped,
    Broken(WireError),
    /// The server wrote past its cap and was cut; `whole`: its last word came all the same.
    PastCap {
        whole: bool,
    },
}

/// All that is known of an answer when reading has ended.
pub(in crate::gateway) struct StreamEnd {
    pub(in crate::gateway) ending: StreamEnding,
    pub(in crate::gateway) close: Close,
    pub(in crate::gateway) reply: Reply,
    /// Our count of what arrived.
    pub(in crate::gateway) output: TokenCount,
    /// What the output cap was measured with.
    pub(in crate::gateway) written: u64,
    /// When the first piece came; `None`: there is no answer.
    pub(in crate::gateway) first_piece: Option<Instant>,
    /// The words that are not in the store yet.
    pub(in crate::gateway) unsaved_text: String,
    pub(in crate::gateway) unsaved_reasoning: String,
    /// More had been written than could be read here.
    pub(in crate::gateway) backlog: bool,
    /// The answer came to its own end, and the server said what it used.
    pub(in crate::gateway) last_word: bool,
}

/// What a reader works with.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct ReaderParts<'a> {
    pub(in crate::gateway) reporter: &'a Reporter<'a>,
    pub(in crate::gateway) stop: &'a CancellationToken,
    pub(in crate::gateway) store: &'a Store,
    /// The id of the answer, and whether it is stored as a message.
    pub(in crate::gateway) answer: &'a MessageId,
    pub(in crate::gateway) stored: bool,
    pub(in crate::gateway) tokenizer: Tokenizer,
    pub(in crate::gateway) price: Option<&'a Price>,
    /// Expected tokens of the input, and the cap of the output.
    pub(in crate::gateway) input_tokens: u64,
    pub(in crate::gateway) output_cap: u64,
}

/// Reads one answer.
pub(in crate::gateway) struct AnswerReader<'a> {
    parts: ReaderParts<'a>,
    stream: ReplyStream,
    state: StreamState,
    recorder: AnswerRecorder<'a>,
    backlog: bool,
}

impl<'a> AnswerReader<'a> {
    pub(in crate::gateway) fn new(parts: ReaderParts<'a>, stream: ReplyStream) -> Self {
        let stored = Some(parts.answer).filter(|_| parts.stored);
        Self {
            parts,
            stream,
            state: StreamState::new(parts.tokenizer, parts.output_cap),
            recorder: AnswerRecorder::new(parts.store, stored),
            backlog: false,
        }
    }

    /// Reads until there is a piece to show (see [`Self::has_piece`]) or the answer ends (`Some`). Shows nothing.
    pub(in crate::gateway) async fn until_first_piece(&mut self) -> Option<StreamEnding> {
        while !self.state.has_unshown() {
            if let Some(ending) = self.step().await {
                return Some(ending);
            }
        }
        None
    }

    pub(in crate::gateway) fn has_piece(&self) -> bool {
        self.state.has_unshown()
    }

    /// Reads on to the end, unless it has come already (`ended`).
    pub(in crate::gateway) async fn finish(mut self, ended: Option<StreamEnding>) -> StreamEnd {
        let ending = match ended {
            Some(ending) => ending,
            None => loop {
                if self.state.is_overdue() {
                    self.show().await;
                }
                if let Some(ending) = self.step().await {
                    break ending;
                }
            },
        };
        if self.state.has_unshown() {
            self.show().await;
        }
        self.concluded(ending).await
    }

    /// Waits for the next thing to do, and does it.
    async fn step(&mut self) -> Option<StreamEnding> {
        let (unshown, flush_at) = (self.state.has_unshown(), self.recorder.flush_at());
        tokio::select! {
            biased;
            () = self.parts.stop.cancelled() => return Some(self.stopped().await),
            item = self.stream.next() => match item {
                Some(Ok(delta)) => {
                    if let Some(ending) = self.arrived(delta).await {
                        return Some(ending);
                    }
                }
                Some(Err(error)) => {
                    self.state.reply.finish = Some(Finish::Cut);
                    return Some(StreamEnding::Broken(error));
                }
                None => return Some(self.whole()),
            },
            () = quiet(), if unshown => self.show().await,
            () = sleep_until(flush_at), if !unshown => {}
        }
        if self
            .recorder
            .flush_at()
            .is_some_and(|at| at <= tokio::time::Instant::now())
        {
            self.recorder.flush().await;
        }
        None
    }

    async fn arrived(&mut self, delta: Delta) -> Option<StreamEnding> {
        let is_usage = matches!(delta, Delta::Usage(_));
        self.take(delta).await;
        if self.state.meter.past_cap() {
            return Some(self.past_cap(is_usage).await);
        }
        None
    }

    async fn take(&mut self, delta: Delta) {
        self.state.reply.push(&delta);
        let (side, text) = match delta {
            Delta::Text(text) => (Side::Text, text),
            Delta::Reasoning(text) => (Side::Reasoning, text),
            Delta::Usage(usage) => return self.state.meter.reported(usage.output),
            _ => return,
        };
        self.recorder.push(side, &text);
        self.state.push(side, &text).await;
    }

    /// Tells the front end what has arrived since it was last told.
    async fn show(&mut self) {
        let (reasoning, text) = self.state.take_unshown();
        let reporter = self.parts.reporter;
        reporter.piece(self.parts.answer, reasoning, text).await;
        if self.state.figures_due(tokio::time::Instant::now()) {
            reporter.emit(Event::Progress(self.progress())).await;
        }
    }

    fn progress(&self) -> Progress {
        let output = self.state.meter.tokens();
        let usage = Usage::counted(self.parts.input_tokens, output);
        let cost = match self.parts.price {
            None => Cost::UNKNOWN,
            Some(price) if price.free => Cost::FREE,
            Some(price) => Cost::new(price.cost(&usage), CostKind::Estimated),
        };
        Progress {
            id: self.parts.answer.clone(),
            latency: latency(self.parts.reporter, self.state.first_piece, output),
            usage,
            cost,
        }
    }

    /// The end of a stream that came to its own.
    fn whole(&self) -> StreamEnding {
        if self.stream.lost() {
            StreamEnding::Damaged
        } else {
            StreamEnding::Whole
        }
    }

    /// Takes what has arrived and was not read yet: after a stop it is part of what is billed. The answer may turn out to
    /// be whole.
    async fn stopped(&mut self) -> StreamEnding {
        let before = self.state.meter.tokens();
        let (rest, end) = drain(&mut self.stream).await;
        for delta in rest {
            self.take(delta).await;
        }
        // No model writes so fast: the rest had piled up, and how much more there is is unknown. So it is where the
        // stream broke before it could be stopped.
        let read = self.state.meter.tokens().saturating_sub(before);
        self.backlog = end == DrainEnd::Flowing && read > IN_FLIGHT || end == DrainEnd::Broke;
        let whole = end == DrainEnd::Whole;
        if self.state.meter.past_cap() {
            self.state.reply.finish = Some(Finish::Cut);
            return StreamEnding::PastCap { whole };
        }
        if whole {
            return self.whole();
        }
        self.state.reply.finish = Some(Finish::Interrupted);
        StreamEnding::Stopped
    }

    /// Cuts an answer that is too long by our count, unless the server's own count, if it has arrived by now, says that it
    /// is not. What is not shown any more may be billed all the same.
    /// An answer that had ended before its usage showed it to be too long is whole; what it costs shows as a breach.
    async fn past_cap(&mut self, by_usage: bool) -> StreamEnding {
        let (rest, end) = drain(&mut self.stream).await;
        let whole = end == DrainEnd::Whole;
        let is_word = |delta: &Delta| matches!(delta, Delta::Text(_) | Delta::Reasoning(_));
        let ended = by_usage && !rest.iter().any(is_word);
        let reported = rest.iter().rev().find_map(|delta| match delta {
            Delta::Usage(usage) => Some(usage.output),
            _ => None,
        });
        let within_cap = reported.is_some_and(|output| output <= self.parts.output_cap);
        if whole && (ended || within_cap) {
            for delta in rest {
                self.take(delta).await;
            }
            return self.whole();
        }
        for delta in &rest {
            self.state.push_unseen(delta);
        }
        self.state.reply.finish = Some(Finish::Cut);
        StreamEnding::PastCap { whole }
    }

    async fn concluded(self, ending: StreamEnding) -> StreamEnd {
        let Self {
            stream,
            mut state,
            recorder,
            backlog,
            ..
        } = self;
        if stream.malformed() > 0 {
            tracing::warn!(
                pieces = stream.malformed(),
                "pieces of an answer were no JSON"
            );
        }
        drop(stream);
        let (unsaved_text, unsaved_reasoning) = recorder.finish().await;
        let close = ending.close(&state.reply);
        let mut last_word = false;
        if close == Close::Whole {
            state.reply.keep_last_word();
            last_word = state.reply.usage.is_some() || state.reply.billed.is_some();
        }
        StreamEnd {
            close,
            output: state.counted(close == Close::Whole).await,
            written: state.meter.tokens(),
            first_piece: state.first_piece,
            reply: state.reply,
            unsaved_text,
            unsaved_reasoning,
            backlog,
            last_word,
            ending,
        }
    }
}

impl StreamEnding {
    /// Who ended the answer, as far as the bill is concerned.
    fn close(&self, reply: &Reply) -> Close {
        let reported = !reply.stale && (reply.usage.is_some() || reply.billed.is_some());
        match self {
            Self::Whole | Self::PastCap { whole: true } => Close::Whole,
            // What was not read cannot be counted here: only the server's last word will do.
            Self::Damaged if reported => Close::Whole,
            Self::Stopped | Self::PastCap { whole: false } => Close::Left,
            Self::Damaged | Self::Broken(_) => Close::Broken,
        }
    }
}

/// The times of an answer so far, with `output` tokens.
pub(in crate::gateway) fn latency(
    reporter: &Reporter<'_>,
    first_piece: Option<Instant>,
    output: u64,
) -> Latency {
    let flowing = first_piece.map_or(0.0, |at| at.elapsed().as_secs_f64());
    Latency {
        ttft_ms: first_piece.map(|at| millis(at.duration_since(reporter.began()))),
        total_ms: millis(reporter.elapsed()),
        tokens_per_second: speed(output, flowing),
    }
}

/// Output tokens per second once it flows; `None` before a tenth of a second, which says too little.
#[expect(clippy::cast_precision_loss, reason = "a speed for display")]
fn speed(output: u64, seconds: f64) -> Option<f64> {
    (output > 1 && seconds >= 0.1).then(|| (output - 1) as f64 / seconds)
}

/// Ends when the task that reads the socket had its turns, unless the stream is ready before.
async fn quiet() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
