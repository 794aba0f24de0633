//! Limits that the user raises once.

use super::*;
use crate::chat::id::{AttemptId, ExchangeId};
use crate::chat::{ModelId, Timestamp};
use crate::protocol::Raise;
use crate::store::tests::{NOON, exact, folder, model, reservation, session};
use crate::store::{ChargeScope, Db, Ledger, ScopeSums, StoreError, check};

const DAY: i64 = 86_400_000;

/// A reservation for a question that raises this limit.
fn raising(name: &str, amount: &str, scope: Scope, by: &str) -> Reservation {
    let raise = Some(Raise { scope, by: usd(by) });
    Reservation {
        raise,
        ..reservation("c", name, name, Some(usd(amount)), NOON)
    }
}

#[test]
fn a_raise_is_kept_in_the_place_it_was_made_for() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let plain = |name: &str, amount: &str| reservation("c", name, name, Some(usd(amount)), NOON);
    assert_eq!(
        budget.reserve(&db, &plain("1", "0.90")),
        Ok(Admission::Granted)
    );
    assert!(matches!(
        budget.reserve(&db, &plain("2", "0.30")),
        Ok(Admission::Refused { .. })
    ));
    let refused = budget
        .reserve(&db, &raising("2", "0.50", Scope::Day, "0.30"))
        .unwrap();
    let short = Admission::Refused {
        scope: Scope::Day,
        limit: usd("1.30"),
        left: usd("0.40"),
        needed: Some(usd("0.50")),
    };
    assert_eq!(
        refused, short,
        "a raise that does not suffice raises nothing"
    );
    assert_eq!(
        ScopeSums(&db).raised(ChargeScope::Day(NOON)).unwrap(),
        Usd::ZERO
    );

    assert_eq!(
        budget.reserve(&db, &raising("2", "0.30", Scope::Day, "0.30")),
        Ok(Admission::Granted)
    );
    let line = Spending(&budget)
        .status(&db, None, "run", NOON)
        .unwrap()
        .remove(0);
    assert_eq!(
        (line.scope, line.raised, line.meter.limit),
        (Scope::Day, usd("0.30"), Some(usd("1.30")))
    );
    assert_eq!(
        line.left(),
        Some(usd("0.10")),
        "settled + reserved <= limit + raised"
    );
    // Another attempt of the same question does not raise it again.
    let again = Reservation {
        attempt: AttemptId::from_text("2b"),
        ..raising("2", "0.30", Scope::Day, "0.30")
    };
    assert!(matches!(
        budget.reserve(&db, &again),
        Ok(Admission::Refused { .. })
    ));
    // What the question did not need stays in that day, and the next day has its own limit.
    Ledger(&db)
        .settle(&AttemptId::from_text("2"), &exact("0.10"))
        .unwrap();
    assert_eq!(
        budget.reserve(&db, &plain("3", "0.30")),
        Ok(Admission::Granted)
    );
    let tomorrow = |name: &str, amount: &str| {
        reservation("c", name, name, Some(usd(amount)), Timestamp(NOON.0 + DAY))
    };
    assert!(matches!(
        budget.reserve(&db, &tomorrow("4", "1.01")),
        Ok(Admission::Refused { .. })
    ));
    assert_eq!(
        budget.reserve(&db, &tomorrow("4", "1")),
        Ok(Admission::Granted)
    );
    check(&db).unwrap();
}

#[test]
fn a_raise_holds_for_its_scope_only() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let mut budget = per_day("1");
    budget.limits.per_session = Some(usd("0.50"));
    let refused = budget
        .reserve(&db, &raising("1", "0.80", Scope::Day, "5"))
        .unwrap();
    assert!(
        matches!(
            refused,
            Admission::Refused {
                scope: Scope::Session,
                ..
            }
        ),
        "{refused:?}"
    );
    // No limit, nothing to raise; nothing raised by nothing; and free of charge needs no raise.
    for (name, amount, scope, by) in [
        ("2", "0.01", Scope::Month, "5"),
        ("3", "0.01", Scope::Day, "0"),
        ("4", "0", Scope::Day, "5"),
    ] {
        assert_eq!(
            budget.reserve(&db, &raising(name, amount, scope, by)),
            Ok(Admission::Granted)
        );
        assert!(
            !ScopeSums(&db)
                .has_raised(&ExchangeId::from_text(name), scope)
                .unwrap(),
            "{name}"
        );
    }
    let below = budget
        .reserve(&db, &raising("5", "0.01", Scope::Day, "-1"))
        .unwrap();
    assert_eq!(
        (
            below,
            ScopeSums(&db).raised(ChargeScope::Day(NOON)).unwrap()
        ),
        (Admission::Granted, Usd::ZERO),
        "a raise never lowers"
    );
    let beyond = raising("6", "0.01", Scope::Day, "99999999");
    assert_eq!(budget.reserve(&db, &beyond), Err(StoreError::Money));
}

