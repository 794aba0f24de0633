//! Who is let through.

use super::*;
use crate::chat::id::AttemptId;
use crate::chat::{Cost, FailureKind, ModelId, Timestamp};
use crate::store::tests::{
    NOON, begin, exact, folder, message, model, reservation, session, settlement,
};
use crate::store::{ChargeScope, ChatLog, Db, Ledger, ScopeSums, Store, StoreError};

fn attempt(name: &str) -> AttemptId {
    AttemptId::from_text(name)
}

#[test]
fn each_scope_refuses_by_itself() {
    let cap = Some(usd("0.10"));
    let none = Limits::default;
    let per = |per_day, per_month| DayMonth { per_day, per_month };
    let on_model = |limit| Limits {
        models: [(model(), limit)].into(),
        ..none()
    };
    let on_key = |limit| {
        let mut limits = none();
        limits.limit_key("openai", "f3a1".to_owned(), limit);
        limits
    };
    for (scope, limits) in [
        (
            Scope::Request,
            Limits {
                per_request: cap,
                ..none()
            },
        ),
        (
            Scope::Run,
            Limits {
                per_run: cap,
                ..none()
            },
        ),
        (
            Scope::Session,
            Limits {
                per_session: cap,
                ..none()
            },
        ),
        (Scope::KeyDay, on_key(per(cap, None))),
        (Scope::KeyMonth, on_key(per(None, cap))),
        (Scope::ModelDay, on_model(per(cap, None))),
        (Scope::ModelMonth, on_model(per(None, cap))),
        (
            Scope::Day,
            Limits {
                per_day: cap,
                ..none()
            },
        ),
        (
            Scope::Month,
            Limits {
                per_month: cap,
                ..none()
            },
        ),
    ] {
        let data = folder();
        let db = Db::open(data.path()).unwrap();
        let budget = budget(limits);
        let first = reservation("c", "x", "1", Some(usd("0.06")), NOON);
        assert_eq!(
            budget.reserve(&db, &first),
            Ok(Admission::Granted),
            "{scope}"
        );
        let second = reservation("c", "x", "2", Some(usd("0.05")), NOON);
        let refused = Admission::Refused {
            scope,
            limit: usd("0.10"),
            left: usd("0.04"),
            needed: Some(usd("0.05")),
        };
        assert_eq!(budget.reserve(&db, &second), Ok(refused.clone()), "{scope}");
        let failure = refused.failure().unwrap();
        assert_eq!(failure.kind, FailureKind::Budget);
        assert!(failure.message.contains(scope.as_str()), "{failure}");
        let fits = reservation("c", "x", "3", Some(usd("0.04")), NOON);
        assert_eq!(
            budget.reserve(&db, &fits),
            Ok(Admission::Granted),
            "{scope}: to the last cent"
        );
        // What lies outside the scope is not held against it.
        let mut outside = reservation(
            "d",
            "y",
            "4",
            Some(usd("0.10")),
            Timestamp(NOON.0 + 40 * 86_400_000),
        );
        outside.run = "another".to_owned();
        assert_eq!(
            budget.reserve(&db, &outside),
            Ok(Admission::Granted),
            "{scope}"
        );
    }
}

#[test]
fn a_limit_on_one_model_or_key_leaves_the_others_alone() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let dime = DayMonth {
        per_day: Some(usd("0.10")),
        per_month: None,
    };
    let mut budget = budget(Limits {
        models: [(model(), dime)].into(),
        ..Limits::default()
    });
    budget.limits.limit_key("openai", "f3a1".to_owned(), dime);
    // Two entries for one key: the lower limit holds.
    budget.limits.limit_key(
        "openai",
        "f3a1".to_owned(),
        DayMonth {
            per_day: Some(usd("0.20")),
            per_month: None,
        },
    );
    let held = |name: &str, model: &str, provider: &str, key: &str| Reservation {
        model: ModelId::new("openai", model),
        provider: provider.to_owned(),
        key_last4: key.to_owned(),
        ..reservation("c", name, name, Some(usd("0.10")), NOON)
    };
    for (name, reservation, refused) in [
        ("the first", held("1", "gpt-5-mini", "openai", "f3a1"), None),
        (
            "the key has nothing left",
            held("2", "gpt-5", "openai", "f3a1"),
            Some(Scope::KeyDay),
        ),
        (
            "nor has the model",
            held("3", "gpt-5-mini", "openai", "9999"),
            Some(Scope::ModelDay),
        ),
        (
            "another model by another key",
            held("4", "gpt-5", "openai", "9999"),
            None,
        ),
        (
            "a key of another provider that ends alike",
            held("5", "gpt-5", "groq", "f3a1"),
            None,
        ),
    ] {
        let found = budget.reserve(&db, &reservation).unwrap();
        let scope = match found {
            Admission::Refused { scope, .. } => Some(scope),
            _ => None,
        };
        assert_eq!(scope, refused, "{name}: {found:?}");
        assert_eq!(found.is_of_key(), refused == Some(Scope::KeyDay), "{name}");
    }
    let lines = Spending(&budget).status(&db, None, "run", NOON).unwrap();
    let shown: Vec<_> = lines[2..]
        .iter()
        .map(|s| (s.scope, s.of.as_deref().unwrap(), s.left().unwrap()))
        .collect();
    let nothing = Usd::ZERO;
    assert_eq!(
        shown,
        [
            (Scope::KeyDay, "openai f3a1", nothing),
            (Scope::ModelDay, "openai/gpt-5-mini", nothing)
        ],
        "and the report says so"
    );
    let place = ChargePlace {
        session: None,
        exchange: None,
        run: "run",
    };
    let standing = Spending(&budget).standing(&db, &place, None, NOON).unwrap();
    assert_eq!(standing.left(&model()).unwrap().scope, Scope::ModelDay);
    assert_eq!(standing.left(&ModelId::new("openai", "gpt-5")), None);
}

