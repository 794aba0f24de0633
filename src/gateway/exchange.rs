//! The life of an exchange, from the plan to its last event.
//!
//! Owns: the order plan, cache, rungs; and the events that every front end folds.
//! Refuses: retries (the attempt loop) and reading the stream.
//! Invariant: exactly one last event, `Finished` or `Failed`, after the store has everything that it will take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attempt::RungEnd;
use super::planning::{Planned, Tried};
use super::{Ask, Gateway};
use crate::cache::{Cache, Hit};
use crate::catalog::Model;
use crate::chat::id::ExchangeId;
use crate::chat::request::Digest;
use crate::chat::{Cost, CostKind, Failure, FailureKind, Finish, ModelId, Request, Timestamp, Usd};
use crate::protocol::{Answer, AnswerFacts, Attempt, CacheHit, Event, Latency, Level, Notice, Refused, Route, Started};
use crate::provider::guide::OFFLINE;
use crate::router::Rung;
use crate::store::{Begin, Ending, Outcome, Prompt};

/// One exchange under way.
pub(super) struct Turn {
    pub(super) gateway: Arc<Gateway>,
    pub(super) ask: Ask,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: CancellationToken,
    pub(super) began: Instant,
    pub(super) id: ExchangeId,
    /// Requests made so far, as they ended.
    pub(super) attempts: Vec<Attempt>,
    /// The prompt, the answer row and the exchange are stored.
    pub(super) stored: bool,
}

/// Runs an exchange to its end.
pub(super) async fn run(
    gateway: Arc<Gateway>,
    ask: Ask,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    began: Instant,
) {
    let id = ExchangeId::from_bits(gateway.parts.random.bits());
    let mut turn = Turn { gateway, ask, events, stop, began, id, attempts: Vec::new(), stored: false };
    let last = turn.go().await.unwrap_or_else(|refused| Event::Failed {
        failure: refused.failure,
        route: refused.route,
        answer: None,
    });
    turn.emit(last).await;
}

