//! What can be had for a question that no provider could be reached for.
//!
//! Owns: that question, the offer made for it, and the way in which the user takes it up.
//! Refuses: to send anything to a provider unasked, and to pass an old answer off as a new one.
//! Invariant: an offer stands until the next question; taking it up asks at most one.

use std::sync::Arc;

use super::{Again, Agent};
use crate::chat::{Failure, FailureKind, MessageId, ModelId, Selection, span};
use crate::gateway::{Ask, Stale};
use crate::protocol::{Degraded, Event, Level};
use crate::provider::guide::{MODEL, OFFLINE};

impl Agent {
    /// A turn has failed: when the providers are to blame, works out what else there is.
    pub(super) fn look_for_else(&mut self, failure: &Failure) {
        let down = failure.kind == FailureKind::Unavailable && self.start.screen;
        let Some(ask) = self.asked.take().filter(|_| down) else {
            return;
        };
        self.down = Some(ask.clone());
        let (gateway, events) = (Arc::clone(&self.gateway), self.events.clone());
        tokio::spawn(async move {
            let offer = gateway.offer(&ask, Stale::Only).await;
            let _ = events.send(Event::Offer(offer)).await;
        });
    }

    /// The failure, with the way to an old answer for whoever has no screen to be offered it on.
    pub(super) async fn hinted(&self, failure: Failure) -> Failure {
        let Some(ask) = self
            .asked
            .as_ref()
            .filter(|ask| !self.start.screen && ask.stale == Stale::Never)
        else {
            return failure;
        };
        if failure.kind != FailureKind::Unavailable {
            return failure;
        }
        match self.gateway.offer(ask, Stale::WhenDown).await.kept {
            Some(kept) => {
                let (model, age) = (&kept.model, span(kept.age_s));
                let way = format!("an answer of {model}, {age} old, is kept: --stale takes it");
                let hint = failure
                    .hint
                    .as_ref()
                    .map_or_else(|| way.clone(), |hint| format!("{hint}; {way}"));
                failure.hint(hint)
            }
            None => failure,
        }
    }

    /// Answers the last question in the way that the user chose.
    pub(super) async fn take_offer(&mut self, way: Degraded) {
        let Some(ask) = self.down.take().filter(|_| self.turn.is_none()) else {
            self.notice(Level::Info, "there is no question that waits for an answer")
                .await;
            return;
        };
        let mut ask = match self.place_of(&ask.prompt) {
            Some(at) => {
                self.again = Some(Again::at(at));
                Ask {
                    selection: ask.selection,
                    params: ask.params,
                    ..self.asked_again(at)
                }
            }
            // It had not come as far as the store.
            None => Ask {
                answer: self.ask(&Arc::from("")).answer,
                ..ask
            },
        };
        match way {
            Degraded::Again => {}
            Degraded::Kept => ask.stale = Stale::Only,
            Degraded::Guide => ask.selection = Selection::Pinned(ModelId::new(OFFLINE, MODEL)),
        }
        self.begin(ask);
    }

    fn place_of(&self, prompt: &MessageId) -> Option<usize> {
        self.session
            .entries
            .iter()
            .rposition(|entry| entry.id == *prompt)
    }
}
