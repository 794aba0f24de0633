//! How the limits stand: what is spent, what is left, for the panel, the report and the choice of a model.
//!
//! Owns: [`Spending`], [`ScopeStatus`] and [`LimitsSnapshot`].
//! Refuses: to let a request through; another process may reserve between the look and the reservation.
//! Invariant: what a line shows as left is what admission would have found at that moment.

use super::limits::tightest;
use super::windows::{group_windows, windows};
use super::{Budget, GroupFigures, Scope};
use crate::chat::id::ExchangeId;
use crate::chat::{ModelId, SessionId, Timestamp, Usd};
use crate::protocol::{Left, Meter, Raise};
use crate::store::{ChargeScope, Db, GroupLeases, LedgerClock, ScopeSums, StoreError, Windows};

/// One line of `budget show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScopeStatus {
    pub(crate) scope: Scope,
    /// The model, or the provider and the key's last four.
    pub(crate) of: Option<String>,
    /// Its limit has what was raised in it.
    pub(crate) meter: Meter,
    /// How many charges of unknown price are in none of the sums.
    pub(crate) unknown: u64,
    /// What the user has added to the limit.
    pub(crate) raised: Usd,
    /// When the window began and when it ends; `None` for scopes that are no window.
    pub(crate) began_at: Option<Timestamp>,
    pub(crate) resets_at: Option<Timestamp>,
}

impl ScopeStatus {
    /// What is left of the limit; `None` without one.
    pub(crate) fn left(&self) -> Option<Usd> {
        self.meter
            .limit
            .map(|limit| limit - self.meter.settled - self.meter.reserved)
    }
}

/// Where the money of a question is booked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChargePlace<'a> {
    /// `None`: a chat that has not begun.
    pub(crate) session: Option<&'a SessionId>,
    /// `None`: a question that was not asked yet.
    pub(crate) exchange: Option<&'a ExchangeId>,
    pub(crate) run: &'a str,
}

/// The limits at one moment.
#[derive(Debug, Clone)]
pub(crate) struct LimitsSnapshot {
    /// Session, day and month, the run when it has a limit, and the models and keys that have one.
    pub(crate) scopes: Vec<ScopeStatus>,
    rests: Vec<(Scope, Usd)>,
    /// Of single models.
    models: Vec<(ModelId, Scope, Usd)>,
    /// Of single keys: the provider, the key's last four.
    keys: Vec<(String, String, Scope, Usd)>,
    /// These are all keys there are.
    counts_keys: bool,
}

impl LimitsSnapshot {
    /// Where every key of a provider has a limit, the one with the most left limits its models too: a key without room
    /// is passed over when the request is made.
    #[must_use]
    pub(crate) fn counting_keys(self) -> Self {
        Self {
            counts_keys: true,
            ..self
        }
    }

    /// The tightest limit on a model and what is left of it; `None` when no limit is set. A key's limit is none of the
    /// model's, unless it is counted: which key is next is known only when the request is made.
    pub(crate) fn left(&self, model: &ModelId) -> Option<Left> {
        self.tightest(model, |_| true)
    }

    /// As [`Self::left`], for a turn of several requests: the limit on one request is over each of them alone.
    pub(crate) fn left_of_turn(&self, model: &ModelId) -> Option<Left> {
        self.tightest(model, |scope| scope != Scope::Request)
    }

    fn tightest(&self, model: &ModelId, of: impl Fn(Scope) -> bool) -> Option<Left> {
        let own = self
            .models
            .iter()
            .filter(|(id, ..)| id == model)
            .map(|(_, scope, rest)| (*scope, *rest));
        tightest(
            own.chain(self.rests.iter().copied())
                .chain(self.best_key(model))
                .filter(|(scope, _)| of(*scope)),
        )
    }