#[test]
fn a_refused_question_leaves_no_trace() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("0.10");
    let question = begin("c", "x", None, "hi");
    let dear = reservation("c", "x", "1", Some(usd("0.11")), NOON);
    assert!(matches!(
        budget.begin_exchange(&db, &question, &dear),
        Ok(Admission::Refused { .. })
    ));
    assert!(ChatLog(&db).chat(&session("c")).is_err());
    assert_eq!(Ledger(&db).open_items().unwrap(), []);

    let fits = reservation("c", "x", "1", Some(usd("0.10")), NOON);
    assert_eq!(
        budget.begin_exchange(&db, &question, &fits),
        Ok(Admission::Granted)
    );
    assert_eq!(ChatLog(&db).chat(&session("c")).unwrap().messages.len(), 2);
    let astray = reservation("c", "another", "2", Some(usd("0")), NOON);
    assert!(matches!(
        budget.begin_exchange(&db, &question, &astray),
        Err(StoreError::Rule(_))
    ));
    // A question that cannot be stored holds no money.
    let twice = reservation("c", "x", "2", Some(usd("0")), NOON);
    assert!(matches!(
        budget.begin_exchange(&db, &question, &twice),
        Err(StoreError::Rule(_))
    ));
    assert_eq!(Ledger(&db).open_items().unwrap().len(), 1);
}

#[test]
fn unknown_is_not_zero_and_zero_is_not_refused() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let unknown = reservation("c", "x", "1", None, NOON);
    let refused = per_day("5").reserve(&db, &unknown).unwrap();
    assert!(
        matches!(
            refused,
            Admission::Refused {
                scope: Scope::Day,
                needed: None,
                ..
            }
        ),
        "{refused:?}"
    );
    assert_eq!(
        budget(Limits::default()).reserve(&db, &unknown),
        Ok(Admission::Granted),
        "no limit, no question"
    );
    let free = |name: &str| reservation("c", "x", name, Some(Usd::ZERO), NOON);
    assert_eq!(
        per_day("0").reserve(&db, &free("2")),
        Ok(Admission::Granted)
    );
    Ledger(&db)
        .settle(&attempt("2"), &settlement(Cost::FREE))
        .unwrap();
    // Lowering a limit below what is spent gives nothing back and stops only what costs money.
    assert_eq!(
        per_day("1").reserve(&db, &reservation("c", "x", "3", Some(usd("1")), NOON)),
        Ok(Admission::Granted)
    );
    let refused = per_day("0.5")
        .reserve(&db, &reservation("c", "x", "4", Some(usd("0.01")), NOON))
        .unwrap();
    assert!(
        matches!(refused, Admission::Refused { left, .. } if left == usd("-0.5")),
        "{refused:?}"
    );
    assert_eq!(
        per_day("0.5").reserve(&db, &free("5")),
        Ok(Admission::Granted)
    );
}

#[test]
fn a_model_that_billed_too_much_is_refused_until_it_is_cleared() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = budget(Limits::default());
    let first = reservation("c", "x", "1", Some(usd("0.10")), NOON);
    assert_eq!(budget.reserve(&db, &first), Ok(Admission::Granted));
    Ledger(&db).settle(&attempt("1"), &exact("0.30")).unwrap();
    let next = reservation("c", "x", "2", Some(usd("0.10")), NOON);
    let refused = budget.reserve(&db, &next).unwrap();
    assert_eq!(
        refused,
        Admission::Breached {
            model: model(),
            excess: usd("0.20")
        }
    );
    assert!(
        refused
            .failure()
            .unwrap()
            .message
            .contains("openai/gpt-5-mini has billed $0.20 more")
    );
    let other = reservation("c", "x", "3", Some(usd("0.10")), NOON);
    let other = Reservation {
        model: ModelId::new("openai", "gpt-5"),
        ..other
    };
    assert_eq!(budget.reserve(&db, &other), Ok(Admission::Granted));
    Ledger(&db).clear_breach(&model()).unwrap();
    assert_eq!(budget.reserve(&db, &next), Ok(Admission::Granted));
}

