//! One rung of the plan, attempt after attempt: the only retry loop of the program.
//!
//! Owns: key, reservation and request of each attempt, and what becomes of them when it fails.
//! Refuses: to judge an error (`decide` does), to read the answer (`live` does), to choose an address (`reach` does).
//! Invariant: each attempt has its own reservation, taken before the first byte and settled or released exactly once.

use std::time::Duration;

use tokio::sync::SemaphorePermit;

use crate::catalog::Model;
use crate::chat::{Failure, FailureKind};
use crate::gateway::attempt::backoff;
use crate::gateway::attempt::decide::{
    Decision, KeyFate, Next, Situation, decide, is_servers_fault,
};
use crate::gateway::exchange::{ExchangeRun, interrupted};
use crate::gateway::money::cancellable_write::unless_stopped;
use crate::gateway::plan::planned::Planned;
use crate::gateway::upstream::compat::{CompatFix, CompatFixes};
use crate::gateway::upstream::endpoints::EndpointPermit;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::provider_state::{NoKey, ProviderState};
use crate::gateway::upstream::retry_budget::RetryBudget;
use crate::protocol::{Attempt, Event, Level, Notice};
use crate::provider::{Call, Endpoint, ErrorClass, SendGuard, Sent, WireError, mapping};
use crate::router::Rung;
use crate::store::Hold;

/// How a rung ended.
pub(in crate::gateway) enum RungEnd {
    /// The exchange is over, with this as its last event.
    Over(Box<Event>),
    /// This rung failed; the next one may be tried.
    Next(Failure),
    /// It was not asked, or not any more: the first says why, in words.
    Shut(String, Failure),
    /// The question is too long for it; one with a larger window may be tried.
    Larger(Failure),
    /// The exchange failed.
    Stop(Failure),
}

/// What an attempt on a rung works with.
pub(in crate::gateway) struct AttemptContext<'a> {
    pub(in crate::gateway) planned: &'a Planned,
    pub(in crate::gateway) rung: &'a Rung,
    pub(in crate::gateway) model: &'a Model,
    pub(in crate::gateway) route: &'a ProviderState,
    /// Time waited before the attempt.
    pub(in crate::gateway) waited: Duration,
    /// The address of this attempt, and the right to send there.
    pub(in crate::gateway) endpoint: Option<&'a Endpoint>,
    pub(in crate::gateway) pass: Option<EndpointPermit<'a>>,
    /// The address is tried to see whether it works again: it gets no second try.
    pub(in crate::gateway) trial: bool,
    /// The address to ask again, by place, and those that were left.
    pub(in crate::gateway) again: Option<usize>,
    pub(in crate::gateway) left: Vec<usize>,
    /// Attempts that failed at the address in use.
    pub(in crate::gateway) here: u32,
    /// The keys whose own limit has no room for the request, and how the last one refused it.
    pub(in crate::gateway) at_limit: Vec<usize>,
    pub(in crate::gateway) refused: Option<Failure>,
    /// What other machines were told of the keys is known.
    pub(in crate::gateway) heard: bool,
    /// How the model is asked at this address, and which part of that was learned in this very question.
    pub(in crate::gateway) mends: CompatFixes,
    pub(in crate::gateway) made: CompatFixes,
}

