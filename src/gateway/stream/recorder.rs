//! The answer on its way into the store while it streams.
//!
//! Owns: the words that are not stored yet, and the write under way.
//! Refuses: the last write, which is one commit with the charge.
//! Invariant: every word is in the store, in the write under way, or here; a failed write gives its words back.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::chat::MessageId;
use crate::gateway::stream::output_cap::Side;
use crate::store::{ChatLog, Store};

/// How often what arrived is written to the store.
const FLUSH: Duration = Duration::from_millis(250);

/// The words of one write.
type TextAndReasoning = Arc<(String, String)>;

/// Writes an answer down as it arrives.
pub(in crate::gateway) struct AnswerRecorder<'a> {
    store: &'a Store,
    /// `None`: the answer is not stored as a message.
    answer: Option<&'a MessageId>,
    text: String,
    reasoning: String,
    flush_at: Option<Instant>,
    /// The write under way; it returns the words when they could not be stored.
    writing: Option<JoinHandle<Option<TextAndReasoning>>>,
}

impl<'a> AnswerRecorder<'a> {
    /// With no `answer` nothing is written before the end.
    pub(in crate::gateway) fn new(store: &'a Store, answer: Option<&'a MessageId>) -> Self {
        Self {
            store,
            answer,
            text: String::new(),
            reasoning: String::new(),
            flush_at: None,
            writing: None,
        }
    }

    pub(in crate::gateway) fn push(&mut self, side: Side, piece: &str) {
        match side {
            Side::Text => self.text.push_str(piece),
            Side::Reasoning => self.reasoning.push_str(piece),
        }
        if self.answer.is_some() {
            self.flush_at.get_or_insert(Instant::now() + FLUSH);
        }
    }

    /// When [`Self::flush`] is to be called next.
    pub(in crate::gateway) fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Starts a write of what arrived. If the last one is not done yet, this one waits for the next turn.
    pub(in crate::gateway) async fn flush(&mut self) {
        let Some(answer) = self.answer.cloned() else {
            return;
        };
        self.flush_at = Some(Instant::now() + FLUSH);
        if self
            .writing
            .as_ref()
            .is_some_and(|writing| !writing.is_finished())
        {
            return;
        }
        self.take_back().await;
        self.flush_at = None;
        let words: TextAndReasoning = Arc::new((
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.reasoning),
        ));
        let (store, unwritten) = (self.store.clone(), Arc::clone(&words));
        self.writing = Some(tokio::spawn(async move {
            let stored = store
                .run(move |db| ChatLog(db).append_answer(&answer, &words.0, &words.1))
                .await;
            stored.err().map(|error| {
                tracing::error!(%error, "a part of an answer could not be stored yet");
                unwritten
            })
        }));
    }

    /// Waits for the write under way. Gives the text and reasoning that are not stored.
    pub(in crate::gateway) async fn finish(mut self) -> (String, String) {
        self.take_back().await;
        (self.text, self.reasoning)
    }

    /// Waits for the write under way, and puts back in front what it could not store.
    async fn take_back(&mut self) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        if let Ok(Some(words)) = writing.await {
            self.text.insert_str(0, &words.0);
            self.reasoning.insert_str(0, &words.1);
        }
    }
}
