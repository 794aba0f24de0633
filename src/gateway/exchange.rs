//! The life of an exchange, from the plan to its last event.
//!
//! Owns: the order of plan, cache and rungs, and what follows when a limit or a rung refuses the question.
//! Refuses: retries (`attempt`), reading the stream (`stream`), and writing bookings (`money`).
//! Invariant: exactly one last event, `Finished`, `Failed` or `AtLimit`, after everything has been written to the store.

mod cached;
mod conclusion;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use crate::budget::Budget;
use crate::cache::AnswerHit;
use crate::chat::id::ExchangeId;
use crate::chat::{Failure, FailureKind, ModelId, Random, Selection, Usage, span};
use crate::gateway::answer_cache::{AnswerCache, ExchangeCache, stale_models};
use crate::gateway::ask::{Ask, Consult, Stale};
use crate::gateway::attempt::context::{AttemptContext, AttemptServices};
use crate::gateway::attempt::end::RungFailure;
use crate::gateway::attempt::log::AttemptLog;
use crate::gateway::attempt::run::RungRun;
use crate::gateway::exchange::cached::CachedParts;
use crate::gateway::exchange::conclusion::ConclusionParts;
use crate::gateway::money::account::{AccountParts, ExchangeAccount};
use crate::gateway::money::cancellable_write::unless_stopped;
use crate::gateway::plan::compare;
use crate::gateway::plan::plan_error::PlanError;
use crate::gateway::plan::planned::{Planned, Tried};
use crate::gateway::plan::planner::Planner;
use crate::gateway::plan::ways_out::{WaysOut, ways_out};
use crate::gateway::plan::window_fit::fit;
use crate::gateway::quote::quote;
use crate::gateway::stream::reporter::Reporter;
use crate::gateway::upstream::peer_cooldowns::PeerCooldowns;
use crate::protocol::{AtLimit, Event, Fitted, Refused};
use crate::provider::Wire;
use crate::redis::Waiting;

/// What an exchange borrows from the gateway.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct ExchangeServices<'g> {
    pub(in crate::gateway) planner: Planner<'g>,
    pub(in crate::gateway) answers: AnswerCache<'g>,
    pub(in crate::gateway) wire: &'g Wire,
    /// The machines that use the same keys; `None`: there is no Redis to hear of them.
    pub(in crate::gateway) peers: Option<&'g PeerCooldowns>,
    pub(in crate::gateway) random: &'g Random,
    /// A front end was told last that something is the matter with a provider.
    pub(in crate::gateway) troubled: &'g AtomicBool,
}

/// One exchange under way.
struct ExchangeRun<'g> {
    services: ExchangeServices<'g>,
    id: ExchangeId,
    ask: Ask,
    stop: &'g CancellationToken,
    reporter: &'g Reporter<'g>,
    cache: ExchangeCache<'g>,
    /// How long it has waited for Redis, where it could go on without.
    waiting: &'g Waiting,
    /// The budget as it is now.
    budget: &'g (dyn Fn() -> Budget + Send + Sync),
    /// What was left out so that the question fits.
    fitted: Option<Fitted>,
    log: AttemptLog,
}

/// Runs an exchange to its end. `began`: when the user sent the question.
pub(in crate::gateway) async fn run(
    services: ExchangeServices<'_>,
    ask: Ask,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    began: Instant,
) {
    let id = ExchangeId::from_bits(services.random.bits());
    let span = tracing::info_span!("exchange", chat = %ask.session, %id, model = Empty);
    let reporter = Reporter::new(events, began, services.troubled);
    let waiting = Waiting::default();
    let exchange = ExchangeRun {
        services,
        id,
        ask,
        stop: &stop,
        reporter: &reporter,
        cache: ExchangeCache::new(services.answers, &waiting, services.planner.models.clock),
        waiting: &waiting,
        budget: &|| services.planner.budget(),
        fitted: None,
        log: AttemptLog::default(),
    };
    let last = exchange.run().instrument(span).await;
    let last = last.unwrap_or_else(|refused| Event::Failed {
        failure: refused.failure,
        route: refused.route,
        answer: None,
    });
    reporter.emit(last).await;
}

