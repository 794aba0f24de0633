//! One rung of the plan, attempt after attempt: the only retry loop of the program.
//!
//! Owns: key, reservation and request of each attempt, and what is done when it fails.
//! Refuses: to judge an error (`decide` does), to read the answer (`stream` does), to choose an address (`connect` does).
//! Invariant: each attempt has its own reservation, taken before the first byte and settled or released exactly once.

use std::time::Duration;

use tokio::sync::SemaphorePermit;
use tracing::Instrument;
use tracing::field::Empty;

use crate::chat::{Failure, FailureKind};
use crate::gateway::attempt::connect::ProviderConnection;
use crate::gateway::attempt::context::AttemptContext;
use crate::gateway::attempt::decide::{
    Decision, KeyFate, Next, Situation, decide, is_servers_fault,
};
use crate::gateway::attempt::end::{AttemptAnswer, AttemptEnd, RungFailure};
use crate::gateway::attempt::failure::{cut, failure, outcome};
use crate::gateway::attempt::keys::RungKeys;
use crate::gateway::attempt::log::AttemptLog;
use crate::gateway::money::account::{ExchangeAccount, OpenCharge};
use crate::gateway::money::cancellable_write::{interrupted, unless_stopped};
use crate::gateway::money::rows::millis;
use crate::gateway::stream::reader::{AnswerReader, StreamEnd, StreamEnding};
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::provider_state::NoKey;
use crate::gateway::upstream::rate_limits::LONGEST_WAIT;
use crate::gateway::upstream::retry_budget::RetryBudget;
use crate::protocol::{Attempt, Event};
use crate::provider::{
    Call, Endpoint, ErrorClass, ReplyStream, ResponseMeta, SendGuard, Sent, WireError, mapping,
};

/// The attempts on one rung.
pub(in crate::gateway) struct RungRun<'a, 'm, 'g> {
    context: AttemptContext<'a>,
    account: &'m mut ExchangeAccount<'g>,
    log: &'m mut AttemptLog,
    connection: ProviderConnection<'a>,
    keys: RungKeys,
    /// Time waited before the attempt under way.
    waited: Duration,
}

impl<'a, 'm, 'g> RungRun<'a, 'm, 'g> {
    pub(in crate::gateway) fn new(
        context: AttemptContext<'a>,
        account: &'m mut ExchangeAccount<'g>,
        log: &'m mut AttemptLog,
    ) -> Self {
        Self {
            context,
            account,
            log,
            connection: ProviderConnection::new(context),
            keys: RungKeys::default(),
            waited: Duration::ZERO,
        }
    }

