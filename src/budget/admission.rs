//! Letting a request through: looking at every limit and setting the money aside, in one commit.
//!
//! Owns: [`Budget`] and its [`Admission`].
//! Refuses: sending; without `Granted` the caller opens no connection.
//! Invariant: all limits or none; a refused request leaves no trace in the store.

use jiff::tz::TimeZone;

use super::clock;
use super::windows::{group_windows, windows};
use super::{Limits, Moved, Reservation, Scope};
use crate::chat::{Failure, FailureKind, ModelId, Timestamp, Uptime, Usd};
use crate::protocol::Raise;
use crate::store::{
    Begin, ChatLog, Db, GroupLeases, Ledger, LedgerClock, ScopeSums, StoreError, Windows,
};

/// The user's limits and calendar.
#[derive(Debug, Clone)]
pub struct Budget {
    /// The limits in force.
    pub limits: Limits,
    /// The time zone in which days and months begin.
    pub zone: TimeZone,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// The money is set aside and on disk.
    Granted,
    /// A limit has too little room.
    Refused {
        /// The limit that refused.
        scope: Scope,
        /// With what was raised.
        limit: Usd,
        /// What is left of it; negative when it is overdrawn.
        left: Usd,
        /// `None`: no price is known, and a limit is set.
        needed: Option<Usd>,
    },
    /// The model's server has billed more than a request allowed, and the user has not cleared that yet.
    /// The model billed above a reservation, by `excess`, and was not cleared since.
    Breached {
        /// The model.
        model: ModelId,
        /// What it billed above the reservation.
        excess: Usd,
    },
    /// What this machine has leased of the group's budget is short by this much; more may be leased.
    /// Of the group's budget `short` US dollars must be leased first.
    Unleased {
        /// What is missing.
        short: Usd,
    },
    /// A limit over a day or a month is set, and the clock cannot be believed until the user accepts it.
    ClockMoved(Moved),
}

impl Admission {
    /// Whether another key of the same provider may be let through.
    pub(crate) fn is_of_key(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                scope: Scope::KeyDay | Scope::KeyMonth,
                ..
            }
        )
    }

    /// The refusal as shown to the user; `None` when granted.
    pub fn failure(&self) -> Option<Failure> {
        let (message, hint) = match self {
            Self::Granted => return None,
            Self::Refused {
                scope,
                needed: None,
                ..
            } => (
                format!("the price is unknown, and a limit per {scope} is set"),
                "give the model a price or `free = true` in [[models]]".to_owned(),
            ),
            Self::Refused {
                scope,
                limit,
                left,
                needed: Some(needed),
            } => (
                format!(
                    "this may cost ${}, and ${} of the ${} per {scope} is left",
                    needed.short(),
                    left.short(),
                    limit.short()
                ),
                "choose a cheaper model, ask for a shorter answer, or raise the limit".to_owned(),
            ),
            Self::Breached { model, excess } => (
                format!(
                    "{model} has billed ${} more than its requests allowed",
                    excess.short()
                ),
                "look at `chat-agent budget show`, then clear it with `chat-agent budget settle`"
                    .to_owned(),
            ),
            Self::Unleased { short } => (
                format!(
                    "${} of the group's budget would have to be leased, and no Redis is at hand",
                    short.short()
                ),
                "look at `url` under [redis]".to_owned(),
            ),
            Self::ClockMoved(moved) => (
                format!("the clock {moved}"),
                "`chat-agent budget settle clock` accepts it".to_owned(),
            ),
        };
        Some(Failure::new(FailureKind::Budget, message).hint(hint))
    }
}

impl Budget {
    /// With the days and months of UTC.
    #[cfg(test)]
    pub(crate) fn in_utc(limits: Limits) -> Self {
        Self {
            limits,
            zone: TimeZone::UTC,
        }
    }

    /// Stores the prompt, the answer to come and the exchange, and sets the money for the first attempt aside: one
    /// commit, synced to disk. When it is refused nothing is stored.
    pub fn begin_exchange(
        &self,
        db: &Db,
        begin: &Begin,
        reservation: &Reservation,
    ) -> Result<Admission, StoreError> {
        if (&begin.session, &begin.exchange) != (&reservation.session, &reservation.exchange) {
            return Err(StoreError::Rule(format!(
                "the hold {} belongs to another question",
                reservation.attempt
            )));
        }
        db.write(|db| {
            let admission = self.reserve(db, reservation)?;
            if admission == Admission::Granted {
                ChatLog(db).begin_exchange(begin)?;
            }
            Ok(admission)
        })
    }

