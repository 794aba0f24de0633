//! Questions that wait for the user's word: at a limit, and after an answer that its cap cut off.
//!
//! Owns: the question held at a limit, the way out that was chosen, the offer to go on and its price.
//! Refuses: to work the ways out or to price them; the gateway does.
//! Invariant: nothing here is sent without a command, and each command sends at most one question.

use std::sync::Arc;

use super::{Again, Agent};
use crate::chat::{ModelId, Selection};
use crate::config::OnLimit;
use crate::gateway::{Ask, Consult};
use crate::protocol::{AtLimit, Event, Level, Quote, WayOut};

/// What an answer that was cut off is continued with.
const GO_ON: &str = "Continue exactly where you stopped.";

/// A question that came to a limit. It is kept as it was asked: it may have been a retry.
pub(super) struct Held {
    ask: Ask,
    again: Option<Again>,
    cheaper: Option<Quote>,
}

impl Agent {
    /// Whether the user is asked at a limit. Whoever has no screen cannot be.
    pub(super) fn consult(&self) -> Consult {
        let asks = self.start.screen && self.gateway.parts().config.budget.on_limit == OnLimit::Ask;
        match (asks, self.session.goes_lower) {
            (false, _) => Consult::Never,
            (true, true) => Consult::WhenRefused,
            (true, false) => Consult::BeforeLowerRung,
        }
    }

    /// The question that was just asked has come to a limit.
    pub(super) fn hold(&mut self, at: &AtLimit) {
        let again = self.again.take();
        self.held = self.asked.take().map(|ask| Held {
            ask,
            again,
            cheaper: at.cheaper.clone(),
        });
    }

    /// Sends a prompt by the way out of a limit that the user chose.
    pub(super) async fn send_by(&mut self, text: Arc<str>, way: WayOut) {
        if self.turn.is_some() {
            self.notice(
                Level::Warning,
                "an answer is still on its way; Esc stops it",
            )
            .await;
            self.emit(Event::DraftRestored(text.to_string())).await;
            return;
        }
        let held = self.held.take().filter(|held| *held.ask.question == *text);
        let Held {
            mut ask,
            again,
            cheaper,
        } = held.unwrap_or_else(|| Held {
            ask: self.ask(&text),
            again: None,
            cheaper: None,
        });
        match way {
            WayOut::Cheaper(model) => {
                // With `auto` it stands for the chat; with a pinned model for this question only.
                self.session.goes_lower |= ask.selection == Selection::Auto;
                ask.params.effort = cheaper
                    .and_then(|quote| effort(&quote, &model))
                    .or(ask.params.effort);
                ask.selection = Selection::Pinned(model);
                ask.raise = None;
                ask.consult = self.consult();
            }
            WayOut::Raise(raise) => {
                ask.raise = Some(raise);
                // The raise is for the better model: should it not do any more, the user hears of it.
                ask.consult = match self.consult() {
                    Consult::Never => Consult::Never,
                    Consult::WhenRefused | Consult::BeforeLowerRung => Consult::BeforeLowerRung,
                };
            }
        }
        self.again = again;
        self.open_turn(ask);
    }

    /// Goes on with an answer that its output cap cut off.
    pub(super) async fn go_on(&mut self) {
        if self.turn.is_some() {
            self.notice(
                Level::Warning,
                "an answer is still on its way; Esc stops it",
            )
            .await;
        } else if self.session.cut_answer().is_some() {
            let ask = self.ask_to_go_on();
            self.begin(ask);
        } else {
            self.notice(Level::Info, "the last answer was not cut by its output cap")
                .await;
        }
    }

    /// Counted apart from the draft, whose counts are kept for the next key.
    fn ask_to_go_on(&mut self) -> Ask {
        Ask {
            counts: Arc::default(),
            ..self.ask(&Arc::from(GO_ON))
        }
    }

    /// Works out what going on would cost, when there is something to go on with.
    pub(super) fn offer(&mut self) {
        if let Some(before) = self.offering.take() {
            before.abort();
        }
        let Some(id) = self
            .session
            .cut_answer()
            .filter(|_| self.start.screen && self.turn.is_none())
        else {
            return;
        };
        let ask = self.ask_to_go_on();
        let (gateway, events) = (Arc::clone(&self.gateway), self.events.clone());
        self.offering = Some(tokio::spawn(async move {
            if let Ok(quote) = gateway.quote(&ask).await {
                let _ = events
                    .send(Event::Continuable {
                        id,
                        quote: Box::new(quote),
                    })
                    .await;
            }
        }));
    }
}

/// The effort that the quote was made with.
fn effort(quote: &Quote, model: &ModelId) -> Option<crate::chat::Effort> {
    quote
        .route
        .considered
        .iter()
        .find(|c| c.model == *model && c.skipped.is_none())?
        .effort
}
