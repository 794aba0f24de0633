//! The limits, and which of them is the tightest.
//!
//! Owns: [`Limits`].
//! Refuses: to sum charges.
//! Invariant: no limit is no limit, and a limit of zero lets only free requests through.

use std::collections::BTreeMap;

use crate::chat::{ModelId, Scope, Timestamp, Usd};
use crate::protocol::Left;
use crate::store::{ChargeScope, KeyName, Reservation};

/// The limits in force; `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// For one question with all its attempts.
    pub per_request: Option<Usd>,
    /// For this run of the program (`--max-usd`).
    pub per_run: Option<Usd>,
    /// For one chat.
    pub per_session: Option<Usd>,
    /// For a calendar day.
    pub per_day: Option<Usd>,
    /// For a calendar month.
    pub per_month: Option<Usd>,
    /// Of single models, by their full names.
    pub models: BTreeMap<ModelId, DayMonth>,
    /// Of single keys, as far as they have been read; see [`Self::limit_key`].
    pub keys: Vec<KeyLimit>,
    /// Of the group of machines that this one belongs to; spent from leases, see [`super::GroupBudget`].
    pub group: Option<GroupLimit>,
}

/// What may be spent in a day and in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DayMonth {
    /// For a calendar day.
    pub per_day: Option<Usd>,
    /// For a calendar month.
    pub per_month: Option<Usd>,
}

/// What a group of machines may spend together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLimit {
    /// The name of the group, the same on every machine.
    pub name: String,
    /// What the group may spend, in days and months of UTC.
    pub limit: DayMonth,
}

/// The limits of a key, by the name that the ledger has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLimit {
    pub(crate) provider: String,
    /// As it is shown: `…` and four characters.
    pub(crate) last4: String,
    pub(crate) limit: DayMonth,
}

impl KeyLimit {
    pub(super) fn key(&self) -> KeyName<'_> {
        KeyName {
            provider: &self.provider,
            last4: &self.last4,
        }
    }
}

impl Limits {
    /// The limit of a scope that there is one of; models and keys have theirs by name.
    #[cfg(test)]
    pub(crate) fn of(&self, scope: Scope) -> Option<Usd> {
        match scope {
            Scope::Request => self.per_request,
            Scope::Run => self.per_run,
            Scope::Session => self.per_session,
            Scope::Day => self.per_day,
            Scope::Month => self.per_month,
            Scope::KeyDay | Scope::KeyMonth | Scope::ModelDay | Scope::ModelMonth => None,
            Scope::GroupDay => self.group.as_ref()?.limit.per_day,
            Scope::GroupMonth => self.group.as_ref()?.limit.per_month,
        }
    }

    /// Whether anything is limited over a day or a month.
    pub(super) fn any_window(&self) -> bool {
        let own = self.per_day.is_some() || self.per_month.is_some();
        own || !self.models.is_empty() || !self.keys.is_empty() || self.group.is_some()
    }

    /// Puts a limit on a key. Keys that the ledger cannot tell apart share the lower one.
    pub(crate) fn limit_key(&mut self, provider: &str, last4: String, limit: DayMonth) {
        let lower = |a: Option<Usd>, b: Option<Usd>| a.into_iter().chain(b).min();
        match self
            .keys
            .iter_mut()
            .find(|known| known.provider == provider && known.last4 == last4)
        {
            Some(known) => {
                known.limit.per_day = lower(known.limit.per_day, limit.per_day);
                known.limit.per_month = lower(known.limit.per_month, limit.per_month);
            }
            None => self.keys.push(KeyLimit {
                provider: provider.to_owned(),
                last4,
                limit,
            }),
        }
    }

    /// The limits that are set on this request, narrowest scope first, with the places that they are over.
    pub(super) fn on<'a>(
        &'a self,
        reservation: &'a Reservation,
        at: Timestamp,
    ) -> impl Iterator<Item = (ChargeScope<'a>, Usd)> {
        let key = KeyName {
            provider: &reservation.provider,
            last4: &reservation.key_last4,
        };
        let of_key = self
            .keys
            .iter()
            .find(|limit| limit.key() == key)
            .map(|limit| limit.limit)
            .unwrap_or_default();
        let of_model = self
            .models
            .get(&reservation.model)
            .copied()
            .unwrap_or_default();
        let all = [
            (
                ChargeScope::Exchange(&reservation.exchange),
                self.per_request,
            ),
            (ChargeScope::Run(&reservation.run), self.per_run),
            (ChargeScope::Session(&reservation.session), self.per_session),
            (ChargeScope::KeyDay(key, at), of_key.per_day),
            (ChargeScope::KeyMonth(key, at), of_key.per_month),
            (
                ChargeScope::ModelDay(&reservation.model, at),
                of_model.per_day,
            ),
            (
                ChargeScope::ModelMonth(&reservation.model, at),
                of_model.per_month,
            ),
            (ChargeScope::Day(at), self.per_day),
            (ChargeScope::Month(at), self.per_month),
        ];
        all.into_iter()
            .filter_map(|(over, limit)| Some((over, limit?)))
    }

    /// The limits of single models and keys that are set, with their places.
    pub(super) fn parts(&self, at: Timestamp) -> impl Iterator<Item = (ChargeScope<'_>, Usd)> {
        let keys = self.keys.iter().flat_map(move |key| {
            let (name, limit) = (key.key(), key.limit);
            [
                (ChargeScope::KeyDay(name, at), limit.per_day),
                (ChargeScope::KeyMonth(name, at), limit.per_month),
            ]
        });
        let models = self.models.iter().flat_map(move |(model, limit)| {
            [
                (ChargeScope::ModelDay(model, at), limit.per_day),
                (ChargeScope::ModelMonth(model, at), limit.per_month),
            ]
        });
        keys.chain(models)
            .filter_map(|(over, limit)| Some((over, limit?)))
    }
}

/// The scope with the least left, for the receipt and for deriving output caps. A scope that is overdrawn has a
/// negative rest. On a tie the narrower scope is named.
pub(super) fn tightest(rests: impl IntoIterator<Item = (Scope, Usd)>) -> Option<Left> {
    let (scope, usd) = rests
        .into_iter()
        .min_by_key(|(scope, rest)| (*rest, *scope))?;
    Some(Left { scope, usd })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_scope_is_the_one_with_the_least_left() {
        let rest = |scope, pico| (scope, Usd::from_pico(pico));
        assert_eq!(tightest([]), None);
        let found = tightest([
            rest(Scope::Day, 5),
            rest(Scope::Session, 5),
            rest(Scope::Month, 9),
        ]);
        assert_eq!(
            found,
            Some(Left {
                scope: Scope::Session,
                usd: Usd::from_pico(5)
            })
        );
        let found = tightest([rest(Scope::Day, -1), rest(Scope::Session, 0)]);
        assert_eq!(
            found,
            Some(Left {
                scope: Scope::Day,
                usd: Usd::from_pico(-1)
            })
        );
    }
}
