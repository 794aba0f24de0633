//! What the agent knows, and how it speaks to the front end and the store.
//!
//! Owns: [`Agent`], the state that the commands of one chat change.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::segment::Turn;
use super::session::Session;
use super::start::Start;
use crate::chat::Failure;
use crate::gateway::{Ask, DraftTokenCounter, Gateway};
use crate::protocol::{Entry, Event, Level, Notice, Quote};
use crate::store::{Db, StoreError};

pub(super) struct Agent {
    pub(super) gateway: Arc<Gateway>,
    pub(super) start: Start,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) session: Session,
    pub(super) turn: Option<Turn>,
    /// What the turn under way was opened with.
    pub(super) current_ask: Option<Ask>,
    /// A question that came to a limit and waits for the user's choice.
    pub(super) at_limit: Option<QuestionAtLimit>,
    /// The last question, when no provider could be reached for it.
    pub(super) unreachable: Option<Ask>,
    /// The question that is asked again: the new answer replaces the old one in view as soon as it begins.
    pub(super) retry: Option<Retry>,
    /// Background work; a newer task replaces an older one.
    pub(super) model_list_task: Option<JoinHandle<()>>,
    pub(super) continuation_task: Option<JoinHandle<()>>,
    /// The newest draft with its revision, and the tokens counted in it.
    pub(super) draft: (u64, Arc<str>),
    pub(super) counts: Arc<DraftTokenCounter>,
    /// The draft has no receipt yet.
    pub(super) receipt_due: bool,
    pub(super) receipt_task: Option<JoinHandle<()>>,
}

/// A question that came to a limit, as it was asked: it may have been a retry.
pub(super) struct QuestionAtLimit {
    pub(super) ask: Ask,
    pub(super) retry: Option<Retry>,
    pub(super) cheaper: Option<Quote>,
}

/// A retry under way.
pub(super) struct Retry {
    /// The index of the prompt in the session's entries.
    pub(super) prompt_index: usize,
    /// The entries that the new answer replaced in view; they are restored when the retry fails.
    pub(super) replaced: Vec<Entry>,
}

impl Retry {
    pub(super) fn of(prompt_index: usize) -> Self {
        Self {
            prompt_index,
            replaced: Vec::new(),
        }
    }
}

impl Agent {
    pub(super) fn new(gateway: Arc<Gateway>, start: Start, events: mpsc::Sender<Event>) -> Self {
        let session = Session::new(&gateway, &start);
        Self {
            gateway,
            start,
            events,
            session,
            turn: None,
            current_ask: None,
            at_limit: None,
            unreachable: None,
            retry: None,
            model_list_task: None,
            continuation_task: None,
            draft: (0, Arc::from("")),
            counts: Arc::default(),
            receipt_due: false,
            receipt_task: None,
        }
    }

    pub(super) async fn emit(&self, event: Event) {
        // Without a front end the turn still runs to its end.
        let _ = self.events.send(event).await;
    }

    pub(super) async fn notice(&self, level: Level, text: impl Into<String>) {
        self.emit(Event::Notice(Notice {
            level,
            text: text.into(),
        }))
        .await;
    }

    /// Whether a turn is under way; if so, the user is told why nothing is sent.
    pub(super) async fn warn_if_busy(&self) -> bool {
        if self.turn.is_some() {
            let text = "an answer is still on its way; Esc stops it";
            self.notice(Level::Warning, text).await;
        }
        self.turn.is_some()
    }

    /// The value; or `None` after telling the user of a failure that does not end a turn.
    pub(super) async fn report<T>(&self, outcome: Result<T, Failure>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(failure) => {
                self.notice(Level::Error, failure.to_string()).await;
                None
            }
        }
    }

    /// Tells the user that the cache cannot store or share answers, once that is known.
    pub(super) async fn report_cache_trouble(&self) {
        if let Some(text) = self.gateway.trouble() {
            self.notice(Level::Warning, text).await;
        }
    }

    pub(super) async fn with_store<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.gateway
            .store()
            .await?
            .run(f)
            .await
            .map_err(Failure::from)
    }

    /// Sends the chat as it is. With an empty `history` the front end keeps the one it has.
    pub(super) async fn show_session(&self, history: Vec<String>) {
        self.emit(Event::Session(Box::new(self.session.view(history))))
            .await;
    }
}
