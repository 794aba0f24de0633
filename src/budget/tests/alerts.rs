//! Who is told what, and how often.

use super::*;
use crate::chat::Timestamp;
use crate::chat::id::AttemptId;
use crate::protocol::Alert;
use crate::store::tests::{NOON, exact, folder, model, reservation, session};
use crate::store::{Db, Ledger};

const SHARES: [f64; 3] = [0.5, 0.8, 1.0];
const DAY: i64 = 86_400_000;

/// Books so much at this instant.
fn spend(budget: &Budget, db: &Db, name: &str, amount: &str, at: Timestamp) {
    assert_eq!(
        budget.reserve(db, &reservation("c", name, name, Some(usd(amount)), at)),
        Ok(Admission::Granted)
    );
    Ledger(db)
        .settle(&AttemptId::from_text(name), &exact(amount))
        .unwrap();
}

fn tell(budget: &Budget, db: &Db, at: Timestamp) -> Vec<(Scope, f64)> {
    let told = tell_alerts(budget, db, Some(&session("c")), "run", &SHARES, at).unwrap();
    told.iter()
        .map(|alert| (alert.scope, alert.share))
        .collect()
}

#[test]
fn each_share_is_told_once_in_its_window() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("5");
    let next = Timestamp(NOON.0 + DAY);
    for (step, (amount, at, expected)) in [
        ("2.49", NOON, None),
        ("0.01", NOON, Some(0.5)),
        ("0.50", NOON, None),
        ("0.99", NOON, None),
        ("0.01", NOON, Some(0.8)),
        ("0.99", NOON, None),
        ("0.01", NOON, Some(1.0)),
        // A new day begins afresh, and of several shares passed at once the highest is told.
        ("4.10", next, Some(0.8)),
        ("0.10", next, None),
        ("0.80", next, Some(1.0)),
    ]
    .into_iter()
    .enumerate()
    {
        spend(&budget, &db, &step.to_string(), amount, at);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|share| (Scope::Day, share))
            .collect();
        assert_eq!(tell(&budget, &db, at), expected, "step {step}");
        assert_eq!(tell(&budget, &db, at), [], "step {step}: once");
    }
}

#[test]
fn a_limit_that_is_changed_tells_no_share_anew() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    spend(&per_day("5"), &db, "1", "4", NOON);
    assert_eq!(tell(&per_day("5"), &db, NOON), [(Scope::Day, 0.8)]);
    assert_eq!(tell(&per_day("4.5"), &db, NOON), []);
    assert_eq!(tell(&per_day("100"), &db, NOON), []);
    assert_eq!(
        tell(&per_day("8"), &db, NOON),
        [],
        "half of it, but more than half was told of"
    );
    assert_eq!(
        tell(&per_day("2"), &db, NOON),
        [(Scope::Day, 1.0)],
        "what is new is told"
    );
    assert_eq!(
        tell(&per_day("0"), &db, NOON),
        [],
        "of nothing, nothing can be used up"
    );
    assert_eq!(tell(&budget(Limits::default()), &db, NOON), []);
}

#[test]
fn every_limit_has_its_alerts_and_the_fullest_comes_first() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let per = |day: &str| DayMonth {
        per_day: Some(usd(day)),
        per_month: None,
    };
    let mut budget = per_day("2");
    budget.limits.per_run = Some(usd("1.20"));
    budget.limits.per_session = Some(usd("1"));
    budget.limits.models = [(model(), per("1.5"))].into();
    budget
        .limits
        .limit_key("openai", "f3a1".to_owned(), per("3"));
    spend(&budget, &db, "1", "1", NOON);
    let shown = alerts(
        &Spending(&budget)
            .status(&db, Some(&session("c")), "run", NOON)
            .unwrap(),
        &SHARES,
    );
    let alert = |scope, share, limit: &str| Alert {
        scope,
        share,
        spent: usd("1"),
        limit: usd(limit),
    };
    let all = [
        alert(Scope::Session, 1.0, "1"),
        alert(Scope::Run, 0.8, "1.20"),
        alert(Scope::ModelDay, 0.5, "1.5"),
        alert(Scope::Day, 0.5, "2"),
    ];
    assert_eq!(shown, all);
    let mut told = tell_alerts(&budget, &db, Some(&session("c")), "run", &SHARES, NOON).unwrap();
    told.sort_by_key(|alert| alert.limit);
    assert_eq!(told, all);
    assert_eq!(tell(&budget, &db, NOON), []);
    assert_eq!(
        tell_alerts(&budget, &db, Some(&session("c")), "run", &[], NOON).unwrap(),
        [],
        "no share, no alert"
    );
}

#[test]
fn what_is_held_counts_as_used() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    assert_eq!(
        budget.reserve(&db, &reservation("c", "x", "1", Some(usd("0.60")), NOON)),
        Ok(Admission::Granted)
    );
    assert_eq!(tell(&budget, &db, NOON), [(Scope::Day, 0.5)]);
}

#[test]
fn of_many_programs_one_tells_it() {
    let data = folder();
    let budget = per_day("1");
    spend(&budget, &Db::open(data.path()).unwrap(), "1", "0.90", NOON);
    let told: usize = std::thread::scope(|scope| {
        let one = || tell(&budget, &Db::open(data.path()).unwrap(), NOON).len();
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(told, 1);
}
