//! How the requests of a split turn reach the gateway and the front end.
//!
//! Owns: following one exchange to its end, and passing a stop on to it.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::chat::{Failure, FailureKind};
use crate::gateway::{Ask, Gateway};
use crate::protocol::{Event, Level, Notice};

/// The gateway, the way to the front end, and the request to stop.
#[derive(Clone)]
pub(super) struct TurnChannel {
    pub(super) gateway: Arc<Gateway>,
    pub(super) events: mpsc::Sender<Event>,
    stop: watch::Receiver<bool>,
}

impl TurnChannel {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        events: mpsc::Sender<Event>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            gateway,
            events,
            stop,
        }
    }

    pub(super) async fn emit(&self, event: Event) {
        // When the front end has gone, the turn still runs to its end, so that the money is settled.
        let _ = self.events.send(event).await;
    }

    pub(super) async fn notice(&self, level: Level, text: String) {
        self.emit(Event::Notice(Notice { level, text })).await;
    }

    /// Runs an exchange and returns its last event. Every other event goes to the front end as `forward` returns it.
    pub(super) async fn follow(
        &mut self,
        ask: Ask,
        mut forward: impl FnMut(Event) -> Option<Event>,
    ) -> Event {
        let mut exchange = self.gateway.open(ask);
        let mut stopped = *self.stop.borrow();
        if stopped {
            exchange.stop();
        }
        loop {
            let event = tokio::select! {
                event = exchange.next() => event,
                // The user stops the turn, or the front end has gone.
                _ = self.stop.changed(), if !stopped => {
                    stopped = true;
                    exchange.stop();
                    continue;
                }
            };
            match event {
                Some(last @ (Event::Finished(_) | Event::Failed { .. } | Event::AtLimit(_))) => {
                    return last;
                }
                Some(event) => {
                    if let Some(event) = forward(event) {
                        self.emit(event).await;
                    }
                }
                None => {
                    let failure =
                        Failure::new(FailureKind::Request, "an exchange ended unexpectedly")
                            .hint("see the log");
                    return Event::Failed {
                        failure,
                        route: None,
                        answer: None,
                    };
                }
            }
        }
    }
}