    /// Asks the model until it answers or asking again makes no sense.
    pub(in crate::gateway) async fn run(mut self) -> Result<Box<AttemptAnswer<'a>>, RungFailure> {
        let (context, provider) = (self.context, self.context.provider);
        context.report_link().await;
        if self.has_asked() && !provider.with_retries(|retries| retries.spend(context.now())) {
            // This provider's budget for retries is used up.
            let last = self.log.last_failure().cloned();
            return Err(RungFailure::Next(last.unwrap_or_else(interrupted)));
        }
        loop {
            let span = tracing::info_span!(
                "attempt",
                provider = provider.provider.name,
                endpoint = Empty,
                key = Empty
            );
            let end = self.attempt().instrument(span).await;
            let index = self.connection.release();
            match end {
                AttemptEnd::Answered(answer) => return Ok(answer),
                AttemptEnd::Blocked(failure) => return Err(failure),
                AttemptEnd::KeyAtLimit => {}
                AttemptEnd::Fixed(fix) => {
                    self.connection.apply(fix);
                    self.waited = Duration::ZERO;
                    // Another address may accept the request as it was.
                    self.connection.stay(index, false);
                }
                AttemptEnd::Failed(error, key) => {
                    context.report_link().await;
                    let next = self.decide_next(index, &error, &key);
                    if let Some(failure) = self.go_on(next, index, &error, &key).await {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Prepares the next attempt; `Some`: there is none on this rung.
    async fn go_on(
        &mut self,
        next: Next,
        index: Option<usize>,
        error: &WireError,
        key: &SelectedKey,
    ) -> Option<RungFailure> {
        let named = |context: &AttemptContext<'_>| {
            let failure = failure(&context.rung().model, error);
            key.naming(failure, error)
        };
        self.waited = Duration::ZERO;
        match next {
            Next::Again(wait) => {
                self.connection.stay(index, true);
                self.waited = wait;
                if self.paused(wait, &error.message).await {
                    return Some(RungFailure::Stop(interrupted()));
                }
            }
            Next::OtherKey => self.connection.stay(index, false),
            Next::OtherEndpoint => self.connection.leave(index),
            Next::LowerRung => return Some(RungFailure::Next(named(&self.context))),
            Next::LargerRung => return Some(RungFailure::Larger(named(&self.context))),
            Next::GiveUp => return Some(RungFailure::Stop(named(&self.context))),
        }
        None
    }

    async fn attempt(&mut self) -> AttemptEnd<'a> {
        // The queue comes first: a key or an address that was chosen before a long wait is stale after it.
        let (queue_permit, key) = match self.queue_and_key().await {
            Ok(taken) => taken,
            Err(end) => return AttemptEnd::Blocked(end),
        };
        let choose = self.connection.choose(&key, self.log);
        let endpoint = match unless_stopped(self.context.services.stop, choose).await {
            Ok(Ok(endpoint)) => endpoint,
            Ok(Err(end)) => return AttemptEnd::Blocked(end),
            Err(stopped) => return AttemptEnd::Blocked(RungFailure::Stop(stopped)),
        };
        let span = tracing::Span::current();
        span.record("endpoint", endpoint.host());
        span.record("key", key.shown());
        let call = match self.call() {
            Ok(call) => call,
            Err(failure) => return AttemptEnd::Blocked(RungFailure::Next(failure)),
        };
        let charge = match self.reserve(&key).await {
            Ok(charge) => charge,
            Err(end) => return end,
        };
        match self.send(endpoint, &key, charge, call).await {
            Ok((stream, charge)) => self.read(key, charge, stream, queue_permit).await,
            Err(end) => end,
        }
    }

    /// A permit of the provider's queue and the next key. When all keys are at their rate limit, it waits unless the wait
    /// is too long.
    async fn queue_and_key(
        &mut self,
    ) -> Result<(Option<SemaphorePermit<'a>>, SelectedKey), RungFailure> {
        let stop = self.context.services.stop;
        loop {
            let permit = self.connection.queue().await?;
            let key = unless_stopped(stop, self.keys.next(&self.context))
                .await
                .map_err(RungFailure::Stop)?;
            let wait = match key {
                Ok(key) => return Ok((permit, key)),
                Err(NoKey::Failed(failure)) => return Err(RungFailure::Next(failure)),
                Err(NoKey::AllSkipped) => {
                    let refused = self.keys.take_refusal();
                    return Err(self.no_room(refused, true).await);
                }
                Err(NoKey::Wait(wait)) => wait,
            };
            if wait > LONGEST_WAIT {
                return Err(RungFailure::Next(self.context.provider.at_rate_limit(wait)));
            }
            self.waited += wait;
            drop(permit);
            if self.paused(wait, "every key is at its rate limit").await {
                return Err(RungFailure::Stop(interrupted()));
            }
        }
    }

    /// The request, in the model's dialect.
    fn call(&self) -> Result<Call, Failure> {
        let mut request = self.context.request();
        let (params, dialect) = self.connection.adapted(request.params);
        request.params = params;
        let cap = self.context.rung().estimate.output_cap;
        let body = mapping::body(&request, &dialect, cap, true)
            .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
        let limits = self.context.services.limits;
        Ok(Call {
            body: body.to_string().into(),
            stream: true,
            first_token: limits.first_token_timeout,
            idle: limits.idle_timeout,
            send_guard: SendGuard::default(),
        })
    }

    /// Reserves the worst case and tells the front end that the answer begins.
    async fn reserve(&mut self, key: &SelectedKey) -> Result<OpenCharge, AttemptEnd<'a>> {
        let AttemptContext {
            services,
            ask,
            planned,
            ..
        } = self.context;
        let reserved = match self.account.reserve(ask, planned, key.shown()).await {
            Ok(reserved) => reserved,
            Err(error) if error.of_key => {
                self.keys.pass_over(key, error.failure);
                return Err(AttemptEnd::KeyAtLimit);
            }
            Err(error) if error.failure.kind == FailureKind::Budget => {
                let end = self.no_room(error.failure, error.cheaper_may_fit).await;
                return Err(AttemptEnd::Blocked(end));
            }
            Err(error) => return Err(AttemptEnd::Blocked(RungFailure::Stop(error.failure))),
        };
        if reserved.begun_now {
            services.reporter.prompted(ask, self.context.now()).await;
        }
        let started = self.context.started(key.shown());
        services.reporter.emit(started).await;
        Ok(reserved.charge)
    }

    /// Sends the request and waits for the headers. A failure, or a stop, is accounted for here.
    async fn send(
        &mut self,
        endpoint: &Endpoint,
        key: &SelectedKey,
        charge: OpenCharge,
        call: Call,
    ) -> Result<(ReplyStream, OpenCharge), AttemptEnd<'a>> {
        let services = self.context.services;
        // The last moment at which it is certain that nothing was sent.
        if services.stop.is_cancelled() {
            return Err(self.stopped_unsent(charge).await);
        }
        if !self.has_asked() {
            self.context.provider.with_retries(RetryBudget::earn);
        }
        let send_guard = call.send_guard.clone();
        let opened = tokio::select! {
            biased;
            () = services.stop.cancelled() => {
                if send_guard.call_back() {
                    return Err(self.stopped_unsent(charge).await);
                }
                // The request may have arrived, so its price is unknown.
                self.account.book_in_full(charge, "stopped before an answer", false).await;
                self.note(key, None, "stopped").await;
                return Err(AttemptEnd::Blocked(RungFailure::Stop(interrupted())));
            }
            opened = services.wire.open(endpoint, key.secret.as_ref(), call) => opened,
        };
        match opened {
            Ok(stream) => Ok((stream, charge)),
            Err(error) => Err(self.failed(key, charge, error).await),
        }
    }

