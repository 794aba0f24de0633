//! What has arrived of an answer: shown, waiting to be stored, and counted.
//!
//! Owns: [`StreamState`], the state of a streaming answer.
//! Refuses: reading the stream and settling (`live` does both).
//! Invariant: text is in the store, under way to it, or here; whatever arrived is counted, shown or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::chat::{Delta, Reply};
use crate::gateway::exchange::FLUSH;
use crate::gateway::stream::frames::Frames;
use crate::gateway::stream::output_cap::{OutputCapMeter, Side};
use crate::tokens::{self, TokenCount, Tokenizer};

/// Text and reasoning.
pub(in crate::gateway) type Pieces = Arc<(String, String)>;

/// The state of a streaming answer.
pub(in crate::gateway) struct StreamState {
    pub(in crate::gateway) reply: Reply,
    pub(in crate::gateway) written: OutputCapMeter,
    /// When the first piece came.
    pub(in crate::gateway) first: Option<std::time::Instant>,
    /// What the front end is still to be told.
    pub(in crate::gateway) frames: Frames,
    /// What has arrived since the last write to the store.
    pub(in crate::gateway) text: String,
    pub(in crate::gateway) reasoning: String,
    pub(in crate::gateway) flush_at: Option<Instant>,
    /// The write under way; it gives the pieces back when they could not be stored.
    pub(in crate::gateway) writing: Option<JoinHandle<Option<Pieces>>>,
    /// What came after the answer was cut: not shown, and billed all the same.
    unseen: String,
    /// The user stopped it while more lay there than could be read, or as it broke.
    pub(in crate::gateway) backlog: bool,
    /// It came to its own end, and the server said what it used.
    pub(in crate::gateway) last_word: bool,
}

impl StreamState {
    /// A front end is told of it at most once in `gap`.
    pub(in crate::gateway) fn new(tokenizer: Tokenizer, cap: u64, gap: Duration) -> Self {
        Self {
            reply: Reply::default(),
            written: OutputCapMeter::new(tokenizer, cap),
            first: None,
            frames: Frames::every(gap),
            text: String::new(),
            reasoning: String::new(),
            flush_at: None,
            writing: None,
            unseen: String::new(),
            backlog: false,
            last_word: false,
        }
    }

    /// Waits for the write under way, and puts back in front what it could not store.
    pub(in crate::gateway) async fn take_back(&mut self) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        if let Ok(Some(pieces)) = writing.await {
            self.text.insert_str(0, &pieces.0);
            self.reasoning.insert_str(0, &pieces.1);
            self.flush_at.get_or_insert(Instant::now() + FLUSH);
        }
    }

    pub(in crate::gateway) async fn arrived(&mut self, side: Side, piece: &str) {
        let now = Instant::now();
        self.first.get_or_insert_with(std::time::Instant::now);
        self.flush_at.get_or_insert(now + FLUSH);
        match side {
            Side::Text => self.text.push_str(piece),
            Side::Reasoning => self.reasoning.push_str(piece),
        }
        self.written.push(side, piece).await;
    }

    /// When the store or the front end is next to be told something, or reading goes on; `None`: none of them waits.
    pub(in crate::gateway) fn wakes(&self, now: Instant) -> Option<Instant> {
        self.flush_at
            .into_iter()
            .chain(self.frames.due(now))
            .chain(self.frames.rests(now))
            .min()
    }

    /// Takes what comes after the cut for the bill only.
    pub(in crate::gateway) fn pass_over(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) | Delta::Reasoning(text) => {
                self.reply.stale = true;
                self.unseen.push_str(text);
            }
            said => self.reply.push(said),
        }
    }

    /// What arrived, counted whole, where the server did not say. A usage before the end is no final word.
    pub(in crate::gateway) async fn counted(
        &self,
        tokenizer: Tokenizer,
        complete: bool,
    ) -> TokenCount {
        if complete && self.reply.usage.is_some() {
            return TokenCount::default();
        }
        let texts = [
            self.reply.text.clone(),
            self.reply.reasoning.clone(),
            self.unseen.clone(),
        ];
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        let encoding = tokenizer.encoding();
        let work = move || texts.iter().map(|text| tokens::count(encoding, text)).sum();
        let tokens = tokio::task::spawn_blocking(work).await.unwrap_or(bytes);
        let upper = if matches!(tokenizer, Tokenizer::Guess(_)) {
            bytes
        } else {
            tokens
        };
        TokenCount {
            tokens,
            upper,
            exact: false,
        }
    }
}

/// How often those who read the socket get their turn before a stream counts as quiet.
const TURNS: usize = 2;

/// Sleeps until then, or for ever. Something that is due already waits for what lies ready to be read: the connection has
/// a task of its own, and hands on one piece of the body a turn.
pub(in crate::gateway) async fn wake(at: Option<Instant>) {
    match at {
        Some(at) if at <= Instant::now() => {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        }
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
