//! Any order of reserving, settling, releasing and dying, against a model that keeps every charge in a list.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::chat::id::AttemptId;
use crate::chat::{Cost, CostKind, ModelId, Timestamp};
use crate::protocol::Raise;
use crate::store::tests::{NOON, folder, reservation, settlement};
use crate::store::{Corrections, Db, Ledger, check};

const HOUR: i64 = 3_600_000;
const CENT: i128 = 10_000_000_000;

/// A question on its way, in small numbers.
#[derive(Debug, Clone, Copy)]
struct Ask {
    session: u8,
    exchange: u8,
    run: u8,
    model: u8,
    key: u8,
    cents: u8,
    /// Raises one of the limits by so many cents.
    raise: Option<(Scope, u8)>,
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(Ask),
    /// Close one of the open charges at this share (in 255ths) of its reservation.
    Settle(Index, u8),
    /// Close it although no usage came.
    SettleUnknown(Index),
    Release(Index),
    /// The user puts right one that was closed so, at this share of its reservation.
    Correct(Index, u8),
    /// The process dies; another one opens the store.
    Crash,
    /// The clock moves by so many hours, sometimes backwards.
    Clock(i8),
    /// The user accepts the clock.
    SettleClock,
}

fn step() -> impl Strategy<Value = Step> {
    let raise = prop::option::weighted(0.15, (prop::sample::select(Scope::ALL.to_vec()), 0..60u8));
    let reserve = ((0..3u8, 0..4u8, 0..2u8), (0..2u8, 0..2u8), 0..60u8, raise).prop_map(
        |((session, exchange, run), (model, key), cents, raise)| {
            Step::Reserve(Ask {
                session,
                exchange,
                run,
                model,
                key,
                cents,
                raise,
            })
        },
    );
    prop_oneof![
        6 => reserve,
        2 => (any::<Index>(), any::<u8>()).prop_map(|(pick, share)| Step::Settle(pick, share)),
        1 => any::<Index>().prop_map(Step::SettleUnknown),
        1 => any::<Index>().prop_map(Step::Release),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(pick, share)| Step::Correct(pick, share)),
        1 => Just(Step::Crash),
        3 => (-40..50i8).prop_map(Step::Clock),
        1 => Just(Step::SettleClock),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |top: i128| {
        prop::option::weighted(
            0.6,
            (0..=top).prop_map(|cents| Usd::from_pico(cents * CENT)),
        )
    };
    let part =
        (limit(150), limit(300)).prop_map(|(per_day, per_month)| DayMonth { per_day, per_month });
    let all = (limit(100), limit(150), limit(150), limit(200), limit(400));
    (all, part.clone(), part).prop_map(
        |((per_request, per_run, per_session, per_day, per_month), of_model, of_key)| {
            let models = [(ModelId::new("openai", "0"), of_model)].into();
            let keys = Vec::new();
            let mut limits = Limits {
                per_request,
                per_run,
                per_session,
                per_day,
                per_month,
                models,
                keys,
                group: None,
            };
            limits.limit_key("openai", "0".to_owned(), of_key);
            limits
        },
    )
}

/// Where a charge counts: over what, whose, and in which day or month.
type ChargePlace = (Scope, String, i64);

/// A charge as the model sees it.
struct Charge {
    id: AttemptId,
    ask: Ask,
    at: i64,
    /// The user has accepted a clock that is behind it.
    ahead: bool,
    places: Vec<ChargePlace>,
    reserved: Usd,
    counts: Usd,
    open: bool,
    /// Closed without a last word.
    uncertain: bool,
}

impl Charge {
    fn close(&mut self, counts: Usd) {
        self.open = false;
        self.counts = counts;
    }
}

#[derive(Default)]
struct Model {
    charges: Vec<Charge>,
    /// What was raised, by question and scope.
    raises: BTreeMap<(String, Scope), (ChargePlace, Usd)>,
    /// Places in which a charge counts that was taken under a wrong clock.
    carried: BTreeSet<ChargePlace>,
}

impl Model {
    fn spent(&self) -> BTreeMap<&ChargePlace, Usd> {
        let mut sums = BTreeMap::new();
        for charge in &self.charges {
            for place in &charge.places {
                *sums.entry(place).or_insert(Usd::ZERO) += charge.counts;
            }
        }
        sums
    }

    fn raised(&self, place: &ChargePlace) -> Usd {
        self.raises
            .values()
            .filter(|(at, _)| at == place)
            .map(|(_, by)| *by)
            .sum()
    }