impl<'g> ExchangeRun<'g> {
    async fn run(mut self) -> Result<Event, Refused> {
        let first = Tried {
            sends: true,
            ..Tried::default()
        };
        let planned = unless_stopped(self.stop, self.fit_with_the_group(&first)).await?;
        let planned = match planned.map_err(Refused::from) {
            Err(refused) if refused.failure.kind == FailureKind::Budget => {
                return self.use_cache_only(refused).await;
            }
            planned => planned?,
        };
        let mut account = self.account().await?;
        self.report_fitted(&planned).await;
        if self.ask.stale == Stale::Only {
            return Ok(self.stale_only(&mut account, &planned).await?);
        }
        let rung = &planned.plan.first;
        let look_up = self.cache.look_up(&self.ask, rung, self.reporter);
        if let Some(hit) = unless_stopped(self.stop, look_up).await? {
            return Ok(self.give(&mut account, &planned, hit).await?);
        }
        let lead = self
            .cache
            .take_lead(&self.ask, rung, self.reporter, self.stop);
        if let Some(hit) = unless_stopped(self.stop, lead).await?? {
            return Ok(self.give(&mut account, &planned, hit).await?);
        }
        let steps_down = self.services.planner.steps_down(&self.ask);
        // From here on the prompt may be stored: a later rung that does not fit is a failure like any other.
        self.ask.consult = Consult::Never;
        self.run_fallbacks(account, planned, steps_down).await
    }

