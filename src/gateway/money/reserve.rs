//! The money of one attempt: set aside before the first byte, booked or given back afterwards.
//!
//! Owns: the hold of an attempt, its release, and its booking in full when nobody knows what it costs.
//! Refuses: to judge what an attempt has cost when an answer came; that is settled with the answer (`live`).
//! Invariant: nothing is sent without a hold on disk; a booking that fails leaves the hold charged in full.

use std::sync::Arc;

use crate::budget::{Admission, Grant, NoLease};
use crate::chat::id::AttemptId;
use crate::chat::{Cost, Failure, FailureKind, Usd};
use crate::gateway::attempt::run::AttemptContext;
use crate::gateway::exchange::{ExchangeRun, interrupted};
use crate::gateway::money::cancellable_write::unless_stopped;
use crate::gateway::plan::plan_error::PlanError;
use crate::gateway::plan::planned::{Planned, Tried};
use crate::gateway::plan::window_fit::fit;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::protocol::Refused;
use crate::store::{Begin, Db, Hold, Settlement};

/// Leases asked for one attempt: another process of this machine may be quicker with what was leased.
const LEASES: usize = 3;

impl ExchangeRun {
    /// Sets the worst case aside, on disk; the first time together with the prompt. A stop is answered at once, and then
    /// nothing is set aside, now or later.
    pub(in crate::gateway) async fn reserve(
        &mut self,
        on: &mut AttemptContext<'_>,
        key: &SelectedKey,
    ) -> Result<Hold, Failure> {
        let price = on.model.price.as_ref();
        let hold = Hold {
            attempt: AttemptId::from_bits(self.gateway.parts.random.bits()),
            exchange: self.id.clone(),
            session: self.ask.session.clone(),
            run: self.gateway.parts.run.clone(),
            model: on.rung.model.clone(),
            provider: on.rung.model.provider().to_owned(),
            key_last4: key.shown(),
            amount: if price.is_some_and(|p| p.free) {
                Some(Usd::ZERO)
            } else {
                on.rung.estimate.worst_usd
            },
            price: serde_json::to_value(price).unwrap_or_default(),
            raise: self.ask.raise,
            at: self.now(),
            uptime: self.gateway.parts.clock.uptime(),
        };
        let begin = (!self.stored).then(|| self.begin(on.planned));
        let first = begin.is_some();
        let mut admission = self.admit(begin.clone(), &hold, None).await?;
        for _ in 0..LEASES {
            let Admission::Unleased { short } = admission else {
                break;
            };
            let Some(grant) = self.lease(short, &hold).await? else {
                break;
            };
            admission = self.admit(begin.clone(), &hold, Some(grant)).await?;
        }
        if admission.is_of_key() {
            on.at_limit.push(key.index);
        }
        // No other model mends a clock, or brings Redis back.
        self.goes_lower &= !matches!(
            admission,
            Admission::ClockMoved(_) | Admission::Unleased { .. }
        );
        if let Some(failure) = admission.failure() {
            return Err(failure);
        }
        debug_assert_eq!(admission, Admission::Granted);
        if let Some(group_budget) = self.gateway.group_budget() {
            group_budget.touched(hold.amount.unwrap_or_default());
        }
        if first {
            self.stored = true;
            self.prompted().await;
        }
        Ok(hold)
    }

    /// One commit: the grant, the hold, and the first time the prompt.
    async fn admit(
        &self,
        begin: Option<Begin>,
        hold: &Hold,
        grant: Option<Grant>,
    ) -> Result<Admission, Failure> {
        let (budget, hold) = (self.gateway.budget(), hold.clone());
        let job = move |db: &Db| {
            if let Some(grant) = &grant {
                grant.hold(db)?;
            }
            match &begin {
                Some(begin) => budget.begin_exchange(db, begin, &hold),
                None => budget.reserve(db, &hold),
            }
        };
        let admitted = self.write_unless_stopped(job).await.map_err(|error| {
            let why = format!(
                "nothing was sent, for its price could not be recorded: {}",
                error.cause()
            );
            Failure::new(FailureKind::Storage, why).hint(error.hint())
        })?;
        admitted.ok_or_else(interrupted)
    }

