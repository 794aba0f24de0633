//! A turn whose input is too long for every window: it is split into parts, each is answered, the answers are joined.
//!
//! Owns: the order of the requests of such a turn, what is shown while they run, and how the turn ends.
//! Refuses: models, retries and money of a request; each request goes through `Gateway::open` like any other.
//! Invariant: the whole turn is priced before the first request; a part without an answer ends the turn.

mod channel;
mod layout;
mod outcome;
mod plan;
mod run;
mod split;
mod words;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub(super) use plan::quote;

use crate::chat::Overflow;
use crate::gateway::{Ask, Exchange, Gateway};
use crate::protocol::{EVENTS, Event};

/// A turn under way.
pub(super) enum Turn {
    Single(Exchange),
    Split(SplitTurn),
}

/// Several requests, one after the other. Dropping it stops them.
pub(super) struct SplitTurn {
    events: mpsc::Receiver<Event>,
    stop: watch::Sender<bool>,
}

impl Turn {
    /// Starts a turn. `seam` is the byte at which the material begins in the question, if it is known.
    pub(super) fn open(gateway: &Arc<Gateway>, ask: Ask, seam: Option<usize>) -> Self {
        if ask.overflow != Overflow::Segment {
            return Self::Single(gateway.open(ask));
        }
        let (sender, events) = mpsc::channel(EVENTS);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(run::run(Arc::clone(gateway), ask, seam, sender, stopped));
        Self::Split(SplitTurn { events, stop })
    }

    /// The next event; `None` after the last, which is `Finished`, `Failed` or `AtLimit`.
    pub(super) async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Single(exchange) => exchange.next().await,
            Self::Split(split) => split.events.recv().await,
        }
    }

    /// Stops the turn. Its last event follows as soon as what arrived is settled and stored.
    pub(super) fn stop(&self) {
        match self {
            Self::Single(exchange) => exchange.stop(),
            Self::Split(split) => drop(split.stop.send(true)),
        }
    }
}
