//! The money of one exchange: reserved before the first byte, settled or released afterwards.
//!
//! Owns: the reservation of each attempt from its admission to its booking, and the rows of the exchange beside it.
//! Refuses: to judge what an attempt has cost (`settle` does).
//! Invariant: nothing is sent without a reservation on disk; a booking that fails leaves the reservation charged in full.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::budget::{Admission, Budget, Grant, GroupBudget, NoLease};
use crate::chat::id::{AttemptId, ExchangeId};
use crate::chat::{Clock, Cost, Failure, FailureKind, Finish, Random, Timestamp, Usd};
use crate::gateway::ask::Ask;
use crate::gateway::ask::steps;
use crate::gateway::money::cancellable_write::{interrupted, unless_stopped, write_unless_stopped};
use crate::gateway::money::rows;
use crate::gateway::plan::planned::Planned;
use crate::protocol::AnswerFacts;
use crate::store::{
    Begin, ChatLog, Corrections, Db, Ending, ExchangeLog, Ledger, Reservation, ServerHealth,
    Settlement, Store, StoreError,
};

/// How often a lease is asked for one attempt: another process of this machine may use up what was leased.
const LEASES: usize = 3;

/// What the user reads when the store fails between sending and settling: the reservation is on disk and still counts.
const NOT_BOOKED: &str =
    "this answer and its price could not be stored, so its whole reservation stays charged";

/// What all ledgers work with.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct AccountParts<'g> {
    pub(in crate::gateway) store: &'g Store,
    /// The budget as it is now: it learns the limits of keys as they are read.
    pub(in crate::gateway) budget: &'g (dyn Fn() -> Budget + Send + Sync),
    pub(in crate::gateway) group: Option<&'g GroupBudget>,
    pub(in crate::gateway) run: &'g str,
    pub(in crate::gateway) clock: &'g Clock,
    pub(in crate::gateway) random: &'g Random,
    pub(in crate::gateway) stop: &'g CancellationToken,
}

/// The money and the rows of one exchange.
pub(in crate::gateway) struct ExchangeAccount<'g> {
    parts: AccountParts<'g>,
    exchange: ExchangeId,
    /// The prompt, the answer and the exchange have their rows.
    begun: bool,
}

/// A reservation that is not settled yet. It is consumed by exactly one of [`ExchangeAccount::release`],
/// [`ExchangeAccount::book_in_full`] and [`ExchangeAccount::settle`].
#[must_use = "it is charged in full until it is released or settled"]
pub(in crate::gateway) struct OpenCharge(Reservation);

/// A reservation, and whether it was the exchange's first write.
pub(in crate::gateway) struct Reserved {
    pub(in crate::gateway) charge: OpenCharge,
    pub(in crate::gateway) begun_now: bool,
}

/// Why nothing was reserved.
pub(in crate::gateway) struct ReserveError {
    pub(in crate::gateway) failure: Failure,
    /// The limit of the key is in the way: another key may do.
    pub(in crate::gateway) of_key: bool,
    /// A cheaper model may fit. It does not help when a clock is wrong or Redis is away.
    pub(in crate::gateway) cheaper_may_fit: bool,
}

/// What is written when an answer is settled.
pub(in crate::gateway) struct SettledAnswer {
    pub(in crate::gateway) facts: AnswerFacts,
    /// The raw count of the input.
    pub(in crate::gateway) counted_input: u64,
    /// The words that are not stored yet.
    pub(in crate::gateway) text: String,
    pub(in crate::gateway) reasoning: String,
    pub(in crate::gateway) failure: Option<Failure>,
    /// `ok`, or what went wrong in a few words.
    pub(in crate::gateway) outcome: String,
    /// The server has said what it used.
    pub(in crate::gateway) last_word: bool,
}

/// What was booked for an answer.
pub(in crate::gateway) struct BookedAnswer {
    /// The cost of this exchange.
    pub(in crate::gateway) cost: Cost,
    /// The facts of the whole turn.
    pub(in crate::gateway) facts: AnswerFacts,
    /// Billed above the reservation.
    pub(in crate::gateway) excess: Usd,
}

impl From<Failure> for ReserveError {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            of_key: false,
            cheaper_may_fit: true,
        }
    }
}

impl OpenCharge {
    /// The most it may cost; `None` when no price is known.
    pub(in crate::gateway) fn reserved(&self) -> Option<Usd> {
        self.0.amount
    }

    pub(in crate::gateway) fn reserved_at(&self) -> Timestamp {
        self.0.at
    }
}

impl<'g> ExchangeAccount<'g> {
    pub(in crate::gateway) fn new(parts: AccountParts<'g>, exchange: ExchangeId) -> Self {
        Self {
            parts,
            exchange,
            begun: false,
        }
    }