    fn best_key(&self, model: &ModelId) -> Option<(Scope, Usd)> {
        let mine = || {
            self.keys
                .iter()
                .filter(|(provider, ..)| self.counts_keys && provider == model.provider())
        };
        let of_key = |last4: &str| {
            tightest(
                mine()
                    .filter(|(_, key, ..)| key == last4)
                    .map(|(.., scope, rest)| (*scope, *rest)),
            )
        };
        let best = mine()
            .filter_map(|(_, last4, ..)| of_key(last4))
            .max_by_key(|left| left.usd)?;
        Some((best.scope, best.usd))
    }
}

pub(super) fn status(
    db: &Db,
    over: ChargeScope<'_>,
    limit: Option<Usd>,
    windows: &Windows,
) -> Result<ScopeStatus, StoreError> {
    let (sum, raised) = (ScopeSums(db).sum(over)?, ScopeSums(db).raised(over)?);
    let meter = Meter {
        settled: sum.settled,
        reserved: sum.reserved,
        limit: limit.map(|limit| limit + raised),
        estimated: sum.estimated,
        unknown: sum.unknown > 0,
    };
    let (began_at, resets_at) = over.window(windows).unzip();
    Ok(ScopeStatus {
        scope: over.scope(),
        of: over.name(),
        meter,
        unknown: sum.unknown,
        raised,
        began_at,
        resets_at,
    })
}

/// What is spent of the limits of a budget, and what is left.
pub(crate) struct Spending<'a>(pub &'a Budget);