    /// Sets money aside for one more attempt: a retry, a fail-over. Free ones too: they leave a charge of zero.
    pub fn reserve(&self, db: &Db, reservation: &Reservation) -> Result<Admission, StoreError> {
        db.write(|db| {
            let moved = clock::check_clock(db, reservation.at, reservation.uptime.as_ref())?
                .filter(|_| self.limits.any_window());
            // While the clock is in doubt no new window begins: the charge counts where the newest one does.
            let at = match (moved, LedgerClock(db).newest_charge()?) {
                (Some(_), Some(newest)) => newest,
                _ => LedgerClock(db).ledger_time(reservation.at)?,
            };
            let windows = windows(at, &self.zone);
            // A free request passes even a limit that is used up or overdrawn.
            let costs = reservation.amount.is_none_or(|needed| needed > Usd::ZERO);
            if let Some(excess) = Ledger(db).breach(&reservation.model)? {
                return Ok(Admission::Breached {
                    model: reservation.model.clone(),
                    excess,
                });
            }
            if let Some(moved) = moved
                && costs
                && (self.limits.group.is_some()
                    || self
                        .limits
                        .on(reservation, at)
                        .any(|(over, _)| over.window(&windows).is_some()))
            {
                return Ok(Admission::ClockMoved(moved));
            }
            if costs && let Some(refused) = self.refusal(db, reservation, at, &windows)? {
                return Ok(refused);
            }
            if costs && let Some(group) = &self.limits.group {
                GroupLeases(db).count_in_group(
                    &reservation.attempt,
                    &group.name,
                    &group_windows(at),
                )?;
            }
            Ledger(db).insert_reservation(reservation, at, &windows)?;
            // Only the user can accept a clock that has moved.
            if let Some(uptime) = reservation.uptime.as_ref().filter(|_| moved.is_none()) {
                LedgerClock(db).remember_clock(reservation.at, uptime)?;
            }
            Ok(Admission::Granted)
        })
    }

    /// Why something that costs money may not be sent. When it may, what the user raises for it is recorded.
    fn refusal(
        &self,
        db: &Db,
        reservation: &Reservation,
        at: Timestamp,
        windows: &Windows,
    ) -> Result<Option<Admission>, StoreError> {
        let raise = new_raise(db, reservation)?;
        let mut raised = None;
        for (over, limit) in self.limits.on(reservation, at) {
            let scope = over.scope();
            let more = raise.filter(|raise| raise.scope == scope);
            let limit =
                limit + ScopeSums(db).raised(over)? + more.map_or(Usd::ZERO, |raise| raise.by);
            let left = limit - ScopeSums(db).sum(over)?.total();
            if reservation.amount.is_none_or(|needed| needed > left) {
                return Ok(Some(Admission::Refused {
                    scope,
                    limit,
                    left,
                    needed: reservation.amount,
                }));
            }
            raised = more.map(|raise| (over, raise)).or(raised);
        }
        if let Some(refused) = self.beyond_lease(db, reservation, at)? {
            return Ok(Some(refused));
        }
        if let Some((over, Raise { by, .. })) = raised {
            ScopeSums(db).insert_raise(over, windows, &reservation.exchange, by, at)?;
        }
        Ok(None)
    }

    /// Why what this machine has leased of the group's money is not enough.
    fn beyond_lease(
        &self,
        db: &Db,
        reservation: &Reservation,
        at: Timestamp,
    ) -> Result<Option<Admission>, StoreError> {
        let Some(group) = &self.limits.group else {
            return Ok(None);
        };
        let unspent = GroupLeases(db).unspent(&group.name, at, &group_windows(at))?;
        let left = unspent.day.min(unspent.month);
        let Some(needed) = reservation.amount else {
            let scope = if group.limit.per_day.is_some() {
                Scope::GroupDay
            } else {
                Scope::GroupMonth
            };
            let limit = group
                .limit
                .per_day
                .or(group.limit.per_month)
                .unwrap_or_default();
            return Ok(Some(Admission::Refused {
                scope,
                limit,
                left,
                needed: None,
            }));
        };
        Ok((needed > left).then(|| Admission::Unleased {
            short: needed - left,
        }))
    }

    /// The user says that the clock is right. Returns how many charges lie ahead of it; they count in the day and the
    /// month of now as well as in their own.
    pub(crate) fn settle_clock(
        &self,
        db: &Db,
        now: Timestamp,
        uptime: Option<&Uptime>,
    ) -> Result<usize, StoreError> {
        LedgerClock(db).settle_clock(now, &windows(now, &self.zone), uptime)
    }
}

/// The raise that comes with a question, unless an earlier attempt has recorded it.
fn new_raise(db: &Db, reservation: &Reservation) -> Result<Option<Raise>, StoreError> {
    match reservation.raise {
        Some(raise)
            if raise.by > Usd::ZERO
                && !ScopeSums(db).has_raised(&reservation.exchange, raise.scope)? =>
        {
            Ok(Some(raise))
        }
        _ => Ok(None),
    }
}