    /// Reserves the worst case of the plan's first rung on disk; the first time together with the prompt. A stop is
    /// answered at once, and then nothing is reserved, now or later.
    pub(in crate::gateway) async fn reserve(
        &mut self,
        ask: &Ask,
        planned: &Planned,
        key_last4: String,
    ) -> Result<Reserved, ReserveError> {
        let reservation = self.worst_case(ask, planned, key_last4);
        let begin = (!self.begun).then(|| rows::begin(ask, &self.exchange, planned, self.now()));
        let begun_now = begin.is_some();
        let mut admission = self.admit(begin.clone(), &reservation, None).await?;
        for _ in 0..LEASES {
            let Admission::Unleased { short } = admission else {
                break;
            };
            let Some(grant) = self.lease(short, &reservation).await? else {
                break;
            };
            admission = self.admit(begin.clone(), &reservation, Some(grant)).await?;
        }
        if let Some(failure) = admission.failure() {
            return Err(ReserveError {
                failure,
                of_key: admission.is_of_key(),
                cheaper_may_fit: !matches!(
                    admission,
                    Admission::ClockMoved(_) | Admission::Unleased { .. }
                ),
            });
        }
        debug_assert_eq!(admission, Admission::Granted);
        if let Some(group) = self.parts.group {
            group.touched(reservation.amount.unwrap_or_default());
        }
        self.begun = true;
        Ok(Reserved {
            charge: OpenCharge(reservation),
            begun_now,
        })
    }

    fn worst_case(&self, ask: &Ask, planned: &Planned, key_last4: String) -> Reservation {
        let rung = &planned.plan.first;
        let price = planned
            .model(&rung.model)
            .and_then(|model| model.price.as_ref());
        Reservation {
            attempt: AttemptId::from_bits(self.parts.random.bits()),
            exchange: self.exchange.clone(),
            session: ask.session.clone(),
            run: self.parts.run.to_owned(),
            model: rung.model.clone(),
            provider: rung.model.provider().to_owned(),
            key_last4,
            amount: if price.is_some_and(|price| price.free) {
                Some(Usd::ZERO)
            } else {
                rung.estimate.worst_usd
            },
            price: serde_json::to_value(price).unwrap_or_default(),
            raise: ask.raise,
            at: self.now(),
            uptime: self.parts.clock.uptime(),
        }
    }

    /// One commit: the grant, the reservation, and the first time the prompt.
    async fn admit(
        &self,
        begin: Option<Begin>,
        reservation: &Reservation,
        grant: Option<Grant>,
    ) -> Result<Admission, Failure> {
        let (budget, reservation) = ((self.parts.budget)(), reservation.clone());
        let job = move |db: &Db| {
            if let Some(grant) = &grant {
                grant.record(db)?;
            }
            match &begin {
                Some(begin) => budget.begin_exchange(db, begin, &reservation),
                None => budget.reserve(db, &reservation),
            }
        };
        let admitted = write_unless_stopped(self.parts.stop, self.parts.store, job)
            .await
            .map_err(|error| {
                let why = format!(
                    "nothing was sent, for its price could not be recorded: {}",
                    error.cause()
                );
                Failure::new(FailureKind::Storage, why).hint(error.hint())
            })?;
        admitted.ok_or_else(interrupted)
    }

    /// Leases what is missing of the group's budget; `None`: there is no group.
    async fn lease(
        &self,
        short: Usd,
        reservation: &Reservation,
    ) -> Result<Option<Grant>, ReserveError> {
        let Some(group) = self.parts.group else {
            return Ok(None);
        };
        let needed = reservation.amount.unwrap_or_default();
        group.touched(needed);
        let lease = group.lease(self.parts.store, short, needed, self.now());
        // A lease that is dropped half-way leases nothing, see `GroupBudget::lease`.
        match unless_stopped(self.parts.stop, lease).await? {
            Ok(grant) => Ok(Some(grant)),
            Err(none) => Err(ReserveError {
                failure: none.failure(),
                of_key: false,
                // A cheaper model may fit what is left of the limit, or of what is leased.
                cheaper_may_fit: matches!(none, NoLease::Full { .. } | NoLease::Away(_)),
            }),
        }
    }

    /// Gives the reservation back: nothing was sent. `blame`: the server failed, which is noted on its model.
    pub(in crate::gateway) async fn release(&self, charge: OpenCharge, reason: &str, blame: bool) {
        let (attempt, reason, at) = (charge.0.attempt, reason.to_owned(), self.now());
        self.close(attempt, blame, move |db, attempt| {
            Ledger(db).release(attempt, &reason, at)
        })
        .await;
    }

    /// Books the whole reservation: the request may have arrived, and its price is unknown.
    pub(in crate::gateway) async fn book_in_full(
        &self,
        charge: OpenCharge,
        outcome: &str,
        blame: bool,
    ) {
        let settlement = Settlement {
            cost: Cost::UNKNOWN,
            usage: None,
            last_word: false,
            tier: None,
            outcome: outcome.to_owned(),
            at: self.now(),
        };
        self.close(charge.0.attempt, blame, move |db, attempt| {
            Corrections(db).book(attempt, &settlement).map(drop)
        })
        .await;
    }

    /// A booking that fails leaves the reservation charged in full, which is the safe side.
    async fn close(
        &self,
        attempt: AttemptId,
        blame: bool,
        book: impl FnOnce(&Db, &AttemptId) -> Result<(), StoreError> + Send + 'static,
    ) {
        let job = move |db: &mut Db| {
            db.write(|db| {
                book(db, &attempt)?;
                if blame {
                    ServerHealth(db).blame_server(&attempt)
                } else {
                    Ok(())
                }
            })
        };
        if let Err(error) = self.parts.store.run(job).await {
            tracing::error!(%error, "a charge could not be booked; its reservation stays");
        }
    }

