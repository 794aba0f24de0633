//! The life of an exchange, from the plan to its last event.
//!
//! Owns: the order plan, cache, rungs; and the events that every front end folds.
//! Refuses: retries (the attempt loop) and reading the stream.
//! Invariant: exactly one last event, `Finished`, `Failed` or `AtLimit`, after the store has everything that it will take.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cache::LeadGuard;
use crate::catalog::Model;
use crate::chat::id::ExchangeId;
use crate::chat::request::Digest;
use crate::chat::{Failure, FailureKind, Params, Request, Timestamp, Usd};
use crate::gateway::attempt::run::RungEnd;
use crate::gateway::money::cancellable_write::unless_stopped;
use crate::gateway::plan::planned::{Planned, Tried};
use crate::gateway::plan::ways_out::{WaysOut, ways_out};
use crate::gateway::plan::window_fit::fit;
use crate::gateway::{Ask, Consult, Gateway, Stale};
use crate::protocol::{
    Answer, AnswerFacts, AtLimit, Attempt, CacheHit, Event, Fitted, Latency, Level, Link, Notice,
    Refused, Route, Started,
};
use crate::redis::Waiting;
use crate::router::Rung;
use crate::store::{Begin, Ending, Foreseen, Outcome, Prompt};

/// One exchange under way.
pub(in crate::gateway) struct ExchangeRun {
    pub(in crate::gateway) gateway: Arc<Gateway>,
    pub(in crate::gateway) ask: Ask,
    pub(in crate::gateway) events: mpsc::Sender<Event>,
    pub(in crate::gateway) stop: CancellationToken,
    pub(in crate::gateway) began: Instant,
    pub(in crate::gateway) id: ExchangeId,
    /// Requests made so far, as they ended.
    pub(in crate::gateway) attempts: Vec<Attempt>,
    /// What was left out so that the question fits.
    pub(in crate::gateway) fitted: Option<Fitted>,
    /// The prompt, the answer row and the exchange are stored.
    pub(in crate::gateway) stored: bool,
    /// A lower rung may take what a limit refuses.
    pub(in crate::gateway) goes_lower: bool,
    /// The duty to fetch the answer for all who ask the same at this moment, and its key in the cache.
    pub(in crate::gateway) lead: Option<(Digest, LeadGuard)>,
    /// The digest of the question, from the moment on from which it is not cut any more.
    pub(in crate::gateway) said: OnceLock<Digest>,
    /// How the last attempt failed.
    pub(in crate::gateway) last_failure: Option<Failure>,
    /// Every attempt that failed did so by the fault of a server, or of the way to it.
    pub(in crate::gateway) only_servers: bool,
    /// What the front end was told of the provider in use.
    pub(in crate::gateway) link: Mutex<Option<Link>>,
    /// How long it has waited for Redis, where it could go on without.
    pub(in crate::gateway) waiting: Waiting,
}

/// Runs an exchange to its end.
pub(in crate::gateway) async fn run(
    gateway: Arc<Gateway>,
    ask: Ask,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    began: Instant,
) {
    let id = ExchangeId::from_bits(gateway.parts.random.bits());
    let mut turn = ExchangeRun {
        gateway,
        ask,
        events,
        stop,
        began,
        id,
        attempts: Vec::new(),
        fitted: None,
        stored: false,
        goes_lower: false,
        lead: None,
        said: OnceLock::new(),
        last_failure: None,
        only_servers: true,
        link: Mutex::default(),
        waiting: Waiting::default(),
    };
    let last = turn.go().await.unwrap_or_else(|refused| Event::Failed {
        failure: refused.failure,
        route: refused.route,
        answer: None,
    });
    turn.emit(last).await;
    turn.gateway.give_back().await;
}

impl ExchangeRun {
    async fn go(&mut self) -> Result<Event, Refused> {
        let stop = self.stop.clone();
        let gateway = Arc::clone(&self.gateway);
        let nothing = Tried {
            sends: true,
            ..Tried::default()
        };
        gateway.reach_redis();
        let planned = unless_stopped(&stop, self.fit_with_the_group(&nothing)).await?;
        let planned = match planned.map_err(Refused::from) {
            Err(refused) if refused.failure.kind == FailureKind::Budget => {
                return self.go_for_nothing(refused).await;
            }
            planned => planned?,
        };
        self.say_fitted(&planned).await;
        if self.ask.stale == Stale::Only {
            return Ok(self.only_stale(&planned).await?);
        }
        if let Some(hit) = unless_stopped(&stop, self.look_up(&planned.plan.first)).await? {
            return Ok(self.answer_from_cache(&planned, hit).await?);
        }
        if let Some(hit) = unless_stopped(&stop, self.take_lead(&planned.plan.first)).await?? {
            return Ok(self.answer_from_cache(&planned, hit).await?);
        }
        self.goes_lower = gateway.steps_down(&self.ask);
        // From here on the prompt may be stored: a later rung that does not fit is a failure like any other.
        self.ask.consult = Consult::Never;
        self.run_fallbacks(planned).await
    }

