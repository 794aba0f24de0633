//! One rung of the plan, attempt after attempt: the only retry loop of the program.
//!
//! Owns: key, permit, reservation and request of each attempt, and what becomes of them when it fails.
//! Refuses: to judge an error (`decide` does) or to read the answer (`live` does).
//! Invariant: each attempt has its own reservation, taken before the first byte and settled or released exactly once.

use std::time::Duration;

use super::backoff;
use super::decide::{Decision, KeyFate, Next, Situation, decide};
use super::exchange::{Turn, interrupted};
use super::planning::Planned;
use super::route::{NoKey, Route, Taken};
use crate::budget::Admission;
use crate::catalog::Model;
use crate::chat::id::AttemptId;
use crate::chat::{Cost, Failure, FailureKind, Usd};
use crate::protocol::{Attempt, Event};
use crate::provider::{Call, ErrorClass, Sent, WireError, mapping};
use crate::router::Rung;
use crate::store::{Db, Hold, Settlement};

/// How a rung ended.
pub(super) enum RungEnd {
    /// The exchange is over, with this as its last event.
    Over(Box<Event>),
    /// This rung failed; the next one may be tried.
    Next(Failure),
    /// The exchange failed.
    Stop(Failure),
}

/// What an attempt on a rung works with.
pub(super) struct OnRung<'a> {
    pub(super) planned: &'a Planned,
    pub(super) rung: &'a Rung,
    pub(super) model: &'a Model,
    pub(super) route: &'a Route,
    /// Time waited before the attempt.
    pub(super) waited: Duration,
    /// Attempts that failed on this rung.
    pub(super) failed: u32,
}

impl Turn {
    /// Tries the first rung of a plan until it answers or there is no more sense in it.
    pub(super) async fn try_rung(&mut self, planned: &Planned) -> RungEnd {
        let rung = &planned.plan.first;
        let gateway = std::sync::Arc::clone(&self.gateway);
        let (Some(model), Some(route)) = (planned.model(&rung.model), gateway.routes.get(rung.model.provider())) else {
            return RungEnd::Next(Failure::new(FailureKind::Usage, format!("{} cannot be reached", rung.model)));
        };
        let mut on = OnRung { planned, rung, model, route, waited: Duration::ZERO, failed: 0 };
        loop {
            let (error, key) = match self.attempt(&mut on).await {
                AttemptEnd::Over(event) => return RungEnd::Over(event),
                AttemptEnd::Blocked(end) => return end,
                AttemptEnd::Failed(error, key) => (error, key),
            };
            let next = self.after(&on, &error, &key);
            on.failed += 1;
            match next {
                Next::Again(wait) => {
                    on.waited = wait;
                    if self.paused(wait).await {
                        return RungEnd::Stop(interrupted());
                    }
                }
                Next::OtherKey => on.waited = Duration::ZERO,
                Next::LowerRung => return RungEnd::Next(failure(rung, &error)),
                Next::GiveUp => return RungEnd::Stop(failure(rung, &error)),
            }
        }
    }