    /// Leases what is missing of the group's budget; `None`: there is nobody to lease it from.
    async fn lease(&mut self, short: Usd, hold: &Hold) -> Result<Option<Grant>, Failure> {
        let gateway = Arc::clone(&self.gateway);
        let Some(group_budget) = gateway.group_budget() else {
            return Ok(None);
        };
        group_budget.touched(hold.amount.unwrap_or_default());
        let lease = group_budget.lease(
            gateway.store().await?,
            short,
            hold.amount.unwrap_or_default(),
            self.now(),
        );
        // One that is left half-way is a lease of nothing, see there.
        unless_stopped(&self.stop, lease)
            .await?
            .map(Some)
            .map_err(|none| {
                // A cheaper model may fit what is left of the limit, or of what is leased.
                self.goes_lower &= matches!(none, NoLease::Full { .. } | NoLease::Away(_));
                none.failure()
            })
    }

    /// Plans the question. Where no room was found for what would be asked first, the group's rest may be what was heard
    /// of it long ago: it is heard anew, and planned once more.
    pub(in crate::gateway) async fn fit_with_the_group(
        &mut self,
        tried: &Tried,
    ) -> Result<Planned, PlanError> {
        let gateway = Arc::clone(&self.gateway);
        let Some(group_budget) = gateway.group_budget() else {
            return fit(&gateway.planner(), &mut self.ask, tried, Vec::new()).await;
        };
        let whole = self.ask.clone();
        let first = fit(&gateway.planner(), &mut self.ask, tried, Vec::new()).await;
        let short = match &first {
            Ok(planned) => planned.steps_down(),
            Err(unplanned) => unplanned.refused.failure.kind == FailureKind::Budget,
        };
        if !short {
            return first;
        }
        let heard = group_budget.hear(gateway.store().await?, self.now()).await;
        self.ask = whole;
        let planned = fit(&gateway.planner(), &mut self.ask, tried, Vec::new()).await;
        match (planned, heard) {
            (Err(PlanError { refused, too_long }), Err(none))
                if self.is_of_the_group(&refused).await =>
            {
                Err(PlanError {
                    refused: Refused {
                        failure: none.failure(),
                        ..refused
                    },
                    too_long,
                })
            }
            (planned, _) => planned,
        }
    }

    /// Whether it is the group's limit that has no room.
    async fn is_of_the_group(&self, refused: &Refused) -> bool {
        let considered = refused
            .route
            .as_ref()
            .and_then(|route| route.considered.last());
        let Some(last) = considered else { return false };
        self.gateway
            .planner()
            .left(&self.ask, &last.model)
            .await
            .is_some_and(|left| left.scope.is_group())
    }

    pub(in crate::gateway) async fn release(&self, hold: &Hold, reason: &str, blame: bool) {
        let (attempt, reason, at) = (hold.attempt.clone(), reason.to_owned(), self.now());
        self.to_ledger(hold, blame, move |db| db.release(&attempt, &reason, at))
            .await;
    }

    /// Nobody knows what it costs, so all of it is booked.
    pub(in crate::gateway) async fn book(&self, hold: &Hold, outcome: &str, blame: bool) {
        let (cost, outcome) = (Cost::UNKNOWN, outcome.to_owned());
        let settlement = Settlement {
            cost,
            usage: None,
            last_word: false,
            tier: None,
            outcome,
            at: self.now(),
        };
        let attempt = hold.attempt.clone();
        self.to_ledger(hold, blame, move |db| {
            db.book(&attempt, &settlement).map(drop)
        })
        .await;
    }

    /// A booking that fails leaves the hold charged in full, which is the safe side.
    /// `blame`: the server failed it, which is told of its model.
    async fn to_ledger(
        &self,
        hold: &Hold,
        blame: bool,
        f: impl FnOnce(&Db) -> Result<(), crate::store::StoreError> + Send + 'static,
    ) {
        let attempt = hold.attempt.clone();
        let job = move |db: &mut Db| {
            db.write(|db| {
                f(db)?;
                if blame {
                    db.blame_server(&attempt)
                } else {
                    Ok(())
                }
            })
        };
        if let Ok(store) = self.gateway.store().await
            && let Err(error) = store.run(job).await
        {
            tracing::error!(%error, "a charge could not be booked; its reservation stays");
        }
    }
}
