//! Turns: sending, asking again, following the exchange, and the receipt of what is being written.

use std::sync::Arc;

use super::session::message_id;
use super::{Again, Agent, Flow};
use crate::chat::{Failure, FailureKind, MessageId, ModelId, Params, Role, Selection};
use crate::gateway::Ask;
use crate::protocol::{Answer, Entry, Event, Level, Receipt};

impl Agent {
    /// Sends a prompt. While an answer streams, nothing is sent: the front end queues.
    pub(super) async fn send(&mut self, text: Arc<str>) {
        if self.turn.is_some() {
            self.notice(Level::Warning, "an answer is still on its way; Esc stops it").await;
            self.emit(Event::DraftRestored(text.to_string())).await;
            return;
        }
        if text.trim().is_empty() {
            return;
        }
        let ask = self.ask(&text);
        self.turn = Some(self.gateway.open(ask));
    }

    /// Asks the last question again, past the cache; one rung up the ladder if wanted.
    pub(super) async fn retry(&mut self, rung_up: bool) {
        let place = self.session.last_prompt().filter(|_| self.turn.is_none());
        let Some(at) = place else {
            self.notice(Level::Info, "there is no question to ask again").await;
            return;
        };
        let mut ask = self.ask(&Arc::from(self.session.entries[at].text.as_str()));
        ask.conversation = self.session.conversation_before(at);
        ask.prompt = self.session.entries[at].id.clone();
        ask.stored = true;
        ask.refresh = true;
        if rung_up {
            let Some(model) = self.rung_above() else {
                self.notice(Level::Info, "the last answer already came from the top of the ladder").await;
                return;
            };
            ask.selection = Selection::Pinned(model);
        }
        self.again = Some(Again { at, replaced: Vec::new() });
        self.turn = Some(self.gateway.open(ask));
    }

    /// The rung above the model of the last answer.
    fn rung_above(&self) -> Option<ModelId> {
        let ladder = &self.gateway.parts().config.router.ladder;
        let usable = |id: &&ModelId| self.gateway.unusable(id.provider()).is_none();
        let last = self.session.last_model()?;
        let at = ladder.iter().position(|id| *id == last).unwrap_or(ladder.len());
        ladder[..at].iter().rev().find(usable).cloned()
    }

    fn ask(&mut self, text: &Arc<str>) -> Ask {
        let random = &self.gateway.parts().random;
        Ask {
            session: self.session.id.clone(),
            selection: self.session.selection.clone(),
            setting: self.session.setting(),
            params: Params { effort: self.session.effort, ..self.start.params },
            system: self.session.system.clone(),
            question: text.to_string(),
            parent: self.session.head(),
            prompt: message_id(random),
            stored: false,
            answer: message_id(random),
            cached: self.start.cached,
            refresh: self.start.refresh,
            conversation: self.session.conversation(),
        }
    }

    /// Follows the turn: keeps the chat in step, and passes every event on.
    pub(super) async fn on_turn_event(&mut self, event: Option<Event>) -> Flow {
        let Some(event) = event else {
            // The exchange ended without a last event: its task died.
            self.turn = None;
            let failure = Failure::new(FailureKind::Request, "the exchange ended unexpectedly").hint("see the log");
            self.emit(Event::Failed { failure, route: None, answer: None }).await;
            return Flow::On;
        };
        let mut over = false;
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
            Event::Failed { answer, .. } => {
                match answer {
                    Some(answer) => {
                        self.again = None;
                        self.add_answer(answer);
                    }
                    None => self.take_way_back().await,
                }
                over = true;
            }
            _ => {}
        }
        self.emit(event).await;
        if over {
            self.turn = None;
            if self.start.screen {
                self.show_panel().await;
                self.quote_again();
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
        let Some(again) = self.again.take().filter(|again| !again.replaced.is_empty()) else { return };
        for entry in again.replaced {
            self.session.push(entry);
        }
        if let Some(tip) = self.session.head() {
            let id = self.session.id.clone();
            let shown = self.with_store(move |db| db.show_branch(&id, &tip)).await;
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
        let ask = self.ask(&text);
        let (gateway, events) = (Arc::clone(&self.gateway), self.events.clone());
        self.quoting = Some(tokio::spawn(async move {
            let outcome = gateway.quote(&ask).await;
            let _ = events.send(Event::Receipt(Box::new(Receipt { rev, outcome }))).await;
        }));
    }

    /// Prices the newest draft anew: it has changed, or what it would be asked with has.
    pub(super) fn quote_again(&mut self) {
        self.unquoted = true;
        self.quote();
    }

    /// Goes back to before a prompt; the branch that is left stays in the store.
    pub(super) async fn rewind(&mut self, message: MessageId) {
        let at = self.session.entries.iter().position(|e| e.id == message && e.role == Role::User);
        let Some(at) = at.filter(|_| self.turn.is_none()) else { return };
        let (session, now) = (self.session.id.clone(), self.gateway.parts().clock.now());
        let moved = self.with_store(move |db| db.rewind(&session, &message, now)).await;
        if let Some(text) = self.told(moved).await {
            self.session.truncate(at);
            self.show_session(Vec::new()).await;
            self.emit(Event::DraftRestored(text)).await;
        }
    }
}