#[test]
fn meters_show_what_is_settled_and_what_is_held() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let mut budget = per_day("5");
    budget.limits.per_session = Some(usd("1"));
    let nowhere = ChargePlace {
        session: None,
        exchange: None,
        run: "run",
    };
    let fresh = Spending(&budget)
        .standing(&db, &nowhere, None, NOON)
        .unwrap();
    assert_eq!(fresh.left(&model()).unwrap().usd, usd("1"));
    for (name, chat) in [("1", "c"), ("2", "c"), ("3", "d")] {
        let held = reservation(chat, name, name, Some(usd("0.40")), NOON);
        assert_eq!(budget.reserve(&db, &held), Ok(Admission::Granted));
    }
    Ledger(&db)
        .settle(&attempt("1"), &settlement(Cost::UNKNOWN))
        .unwrap();
    let status = Spending(&budget)
        .status(&db, Some(&session("c")), "run", NOON)
        .unwrap();
    let shown: Vec<_> = status
        .iter()
        .map(|s| (s.scope, s.meter.settled, s.meter.reserved, s.left()))
        .collect();
    let line = |scope, settled, reserved, left: Option<&str>| {
        (scope, usd(settled), usd(reserved), left.map(usd))
    };
    assert_eq!(
        shown,
        [
            line(Scope::Session, "0.40", "0.40", Some("0.20")),
            line(Scope::Day, "0.40", "0.80", Some("3.80")),
            line(Scope::Month, "0.40", "0.80", None),
        ]
    );
    assert!(status.iter().all(|s| s.meter.estimated && !s.meter.unknown));
    assert_eq!(status[1].resets_at, Some(Timestamp(NOON.0 + 43_200_000)));
    let left = |budget: &Budget, chat: Option<&str>| {
        let chat = chat.map(session);
        let standing = Spending(budget)
            .standing(
                &db,
                &ChargePlace {
                    session: chat.as_ref(),
                    ..nowhere
                },
                None,
                NOON,
            )
            .unwrap();
        standing.left(&model()).map(|left| (left.scope, left.usd))
    };
    let is = |scope: Scope, amount| Some((scope, usd(amount)));
    assert_eq!(left(&budget, Some("c")), is(Scope::Session, "0.20"));
    budget.limits.per_request = Some(usd("0.10"));
    assert_eq!(left(&budget, Some("c")), is(Scope::Request, "0.10"));
    budget.limits.per_run = Some(usd("1.21"));
    assert_eq!(left(&budget, None), is(Scope::Run, "0.01"));
    budget.limits = Limits::default();
    assert_eq!(left(&budget, Some("c")), None);
}

/// On a slow disk the other threads may keep the store locked for longer than the timeout; then nothing was written.
fn patient<T>(attempt: impl Fn() -> Result<T, StoreError>) -> T {
    loop {
        match attempt() {
            Err(StoreError::Locked) => {}
            done => return done.unwrap(),
        }
    }
}

#[test]
fn eight_connections_share_room_for_exactly_five_hundred() {
    let data = folder();
    let budget = per_day("50");
    let tries = |worker: usize| {
        let store = patient(|| Store::open(data.path()));
        let granted = (0..200).filter(|n| {
            let name = format!("{worker}-{n}");
            let held = reservation("c", &name, &name, Some(usd("0.10")), NOON);
            let reserve = || {
                let (budget, held) = (budget.clone(), held.clone());
                store.run_blocking(move |db| budget.reserve(db, &held))
            };
            patient(reserve) == Admission::Granted
        });
        granted.count()
    };
    let granted: usize = std::thread::scope(|scope| {
        let tries = &tries;
        let workers: Vec<_> = (0..8)
            .map(|worker| scope.spawn(move || tries(worker)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(granted, 500);
    let db = Db::open(data.path()).unwrap();
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().reserved,
        usd("50")
    );
}

#[test]
fn a_reservation_outlives_its_process_at_its_maximum() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("0.10");
    let held = reservation("c", "x", "1", Some(usd("0.08")), NOON);
    assert_eq!(
        budget.begin_exchange(&db, &begin("c", "x", None, "hi"), &held),
        Ok(Admission::Granted)
    );
    ChatLog(&db)
        .append_answer(&message("x-a"), "he", "")
        .unwrap();
    drop(db);
    let db = Db::open(data.path()).unwrap();
    let next = reservation("c", "x", "2", Some(usd("0.03")), NOON);
    assert!(matches!(
        budget.reserve(&db, &next),
        Ok(Admission::Refused { .. })
    ));
    assert_eq!(Ledger(&db).open_items().unwrap()[0].usd, Some(usd("0.08")));
    // The user has looked at the provider's bill.
    Ledger(&db).settle(&attempt("1"), &exact("0.02")).unwrap();
    assert_eq!(budget.reserve(&db, &next), Ok(Admission::Granted));
}