    /// No limit has room for the question; an answer that lies in the cache needs none.
    async fn go_for_nothing(&mut self, refused: Refused) -> Result<Event, Refused> {
        let (gateway, stop) = (Arc::clone(&self.gateway), self.stop.clone());
        let free = Tried {
            for_nothing: true,
            ..Tried::default()
        };
        let planner = gateway.planner();
        let fitting = fit(&planner, &mut self.ask, &free, Vec::new());
        let Ok(planned) = unless_stopped(&stop, fitting).await? else {
            return self.at_limit(refused).await;
        };
        if self.ask.stale == Stale::Only {
            self.say_fitted(&planned).await;
            return Ok(self.only_stale(&planned).await?);
        }
        match unless_stopped(&stop, self.look_up(&planned.plan.first)).await? {
            Some(hit) => {
                self.say_fitted(&planned).await;
                Ok(self.answer_from_cache(&planned, hit).await?)
            }
            None => self.at_limit(refused).await,
        }
    }

    /// The question does not fit a limit: the user decides, if there is one to ask. Nothing is stored yet.
    async fn at_limit(&self, refused: Refused) -> Result<Event, Refused> {
        if self.ask.consult == Consult::Never {
            return Err(refused);
        }
        let plain = self.ask.unasked();
        let WaysOut { cheaper, raise } = ways_out(&self.gateway.planner(), &plain).await;
        let cheaper = match cheaper {
            Some(ask) => self.gateway.quote(&ask).await.ok(),
            None => None,
        };
        Ok(Event::AtLimit(Box::new(AtLimit {
            text: plain.question.as_str().into(),
            cheaper,
            raise,
            failure: refused.failure,
            route: refused.route,
        })))
    }

    /// The old answer that the user has chosen instead of asking.
    async fn only_stale(&mut self, planned: &Planned) -> Result<Event, Failure> {
        let nothing = Failure::new(
            FailureKind::Unavailable,
            "no answer to this question is kept any more",
        );
        self.stale(planned).await.unwrap_or(Err(nothing))
    }

    /// Tries the rungs, one after the other. What a failed one may have cost is no longer there for the next, so each
    /// is planned with the money that is left then.
    async fn run_fallbacks(&mut self, mut planned: Planned) -> Result<Event, Refused> {
        let mut tried = Tried {
            exchange: Some(self.id.clone()),
            sends: true,
            ..Tried::default()
        };
        let gateway = Arc::clone(&self.gateway);
        loop {
            let model = planned.plan.first.model.clone();
            let (failure, goes_on) = match self.try_rung(&planned).await {
                RungEnd::Over(event) => return Ok(*event),
                RungEnd::Stop(failure) => (failure, false),
                RungEnd::Next(failure) => {
                    tried.why = None;
                    (failure, !planned.plan.fallbacks.is_empty())
                }
                RungEnd::Shut(why, failure) => {
                    tried.why = Some(why);
                    (failure, !planned.plan.fallbacks.is_empty())
                }
                RungEnd::Larger(failure) => {
                    tried.why = Some(format!("too long for {}", model.model()));
                    tried.models.extend(planned.not_larger(&model));
                    (failure, true)
                }
            };
            tracing::info!(%model, kind = ?failure.kind, "rung failed");
            tried.models.push(model);
            // That nothing else fits is no news to somebody whose first choice has just failed.
            let (next, failure) = if goes_on {
                match unless_stopped(&self.stop, gateway.planner().plan(&self.ask, &tried)).await {
                    Ok(next) => (next.ok(), failure),
                    Err(stopped) => (None, stopped),
                }
            } else {
                (None, failure)
            };
            let Some(next) = next else {
                let failure = self.blamed(failure);
                if failure.kind == FailureKind::Unavailable
                    && let Some(old) = self.stale(&planned).await
                {
                    return Ok(old?);
                }
                self.record_failure(&failure).await;
                return Ok(Event::Failed {
                    failure,
                    route: Some(planned.plan.route),
                    answer: None,
                });
            };
            planned = next;
        }
    }

    /// Servers alone are to blame only where nothing else was.
    fn blamed(&self, failure: Failure) -> Failure {
        let shared = failure.kind == FailureKind::Unavailable && !self.only_servers;
        Failure {
            kind: if shared {
                FailureKind::Request
            } else {
                failure.kind
            },
            ..failure
        }
    }