    /// The plan's first look has opened the store.
    async fn account(&self) -> Result<ExchangeAccount<'g>, Failure> {
        let planner = self.services.planner;
        let parts = AccountParts {
            store: planner.store.open().await?,
            budget: self.budget,
            group: planner.group_budget,
            run: planner.run,
            clock: planner.models.clock,
            random: self.services.random,
            stop: self.stop,
        };
        Ok(ExchangeAccount::new(parts, self.id.clone()))
    }

    /// Plans the question. When a limit is in the way, the group's figures may be old: they are fetched, and it is planned
    /// once more.
    async fn fit_with_the_group(&mut self, tried: &Tried) -> Result<Planned, PlanError> {
        let planner = self.services.planner;
        let Some(group) = planner.group_budget else {
            return fit(&planner, &mut self.ask, tried, Vec::new()).await;
        };
        let whole = self.ask.clone();
        let first = fit(&planner, &mut self.ask, tried, Vec::new()).await;
        let short = match &first {
            Ok(planned) => planned.steps_down(),
            Err(unplanned) => unplanned.refused.failure.kind == FailureKind::Budget,
        };
        if !short {
            return first;
        }
        let store = planner.store.open().await.map_err(Failure::from)?;
        let fetched = group.refresh(store, planner.models.clock.now()).await;
        self.ask = whole;
        match (
            fit(&planner, &mut self.ask, tried, Vec::new()).await,
            fetched,
        ) {
            (Err(error), Err(none)) if self.is_groups_limit(&error.refused).await => {
                Err(PlanError {
                    refused: Refused {
                        failure: none.failure(),
                        ..error.refused
                    },
                    ..error
                })
            }
            (planned, _) => planned,
        }
    }

    /// Whether it is the group's limit that has no room.
    async fn is_groups_limit(&self, refused: &Refused) -> bool {
        let considered = refused
            .route
            .as_ref()
            .and_then(|route| route.considered.last());
        let Some(last) = considered else { return false };
        let planner = self.services.planner;
        planner
            .left(&self.ask, &last.model)
            .await
            .is_some_and(|left| left.scope.is_group())
    }

    /// No limit has room for the question, but an answer from the cache costs nothing.
    async fn use_cache_only(mut self, refused: Refused) -> Result<Event, Refused> {
        let free = Tried {
            for_nothing: true,
            ..Tried::default()
        };
        let planner = self.services.planner;
        let fit = fit(&planner, &mut self.ask, &free, Vec::new());
        let Ok(planned) = unless_stopped(self.stop, fit).await? else {
            return self.at_limit(refused).await;
        };
        let mut account = self.account().await?;
        if self.ask.stale == Stale::Only {
            self.report_fitted(&planned).await;
            return Ok(self.stale_only(&mut account, &planned).await?);
        }
        let look_up = self
            .cache
            .look_up(&self.ask, &planned.plan.first, self.reporter);
        let Some(hit) = unless_stopped(self.stop, look_up).await? else {
            return self.at_limit(refused).await;
        };
        self.report_fitted(&planned).await;
        Ok(self.give(&mut account, &planned, hit).await?)
    }

    /// The question does not fit: the user is asked what to do, where there is a user to ask. Nothing is stored yet.
    async fn at_limit(&self, refused: Refused) -> Result<Event, Refused> {
        if self.ask.consult == Consult::Never {
            return Err(refused);
        }
        let (planner, answers) = (self.services.planner, self.services.answers);
        let plain = self.ask.unasked();
        let WaysOut { cheaper, raise } = ways_out(&planner, &plain).await;
        let cheaper = match cheaper {
            Some(ask) => quote(&planner, answers, &ask).await.ok(),
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

    /// Tries the rungs, one after the other. What a failed one may have cost is no longer there for the next, so each
    /// is planned with the money that is left then.
    async fn run_fallbacks(
        mut self,
        mut account: ExchangeAccount<'g>,
        mut planned: Planned,
        steps_down: bool,
    ) -> Result<Event, Refused> {
        let mut tried = Tried {
            exchange: Some(self.id.clone()),
            sends: true,
            ..Tried::default()
        };
        loop {
            let model = planned.plan.first.model.clone();
            tracing::Span::current().record("model", tracing::field::display(&model));
            let has_fallbacks = !planned.plan.fallbacks.is_empty();
            let failure = match self.run_rung(&mut account, &planned, steps_down).await {
                Ok(last) => return Ok(last),
                Err(failure) => failure,
            };
            let (failure, goes_on) = match failure {
                RungFailure::Stop(failure) => (failure, false),
                RungFailure::Next(failure) => {
                    tried.why = None;
                    (failure, has_fallbacks)
                }
                RungFailure::Unavailable(why, failure) => {
                    tried.why = Some(why);
                    (failure, has_fallbacks)
                }
                RungFailure::Larger(failure) => {
                    tried.why = Some(format!("too long for {}", model.model()));
                    tried.models.extend(planned.not_larger(&model));
                    (failure, true)
                }
            };
            tracing::info!(%model, kind = ?failure.kind, "rung failed");
            tried.models.push(model);
            // When nothing else fits, the user is told of the failure, not of that.
            let (next, failure) = if goes_on {
                let planner = self.services.planner;
                match unless_stopped(self.stop, planner.plan(&self.ask, &tried)).await {
                    Ok(next) => (next.ok(), failure),
                    Err(stopped) => (None, stopped),
                }
            } else {
                (None, failure)
            };
            match next {
                Some(next) => planned = next,
                None => return self.fail(&mut account, planned, failure).await,
            }
        }
    }

    /// Asks the plan's first model until there is an answer, which is settled, or a failure. Gives the last event.
    async fn run_rung(
        &mut self,
        account: &mut ExchangeAccount<'g>,
        planned: &Planned,
        steps_down: bool,
    ) -> Result<Event, RungFailure> {
        let rung = &planned.plan.first;
        let provider = self
            .services
            .planner
            .models
            .providers
            .get(rung.model.provider());
        let (Some(model), Some(provider)) = (planned.model(&rung.model), provider) else {
            let text = format!("{} cannot be reached", rung.model);
            return Err(RungFailure::Next(Failure::new(FailureKind::Usage, text)));
        };
        let context = AttemptContext {
            services: self.services().await.map_err(RungFailure::Stop)?,
            ask: &self.ask,
            fitted: self.fitted,
            planned,
            model,
            provider,
            steps_down,
        };
        let answer = RungRun::new(context, account, &mut self.log).run().await?;
        let parts = ConclusionParts {
            ask: &self.ask,
            planned,
            attempts: self.log.attempts(),
            reporter: self.reporter,
            ended: self.services.planner.models.clock.now(),
        };
        let others = |model: &ModelId, usage: &Usage| {
            compare::counterfactuals(self.services.planner.models, &self.ask, model, usage)
        };
        let conclusion = conclusion::settle(parts, account, *answer, others).await;
        if conclusion.is_whole {
            let (reply, facts) = (&conclusion.reply, &conclusion.facts);
            self.cache.keep(&self.ask, rung, reply, facts);
        }
        Ok(conclusion.event(&self.ask, self.reporter).await)
    }

    async fn services(&self) -> Result<AttemptServices<'g>, Failure> {
        let (services, models) = (self.services, self.services.planner.models);
        Ok(AttemptServices {
            wire: services.wire,
            env: models.env,
            limits: &models.config.limits,
            clock: models.clock,
            random: services.random,
            store: services.planner.store.open().await?,
            peers: services.peers,
            waiting: self.waiting,
            reporter: self.reporter,
            stop: self.stop,
        })
    }

    /// No rung gave an answer: an old one is given where the user takes one, else the failure is recorded.
    async fn fail(
        &mut self,
        account: &mut ExchangeAccount<'g>,
        planned: Planned,
        failure: Failure,
    ) -> Result<Event, Refused> {
        let failure = self.log.overall(failure);
        if failure.kind == FailureKind::Unavailable
            && let Some(old) = self.stale(account, &planned).await
        {
            return Ok(old?);
        }
        let elapsed = self.reporter.elapsed();
        account.record_failure(&self.ask, &failure, elapsed).await;
        Ok(Event::Failed {
            failure,
            route: Some(planned.plan.route),
            answer: None,
        })
    }

    /// The old answer that the user has chosen instead of asking.
    async fn stale_only(
        &mut self,
        account: &mut ExchangeAccount<'g>,
        planned: &Planned,
    ) -> Result<Event, Failure> {
        let missing = Failure::new(
            FailureKind::Unavailable,
            "no answer to this question is kept any more",
        );
        self.stale(account, planned).await.unwrap_or(Err(missing))
    }

    /// An old answer, where the user takes one. `None`: they do not, or there is none.
    async fn stale(
        &mut self,
        account: &mut ExchangeAccount<'g>,
        planned: &Planned,
    ) -> Option<Result<Event, Failure>> {
        if self.ask.stale == Stale::Never {
            return None;
        }
        let models = stale_models(self.services.planner.models, &self.ask, self.ask.stale)?;
        let hit = self.cache.newest(&self.ask, &models).await?;
        let (model, age) = (&hit.entry.model, span(hit.age.as_secs()));
        let text = match (self.ask.stale, &self.ask.selection) {
            (Stale::Only, _) => format!("this is what {model} answered {age} ago"),
            (_, Selection::Pinned(_)) => {
                format!("{model} cannot be reached: this is what it answered {age} ago")
            }
            (_, Selection::Auto) => {
                format!("no model can be reached: this is what {model} answered {age} ago")
            }
        };
        self.reporter.warn(text).await;
        Some(self.give(account, planned, hit).await)
    }

    /// Gives an answer from the cache.
    async fn give(
        &self,
        account: &mut ExchangeAccount<'g>,
        planned: &Planned,
        hit: AnswerHit,
    ) -> Result<Event, Failure> {
        let (model, usage) = (&hit.entry.model, &hit.entry.usage);
        let others =
            compare::counterfactuals(self.services.planner.models, &self.ask, model, usage);
        let parts = CachedParts {
            ask: &self.ask,
            planned,
            fitted: self.fitted,
            attempts: self.log.attempts(),
            reporter: self.reporter,
            now: self.services.planner.models.clock.now(),
        };
        cached::give(parts, account, hit, others).await
    }

    /// Tells the user what was left out: never silently.
    async fn report_fitted(&mut self, planned: &Planned) {
        self.fitted = planned.fitted;
        if let Some(fitted) = planned.fitted {
            let text = format!("{fitted}, so that it fits {}", planned.plan.first.model);
            self.reporter.warn(text).await;
        }
    }
}
