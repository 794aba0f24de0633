//! The connection of an attempt: its permit of the queue, the address it goes to, and that address's breaker.
//!
//! Owns: which address of the provider is in use, which were left, and how the model is asked there.
//! Refuses: to decide what a failure means (`decide`), and to spend: what is turned away here has reserved nothing.
//! Invariant: every wait here may be dropped at any time, and dropping the connection gives back what it took.

use std::time::Duration;

use tokio::sync::SemaphorePermit;

use crate::catalog::Dialect;
use crate::chat::{Failure, FailureKind, Params, Role, Timestamp};
use crate::gateway::attempt::context::AttemptContext;
use crate::gateway::attempt::decide;
use crate::gateway::attempt::end::RungFailure;
use crate::gateway::attempt::log::AttemptLog;
use crate::gateway::money::cancellable_write::unless_stopped;
use crate::gateway::stream::reader::StreamEnding;
use crate::gateway::upstream::breaker::{CircuitRejection, RequestOutcome};
use crate::gateway::upstream::breaker_store::{persist_breaker, restore_breakers};
use crate::gateway::upstream::compat::{CompatFix, RefusedRequest};
use crate::gateway::upstream::compat_memory::ModelCompat;
use crate::gateway::upstream::endpoints::EndpointPermit;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::probe;
use crate::provider::guide::OFFLINE;
use crate::provider::{Endpoint, WireError};

/// One rung's way to its provider.
pub(in crate::gateway) struct ProviderConnection<'a> {
    context: AttemptContext<'a>,
    /// The address of the attempt, and the right to send there.
    endpoint: Option<&'a Endpoint>,
    permit: Option<EndpointPermit<'a>>,
    /// The address is tried to see whether it works again: it gets no second attempt.
    trial: bool,
    /// The index of the address to ask again, and those that were left.
    again: Option<usize>,
    left: Vec<usize>,
    /// Attempts that failed at the address in use.
    failures: u32,
    /// How the model is asked at this address.
    compat: ModelCompat,
}

impl<'a> ProviderConnection<'a> {
    pub(in crate::gateway) fn new(context: AttemptContext<'a>) -> Self {
        Self {
            context,
            endpoint: None,
            permit: None,
            trial: false,
            again: None,
            left: Vec::new(),
            failures: 0,
            compat: ModelCompat::default(),
        }
    }