    async fn attempt(&mut self, on: &mut OnRung<'_>) -> AttemptEnd {
        let stop = self.stop.clone();
        let endpoint = match on.route.endpoint().await {
            Ok(endpoint) => endpoint,
            Err(failure) => return AttemptEnd::Blocked(RungEnd::Next(failure)),
        };
        let key = match self.key(on).await {
            Ok(key) => key,
            Err(end) => return AttemptEnd::Blocked(end),
        };
        let permit = tokio::select! {
            biased;
            () = stop.cancelled() => return AttemptEnd::Blocked(RungEnd::Stop(interrupted())),
            permit = on.route.permit() => permit,
        };
        let call = match self.call(on) {
            Ok(call) => call,
            Err(failure) => return AttemptEnd::Blocked(RungEnd::Next(failure)),
        };
        let hold = match self.reserve(on, &key).await {
            Ok(hold) => hold,
            Err(failure) if failure.kind == FailureKind::Budget => {
                return AttemptEnd::Blocked(RungEnd::Next(failure));
            }
            Err(failure) => return AttemptEnd::Blocked(RungEnd::Stop(failure)),
        };
        if stop.is_cancelled() {
            self.release(&hold, "stopped before it was sent").await;
            return AttemptEnd::Blocked(RungEnd::Stop(interrupted()));
        }
        self.started(on.rung, Some(on.model), &on.planned.plan.route, key.shown()).await;
        let gateway = std::sync::Arc::clone(&self.gateway);
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // The request may have arrived: nobody knows what it costs, so all of it is booked.
                self.book(&hold, Cost::UNKNOWN, "stopped before an answer").await;
                self.note(on, &key, None, "stopped").await;
                return AttemptEnd::Blocked(RungEnd::Stop(interrupted()));
            }
            opened = gateway.wire.open(endpoint, key.secret.as_ref(), call) => opened,
        };
        let end = match opened {
            Ok(stream) => self.live(on, &key, &hold, stream).await,
            Err(error) => self.failed(on, key, &hold, error).await,
        };
        drop(permit);
        end
    }

    /// The next key, after the wait for it when all are at their rate limit and the wait is not too long.
    async fn key(&self, on: &mut OnRung<'_>) -> Result<Taken, RungEnd> {
        let stop = self.stop.clone();
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(RungEnd::Stop(interrupted())),
                taken = on.route.key(&self.gateway.parts.env, self.now()) => taken,
            };
            let wait = match taken {
                Ok(key) => return Ok(key),
                Err(NoKey::Failed(failure)) => return Err(RungEnd::Next(failure)),
                Err(NoKey::Wait(wait)) => wait,
            };
            if wait > backoff::LONGEST {
                return Err(RungEnd::Next(on.route.at_rate_limit(wait)));
            }
            on.waited += wait;
            if self.paused(wait).await {
                return Err(RungEnd::Stop(interrupted()));
            }
        }
    }

    /// The request, in the model's dialect.
    fn call(&self, on: &OnRung<'_>) -> Result<Call, Failure> {
        let request = self.request(&on.rung.model);
        let body = mapping::body(&request, &on.model.dialect, on.rung.estimate.output_cap, true)
            .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
        let limits = &self.gateway.parts.config.limits;
        Ok(Call {
            body: body.to_string().into(),
            stream: true,
            first_token: limits.first_token_timeout,
            idle: limits.idle_timeout,
        })
    }

    /// Accounts for an attempt that brought no part of an answer.
    pub(super) async fn failed(&mut self, on: &OnRung<'_>, key: Taken, hold: &Hold, error: WireError) -> AttemptEnd {
        match error.sent {
            Sent::Nothing | Sent::Refused => self.release(hold, &error.message).await,
            Sent::MaybeBilled => self.book(hold, Cost::UNKNOWN, &error.message).await,
        }
        self.note(on, &key, error.status, &error.message).await;
        AttemptEnd::Failed(error, key)
    }

    fn after(&self, on: &OnRung<'_>, error: &WireError, key: &Taken) -> Next {
        let now = self.now();
        let made = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let Decision { next, key: fate } = decide(
            error,
            Situation {
                retries_left: (self.gateway.parts.config.limits.retries + 1).saturating_sub(made),
                retries: made.saturating_sub(1),
                on_rung: on.failed,
                other_rung: !on.planned.plan.fallbacks.is_empty(),
                other_key: on.route.with_ring(|ring| ring.has_other(key.place, now)).unwrap_or(false),
                dice: self.gateway.parts.random.unit(),
            },
        );
        on.route.with_ring(|ring| match fate {
            KeyFate::Keep => {}
            // The same key again: it cools for as long as was just decided to be waited.
            KeyFate::Cool(time) => {
                ring.cool(key.place, now.plus(if let Next::Again(wait) = next { wait } else { time }));
            }
            KeyFate::Bar => ring.bar(key.place, &error.message),
        });
        tracing::debug!(model = %on.rung.model, class = ?error.class, status = ?error.status, ?next, "attempt failed");
        next
    }

    /// Waits before a retry; `true` when the user stopped it meanwhile.
    async fn paused(&self, wait: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(wait) => false,
        }
    }

    /// Sets the worst case aside, on disk; the first time together with the prompt.
    async fn reserve(&mut self, on: &OnRung<'_>, key: &Taken) -> Result<Hold, Failure> {
        let price = on.model.price.as_ref();
        let hold = Hold {
            attempt: AttemptId::from_bits(self.gateway.parts.random.bits()),
            exchange: self.id.clone(),
            session: self.ask.session.clone(),
            run: self.gateway.parts.run.clone(),
            model: on.rung.model.clone(),
            provider: on.rung.model.provider().to_owned(),
            key_last4: key.shown(),
            amount: if price.is_some_and(|p| p.free) { Some(Usd::ZERO) } else { on.rung.estimate.worst_usd },
            price: serde_json::to_value(price).unwrap_or_default(),
            at: self.now(),
        };
        let budget = self.gateway.parts.budget.clone();
        let begin = (!self.stored).then(|| self.begin(on.rung, &on.planned.plan.route));
        let first = begin.is_some();
        let taken = hold.clone();
        let job = move |db: &mut Db| match &begin {
            Some(begin) => budget.begin_exchange(db, begin, &taken),
            None => budget.reserve(db, &taken),
        };
        let admission = self.gateway.store().await?.run(job).await.map_err(|error| {
            let why = format!("nothing was sent, for its price could not be recorded: {}", error.cause());
            Failure::new(FailureKind::Storage, why).hint(error.mend())
        })?;
        if let Some(failure) = admission.failure() {
            return Err(failure);
        }
        debug_assert_eq!(admission, Admission::Granted);
        if first {
            self.stored = true;
            self.prompted().await;
        }
        Ok(hold)
    }

    async fn release(&self, hold: &Hold, reason: &str) {
        let (attempt, reason, at) = (hold.attempt.clone(), reason.to_owned(), self.now());
        self.to_ledger(move |db| db.release(&attempt, &reason, at)).await;
    }

    async fn book(&self, hold: &Hold, cost: Cost, outcome: &str) {
        let settlement = Settlement { cost, usage: None, outcome: outcome.to_owned(), at: self.now() };
        let attempt = hold.attempt.clone();
        self.to_ledger(move |db| db.settle(&attempt, &settlement).map(drop)).await;
    }

    /// A booking that fails leaves the hold charged in full, which is the safe side.
    async fn to_ledger(&self, f: impl FnOnce(&mut Db) -> Result<(), crate::store::StoreError> + Send + 'static) {
        if let Ok(store) = self.gateway.store().await
            && let Err(error) = store.run(f).await
        {
            tracing::error!(%error, "a charge could not be booked; its reservation stays");
        }
    }

    /// Adds an attempt to the record of the exchange.
    pub(super) async fn note(&mut self, on: &OnRung<'_>, key: &Taken, status: Option<u16>, outcome: &str) {
        let attempt = Attempt {
            provider: on.rung.model.provider().to_owned(),
            key: key.shown(),
            status,
            outcome: outcome.to_owned(),
            wait_ms: u64::try_from(on.waited.as_millis()).unwrap_or(u64::MAX),
        };
        self.attempts.push(attempt.clone());
        self.emit(Event::Attempt(attempt)).await;
    }
}

/// How one attempt ended.
pub(super) enum AttemptEnd {
    Over(Box<Event>),
    /// It could not be made at all.
    Blocked(RungEnd),
    /// It failed before any part of the answer came.
    Failed(WireError, Taken),
}

/// The failure as the user hears of it: who, what, and the mend.
pub(super) fn failure(rung: &Rung, error: &WireError) -> Failure {
    let kind = match error.class {
        ErrorClass::Cut | ErrorClass::Truncated | ErrorClass::IdleTimeout | ErrorClass::FirstTokenTimeout => {
            FailureKind::Cut
        }
        _ => FailureKind::Request,
    };
    let status = error.status.map_or_else(String::new, |status| format!(" ({status})"));
    let failure = Failure::new(kind, format!("{}{status}: {}", rung.model, error.message));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