impl Turn {
    async fn go(&mut self) -> Result<Event, Refused> {
        let stop = self.stop.clone();
        let gateway = Arc::clone(&self.gateway);
        let nothing = Tried::default();
        let planned = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(interrupted().into()),
            planned = gateway.plan(&self.ask, &nothing) => planned,
        };
        let planned = match planned {
            Err(refused) if refused.failure.kind == FailureKind::Budget => return self.go_for_nothing(refused).await,
            planned => planned?,
        };
        if let Some(hit) = self.look_up(&planned.plan.first).await {
            return Ok(self.answer_from_cache(&planned, hit).await?);
        }
        self.climb_down(planned).await
    }

    /// No limit has room for the question; an answer that lies in the cache needs none.
    async fn go_for_nothing(&mut self, refused: Refused) -> Result<Event, Refused> {
        let gateway = Arc::clone(&self.gateway);
        let free = Tried { for_nothing: true, ..Tried::default() };
        let Ok(planned) = gateway.plan(&self.ask, &free).await else { return Err(refused) };
        match self.look_up(&planned.plan.first).await {
            Some(hit) => Ok(self.answer_from_cache(&planned, hit).await?),
            None => Err(refused),
        }
    }

    /// Tries the rungs, one after the other. What a failed one may have cost is no longer there for the next, so each
    /// is planned with the money that is left then.
    async fn climb_down(&mut self, mut planned: Planned) -> Result<Event, Refused> {
        let mut tried = Tried { exchange: Some(self.id.clone()), ..Tried::default() };
        let gateway = Arc::clone(&self.gateway);
        loop {
            let model = planned.plan.first.model.clone();
            let (failure, goes_on) = match self.try_rung(&planned).await {
                RungEnd::Over(event) => return Ok(*event),
                RungEnd::Next(failure) => (failure, !planned.plan.fallbacks.is_empty()),
                RungEnd::Stop(failure) => (failure, false),
            };
            tracing::info!(%model, kind = ?failure.kind, "rung failed");
            tried.models.push(model);
            // That nothing else fits is no news to somebody whose first choice has just failed.
            let next = if goes_on { gateway.plan(&self.ask, &tried).await.ok() } else { None };
            let Some(next) = next else {
                self.record_failure(&failure).await;
                return Ok(Event::Failed { failure, route: Some(planned.plan.route), answer: None });
            };
            planned = next;
        }
    }

    pub(super) async fn emit(&self, event: Event) {
        // A front end that has gone away is no reason to leave the money unsettled.
        let _ = self.events.send(event).await;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.gateway.parts.clock.now()
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The question as a model is asked it.
    pub(super) fn request(&self, model: &ModelId) -> Request {
        Request { model: model.clone(), messages: self.ask.messages(), params: self.ask.params }
    }

    /// The cache, where this question may use it. The guide's answers cost nothing and change with the program.
    pub(super) fn cache(&self, model: &ModelId) -> Option<&Cache> {
        self.gateway.parts.cache.as_ref().filter(|_| self.ask.cached && model.provider() != OFFLINE)
    }

    /// The key of the cache: the whole question, and the address it goes to.
    pub(super) fn digest(&self, model: &ModelId) -> Digest {
        let route = self.gateway.routes.get(model.provider());
        let endpoint = route.and_then(|route| route.provider.endpoints.first());
        self.request(model).digest(endpoint.map_or("", |endpoint| endpoint.base_url()))
    }

    async fn look_up(&self, rung: &Rung) -> Option<Hit> {
        let cache = self.cache(&rung.model).filter(|_| !self.ask.refresh)?;
        let hit = cache.get(self.digest(&rung.model), self.now()).await;
        if let Some(text) = cache.trouble() {
            self.emit(Event::Notice(Notice { level: Level::Warning, text })).await;
        }
        hit
    }

    /// An answer that was given before: stored like any other, for nothing.
    async fn answer_from_cache(&mut self, planned: &Planned, hit: Hit) -> Result<Event, Failure> {
        let rung = &planned.plan.first;
        let begin = self.begin(rung, &planned.plan.route);
        let total_ms = self.elapsed_ms();
        let facts = AnswerFacts {
            model: hit.entry.model.clone(),
            route: planned.plan.route.clone(),
            finish: Some(Finish::Stop),
            usage: hit.entry.usage,
            estimate: rung.estimate,
            cost: Cost::new(Usd::ZERO, CostKind::Exact),
            saved: hit.entry.cost.unwrap_or_default(),
            cache: hit.tier,
            cache_age_s: hit.age.as_secs(),
            latency: Latency { ttft_ms: Some(total_ms), total_ms, tokens_per_second: None },
            attempts: Vec::new(),
        };
        let outcome = self.outcome(&facts, None);
        let (answer, id) = (self.ask.answer.clone(), self.id.clone());
        let (text, reasoning, stored) = (hit.entry.text.clone(), hit.entry.reasoning.clone(), facts.clone());
        let record = move |db: &mut crate::store::Db| {
            db.write(|db| {
                db.begin_exchange(&begin)?;
                db.append_answer(&answer, &text, &reasoning)?;
                db.finish_answer(&answer, Ending::Complete, Some(&stored))?;
                db.finish_exchange(&id, &outcome)
            })
        };
        self.gateway.store().await?.run(record).await.map_err(Failure::from)?;
        self.stored = true;
        self.prompted().await;
        let model = planned.model(&rung.model);
        self.started(rung, model, &planned.plan.route, String::new()).await;
        let id = self.ask.answer.clone();
        if !hit.entry.reasoning.is_empty() {
            self.emit(Event::Reasoning { id: id.clone(), text: hit.entry.reasoning.clone() }).await;
        }
        self.emit(Event::Text { id, text: hit.entry.text.clone() }).await;
        Ok(Event::Finished(Box::new(self.answer(hit.entry.text, hit.entry.reasoning, facts))))
    }

    pub(super) async fn prompted(&self) {
        if !self.ask.stored {
            let event = Event::Prompted {
                id: self.ask.prompt.clone(),
                text: self.ask.question.as_str().into(),
                at: self.now(),
            };
            self.emit(event).await;
        }
    }

    pub(super) async fn started(&self, rung: &Rung, model: Option<&Model>, route: &Route, key: String) {
        let started = Started {
            id: self.ask.answer.clone(),
            at: self.now(),
            model: rung.model.clone(),
            route: route.clone(),
            estimate: rung.estimate,
            free: model.and_then(|m| m.price.as_ref()).is_some_and(|p| p.free),
            context: model.and_then(|m| m.context),
            key,
        };
        self.emit(Event::Started(Box::new(started))).await;
    }

    pub(super) fn answer(&self, text: String, reasoning: String, facts: AnswerFacts) -> Answer {
        Answer { session: self.ask.session.clone(), id: self.ask.answer.clone(), text, reasoning, facts }
    }

    /// The rows of a question about to be sent.
    pub(super) fn begin(&self, rung: &Rung, route: &Route) -> Begin {
        let prompt =
            (!self.ask.stored).then(|| Prompt { id: self.ask.prompt.clone(), text: self.ask.question.clone() });
        Begin {
            session: self.ask.session.clone(),
            setting: self.ask.setting.clone(),
            exchange: self.id.clone(),
            model: rung.model.clone(),
            mode: route.mode,
            parent: if self.ask.stored { Some(self.ask.prompt.clone()) } else { self.ask.parent.clone() },
            prompt,
            answer: self.ask.answer.clone(),
            counted_input: rung.estimate.input_tokens,
            expected_output: rung.estimate.output_tokens,
            at: self.now(),
        }
    }

    pub(super) fn outcome(&self, facts: &AnswerFacts, failure: Option<Failure>) -> Outcome {
        Outcome {
            model: Some(facts.model.clone()),
            ended: self.now(),
            cache: facts.cache,
            saved: facts.saved,
            latency: facts.latency,
            finish: facts.finish.clone(),
            failure,
            usage: Some(facts.usage),
        }
    }

    /// Notes that nothing came of it, when there is something to note it on.
    async fn record_failure(&self, failure: &Failure) {
        if !self.stored {
            return;
        }
        let outcome = Outcome {
            model: None,
            ended: self.now(),
            cache: CacheHit::None,
            saved: Usd::ZERO,
            latency: Latency { ttft_ms: None, total_ms: self.elapsed_ms(), tokens_per_second: None },
            finish: None,
            failure: Some(failure.clone()),
            usage: None,
        };
        let (answer, id) = (self.ask.answer.clone(), self.id.clone());
        let record = move |db: &mut crate::store::Db| {
            db.write(|db| {
                db.finish_answer(&answer, Ending::Failed, None)?;
                db.finish_exchange(&id, &outcome)
            })
        };
        if let Ok(store) = self.gateway.store().await
            && let Err(error) = store.run(record).await
        {
            tracing::error!(%error, "a failed exchange could not be recorded");
        }
    }
}

/// The user stopped it before anything came.
pub(super) fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "stopped")
}

/// How often what arrived is written to the store while it streams.
pub(super) const FLUSH: Duration = Duration::from_millis(250);