impl ExchangeRun {
    /// Tries the first rung of a plan until it answers or there is no more sense in it.
    pub(in crate::gateway) async fn try_rung(&mut self, planned: &Planned) -> RungEnd {
        let rung = &planned.plan.first;
        let gateway = std::sync::Arc::clone(&self.gateway);
        let (Some(model), Some(route)) = (
            planned.model(&rung.model),
            gateway.routes.get(rung.model.provider()),
        ) else {
            return RungEnd::Next(Failure::new(
                FailureKind::Usage,
                format!("{} cannot be reached", rung.model),
            ));
        };
        let mut on = AttemptContext {
            planned,
            rung,
            model,
            route,
            waited: Duration::ZERO,
            endpoint: None,
            pass: None,
            trial: false,
            again: None,
            left: Vec::new(),
            here: 0,
            at_limit: Vec::new(),
            refused: None,
            heard: false,
            mends: CompatFixes::default(),
            made: CompatFixes::default(),
        };
        self.say_link(route).await;
        if self.has_asked(route) && !route.with_retries(|retries| retries.spend(self.now())) {
            // Too much is being tried again at this provider already.
            return RungEnd::Next(self.last_failure.clone().unwrap_or_else(interrupted));
        }
        loop {
            let end = self.attempt(&mut on).await;
            let place = on.pass.take().map(|pass| pass.place);
            let (error, key) = match end {
                AttemptEnd::Over(event) => return RungEnd::Over(event),
                AttemptEnd::Blocked(end) => return end,
                AttemptEnd::KeyAtLimit => continue,
                AttemptEnd::Mended(mend) => {
                    Self::take_mend(&mut on, mend);
                    // Another address may take it as it was.
                    on.again = place;
                    continue;
                }
                AttemptEnd::Failed(error, key) => (error, key),
            };
            self.say_link(route).await;
            let next = self.after(&on, place, &error, &key);
            (on.waited, on.again) = (Duration::ZERO, place);
            match next {
                Next::Again(wait) => {
                    on.here += 1;
                    on.waited = wait;
                    if self.paused(wait, &error.message).await {
                        return RungEnd::Stop(interrupted());
                    }
                }
                Next::OtherKey => {}
                Next::OtherEndpoint => {
                    on.again = None;
                    on.left.extend(place);
                }
                Next::LowerRung => {
                    return RungEnd::Next(route.naming_key(failure(rung, &error), &error, &key));
                }
                Next::LargerRung => {
                    return RungEnd::Larger(route.naming_key(failure(rung, &error), &error, &key));
                }
                Next::GiveUp => {
                    return RungEnd::Stop(route.naming_key(failure(rung, &error), &error, &key));
                }
            }
        }
    }