    /// The latest time at which anything was granted.
    fn newest(&self) -> Option<i64> {
        self.charges
            .iter()
            .filter(|charge| !charge.ahead)
            .map(|charge| charge.at)
            .max()
    }

    fn open(&mut self, pick: Index) -> Option<&mut Charge> {
        let mut open: Vec<_> = self
            .charges
            .iter_mut()
            .filter(|charge| charge.open)
            .collect();
        if open.is_empty() {
            None
        } else {
            Some(open.swap_remove(pick.index(open.len())))
        }
    }

    fn settle_clock(&mut self, now: i64) {
        for charge in self
            .charges
            .iter_mut()
            .filter(|charge| !charge.ahead && charge.at > now)
        {
            charge.ahead = true;
            for place in places(charge.ask, now) {
                // A window that had begun by then has it already.
                let own = charge
                    .places
                    .iter()
                    .find(|own| own.0 == place.0)
                    .map(|own| own.2);
                if own.is_some_and(|own| own > place.2) {
                    self.carried.insert(place.clone());
                    charge.places.push(place);
                }
            }
        }
    }
}

/// Days and months by arithmetic of its own: days are counted from 22 November 2026, and these begin a month.
fn places(ask: Ask, at: i64) -> Vec<ChargePlace> {
    let day = at.div_euclid(24 * HOUR) - NOON.0.div_euclid(24 * HOUR);
    let firsts = [-82, -52, -21, 9, 40, 71, 99, 130, 160, 191, 221];
    let month = i64::try_from(firsts.into_iter().filter(|first| *first <= day).count()).unwrap();
    vec![
        (
            Scope::Request,
            format!("{}/{}", ask.session, ask.exchange),
            0,
        ),
        (Scope::Run, ask.run.to_string(), 0),
        (Scope::Session, ask.session.to_string(), 0),
        (Scope::KeyDay, ask.key.to_string(), day),
        (Scope::KeyMonth, ask.key.to_string(), month),
        (Scope::ModelDay, ask.model.to_string(), day),
        (Scope::ModelMonth, ask.model.to_string(), month),
        (Scope::Day, String::new(), day),
        (Scope::Month, String::new(), month),
    ]
}

fn limit(limits: &Limits, (scope, name, _): &ChargePlace) -> Option<Usd> {
    let of_model = limits.models.get(&ModelId::new("openai", name.as_str()));
    let of_key = limits.keys.iter().find(|key| key.last4 == *name);
    match scope {
        Scope::ModelDay => of_model?.per_day,
        Scope::ModelMonth => of_model?.per_month,
        Scope::KeyDay => of_key?.limit.per_day,
        Scope::KeyMonth => of_key?.limit.per_month,
        scope => limits.of(*scope),
    }
}

struct Play {
    data: tempfile::TempDir,
    budget: Budget,
    db: Db,
    model: Model,
    now: i64,
}

impl Play {
    fn new(limits: Limits) -> Self {
        let data = folder();
        let db = Db::open(data.path()).unwrap();
        Self {
            data,
            budget: budget(limits),
            db,
            model: Model::default(),
            now: NOON.0,
        }
    }