impl Spending<'_> {
    /// The places that are reported, and their limits.
    pub(super) fn lines<'a>(
        &'a self,
        session: Option<&'a SessionId>,
        run: &'a str,
        at: Timestamp,
    ) -> Vec<(ChargeScope<'a>, Option<Usd>)> {
        let run = self
            .0
            .limits
            .per_run
            .map(|limit| (ChargeScope::Run(run), Some(limit)));
        let session = session.map(|id| (ChargeScope::Session(id), self.0.limits.per_session));
        let parts = self
            .0
            .limits
            .parts(at)
            .map(|(over, limit)| (over, Some(limit)));
        let all = [
            (ChargeScope::Day(at), self.0.limits.per_day),
            (ChargeScope::Month(at), self.0.limits.per_month),
        ];
        run.into_iter()
            .chain(session)
            .chain(all)
            .chain(parts)
            .collect()
    }

    /// Spend against the limits of the session, the day and the month, of the run when it has a limit, and of the models
    /// and keys that have one.
    pub(crate) fn status(
        &self,
        db: &Db,
        session: Option<&SessionId>,
        run: &str,
        now: Timestamp,
    ) -> Result<Vec<ScopeStatus>, StoreError> {
        let at = LedgerClock(db).ledger_time(now)?;
        let windows = windows(at, &self.0.zone);
        self.lines(session, run, at)
            .into_iter()
            .map(|(over, limit)| status(db, over, limit, &windows))
            .collect()
    }

    /// How the group's limits stand: what this machine spent is settled or reserved, and what the others have leased counts
    /// as reserved. Without a figure from Redis that is what was last heard.
    pub(crate) fn group_status(
        &self,
        db: &Db,
        figure: Option<&GroupFigures>,
        now: Timestamp,
    ) -> Result<Vec<ScopeStatus>, StoreError> {
        let at = LedgerClock(db).ledger_time(now)?;
        Ok(self
            .group_lines(db, figure, at)?
            .into_iter()
            .map(|(_, line)| line)
            .collect())
    }

    pub(super) fn group_lines(
        &self,
        db: &Db,
        figure: Option<&GroupFigures>,
        at: Timestamp,
    ) -> Result<Vec<(ChargeScope<'_>, ScopeStatus)>, StoreError> {
        let Some(group) = &self.0.limits.group else {
            return Ok(Vec::new());
        };
        let windows = group_windows(at);
        let others = match figure {
            Some(figure) => figure.others,
            None => GroupLeases(db)
                .snapshot(&group.name, &windows)?
                .others(&windows),
        };
        let both = [
            (
                ChargeScope::GroupDay(&group.name, at),
                group.limit.per_day,
                others.day,
            ),
            (
                ChargeScope::GroupMonth(&group.name, at),
                group.limit.per_month,
                others.month,
            ),
        ];
        let line = |(over, limit, others)| {
            let mut line = status(db, over, limit, &windows)?;
            line.meter.reserved += others;
            Ok((over, line))
        };
        both.into_iter().map(line).collect()
    }

    /// Redis is away: of the group's money there is what this machine has leased and not spent.
    pub(crate) fn confine(
        &self,
        db: &Db,
        standing: &mut LimitsSnapshot,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(group) = &self.0.limits.group else {
            return Ok(());
        };
        let at = LedgerClock(db).ledger_time(now)?;
        let unspent = GroupLeases(db).unspent(&group.name, at, &group_windows(at))?;
        for (scope, rest) in &mut standing.rests {
            if scope.is_group() {
                *rest = (*rest).min(unspent.day).min(unspent.month);
            }
        }
        Ok(())
    }

    /// What this machine has leased of the group's money this month, spent or not.
    pub(crate) fn leased(&self, db: &Db, now: Timestamp) -> Result<Usd, StoreError> {
        let Some(group) = &self.0.limits.group else {
            return Ok(Usd::ZERO);
        };
        Ok(GroupLeases(db)
            .leased(
                &group.name,
                &group_windows(LedgerClock(db).ledger_time(now)?),
            )?
            .month)
    }

    /// How the limits stand for a new question, or for the next attempt of one under way.
    pub(crate) fn standing(
        &self,
        db: &Db,
        place: &ChargePlace<'_>,
        raise: Option<Raise>,
        now: Timestamp,
    ) -> Result<LimitsSnapshot, StoreError> {
        let at = LedgerClock(db).ledger_time(now)?;
        let windows = windows(at, &self.0.zone);
        // Recorded with the question's first reservation, a raise is in the limit already.
        let recorded = match (raise, place.exchange) {
            (Some(raise), Some(exchange)) => ScopeSums(db).has_raised(exchange, raise.scope)?,
            _ => false,
        };
        let raise = raise.filter(|_| !recorded);
        let more = |scope| {
            raise
                .filter(|raise| raise.scope == scope)
                .map_or(Usd::ZERO, |raise| raise.by)
        };

        let (mut scopes, mut rests, mut models, mut keys) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (over, limit) in self.lines(place.session, place.run, at) {
            let line = status(db, over, limit, &windows)?;
            if let Some(left) = line.left() {
                let rest = left + more(line.scope);
                match over {
                    ChargeScope::ModelDay(id, _) | ChargeScope::ModelMonth(id, _) => {
                        models.push((id.clone(), line.scope, rest));
                    }
                    ChargeScope::KeyDay(key, _) | ChargeScope::KeyMonth(key, _) => {
                        keys.push((
                            key.provider.to_owned(),
                            key.last4.to_owned(),
                            line.scope,
                            rest,
                        ));
                    }
                    _ => rests.push((line.scope, rest)),
                }
            }
            scopes.push(line);
        }
        let group = self
            .group_lines(db, None, at)?
            .into_iter()
            .map(|(_, line)| line);
        rests.extend(group.filter_map(|line| Some((line.scope, line.left()?))));
        // A new chat and a new question have spent nothing.
        if let (None, Some(limit)) = (place.session, self.0.limits.per_session) {
            rests.push((Scope::Session, limit + more(Scope::Session)));
        }
        if let Some(limit) = self.0.limits.per_request {
            let asked = place
                .exchange
                .map(|id| status(db, ChargeScope::Exchange(id), Some(limit), &windows))
                .transpose()?;
            let left = asked.and_then(|line| line.left()).unwrap_or(limit);
            rests.push((Scope::Request, left + more(Scope::Request)));
        }
        Ok(LimitsSnapshot {
            scopes,
            rests,
            models,
            keys,
            counts_keys: false,
        })
    }
}