#[test]
fn every_limit_can_be_raised_by_name() {
    let of_group = [Scope::GroupDay, Scope::GroupMonth];
    // One machine cannot raise a group's limit.
    for scope in Scope::ALL
        .into_iter()
        .filter(|scope| !of_group.contains(scope))
    {
        let data = folder();
        let db = Db::open(data.path()).unwrap();
        let cap = Some(usd("0.10"));
        let both = DayMonth {
            per_day: cap,
            per_month: cap,
        };
        let mut limits = Limits {
            per_request: cap,
            per_run: cap,
            per_session: cap,
            per_day: cap,
            per_month: cap,
            models: [(model(), both)].into(),
            keys: Vec::new(),
            group: None,
        };
        limits.limit_key("openai", "f3a1".to_owned(), both);
        let set = |limits: &Limits, name: &str| {
            let refused = budget(limits.clone())
                .reserve(&db, &raising(name, "0.15", scope, "0.05"))
                .unwrap();
            let Admission::Refused { scope: found, .. } = refused else {
                panic!("{scope}: {refused:?}")
            };
            found
        };
        assert_ne!(set(&limits, "1"), scope, "the others still refuse");
        // With all the others out of the way it fits.
        let only = |own: Scope, limit| if own == scope { limit } else { None };
        let part = |day, month| DayMonth {
            per_day: only(day, cap),
            per_month: only(month, cap),
        };
        limits.per_request = only(Scope::Request, cap);
        limits.per_run = only(Scope::Run, cap);
        limits.per_session = only(Scope::Session, cap);
        limits.per_day = only(Scope::Day, cap);
        limits.per_month = only(Scope::Month, cap);
        limits.models = [(model(), part(Scope::ModelDay, Scope::ModelMonth))].into();
        limits.keys[0].limit = part(Scope::KeyDay, Scope::KeyMonth);
        let budget = budget(limits);
        assert_eq!(
            budget.reserve(&db, &raising("1", "0.15", scope, "0.05")),
            Ok(Admission::Granted),
            "{scope}"
        );
        let more = Reservation {
            attempt: AttemptId::from_text("2"),
            ..reservation("c", "1", "2", Some(usd("0.01")), NOON)
        };
        assert!(
            matches!(budget.reserve(&db, &more), Ok(Admission::Refused { .. })),
            "{scope}"
        );
    }
}

#[test]
fn a_plan_sees_a_raise_once() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let mut budget = per_day("1");
    budget.limits.models = [(
        model(),
        DayMonth {
            per_day: Some(usd("0.80")),
            per_month: None,
        },
    )]
    .into();
    let chat = session("c");
    let left = |exchange: Option<&ExchangeId>, raise| {
        let place = ChargePlace {
            session: Some(&chat),
            exchange,
            run: "run",
        };
        let standing = Spending(&budget)
            .standing(&db, &place, raise, NOON)
            .unwrap();
        let of = |id: &ModelId| standing.left(id).map(|left| (left.scope, left.usd));
        (
            of(&model()).unwrap(),
            of(&ModelId::new("openai", "gpt-5")).unwrap(),
        )
    };
    let raise = |scope| {
        Some(Raise {
            scope,
            by: usd("0.50"),
        })
    };
    let is = |own: (Scope, &str), other: &str| ((own.0, usd(own.1)), (Scope::Day, usd(other)));
    assert_eq!(left(None, None), is((Scope::ModelDay, "0.80"), "1"));
    assert_eq!(
        left(None, raise(Scope::Day)),
        is((Scope::ModelDay, "0.80"), "1.50")
    );
    assert_eq!(
        left(None, raise(Scope::ModelDay)),
        is((Scope::Day, "1"), "1")
    );
    let question = ExchangeId::from_text("1");
    assert_eq!(
        budget.reserve(&db, &raising("1", "0.20", Scope::Day, "0.50")),
        Ok(Admission::Granted)
    );
    assert_eq!(
        left(Some(&question), raise(Scope::Day)),
        is((Scope::ModelDay, "0.60"), "1.30"),
        "it is in the limit now"
    );
}
