//! Letting a request through: looking at every limit and setting the money aside, in one commit.
//!
//! Owns: [`Budget`] and its [`Admission`].
//! Refuses: sending; whoever has no `Granted` in hand does not open a connection.
//! Invariant: all limits or none; a refused request leaves no trace in the store.

use jiff::tz::TimeZone;

use super::{Hold, Limits, Moved, Scope, shared, windows};
use crate::chat::{Failure, FailureKind, ModelId, Timestamp, Usd};
use crate::protocol::Raise;
use crate::store::{Begin, Db, StoreError, Windows};

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
        /// With what was raised.
        limit: Usd,
        /// What is left of it; negative when it is overdrawn.
        left: Usd,
        /// `None`: no price is known, and a limit is set.
        needed: Option<Usd>,
    },
    /// The model's server has billed more than a request allowed, and the user has not cleared that yet.
    Breached { model: ModelId, excess: Usd },
    /// The group's limit is not the matter yet: what this machine has leased of it is short by this much.
    Unleased { short: Usd },
    /// A limit over a day or a month is set, and the clock cannot be believed until the user accepts it.
    ClockMoved(Moved),
}

impl Admission {
    /// Whether another key of the same provider may be let through.
    pub fn is_of_key(&self) -> bool {
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
        hold: &Hold,
    ) -> Result<Admission, StoreError> {
        if (&begin.session, &begin.exchange) != (&hold.session, &hold.exchange) {
            return Err(StoreError::Rule(format!(
                "the hold {} belongs to another question",
                hold.attempt
            )));
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
            let moved = self
                .clock(db, hold.at, hold.uptime.as_ref())?
                .filter(|_| self.limits.any_window());
            // What passes under a clock in doubt begins no window: it counts where the newest charge does.
            let at = match (moved, db.newest_charge()?) {
                (Some(_), Some(newest)) => newest,
                _ => db.ledger_time(hold.at)?,
            };
            let windows = windows(at, &self.zone);
            // Free of charge passes a limit that is used up, and even one that was overdrawn.
            let costs = hold.amount.is_none_or(|needed| needed > Usd::ZERO);
            if let Some(excess) = db.breach(&hold.model)? {
                return Ok(Admission::Breached {
                    model: hold.model.clone(),
                    excess,
                });
            }
            if let Some(moved) = moved
                && costs
                && (self.limits.group.is_some()
                    || self
                        .limits
                        .on(hold, at)
                        .any(|(over, _)| over.window(&windows).is_some()))
            {
                return Ok(Admission::ClockMoved(moved));
            }
            if costs && let Some(refused) = self.refusal(db, hold, at, &windows)? {
                return Ok(refused);
            }
            if costs && let Some(group) = &self.limits.group {
                db.count_in_group(&hold.attempt, &group.name, &shared::windows(at))?;
            }
            db.insert_hold(hold, at, &windows)?;
            // A clock is accepted by the user's word only.
            if let Some(uptime) = hold.uptime.as_ref().filter(|_| moved.is_none()) {
                db.remember_clock(hold.at, uptime)?;
            }
            Ok(Admission::Granted)
        })
    }

    /// Why something that costs money may not be sent. When it may, what the user raises for it is recorded.
    fn refusal(
        &self,
        db: &Db,
        hold: &Hold,
        at: Timestamp,
        windows: &Windows,
    ) -> Result<Option<Admission>, StoreError> {
        let raise = new_raise(db, hold)?;
        let mut raised = None;
        for (over, limit) in self.limits.on(hold, at) {
            let scope = over.scope();
            let more = raise.filter(|raise| raise.scope == scope);
            let limit = limit + db.raised(over)? + more.map_or(Usd::ZERO, |raise| raise.by);
            let left = limit - db.sum(over)?.total();
            if hold.amount.is_none_or(|needed| needed > left) {
                return Ok(Some(Admission::Refused {
                    scope,
                    limit,
                    left,
                    needed: hold.amount,
                }));
            }
            raised = more.map(|raise| (over, raise)).or(raised);
        }
        if let Some(refused) = self.beyond_lease(db, hold, at)? {
            return Ok(Some(refused));
        }
        if let Some((over, Raise { by, .. })) = raised {
            db.insert_raise(over, windows, &hold.exchange, by, at)?;
        }
        Ok(None)
    }
}

impl Budget {
    /// Why the group's money that lies on this machine is not enough.
    fn beyond_lease(
        &self,
        db: &Db,
        hold: &Hold,
        at: Timestamp,
    ) -> Result<Option<Admission>, StoreError> {
        let Some(group) = &self.limits.group else {
            return Ok(None);
        };
        let unspent = db.unspent(&group.name, at, &shared::windows(at))?;
        let left = unspent.day.min(unspent.month);
        let Some(needed) = hold.amount else {
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
}

/// The raise that comes with a question, unless an earlier attempt has recorded it.
fn new_raise(db: &Db, hold: &Hold) -> Result<Option<Raise>, StoreError> {
    match hold.raise {
        Some(raise) if raise.by > Usd::ZERO && !db.has_raised(&hold.exchange, raise.scope)? => {
            Ok(Some(raise))
        }
        _ => Ok(None),
    }
}