    async fn attempt(&mut self, on: &mut AttemptContext<'_>) -> AttemptEnd {
        let stop = self.stop.clone();
        // First the place: what is chosen before a long wait is stale after it.
        let (permit, key) = match self.place_and_key(on).await {
            Ok(taken) => taken,
            Err(end) => return AttemptEnd::Blocked(end),
        };
        let endpoint = match unless_stopped(&stop, self.enter(on, &key)).await {
            Ok(Ok(endpoint)) => endpoint,
            Ok(Err(end)) => return AttemptEnd::Blocked(end),
            Err(failure) => return AttemptEnd::Blocked(RungEnd::Stop(failure)),
        };
        let call = match self.call(on) {
            Ok(call) => call,
            Err(failure) => return AttemptEnd::Blocked(RungEnd::Next(failure)),
        };
        let hold = match self.reserve(on, &key).await {
            Ok(hold) => hold,
            Err(failure) if on.at_limit.last() == Some(&key.index) => {
                on.refused = Some(failure);
                return AttemptEnd::KeyAtLimit;
            }
            Err(failure) if failure.kind == FailureKind::Budget => {
                return AttemptEnd::Blocked(self.no_room(on, failure).await);
            }
            Err(failure) => return AttemptEnd::Blocked(RungEnd::Stop(failure)),
        };
        self.started(on.rung, Some(on.model), &on.planned.plan.route, key.shown())
            .await;
        // The last moment at which it is certain that nothing was sent.
        if stop.is_cancelled() {
            self.release(&hold, "stopped before it was sent", false)
                .await;
            return AttemptEnd::Blocked(RungEnd::Stop(interrupted()));
        }
        if !self.has_asked(on.route) {
            on.route.with_retries(RetryBudget::earn);
        }
        let gateway = std::sync::Arc::clone(&self.gateway);
        let send_guard = call.send_guard.clone();
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => {
                if send_guard.call_back() {
                    self.release(&hold, "stopped before it was sent", false).await;
                    return AttemptEnd::Blocked(RungEnd::Stop(interrupted()));
                }
                // The request may have arrived: nobody knows what it costs, so all of it is booked.
                self.book(&hold, "stopped before an answer", false).await;
                self.note(on, &key, None, "stopped").await;
                return AttemptEnd::Blocked(RungEnd::Stop(interrupted()));
            }
            opened = gateway.wire.open(endpoint, key.secret.as_ref(), call) => opened,
        };
        let end = match opened {
            Ok(stream) => {
                self.opened(on, stream.meta().opened_after);
                self.live(on, &key, &hold, stream).await
            }
            Err(error) => self.failed(on, key, &hold, error).await,
        };
        drop(permit);
        end
    }

    /// A place among the requests to the provider and the next key, after the wait for it when all are at their rate
    /// limit and the wait is not too long.
    async fn place_and_key<'r>(
        &mut self,
        on: &mut AttemptContext<'r>,
    ) -> Result<(Option<SemaphorePermit<'r>>, SelectedKey), RungEnd> {
        let stop = self.stop.clone();
        loop {
            let permit = self.place(on.route).await?;
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RungEnd::Stop(interrupted())),
                taken = self.key(on) => taken,
            };
            let wait = match taken {
                Ok(key) => return Ok((permit, key)),
                Err(NoKey::Failed(failure)) => return Err(RungEnd::Next(failure)),
                Err(NoKey::AllSkipped) => {
                    let refused = on.refused.take().unwrap_or_else(no_key_has_room);
                    return Err(self.no_room(on, refused).await);
                }
                Err(NoKey::Wait(wait)) => wait,
            };
            if wait > backoff::LONGEST {
                return Err(RungEnd::Next(on.route.at_rate_limit(wait)));
            }
            on.waited += wait;
            drop(permit);
            if self.paused(wait, "every key is at its rate limit").await {
                return Err(RungEnd::Stop(interrupted()));
            }
        }
    }

    /// The next key; before the first, other machines are heard. A source that holds none that can be used is told once.
    async fn key(&self, on: &mut AttemptContext<'_>) -> Result<SelectedKey, NoKey> {
        let (env, model) = (&self.gateway.parts.env, &on.rung.model);
        if let Some(others) = self.gateway.others.as_ref().filter(|_| !on.heard) {
            others
                .hear(
                    on.route,
                    env,
                    model.model(),
                    &self.waiting,
                    self.began,
                    self.now(),
                )
                .await;
            on.heard = true;
        }
        let taken = on
            .route
            .key(env, model, self.began, self.now(), &on.at_limit)
            .await;
        for text in on.route.untold_key_errors() {
            self.emit(Event::Notice(Notice {
                level: Level::Warning,
                text,
            }))
            .await;
        }
        taken
    }

    /// The request, in the model's dialect.
    fn call(&self, on: &AttemptContext<'_>) -> Result<Call, Failure> {
        let mut request = self.request(on.rung);
        let (params, dialect) = on.mended(request.params);
        request.params = params;
        let body = mapping::body(&request, &dialect, on.rung.estimate.output_cap, true)
            .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
        let limits = &self.gateway.parts.config.limits;
        Ok(Call {
            body: body.to_string().into(),
            stream: true,
            first_token: limits.first_token_timeout,
            idle: limits.idle_timeout,
            send_guard: SendGuard::default(),
        })
    }

    /// Accounts for an attempt that brought no part of an answer.
    pub(in crate::gateway) async fn failed(
        &mut self,
        on: &AttemptContext<'_>,
        key: SelectedKey,
        hold: &Hold,
        error: WireError,
    ) -> AttemptEnd {
        if let Some(meta) = &error.meta {
            self.learn(on, &key, meta);
        }
        let blame = is_servers_fault(&error);
        self.only_servers &= blame;
        self.last_failure = Some(failure(on.rung, &error));
        self.tell(on, &error).await;
        match error.sent {
            Sent::Nothing | Sent::Refused => self.release(hold, &error.message, blame).await,
            Sent::MaybeBilled => self.book(hold, &error.message, blame).await,
        }
        if let Some(mend) = self.mend_for(on, &error) {
            self.note(
                on,
                &key,
                error.status,
                &format!("{}; asked again {mend}", error.message),
            )
            .await;
            return AttemptEnd::Mended(mend);
        }
        self.note(on, &key, error.status, &error.message).await;
        AttemptEnd::Failed(error, key)
    }

    fn after(
        &self,
        on: &AttemptContext<'_>,
        place: Option<usize>,
        error: &WireError,
        key: &SelectedKey,
    ) -> Next {
        let now = self.now();
        let made = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let model = on.rung.model.model();
        on.route.judge(key, error, now);
        if error.class == ErrorClass::ModelNotFound {
            on.route.miss(key, &on.rung.model, now);
        }
        let elsewhere: Vec<usize> = on.left.iter().copied().chain(place).collect();
        let situation = |affordable| Situation {
            retries_left: (self.gateway.parts.config.limits.retries + 1).saturating_sub(made),
            retries: made.saturating_sub(1),
            here: on.here + u32::from(on.trial),
            other_rung: !on.planned.plan.fallbacks.is_empty(),
            larger_rung: on.planned.has_larger(&on.rung.model),
            other_key: on
                .route
                .with_ring(|ring| ring.has_other(key.index, model, &on.at_limit, now))
                .unwrap_or(false),
            other_endpoint: on.route.health.has_other(&elsewhere, now),
            affordable,
            dice: self.gateway.parts.random.unit(),
        };
        // Asked and taken in one go, for others ask too. Another rung pays when it is begun.
        let Decision { next, key: fate } = on.route.with_retries(|retries| {
            let decision = decide(error, situation(retries.allows(now)));
            if matches!(
                decision.next,
                Next::Again(_) | Next::OtherKey | Next::OtherEndpoint
            ) {
                let _ = retries.spend(now);
            }
            decision
        });
        // A barred one is out of use already: see `ProviderState::judge`.
        if let KeyFate::Cool(time) = fate {
            // The same key again: it cools for as long as was just decided to be waited.
            let until = now.plus(if let Next::Again(wait) = next {
                wait
            } else {
                time
            });
            on.route.cool(key, &on.rung.model, now, until);
            if let Some(others) = &self.gateway.others {
                others.tell(on.route, key, model, until, now);
            }
        }
        tracing::debug!(model = %on.rung.model, class = ?error.class, status = ?error.status, ?next, "attempt failed");
        next
    }

    /// A limit refused what had been planned. The next rung takes it where the user leaves that to `auto`, and never
    /// without a word.
    async fn no_room(&self, on: &AttemptContext<'_>, failure: Failure) -> RungEnd {
        // The limit is in the way of another try only; what failed the first one is the news.
        let failure = match &self.last_failure {
            Some(last) if on.here > 0 => Failure {
                hint: Some(format!("no second try: {}", failure.message)),
                ..last.clone()
            },
            _ => failure,
        };
        if !self.goes_lower {
            return RungEnd::Stop(failure);
        }
        if !on.planned.plan.fallbacks.is_empty() {
            let text = format!("{}: {failure}", on.rung.model);
            self.emit(Event::Notice(Notice {
                level: Level::Warning,
                text,
            }))
            .await;
        }
        RungEnd::Next(failure)
    }

    /// Adds an attempt to the record of the exchange.
    pub(in crate::gateway) async fn note(
        &mut self,
        on: &AttemptContext<'_>,
        key: &SelectedKey,
        status: Option<u16>,
        outcome: &str,
    ) {
        let attempt = Attempt {
            provider: on.rung.model.provider().to_owned(),
            key: key.shown(),
            status,
            endpoint: on
                .endpoint
                .filter(|_| on.route.health.len() > 1)
                .map(|endpoint| endpoint.host().to_owned()),
            outcome: outcome.to_owned(),
            wait_ms: u64::try_from(on.waited.as_millis()).unwrap_or(u64::MAX),
        };
        self.attempts.push(attempt.clone());
        self.emit(Event::Attempt(attempt)).await;
    }
}

