//! What the front end is told of one exchange.
//!
//! Owns: the channel of events, the clock that their times are measured by, and the link that was reported last.
//! Refuses: to drop an event: a slow front end slows the exchange down.
//! Invariant: a front end that has gone away changes nothing else; the money is settled all the same.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::chat::{MessageId, Timestamp};
use crate::gateway::ask::Ask;
use crate::protocol::{Circuit, Event, Level, Link, Notice};

/// The way to the front end of one exchange.
pub(in crate::gateway) struct Reporter<'g> {
    events: mpsc::Sender<Event>,
    began: Instant,
    /// The link that was reported last.
    link: Mutex<Option<Link>>,
    /// Whether the last link reported by any exchange was in trouble.
    troubled: &'g AtomicBool,
}

impl<'g> Reporter<'g> {
    /// `began`: when the user sent the question.
    pub(in crate::gateway) fn new(
        events: mpsc::Sender<Event>,
        began: Instant,
        troubled: &'g AtomicBool,
    ) -> Self {
        Self {
            events,
            began,
            link: Mutex::default(),
            troubled,
        }
    }

    /// When the user sent the question.
    pub(in crate::gateway) fn began(&self) -> Instant {
        self.began
    }

    pub(in crate::gateway) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(in crate::gateway) async fn emit(&self, event: Event) {
        // It fails when the front end has gone away, which must not keep the money from being settled.
        let _ = self.events.send(event).await;
    }

    pub(in crate::gateway) async fn warn(&self, text: String) {
        self.emit(Event::Notice(Notice {
            level: Level::Warning,
            text,
        }))
        .await;
    }

    /// The question has its rows, unless it had them before.
    pub(in crate::gateway) async fn prompted(&self, ask: &Ask, at: Timestamp) {
        if !ask.stored {
            let event = Event::Prompted {
                id: ask.prompt.clone(),
                text: ask.own_words().into(),
                at,
            };
            self.emit(event).await;
        }
    }

    /// A piece of the answer with this id: reasoning, text, or both.
    pub(in crate::gateway) async fn piece(&self, id: &MessageId, reasoning: String, text: String) {
        if !reasoning.is_empty() {
            self.emit(Event::Reasoning {
                id: id.clone(),
                text: reasoning,
            })
            .await;
        }
        if !text.is_empty() {
            self.emit(Event::Text {
                id: id.clone(),
                text,
            })
            .await;
        }
    }

    /// The state of the provider in use, if it has changed. `None`: the guide, whose state is never shown.
    pub(in crate::gateway) async fn link(&self, link: Option<Link>) {
        let Some(link) = link else { return };
        let fine = link.circuit == Circuit::Closed && link.waiting == 0 && !link.plain;
        let reported = self
            .link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(link.clone());
        let is_news = match reported {
            Some(reported) => reported != link,
            None => !fine || self.troubled.load(Relaxed),
        };
        if is_news {
            self.troubled.store(!fine, Relaxed);
            self.emit(Event::Link(link)).await;
        }
    }
}