    fn take(&mut self, n: usize, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Reserve(ask) => self.reserve(n, ask)?,
            Step::Settle(pick, share) => {
                if let Some(charge) = self.model.open(pick) {
                    let cost = charge
                        .reserved
                        .in_proportion(Usd::from_pico(share.into()), Usd::from_pico(255));
                    Ledger(&self.db)
                        .settle(&charge.id, &settlement(Cost::new(cost, CostKind::Exact)))
                        .unwrap();
                    charge.close(cost);
                }
            }
            Step::SettleUnknown(pick) => {
                if let Some(charge) = self.model.open(pick) {
                    Ledger(&self.db)
                        .settle(&charge.id, &settlement(Cost::UNKNOWN))
                        .unwrap();
                    charge.close(charge.reserved);
                    charge.uncertain = charge.reserved > Usd::ZERO;
                }
            }
            Step::Correct(pick, share) => {
                let mut all: Vec<_> = self
                    .model
                    .charges
                    .iter_mut()
                    .filter(|charge| charge.uncertain)
                    .collect();
                if !all.is_empty() {
                    let charge = all.swap_remove(pick.index(all.len()));
                    let cost = charge
                        .reserved
                        .in_proportion(Usd::from_pico(share.into()), Usd::from_pico(255));
                    Corrections(&self.db)
                        .correct(&charge.id, Some(cost), Timestamp(self.now))
                        .unwrap();
                    charge.close(cost);
                    charge.uncertain = false;
                }
            }
            Step::Release(pick) => {
                if let Some(charge) = self.model.open(pick) {
                    Ledger(&self.db)
                        .release(&charge.id, "429", Timestamp(self.now))
                        .unwrap();
                    charge.close(Usd::ZERO);
                }
            }
            Step::Crash => self.db = Db::open(self.data.path()).unwrap(),
            Step::Clock(hours) => self.now += i64::from(hours) * HOUR,
            Step::SettleClock => {
                self.budget
                    .settle_clock(&self.db, Timestamp(self.now), None)
                    .unwrap();
                self.model.settle_clock(self.now);
            }
        }
        Ok(())
    }

    fn reserve(&mut self, n: usize, ask: Ask) -> Result<(), TestCaseError> {
        let amount = Usd::from_pico(i128::from(ask.cents) * CENT);
        let newest = self.model.newest();
        let at = newest.map_or(self.now, |newest| newest.max(self.now));
        let exchange = format!("{}/{}", ask.session, ask.exchange);
        let places = places(ask, at);
        let raise = ask.raise.map(|(scope, cents)| Raise {
            scope,
            by: Usd::from_pico(i128::from(cents) * CENT),
        });
        let fresh = raise.filter(|raise| {
            raise.by > Usd::ZERO
                && !self
                    .model
                    .raises
                    .contains_key(&(exchange.clone(), raise.scope))
        });
        let limits = &self.budget.limits;
        let spent = self.model.spent();
        let fits = places.iter().all(|place| {
            let more = fresh
                .filter(|raise| raise.scope == place.0)
                .map_or(Usd::ZERO, |raise| raise.by);
            let spent = spent.get(place).copied().unwrap_or_default();
            limit(limits, place)
                .is_none_or(|limit| spent + amount <= limit + self.model.raised(place) + more)
        });
        // A window limit needs a clock that can be believed.
        let no_window = [Scope::Request, Scope::Run, Scope::Session];
        let windows = places
            .iter()
            .any(|place| !no_window.contains(&place.0) && limit(limits, place).is_some());
        let astray = newest.is_some_and(|newest| self.now < newest - 24 * HOUR) && windows;
        let expected = ask.cents == 0 || fits && !astray;

        let mut held = reservation(
            &ask.session.to_string(),
            &exchange,
            &n.to_string(),
            Some(amount),
            Timestamp(self.now),
        );
        held.run = ask.run.to_string();
        held.model = ModelId::new("openai", ask.model.to_string());
        held.key_last4 = ask.key.to_string();
        held.raise = raise;
        let admission = self.budget.reserve(&self.db, &held).unwrap();
        prop_assert_eq!(
            admission == Admission::Granted,
            expected,
            "step {}: {:?}",
            n,
            admission
        );
        if expected {
            let place = fresh.and_then(|raise| places.iter().find(|place| place.0 == raise.scope));
            if let (Some(raise), Some(place), true) = (fresh, place, ask.cents > 0)
                && limit(limits, place).is_some()
            {
                self.model
                    .raises
                    .insert((exchange, raise.scope), (place.clone(), raise.by));
            }
            let (reserved, counts) = (amount, amount);
            let id = held.attempt;
            self.model.charges.push(Charge {
                id,
                ask,
                at,
                ahead: false,
                places,
                reserved,
                counts,
                open: true,
                uncertain: false,
            });
        }
        Ok(())
    }

    fn check(&self, n: usize) -> Result<(), TestCaseError> {
        for (place, spent) in self.model.spent() {
            let most =
                limit(&self.budget.limits, place).map(|limit| limit + self.model.raised(place));
            let carried = self.model.carried.contains(place);
            prop_assert!(
                carried || most.is_none_or(|most| spent <= most),
                "step {n}: {place:?}: {spent} of {most:?}"
            );
        }
        for status in Spending(&self.budget)
            .status(&self.db, None, "0", Timestamp(self.now))
            .unwrap()
        {
            let left = status.left();
            let sound = !self.model.carried.is_empty() || left.is_none_or(|left| left >= Usd::ZERO);
            prop_assert!(sound, "step {n}: {}: {left:?}", status.scope);
        }
        let open = self
            .model
            .charges
            .iter()
            .filter(|charge| charge.open)
            .count();
        prop_assert_eq!(
            Ledger(&self.db).open_items().unwrap().len(),
            open,
            "step {}",
            n
        );
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_order_of_events_gets_past_a_limit(limits in limits(), steps in prop::collection::vec(step(), 1..60)) {
        let mut play = Play::new(limits);
        for (n, step) in steps.into_iter().enumerate() {
            play.take(n, &step)?;
            play.check(n)?;
        }
        check(&play.db).unwrap();
    }
}
