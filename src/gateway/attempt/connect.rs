//! Getting to a provider: the queue, the circuit of each address, the pauses, and what the front end is told of them.
//!
//! Owns: which address an attempt goes to, what its circuit hears of the end, and the events `Link` and `Pausing`.
//! Refuses: to decide what a failure means (`decide`), and to spend: whoever is turned away here has reserved nothing.
//! Invariant: a stop ends every wait here at once, and what was taken is given back by being dropped.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use crate::chat::{Failure, FailureKind, Timestamp};
use crate::gateway::attempt::decide;
use crate::gateway::attempt::run::{AttemptContext, RungEnd};
use crate::gateway::exchange::{ExchangeRun, interrupted};
use crate::gateway::stream::reader::End;
use crate::gateway::upstream::breaker::{Outcome, Shut};
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::protocol::{Circuit, Event, Link};
use crate::provider::guide::OFFLINE;
use crate::provider::{Endpoint, WireError};

impl ExchangeRun {
    /// Waits for a place among the requests to a provider, in the order of asking.
    pub(in crate::gateway) async fn place<'r>(
        &self,
        route: &'r ProviderState,
    ) -> Result<Option<SemaphorePermit<'r>>, RungEnd> {
        if let Some(permit) = route.queue.free() {
            return Ok(Some(permit));
        }
        let turn = route.queue.wait();
        self.say_link(route).await;
        let permit = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(RungEnd::Stop(interrupted())),
            permit = turn => permit,
        };
        self.say_link(route).await;
        Ok(permit)
    }

    /// Takes a pass to the address that promises most, or says why there is none.
    pub(in crate::gateway) async fn enter<'r>(
        &self,
        on: &mut AttemptContext<'r>,
        key: &SelectedKey,
    ) -> Result<&'r Endpoint, RungEnd> {
        let route = on.route;
        let endpoints = route.endpoints().await.map_err(RungEnd::Next)?;
        self.gateway.recall_outages(route, endpoints).await;
        loop {
            let now = self.now();
            let dice = [(); 2].map(|()| self.gateway.parts.random.unit());
            let again = on.again.take();
            let tries = again.is_none() && self.may_fall_through(route, now);
            let trial = if tries {
                route.health.trial(&on.left, now)
            } else {
                None
            };
            let pass =
                match trial.map_or_else(|| route.health.enter(again, &on.left, now, dice), Ok) {
                    Ok(pass) => pass,
                    Err(shut) => return Err(self.turned_away(route, shut, now)),
                };
            self.say_link(route).await;
            let Some(endpoint) = endpoints.get(pass.place) else {
                return Err(self.turned_away(route, Shut::Until(now), now));
            };
            if self.is_there(endpoint, key, &pass).await? {
                let elsewhere = on
                    .endpoint
                    .is_none_or(|before| before.base_url() != endpoint.base_url());
                on.trial = pass.trial;
                (on.endpoint, on.pass) = (Some(endpoint), Some(pass));
                if elsewhere {
                    on.here = 0;
                    self.recall_mends(on, endpoint).await;
                }
                return Ok(endpoint);
            }
            self.persist_breaker(route, endpoint, pass.place).await;
            drop(pass);
            self.say_link(route).await;
        }
    }

    /// Whether a request that fails may be made once more, at another address.
    fn may_fall_through(&self, route: &ProviderState, now: Timestamp) -> bool {
        let left = self.gateway.parts.config.limits.retries as usize > self.attempts.len();
        left && route.with_retries(|retries| retries.allows(now))
    }

    /// Nobody may send to the provider now: said at once, with the time of the next try.
    fn turned_away(&self, route: &ProviderState, shut: Shut, now: Timestamp) -> RungEnd {
        let name = &route.provider.name;
        let words = match shut {
            Shut::Until(at) => format!(
                "{name} is down: tried again in {} s",
                at.since(now).as_millis().div_ceil(1000)
            ),
            Shut::Probed => format!("{name} is down: it is just being tried again"),
        };
        let failure = match &self.last_failure {
            Some(failure) => failure.clone().hint(words),
            None => Failure::new(FailureKind::Unavailable, words)
                .hint("choose another model, or ask again then"),
        };
        RungEnd::Shut(format!("{name} is down"), failure)
    }

    /// The headers of an answer came after this time.
    pub(in crate::gateway) fn opened(&self, on: &AttemptContext<'_>, after: Duration) {
        if let Some(pass) = &on.pass {
            pass.opened(after, self.now());
        }
    }

    /// A part of an answer came.
    pub(in crate::gateway) async fn answers(&self, on: &AttemptContext<'_>) {
        if on
            .pass
            .as_ref()
            .is_some_and(|pass| pass.probes.is_some() && pass.answers(self.now()))
        {
            if let Some(endpoint) = on.endpoint {
                self.persist_breaker(
                    on.route,
                    endpoint,
                    on.pass.as_ref().map_or(0, |pass| pass.place),
                )
                .await;
            }
            self.say_link(on.route).await;
        }
    }

    /// An answer of which a part came (`arrived`) has ended.
    pub(in crate::gateway) async fn ended(
        &self,
        on: &AttemptContext<'_>,
        end: &End,
        arrived: bool,
    ) {
        match end {
            End::Broken(error) => self.tell(on, error).await,
            // Nothing became known: the pass goes back.
            End::Stopped if !arrived => {}
            End::Whole | End::Damaged | End::Stopped | End::PastCap { .. } => {
                self.tells(on, Outcome::Works).await
            }
        }
        self.say_link(on.route).await;
    }

    /// An attempt failed.
    pub(in crate::gateway) async fn tell(&self, on: &AttemptContext<'_>, error: &WireError) {
        if let Some(outcome) = decide::outcome(error) {
            self.tells(on, outcome).await;
        }
    }

    /// Tells the circuit of the address what became of a request, and with it the processes to come.
    async fn tells(&self, on: &AttemptContext<'_>, outcome: Outcome) {
        let (Some(pass), Some(endpoint)) = (&on.pass, on.endpoint) else {
            return;
        };
        pass.tell(outcome, self.now(), self.gateway.parts.random.unit());
        self.persist_breaker(on.route, endpoint, pass.place).await;
    }

    /// Whether this exchange has made a request to the provider.
    pub(in crate::gateway) fn has_asked(&self, route: &ProviderState) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.provider == route.provider.name)
    }

    /// Waits before an attempt, and says why; `true` when the user stopped it meanwhile.
    pub(in crate::gateway) async fn paused(&self, wait: Duration, why: &str) -> bool {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.emit(Event::Pausing {
            why: why.to_owned(),
            ms,
        })
        .await;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(wait) => false,
        }
    }

    /// Says how it stands with the provider in use, when that is news.
    pub(in crate::gateway) async fn say_link(&self, route: &ProviderState) {
        let provider = &route.provider;
        if provider.name == OFFLINE {
            return;
        }
        let link = Link {
            provider: provider.name.clone(),
            circuit: route.health.circuit(self.now()),
            waiting: route.waiting(),
            plain: provider
                .endpoints
                .iter()
                .any(|endpoint| endpoint.is_plain() && !endpoint.is_loopback()),
        };
        let fine = link.circuit == Circuit::Closed && link.waiting == 0 && !link.plain;
        let troubled = &self.gateway.troubled;
        let said = self
            .link
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(link.clone());
        if said.map_or(!fine || troubled.load(Relaxed), |said| said != link) {
            troubled.store(!fine, Relaxed);
            self.emit(Event::Link(link)).await;
        }
    }
}