    async fn stopped_unsent(&mut self, charge: OpenCharge) -> AttemptEnd<'a> {
        let reason = "stopped before it was sent";
        self.account.release(charge, reason, false).await;
        AttemptEnd::Blocked(RungFailure::Stop(interrupted()))
    }

    async fn read(
        &mut self,
        key: SelectedKey,
        charge: OpenCharge,
        stream: ReplyStream,
        queue_permit: Option<SemaphorePermit<'a>>,
    ) -> AttemptEnd<'a> {
        let status = stream.meta().status;
        self.connection.headers_after(stream.meta().opened_after);
        self.learn(&key, stream.meta());
        self.connection.confirm_fixes().await;
        let mut reader = AnswerReader::new(self.context.reader_parts(), stream);
        // In boxes: otherwise the futures of all callers grow by them.
        let ended = Box::pin(reader.until_first_piece()).await;
        if reader.has_piece() {
            self.connection.first_piece().await;
        }
        let end = Box::pin(reader.finish(ended)).await;
        let ending = match end.ending {
            StreamEnding::Broken(mut error) if end.first_piece.is_none() => {
                error.status.get_or_insert(status);
                return self.failed(&key, charge, error).await;
            }
            ending => ending,
        };
        let (model, cap) = (
            &self.context.rung().model,
            self.context.rung().estimate.output_cap,
        );
        let outcome = outcome(&ending, cap);
        if matches!(ending, StreamEnding::PastCap { .. }) {
            tracing::warn!(%model, written = end.written, "{outcome}");
        }
        self.connection
            .ended(&ending, end.first_piece.is_some())
            .await;
        self.note(&key, Some(status), &outcome).await;
        AttemptEnd::Answered(Box::new(AttemptAnswer {
            charge,
            failure: cut(&ending, model, self.connection.endpoint(), &outcome),
            outcome,
            foreign_address: self.context.provider.provider.own_address,
            permits: (queue_permit, self.connection.take_permit()),
            end: StreamEnd { ending, ..end },
        }))
    }

    /// Accounts for an attempt that brought no part of an answer.
    async fn failed(
        &mut self,
        key: &SelectedKey,
        charge: OpenCharge,
        error: WireError,
    ) -> AttemptEnd<'a> {
        if let Some(meta) = &error.meta {
            self.learn(key, meta);
        }
        let by_server = is_servers_fault(&error);
        self.log
            .failed(failure(&self.context.rung().model, &error), by_server);
        self.connection.failed(&error).await;
        let message = &error.message;
        match error.sent {
            Sent::Nothing | Sent::Refused => {
                self.account.release(charge, message, by_server).await;
            }
            Sent::MaybeBilled => self.account.book_in_full(charge, message, by_server).await,
        }
        if let Some(fix) = self.connection.fix_for(&error, self.log) {
            self.note(key, error.status, &format!("{message}; asked again {fix}"))
                .await;
            return AttemptEnd::Fixed(fix);
        }
        self.note(key, error.status, message).await;
        AttemptEnd::Failed(Box::new(error), key.clone())
    }

    /// Judges the key and decides what is tried next.
    fn decide_next(&self, index: Option<usize>, error: &WireError, key: &SelectedKey) -> Next {
        let AttemptContext {
            services, provider, ..
        } = self.context;
        let (now, model) = (self.context.now(), &self.context.rung().model);
        provider.judge(key, error, now);
        if error.class == ErrorClass::ModelNotFound {
            provider.miss(key, model, now);
        }
        let situation = self.situation(index, key);
        // Checked and spent under one lock, since other exchanges spend too. Another rung pays when it begins.
        let Decision { next, key: fate } = provider.with_retries(|retries| {
            let affordable = retries.allows(now);
            let decision = decide(
                error,
                Situation {
                    affordable,
                    ..situation
                },
            );
            if matches!(
                decision.next,
                Next::Again(_) | Next::OtherKey | Next::OtherEndpoint
            ) {
                let _ = retries.spend(now);
            }
            decision
        });
        // A barred key is out of use already: see `ProviderState::judge`.
        if let KeyFate::Cool(time) = fate {
            // When the same key is used again, it cools for exactly the wait that was decided.
            let until = now.plus(match next {
                Next::Again(wait) => wait,
                _ => time,
            });
            provider.cool(key, model, now, until);
            if let Some(peers) = services.peers {
                peers.publish_cooldown(provider, key, model.model(), until, now);
            }
        }
        tracing::debug!(%model, class = ?error.class, status = ?error.status, ?next, "attempt failed");
        next
    }

    fn situation(&self, index: Option<usize>, key: &SelectedKey) -> Situation {
        let AttemptContext {
            services, planned, ..
        } = self.context;
        let made = self.log.count();
        Situation {
            retries_left: (services.limits.retries + 1).saturating_sub(made),
            retries: made.saturating_sub(1),
            here: self.connection.failures(),
            other_rung: !planned.plan.fallbacks.is_empty(),
            larger_rung: planned.has_larger(&self.context.rung().model),
            other_key: self.keys.has_other(&self.context, key),
            other_endpoint: self.connection.has_other(index),
            affordable: false,
            dice: services.random.unit(),
        }
    }

    /// A limit refused the attempt. The next rung is tried where the user leaves that to `auto`, and the user is told.
    async fn no_room(&self, failure: Failure, cheaper_may_fit: bool) -> RungFailure {
        // The limit is in the way of a second attempt only; the user needs to know why the first one failed.
        let failure = match self.log.last_failure() {
            Some(last) if self.connection.has_failed() => Failure {
                hint: Some(format!("no second try: {}", failure.message)),
                ..last.clone()
            },
            _ => failure,
        };
        if !(self.context.steps_down && cheaper_may_fit) {
            return RungFailure::Stop(failure);
        }
        if !self.context.planned.plan.fallbacks.is_empty() {
            let text = format!("{}: {failure}", self.context.rung().model);
            self.context.services.reporter.warn(text).await;
        }
        RungFailure::Next(failure)
    }

    /// Takes in what the headers of an answer, or of a refusal, say about the key, and tells other machines.
    fn learn(&self, key: &SelectedKey, meta: &ResponseMeta) {
        let (provider, now) = (self.context.provider, self.context.now());
        let model = &self.context.rung().model;
        provider.learn(key, model, meta, now);
        if let Some(peers) = self.context.services.peers {
            peers.publish_headroom(provider, key, model.model(), meta, now);
        }
    }

    /// Adds an attempt to the record of the exchange.
    async fn note(&mut self, key: &SelectedKey, status: Option<u16>, outcome: &str) {
        let provider = self.context.provider;
        let attempt = Attempt {
            provider: self.context.rung().model.provider().to_owned(),
            key: key.shown(),
            status,
            endpoint: self
                .connection
                .endpoint()
                .filter(|_| provider.health.len() > 1)
                .map(|endpoint| endpoint.host().to_owned()),
            outcome: outcome.to_owned(),
            wait_ms: millis(self.waited),
        };
        self.log.push(attempt.clone());
        let reporter = self.context.services.reporter;
        reporter.emit(Event::Attempt(attempt)).await;
    }

    fn has_asked(&self) -> bool {
        self.log.has_asked(&self.context.provider.provider.name)
    }

    /// Waits before an attempt, and says why; `true` when the user stopped it meanwhile.
    async fn paused(&self, wait: Duration, why: &str) -> bool {
        let services = &self.context.services;
        let pausing = Event::Pausing {
            why: why.to_owned(),
            ms: millis(wait),
        };
        services.reporter.emit(pausing).await;
        unless_stopped(services.stop, tokio::time::sleep(wait))
            .await
            .is_err()
    }
}