    /// Settles an answer: its last words, its facts, the charge and the end of the exchange in one commit.
    pub(in crate::gateway) async fn settle(
        &self,
        charge: OpenCharge,
        ask: &Ask,
        settled: SettledAnswer,
    ) -> Result<BookedAnswer, Failure> {
        let SettledAnswer {
            mut facts,
            counted_input,
            text,
            reasoning,
            failure,
            outcome,
            last_word,
        } = settled;
        let ending = match facts.finish {
            Some(Finish::Cut | Finish::Interrupted) | None => Ending::Cut,
            Some(_) => Ending::Complete,
        };
        let settlement = Settlement {
            cost: facts.cost,
            usage: Some(facts.usage),
            last_word,
            tier: facts.service_tier.clone(),
            outcome,
            at: self.now(),
        };
        // What breaks an answer after its first piece is the server, or the way to it.
        let blame = failure.is_some();
        let done = rows::outcome(&facts, counted_input, failure, self.now());
        let (answer, exchange, attempt) =
            (ask.answer.clone(), self.exchange.clone(), charge.0.attempt);
        let (step, answers) = (ask.step.clone(), ask.answers());
        let job = move |db: &mut Db| {
            db.write(|db| {
                let booked = Corrections(db).book(&attempt, &settlement)?;
                facts.cost = booked.cost;
                let whole = steps::whole(step.as_ref(), db, &answer, facts)?;
                let words = |db: &Db| {
                    if !(text.is_empty() && reasoning.is_empty()) {
                        ChatLog(db).append_answer(&answer, &text, &reasoning)?;
                    }
                    ChatLog(db).finish_answer(&answer, ending, Some(&whole))
                };
                match if answers { db.write(words) } else { Ok(()) } {
                    // The chat was deleted meanwhile; what it cost is booked all the same.
                    Err(StoreError::NotStreaming(_)) => {}
                    stored => stored?,
                }
                ExchangeLog(db).finish_exchange(&exchange, &done)?;
                if blame {
                    ServerHealth(db).blame_server(&attempt)?;
                }
                Ok(BookedAnswer {
                    cost: booked.cost,
                    facts: whole,
                    excess: booked.breach,
                })
            })
        };
        self.parts.store.run(job).await.map_err(|error| {
            let why = format!("{NOT_BOOKED}: {}", error.cause());
            Failure::new(FailureKind::Storage, why).hint(error.hint())
        })
    }

    /// Stores an answer from the cache like any other, at no cost. Gives the facts of the whole turn, and whether this
    /// was the exchange's first write. A stop is answered at once, and then nothing is stored.
    pub(in crate::gateway) async fn store_cached(
        &mut self,
        ask: &Ask,
        planned: &Planned,
        facts: AnswerFacts,
        text: String,
        reasoning: String,
    ) -> Result<(AnswerFacts, bool), Failure> {
        let begin = (!self.begun).then(|| rows::begin(ask, &self.exchange, planned, self.now()));
        let begun_now = begin.is_some();
        let counted = planned.input(&planned.plan.first.model).tokens;
        let outcome = rows::outcome(&facts, counted, None, self.now());
        let (answer, id, step) = (ask.answer.clone(), self.exchange.clone(), ask.step.clone());
        let answers = ask.answers();
        let record = move |db: &Db| {
            if let Some(begin) = &begin {
                ChatLog(db).begin_exchange(begin)?;
            }
            let facts = steps::whole(step.as_ref(), db, &answer, facts)?;
            if answers {
                ChatLog(db).append_answer(&answer, &text, &reasoning)?;
                ChatLog(db).finish_answer(&answer, Ending::Complete, Some(&facts))?;
            }
            ExchangeLog(db).finish_exchange(&id, &outcome)?;
            Ok(facts)
        };
        let facts = write_unless_stopped(self.parts.stop, self.parts.store, record)
            .await?
            .ok_or_else(interrupted)?;
        self.begun = true;
        Ok((facts, begun_now))
    }

    /// Records that the exchange failed without an answer, if it has rows.
    pub(in crate::gateway) async fn record_failure(
        &self,
        ask: &Ask,
        failure: &Failure,
        total: Duration,
    ) {
        if !self.begun {
            return;
        }
        let outcome = rows::failed(failure, total, self.now());
        let (answer, id) = (ask.answer.clone(), self.exchange.clone());
        // The answer of a turn that takes several requests is closed by the agent.
        let alone = ask.step.is_none();
        let record = move |db: &mut Db| {
            db.write(|db| {
                if alone {
                    ChatLog(db).finish_answer(&answer, Ending::Failed, None)?;
                }
                ExchangeLog(db).finish_exchange(&id, &outcome)
            })
        };
        if let Err(error) = self.parts.store.run(record).await {
            tracing::error!(%error, "a failed exchange could not be recorded");
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}
