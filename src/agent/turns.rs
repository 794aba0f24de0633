//! Turns: sending, asking again, following the exchange, and the receipt of what is being written.

use std::sync::Arc;

use super::segment::{self, Turn};
use super::session::message_id;
use super::{Again, Agent, Flow};
use crate::chat::{
    Effort, Failure, FailureKind, MessageId, ModelId, Overflow, Params, Role, Selection,
};
use crate::config::LadderRung;
use crate::gateway::Ask;
use crate::protocol::{Answer, Entry, Event, Level, Receipt};
use crate::store::ChatLog;

impl Agent {
    /// Sends a prompt. While an answer streams, nothing is sent: the front end queues.
    pub(super) async fn send(&mut self, text: Arc<str>) {
        if self.turn.is_some() {
            self.notice(
                Level::Warning,
                "an answer is still on its way; Esc stops it",
            )
            .await;
            self.emit(Event::DraftRestored(text.to_string())).await;
            return;
        }
        if text.trim().is_empty() {
            return;
        }
        let ask = self.ask(&text);
        self.begin(ask);
    }

    /// Opens the exchange; at a limit the user is asked, if that is the rule by now.
    pub(super) fn begin(&mut self, ask: Ask) {
        let ask = Ask {
            consult: self.consult(),
            ..ask
        };
        self.open_turn(ask);
    }

    /// Opens the exchange as it is.
    pub(super) fn open_turn(&mut self, ask: Ask) {
        if let Some(offering) = self.offering.take() {
            offering.abort();
        }
        self.down = None;
        self.asked = Some(ask.clone());
        self.turn = Some(Turn::open(&self.gateway, ask, self.start.seam));
    }

    /// Asks the last question again, past the cache; one rung up the ladder if wanted.
    pub(super) async fn retry(&mut self, rung_up: bool) {
        let place = self.session.last_prompt().filter(|_| self.turn.is_none());
        let Some(at) = place else {
            self.notice(Level::Info, "there is no question to ask again")
                .await;
            return;
        };
        // Of a split turn that was cut the finished parts lie in the cache: only what is missing is asked.
        let goes_on = self.session.overflow == Overflow::Segment && self.session.last_was_cut();
        let mut ask = Ask {
            refresh: !goes_on,
            ..self.asked_again(at)
        };
        if rung_up {
            let Some(rung) = self.rung_above() else {
                self.notice(
                    Level::Info,
                    "the last answer already came from the top of the ladder",
                )
                .await;
                return;
            };
            ask.selection = Selection::Pinned(rung.model);
            ask.params.effort = rung.effort;
        }
        self.again = Some(Again::at(at));
        self.begin(ask);
    }

    /// The question at this place once more.
    pub(super) fn asked_again(&mut self, at: usize) -> Ask {
        let text = Arc::from(self.session.entries[at].text.as_str());
        let prompt = self.session.entries[at].id.clone();
        let conversation = self.session.conversation_before(at);
        // Another text than the one being written, whose counts are kept for the next key.
        Ask {
            conversation,
            counts: Arc::default(),
            prompt,
            stored: true,
            ..self.ask(&text)
        }
    }

    /// The rung above that of the last answer.
    fn rung_above(&self) -> Option<LadderRung> {
        let ladder = self.gateway.ladder(self.session.effort);
        let (last, effort) = self.session.last_rung()?;
        let usable = |rung: &&LadderRung| self.gateway.unusable(rung.model.provider()).is_none();
        above(&ladder, &last, effort)
            .iter()
            .rev()
            .find(usable)
            .cloned()
    }

