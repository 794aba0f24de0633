//! Any order of reserving, settling, releasing and dying, against a model that keeps every charge in a list.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::chat::id::AttemptId;
use crate::chat::{Cost, CostKind, Timestamp};
use crate::store::Db;
use crate::store::tests::{NOON, folder, hold, settlement};

const HOUR: i64 = 3_600_000;
const CENT: i128 = 10_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        session: u8,
        exchange: u8,
        run: u8,
        cents: u8,
    },
    /// Close one of the open charges at this share (in 255ths) of its reservation.
    Settle(Index, u8),
    /// Close it although no usage came.
    SettleUnknown(Index),
    Release(Index),
    /// The process dies; another one opens the store.
    Crash,
    /// The clock moves by so many hours, sometimes backwards.
    Clock(i8),
}

fn step() -> impl Strategy<Value = Step> {
    let reserve = (0..3u8, 0..4u8, 0..2u8, 0..60u8).prop_map(|(session, exchange, run, cents)| Step::Reserve {
        session,
        exchange,
        run,
        cents,
    });
    prop_oneof![
        6 => reserve,
        2 => (any::<Index>(), any::<u8>()).prop_map(|(pick, share)| Step::Settle(pick, share)),
        1 => any::<Index>().prop_map(Step::SettleUnknown),
        1 => any::<Index>().prop_map(Step::Release),
        1 => Just(Step::Crash),
        3 => (-40..50i8).prop_map(Step::Clock),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = |top: i128| prop::option::weighted(0.7, (0..=top).prop_map(|cents| Usd::from_pico(cents * CENT)));
    (limit(100), limit(150), limit(150), limit(200), limit(400)).prop_map(
        |(per_request, per_run, per_session, per_day, per_month)| Limits {
            per_request,
            per_run,
            per_session,
            per_day,
            per_month,
        },
    )
}

/// Where a charge counts.
type Place = (Scope, String);

/// A charge as the model sees it.
struct Charge {
    id: AttemptId,
    places: Vec<Place>,
    reserved: Usd,
    counts: Usd,
    open: bool,
}

impl Charge {
    fn close(&mut self, counts: Usd) {
        self.open = false;
        self.counts = counts;
    }
}

struct Model {
    charges: Vec<Charge>,
    /// The latest time at which anything was granted.
    newest: i64,
}

impl Model {
    fn spent(&self) -> BTreeMap<&Place, Usd> {
        let mut sums = BTreeMap::new();
        for charge in &self.charges {
            for place in &charge.places {
                *sums.entry(place).or_insert(Usd::ZERO) += charge.counts;
            }
        }
        sums
    }

    /// Days and months by arithmetic of its own: days are counted from 22 November 2026, and these begin a month.
    fn places(&self, session: u8, exchange: u8, run: u8, now: i64) -> Vec<Place> {
        let day = now.max(self.newest).div_euclid(24 * HOUR) - NOON.0.div_euclid(24 * HOUR);
        let month = [-21, 9, 40, 71, 99].into_iter().filter(|first| *first <= day).count();
        vec![
            (Scope::Request, format!("{session}/{exchange}")),
            (Scope::Run, run.to_string()),
            (Scope::Session, session.to_string()),
            (Scope::Day, day.to_string()),
            (Scope::Month, month.to_string()),
        ]
    }

    fn open(&mut self, pick: Index) -> Option<&mut Charge> {
        let mut open: Vec<_> = self.charges.iter_mut().filter(|charge| charge.open).collect();
        if open.is_empty() { None } else { Some(open.swap_remove(pick.index(open.len()))) }
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
        let model = Model { charges: vec![], newest: i64::MIN };
        Self { data, budget: budget(limits), db, model, now: NOON.0 }
    }

    fn take(&mut self, n: usize, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Reserve { session, exchange, run, cents } => self.reserve(n, session, exchange, run, cents)?,
            Step::Settle(pick, share) => {
                if let Some(charge) = self.model.open(pick) {
                    let cost = charge.reserved.scaled_up(u32::from(share), 255);
                    self.db.settle(&charge.id, &settlement(Cost::new(cost, CostKind::Exact))).unwrap();
                    charge.close(cost);
                }
            }
            Step::SettleUnknown(pick) => {
                if let Some(charge) = self.model.open(pick) {
                    self.db.settle(&charge.id, &settlement(Cost::UNKNOWN)).unwrap();
                    charge.close(charge.reserved);
                }
            }
            Step::Release(pick) => {
                if let Some(charge) = self.model.open(pick) {
                    self.db.release(&charge.id, "429", Timestamp(self.now)).unwrap();
                    charge.close(Usd::ZERO);
                }
            }
            Step::Crash => self.db = Db::open(self.data.path()).unwrap(),
            Step::Clock(hours) => self.now += i64::from(hours) * HOUR,
        }
        Ok(())
    }

    fn reserve(&mut self, n: usize, session: u8, exchange: u8, run: u8, cents: u8) -> Result<(), TestCaseError> {
        let amount = Usd::from_pico(i128::from(cents) * CENT);
        let places = self.model.places(session, exchange, run, self.now);
        let spent = self.model.spent();
        let fits = cents == 0
            || places.iter().all(|place| {
                let spent = spent.get(place).copied().unwrap_or_default();
                self.budget.limits.of(place.0).is_none_or(|limit| spent + amount <= limit)
            });
        let exchange = format!("{session}/{exchange}");
        let mut held = hold(&session.to_string(), &exchange, &n.to_string(), Some(amount), Timestamp(self.now));
        held.run = run.to_string();
        let granted = self.budget.reserve(&self.db, &held).unwrap() == Admission::Granted;
        prop_assert_eq!(granted, fits, "step {}", n);
        if granted {
            self.model.newest = self.model.newest.max(self.now);
            self.model.charges.push(Charge { id: held.attempt, places, reserved: amount, counts: amount, open: true });
        }
        Ok(())
    }

    fn check(&self, n: usize) -> Result<(), TestCaseError> {
        for ((scope, place), spent) in self.model.spent() {
            let limit = self.budget.limits.of(*scope);
            prop_assert!(limit.is_none_or(|limit| spent <= limit), "step {n}: {scope} {place}: {spent} of {limit:?}");
        }
        for status in self.budget.status(&self.db, None, "0", Timestamp(self.now)).unwrap() {
            let left = status.left();
            prop_assert!(left.is_none_or(|left| left >= Usd::ZERO), "step {n}: {}: {left:?}", status.scope);
        }
        let open = self.model.charges.iter().filter(|charge| charge.open).count();
        prop_assert_eq!(self.db.open_items().unwrap().len(), open, "step {}", n);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_order_of_events_gets_past_a_limit(limits in limits(), steps in prop::collection::vec(step(), 1..50)) {
        let mut play = Play::new(limits);
        for (n, step) in steps.into_iter().enumerate() {
            play.take(n, &step)?;
            play.check(n)?;
        }
        play.db.check().unwrap();
    }
}