/// How one attempt ended.
pub(in crate::gateway) enum AttemptEnd {
    Over(Box<Event>),
    /// It could not be made at all.
    Blocked(RungEnd),
    /// It could not be made with this key: what may be spent with it does not suffice.
    KeyAtLimit,
    /// The model is asked again, in the way that it takes.
    Mended(CompatFix),
    /// It failed before any part of the answer came.
    Failed(WireError, SelectedKey),
}

/// Every key was passed over.
fn no_key_has_room() -> Failure {
    Failure::new(FailureKind::Budget, "no key has money left for this")
        .hint("`chat-agent budget show` lists their limits")
}

/// The failure as the user hears of it: who, what, and the mend.
pub(in crate::gateway) fn failure(rung: &Rung, error: &WireError) -> Failure {
    let kind = if is_servers_fault(error) {
        FailureKind::Unavailable
    } else {
        FailureKind::Request
    };
    let status = error
        .status
        .map_or_else(String::new, |status| format!(" ({status})"));
    let failure = Failure::new(kind, format!("{}{status}: {}", rung.model, error.message));
    match (
        error.retry_after.filter(|asked| *asked > backoff::LONGEST),
        error.hint(),
    ) {
        (Some(asked), _) => failure.hint(format!(
            "it asks to be left alone for {} s; choose another model",
            asked.as_secs()
        )),
        (None, Some(hint)) => failure.hint(hint),
        (None, None) => failure,
    }
}