    /// Waits for a permit of the provider's queue, in the order of asking.
    pub(in crate::gateway) async fn queue(
        &self,
    ) -> Result<Option<SemaphorePermit<'a>>, RungFailure> {
        let queue = &self.context.provider.queue;
        if let Some(permit) = queue.try_acquire() {
            return Ok(Some(permit));
        }
        let turn = queue.acquire();
        self.context.report_link().await;
        let permit = unless_stopped(self.context.services.stop, turn)
            .await
            .map_err(RungFailure::Stop)?;
        self.context.report_link().await;
        Ok(permit)
    }

    /// Takes a permit for the best address, or says why there is none. May be dropped at any time.
    pub(in crate::gateway) async fn choose(
        &mut self,
        key: &SelectedKey,
        log: &AttemptLog,
    ) -> Result<&'a Endpoint, RungFailure> {
        let AttemptContext {
            services, provider, ..
        } = self.context;
        let endpoints = provider.endpoints().await.map_err(RungFailure::Next)?;
        if provider.provider.name != OFFLINE {
            restore_breakers(
                services.store,
                &provider.health,
                endpoints,
                self.context.now(),
            )
            .await;
        }
        loop {
            let permit = self
                .permit(log)
                .map_err(|rejection| self.turned_away(rejection, log))?;
            self.context.report_link().await;
            let Some(endpoint) = endpoints.get(permit.index) else {
                let now = CircuitRejection::Until(self.context.now());
                return Err(self.turned_away(now, log));
            };
            let (clock, random) = (services.clock, services.random);
            let secret = key.secret.as_ref();
            if probe::is_reachable(services.wire, endpoint, secret, &permit, clock, random).await {
                self.enter(endpoint, permit).await;
                return Ok(endpoint);
            }
            self.persist(endpoint, permit.index).await;
            drop(permit);
            self.context.report_link().await;
        }
    }

    /// A permit for the address to ask again, for a trial, or for the best address.
    fn permit(&mut self, log: &AttemptLog) -> Result<EndpointPermit<'a>, CircuitRejection> {
        let (provider, now) = (self.context.provider, self.context.now());
        let dice = [(); 2].map(|()| self.context.services.random.unit());
        let again = self.again.take();
        if again.is_none()
            && self.may_try_another(log, now)
            && let Some(trial) = provider.health.trial(&self.left, now)
        {
            return Ok(trial);
        }
        provider.health.acquire(again, &self.left, now, dice)
    }

    /// Whether an attempt that fails may be followed by one at another address.
    fn may_try_another(&self, log: &AttemptLog, now: Timestamp) -> bool {
        self.context.services.limits.retries > log.count()
            && self
                .context
                .provider
                .with_retries(|retries| retries.allows(now))
    }

    async fn enter(&mut self, endpoint: &'a Endpoint, permit: EndpointPermit<'a>) {
        let moved = self
            .endpoint
            .is_none_or(|before| before.base_url() != endpoint.base_url());
        self.trial = permit.trial;
        (self.endpoint, self.permit) = (Some(endpoint), Some(permit));
        if moved {
            self.failures = 0;
            let AttemptContext {
                services, provider, ..
            } = self.context;
            let (model, now) = (&self.context.rung().model, self.context.now());
            self.compat = provider
                .compat
                .recall(services.store, model, endpoint, now)
                .await;
        }
    }

    /// The provider is not asked now: said at once, with the time of the next try.
    fn turned_away(&self, rejection: CircuitRejection, log: &AttemptLog) -> RungFailure {
        let name = &self.context.provider.provider.name;
        let words = match rejection {
            CircuitRejection::Until(at) => format!(
                "{name} is down: tried again in {} s",
                at.since(self.context.now()).as_millis().div_ceil(1000)
            ),
            CircuitRejection::Probing => {
                format!("{name} is down: it is just being tried again")
            }
        };
        let failure = match log.last_failure() {
            Some(failure) => failure.clone().hint(words),
            None => Failure::new(FailureKind::Unavailable, words)
                .hint("choose another model, or ask again then"),
        };
        RungFailure::Unavailable(format!("{name} is down"), failure)
    }

    /// The address in use; `None` before the first.
    pub(in crate::gateway) fn endpoint(&self) -> Option<&'a Endpoint> {
        self.endpoint
    }

    /// Attempts before this one that failed at the address in use; a trial counts as one.
    pub(in crate::gateway) fn failures(&self) -> u32 {
        self.failures + u32::from(self.trial)
    }

    /// Whether the address in use has failed before.
    pub(in crate::gateway) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Whether another address could be asked now. `index`: the one that has just failed.
    pub(in crate::gateway) fn has_other(&self, index: Option<usize>) -> bool {
        let past: Vec<usize> = self.left.iter().copied().chain(index).collect();
        let health = &self.context.provider.health;
        health.has_other(&past, self.context.now())
    }

    /// Asks the same address again the next time; `failed`: after a failure there.
    pub(in crate::gateway) fn stay(&mut self, index: Option<usize>, failed: bool) {
        self.again = index;
        self.failures += u32::from(failed);
    }

    /// Asks another address the next time.
    pub(in crate::gateway) fn leave(&mut self, index: Option<usize>) {
        self.again = None;
        self.left.extend(index);
    }

    /// Ends the use of the address. Gives its index.
    pub(in crate::gateway) fn release(&mut self) -> Option<usize> {
        self.permit.take().map(|permit| permit.index)
    }

    pub(in crate::gateway) fn take_permit(&mut self) -> Option<EndpointPermit<'a>> {
        self.permit.take()
    }

    /// The headers of a response came after this time.
    pub(in crate::gateway) fn headers_after(&self, time: Duration) {
        if let Some(permit) = &self.permit {
            permit.headers_after(time, self.context.now());
        }
    }

    /// A piece of an answer came.
    pub(in crate::gateway) async fn first_piece(&self) {
        let (Some(permit), Some(endpoint)) = (&self.permit, self.endpoint) else {
            return;
        };
        if permit.probe.is_some() && permit.first_piece(self.context.now()) {
            self.persist(endpoint, permit.index).await;
            self.context.report_link().await;
        }
    }

    /// An answer of which a part came (`arrived`) has ended.
    pub(in crate::gateway) async fn ended(&self, ending: &StreamEnding, arrived: bool) {
        match ending {
            StreamEnding::Broken(error) => self.failed(error).await,
            // Nothing is known: dropping the permit gives it back.
            StreamEnding::Stopped if !arrived => {}
            StreamEnding::Whole
            | StreamEnding::Damaged
            | StreamEnding::Stopped
            | StreamEnding::PastCap { .. } => self.record(RequestOutcome::Succeeded).await,
        }
        self.context.report_link().await;
    }

    /// A request failed.
    pub(in crate::gateway) async fn failed(&self, error: &WireError) {
        if let Some(outcome) = decide::outcome(error) {
            self.record(outcome).await;
        }
    }

    /// Records the outcome of a request in the breaker of the address, for later processes too.
    async fn record(&self, outcome: RequestOutcome) {
        let (Some(permit), Some(endpoint)) = (&self.permit, self.endpoint) else {
            return;
        };
        let dice = self.context.services.random.unit();
        permit.record(outcome, self.context.now(), dice);
        self.persist(endpoint, permit.index).await;
    }

    async fn persist(&self, endpoint: &Endpoint, index: usize) {
        let AttemptContext {
            services, provider, ..
        } = self.context;
        if provider.provider.name != OFFLINE {
            let (health, now) = (&provider.health, self.context.now());
            persist_breaker(services.store, health, index, endpoint, now, services.stop).await;
        }
    }

    /// The settings and the dialect with which the model is asked at this address.
    pub(in crate::gateway) fn adapted(&self, params: Params) -> (Params, Dialect) {
        let (params, dialect, _) = self.compat.applied(params, &self.context.model.dialect);
        (params, dialect)
    }

    /// The fix for a refusal, if there is one and an attempt is left for it.
    pub(in crate::gateway) fn fix_for(
        &self,
        error: &WireError,
        log: &AttemptLog,
    ) -> Option<CompatFix> {
        if log.count() >= self.context.services.limits.retries {
            return None;
        }
        let (params, dialect) = self.adapted(self.context.params());
        let messages = self.context.ask.messages();
        let sent = RefusedRequest {
            params: &params,
            dialect: &dialect,
            system: messages.iter().any(|message| message.role == Role::System),
        };
        self.compat.fix_for(error, &sent)
    }

    /// Applies a fix from the next request on.
    pub(in crate::gateway) fn apply(&mut self, fix: CompatFix) {
        tracing::info!(model = %self.context.rung().model, "asked again {fix}");
        self.compat.add(fix);
    }

    /// The server has accepted the request: the user is told which of their settings were left out, and the fixes are kept.
    pub(in crate::gateway) async fn confirm_fixes(&self) {
        let AttemptContext {
            services, provider, ..
        } = self.context;
        let model = &self.context.rung().model;
        let dialect = &self.context.model.dialect;
        let (.., left_out) = self.compat.applied(self.context.params(), dialect);
        for words in left_out {
            services.reporter.warn(format!("{model} {words}")).await;
        }
        provider
            .compat
            .confirm(
                services.store,
                &self.compat,
                self.context.now(),
                services.stop,
            )
            .await;
    }
}