    pub(super) fn ask(&mut self, text: &Arc<str>) -> Ask {
        let random = &self.gateway.parts().random;
        Ask {
            session: self.session.id.clone(),
            selection: self.session.selection.clone(),
            setting: self.session.setting(),
            params: Params {
                effort: self.session.effort,
                ..self.start.params
            },
            system: self.session.system.clone(),
            question: text.to_string(),
            parent: self.session.head(),
            prompt: message_id(random),
            stored: false,
            answer: message_id(random),
            overflow: self.session.overflow,
            step: None,
            raise: None,
            last: self.session.last_answer(),
            consult: self.consult(),
            favourites: self.session.pinned_favourites(),
            cached: self.session.cached,
            refresh: self.start.refresh,
            stale: self.start.stale,
            conversation: self.session.conversation(),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Follows the turn: keeps the chat in step, and passes every event on.
    pub(super) async fn on_turn_event(&mut self, event: Option<Event>) -> Flow {
        let Some(mut event) = event else {
            // The exchange ended without a last event: its task died.
            self.turn = None;
            let failure = Failure::new(FailureKind::Request, "the exchange ended unexpectedly")
                .hint("see the log");
            self.emit(Event::Failed {
                failure,
                route: None,
                answer: None,
            })
            .await;
            return Flow::On;
        };
        let mut over = false;
        if let Event::Failed {
            failure,
            answer: None,
            ..
        } = &mut event
        {
            *failure = self.hinted(failure.clone()).await;
        }
        match &event {
            Event::Prompted { id, text, at } => {
                let first = self.session.title.is_empty();
                self.session.push(Entry {
                    id: id.clone(),
                    role: Role::User,
                    text: text.to_string(),
                    reasoning: String::new(),
                    at: *at,
                    answer: None,
                });
                if first {
                    self.emit(Event::Titled(self.session.title.clone())).await;
                }
            }
            Event::Started(_) => self.give_way().await,
            Event::Finished(answer) => {
                self.again = None;
                self.add_answer(answer);
                over = true;
            }
            Event::Failed {
                failure, answer, ..
            } => {
                if answer.is_none() {
                    self.look_for_else(failure);
                }
                match answer {
                    Some(answer) => {
                        self.again = None;
                        self.add_answer(answer);
                    }
                    None => self.take_way_back().await,
                }
                over = true;
            }
            Event::AtLimit(at) => {
                self.hold(at);
                over = true;
            }
            _ => {}
        }
        // Alerts wait for the ledger; who has pressed Esc does not.
        let stopped = self.start.screen
            && matches!(&event, Event::Failed { failure, answer: None, .. } if failure.kind == FailureKind::Interrupted);
        if over && !stopped {
            self.tell_alerts().await;
        }
        self.emit(event).await;
        if over {
            self.turn = None;
            if stopped {
                self.tell_alerts().await;
            }
            if self.start.screen {
                self.show_panel().await;
                self.quote_again();
                self.offer();
            }
        }
        Flow::On
    }

    /// The new answer has begun: the one that it replaces leaves the view. It stays in the store as a branch.
    async fn give_way(&mut self) {
        let Some(again) = &mut self.again else { return };
        if again.replaced.is_empty() {
            again.replaced = self.session.split_off(again.at + 1);
            self.show_session(Vec::new()).await;
        }
    }

    /// Nothing came of asking again: what was in view before is shown again.
    async fn take_way_back(&mut self) {
        let Some(again) = self.again.take().filter(|again| !again.replaced.is_empty()) else {
            return;
        };
        for entry in again.replaced {
            self.session.push(entry);
        }
        if let Some(tip) = self.session.head() {
            let id = self.session.id.clone();
            let shown = self
                .with_store(move |db| ChatLog(db).show_branch(&id, &tip))
                .await;
            self.told(shown).await;
        }
        self.show_session(Vec::new()).await;
    }

    fn add_answer(&mut self, answer: &Answer) {
        self.session.push(Entry {
            id: answer.id.clone(),
            role: Role::Assistant,
            text: answer.text.clone(),
            reasoning: answer.reasoning.clone(),
            at: self.gateway.parts().clock.now(),
            answer: Some(answer.facts.clone()),
        });
    }

    /// Stops the turn under way and follows it to its end.
    pub(super) async fn end_turn(&mut self) {
        if let Some(turn) = &self.turn {
            turn.stop();
        }
        while self.turn.is_some() {
            let event = super::next(&mut self.turn).await;
            self.on_turn_event(event).await;
        }
    }

    /// Makes the receipt of the newest draft, unless one is being made: then that one's end starts the next.
    pub(super) fn quote(&mut self) {
        if self.quoting.is_some() || !std::mem::take(&mut self.unquoted) {
            return;
        }
        let (rev, text) = self.draft.clone();
        // Whoever has begun to write is about to send; what is only to be counted is never sent.
        let ahead = self.start.screen && !text.trim().is_empty();
        let ask = self.ask(&text);
        let (gateway, events, seam) = (
            Arc::clone(&self.gateway),
            self.events.clone(),
            self.start.seam,
        );
        self.quoting = Some(tokio::spawn(async move {
            let outcome = segment::quote(&gateway, &ask, seam).await;
            if let (true, Ok(quote)) = (ahead, &outcome) {
                gateway.connect_ahead(quote.model.provider());
            }
            let _ = events
                .send(Event::Receipt(Box::new(Receipt { rev, outcome })))
                .await;
        }));
    }

    /// Prices the newest draft anew: it has changed, or what it would be asked with has.
    pub(super) fn quote_again(&mut self) {
        self.unquoted = true;
        self.quote();
    }

    /// Goes back to before a prompt; the branch that is left stays in the store.
    pub(super) async fn rewind(&mut self, message: MessageId) {
        let at = self
            .session
            .entries
            .iter()
            .position(|e| e.id == message && e.role == Role::User);
        let Some(at) = at.filter(|_| self.turn.is_none()) else {
            return;
        };
        let (session, now) = (self.session.id.clone(), self.gateway.parts().clock.now());
        let moved = self
            .with_store(move |db| ChatLog(db).rewind(&session, &message, now))
            .await;
        if let Some(text) = self.told(moved).await {
            self.session.truncate(at);
            self.show_session(Vec::new()).await;
            self.emit(Event::DraftRestored(text)).await;
        }
    }
}

/// The rungs above that of an answer. One with an effort that stands on no rung is taken for one of the best rung of its
/// model, so that one up is another model; one of a model that stands on none is below them all.
fn above<'a>(
    ladder: &'a [LadderRung],
    model: &ModelId,
    effort: Option<Effort>,
) -> &'a [LadderRung] {
    let exact = ladder
        .iter()
        .position(|rung| rung.model == *model && rung.effort == effort);
    let at = exact
        .or_else(|| ladder.iter().position(|rung| rung.model == *model))
        .unwrap_or(ladder.len());
    &ladder[..at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_up_is_a_rung_not_a_model() {
        let ladder =
            ["p/big high", "p/big low", "p/small"].map(|rung| rung.parse::<LadderRung>().unwrap());
        for (model, effort, up) in [
            ("p/small", None, Some("p/big low")),
            ("p/big", Some(Effort::Low), Some("p/big high")),
            ("p/big", Some(Effort::High), None),
            ("p/big", None, None),
            ("p/other", None, Some("p/small")),
        ] {
            let found = above(&ladder, &model.parse().unwrap(), effort)
                .last()
                .map(ToString::to_string);
            assert_eq!(found.as_deref(), up, "{model} {effort:?}");
        }
    }
}