    /// Says what was left out: never silently.
    async fn say_fitted(&mut self, planned: &Planned) {
        self.fitted = planned.fitted;
        if let Some(fitted) = planned.fitted {
            let text = format!("{fitted}, so that it fits {}", planned.plan.first.model);
            self.emit(Event::Notice(Notice {
                level: Level::Warning,
                text,
            }))
            .await;
        }
    }

    pub(in crate::gateway) async fn emit(&self, event: Event) {
        // A front end that has gone away is no reason to leave the money unsettled.
        let _ = self.events.send(event).await;
    }

    pub(in crate::gateway) fn now(&self) -> Timestamp {
        self.gateway.parts.clock.now()
    }

    pub(in crate::gateway) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The question as a rung is asked it.
    pub(in crate::gateway) fn request(&self, rung: &Rung) -> Request {
        let params = Params {
            effort: rung.effort,
            ..self.ask.params
        };
        Request {
            model: rung.model.clone(),
            messages: self.ask.messages(),
            params,
        }
    }

    pub(in crate::gateway) async fn prompted(&self) {
        if !self.ask.stored {
            let event = Event::Prompted {
                id: self.ask.prompt.clone(),
                text: self.ask.own_words().into(),
                at: self.now(),
            };
            self.emit(event).await;
        }
    }

    pub(in crate::gateway) async fn started(
        &self,
        rung: &Rung,
        model: Option<&Model>,
        route: &Route,
        key: String,
    ) {
        let started = Started {
            id: self.ask.answer.clone(),
            at: self.now(),
            model: rung.model.clone(),
            route: route.clone(),
            estimate: rung.estimate,
            fitted: self.fitted,
            effort: rung.effort,
            free: model.and_then(|m| m.price.as_ref()).is_some_and(|p| p.free),
            context: model.and_then(|m| m.context),
            key,
        };
        self.emit(Event::Started(Box::new(started))).await;
    }

    pub(in crate::gateway) fn answer(
        &self,
        text: String,
        reasoning: String,
        facts: AnswerFacts,
    ) -> Answer {
        Answer {
            session: self.ask.session.clone(),
            id: self.ask.answer.clone(),
            text,
            reasoning,
            facts,
        }
    }

    /// The rows of a question about to be sent.
    pub(in crate::gateway) fn begin(&self, planned: &Planned) -> Begin {
        let rung = &planned.plan.first;
        let prompt = (!self.ask.stored).then(|| Prompt {
            id: self.ask.prompt.clone(),
            text: self.ask.own_words().to_owned(),
        });
        Begin {
            session: self.ask.session.clone(),
            setting: self.ask.setting.clone(),
            exchange: self.id.clone(),
            model: rung.model.clone(),
            mode: planned.plan.route.mode,
            parent: if self.ask.stored {
                Some(self.ask.prompt.clone())
            } else {
                self.ask.parent.clone()
            },
            prompt,
            answer: self.ask.answer.clone(),
            messages: self.ask.opens(),
            kind: Some(planned.kind.as_str()),
            effort: rung.effort,
            counted_input: planned.input(&rung.model).tokens,
            estimate: rung.estimate,
            pace: planned.plan.pace,
            at: self.now(),
        }
    }

    /// `counted_input` is the raw count, for what is learned must not be learned from itself.
    pub(in crate::gateway) fn outcome(
        &self,
        facts: &AnswerFacts,
        counted_input: u64,
        failure: Option<Failure>,
    ) -> Outcome {
        let effort = facts.route.chosen().and_then(|chosen| chosen.effort);
        Outcome {
            model: Some(facts.model.clone()),
            ended: self.now(),
            cache: facts.cache,
            saved: facts.saved,
            latency: facts.latency,
            finish: facts.finish.clone(),
            failure,
            usage: Some(facts.usage),
            foreseen: Some(Foreseen {
                effort,
                counted_input,
                estimate: facts.estimate,
            }),
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
            saved: Some(Usd::ZERO),
            latency: Latency {
                ttft_ms: None,
                total_ms: self.elapsed_ms(),
                tokens_per_second: None,
            },
            finish: None,
            failure: Some(failure.clone()),
            usage: None,
            foreseen: None,
        };
        let (answer, id) = (self.ask.answer.clone(), self.id.clone());
        // The answer of a turn that takes several requests is closed by whoever makes them.
        let alone = self.ask.step.is_none();
        let record = move |db: &mut crate::store::Db| {
            db.write(|db| {
                if alone {
                    db.finish_answer(&answer, Ending::Failed, None)?;
                }
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
pub(in crate::gateway) fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "stopped")
}

/// How often what arrived is written to the store while it streams.
pub(in crate::gateway) const FLUSH: Duration = Duration::from_millis(250);
