//! Letting a request through: looking at every limit and setting the money aside, in one commit.
//!
//! Owns: [`Budget`] and its [`Admission`].
//! Refuses: sending; whoever has no `Granted` in hand does not open a connection.
//! Invariant: all limits or none; a refused request leaves no trace in the store.

use jiff::tz::TimeZone;

use super::limits::tightest;
use super::{Hold, Limits, Scope, windows};
use crate::chat::id::ExchangeId;
use crate::chat::{Failure, FailureKind, ModelId, SessionId, Timestamp, Usd};
use crate::protocol::{Left, Meter};
use crate::store::{Begin, Db, Over, StoreError, Sum};

/// The user's limits and calendar.
#[derive(Debug, Clone)]
pub struct Budget {
    pub limits: Limits,
    pub zone: TimeZone,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// The money is set aside and on disk.
    Granted,
    Refused {
        scope: Scope,
        limit: Usd,
        /// What is left of it; negative when it is overdrawn.
        left: Usd,
        /// `None`: no price is known, and a limit is set.
        needed: Option<Usd>,
    },
    /// The model's server has billed more than a request allowed, and the user has not cleared that yet.
    Breached { model: ModelId, excess: Usd },
}

impl Admission {
    /// The refusal as shown to the user; `None` when granted.
    pub fn failure(&self) -> Option<Failure> {
        let (message, hint) = match self {
            Self::Granted => return None,
            Self::Refused { scope, needed: None, .. } => (
                format!("the price is unknown, and a limit per {scope} is set"),
                "give the model a price or `free = true` in [[models]]".to_owned(),
            ),
            Self::Refused { scope, limit, left, needed: Some(needed) } => (
                format!(
                    "this may cost ${}, and ${} of the ${} per {scope} is left",
                    needed.short(),
                    left.short(),
                    limit.short()
                ),
                "choose a cheaper model, ask for a shorter answer, or raise the limit".to_owned(),
            ),
            Self::Breached { model, excess } => (
                format!("{model} has billed ${} more than its requests allowed", excess.short()),
                "look at `chat-agent budget show`, then clear it with `chat-agent budget settle`".to_owned(),
            ),
        };
        Some(Failure::new(FailureKind::Budget, message).hint(hint))
    }
}

/// One line of `budget show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub scope: Scope,
    pub meter: Meter,
    /// When the window ends; `None` for scopes that are no window.
    pub resets_at: Option<Timestamp>,
}

impl Status {
    /// What is left of the limit; `None` without one.
    pub fn left(&self) -> Option<Usd> {
        self.meter.limit.map(|limit| limit - self.meter.settled - self.meter.reserved)
    }
}

impl Budget {
    /// Stores the prompt, the answer to come and the exchange, and sets the money for the first attempt aside: one
    /// commit, synced to disk. When it is refused nothing is stored.
    pub fn begin_exchange(&self, db: &Db, begin: &Begin, hold: &Hold) -> Result<Admission, StoreError> {
        if (&begin.session, &begin.exchange) != (&hold.session, &hold.exchange) {
            return Err(StoreError::Rule(format!("the hold {} belongs to another question", hold.attempt)));
        }
        db.write(|db| {
            let admission = self.reserve(db, hold)?;
            if admission == Admission::Granted {
                db.begin_exchange(begin)?;
            }
            Ok(admission)
        })
    }

    /// Sets money aside for one more attempt: a retry, a fail-over. Free ones too: they leave a charge of zero.
    pub fn reserve(&self, db: &Db, hold: &Hold) -> Result<Admission, StoreError> {
        db.write(|db| {
            let at = db.ledger_time(hold.at)?;
            if let Some(excess) = db.breach(&hold.model)? {
                return Ok(Admission::Breached { model: hold.model.clone(), excess });
            }
            for (scope, limit) in self.limits.set() {
                let sum = db.sum(over(scope, hold, at))?;
                let left = limit - sum.total();
                // Free of charge passes a limit that is used up, and even one that was overdrawn.
                if hold.amount.is_none_or(|needed| needed > Usd::ZERO && needed > left) {
                    return Ok(Admission::Refused { scope, limit, left, needed: hold.amount });
                }
            }
            db.insert_hold(hold, at, &windows(at, &self.zone))?;
            Ok(Admission::Granted)
        })
    }

    /// Spend against the limits of the session, the day and the month, and of the run when it has a limit.
    pub fn status(
        &self,
        db: &Db,
        session: Option<&SessionId>,
        run: &str,
        now: Timestamp,
    ) -> Result<Vec<Status>, StoreError> {
        let at = db.ledger_time(now)?;
        let ends = windows(at, &self.zone);
        let mut found = Vec::new();
        let mut push = |scope: Scope, sum: Sum, resets_at| {
            let Sum { settled, reserved, estimated, unknown } = sum;
            let meter = Meter { settled, reserved, limit: self.limits.of(scope), estimated, unknown };
            found.push(Status { scope, meter, resets_at });
        };
        if self.limits.per_run.is_some() {
            push(Scope::Run, db.sum(Over::Run(run))?, None);
        }
        if let Some(session) = session {
            push(Scope::Session, db.sum(Over::Session(session))?, None);
        }
        push(Scope::Day, db.sum(Over::Day(at))?, Some(ends.day_end));
        push(Scope::Month, db.sum(Over::Month(at))?, Some(ends.month_end));
        Ok(found)
    }

    /// The tightest limit and what is left of it, for a new question or for the next attempt of one under way; `None`
    /// when no limit is set.
    pub fn left(
        &self,
        db: &Db,
        session: Option<&SessionId>,
        exchange: Option<&ExchangeId>,
        run: &str,
        now: Timestamp,
    ) -> Result<Option<Left>, StoreError> {
        let standing = self.status(db, session, run, now)?;
        // A chat that has not begun and a question that was not asked have spent nothing.
        let spent = exchange.map(|id| db.sum(Over::Exchange(id))).transpose()?.map_or(Usd::ZERO, |sum| sum.total());
        let request = self.limits.per_request.map(|limit| (Scope::Request, limit - spent));
        let fresh = [session.is_none().then_some(Scope::Session)];
        let fresh = fresh.into_iter().flatten().filter_map(|scope| self.limits.of(scope).map(|limit| (scope, limit)));
        Ok(tightest(standing.iter().filter_map(|s| s.left().map(|left| (s.scope, left))).chain(fresh).chain(request)))
    }
}

fn over(scope: Scope, hold: &Hold, at: Timestamp) -> Over<'_> {
    match scope {
        Scope::Request => Over::Exchange(&hold.exchange),
        Scope::Run => Over::Run(&hold.run),
        Scope::Session => Over::Session(&hold.session),
        Scope::Day => Over::Day(at),
        Scope::Month => Over::Month(at),
    }
}
