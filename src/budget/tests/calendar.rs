//! Edges of days and months, clocks that are wrong.

use super::*;
use crate::chat::id::AttemptId;
use crate::chat::{Timestamp, Uptime};
use crate::store::tests::{exact, folder, reservation};
use crate::store::{ChargeScope, Db, Ledger, ScopeSums, check};

const HOUR: i64 = 3_600_000;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Europe/Berlin, by its rule, so that no list of zones is needed.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

#[test]
fn an_instant_belongs_to_one_day_and_one_month() {
    let (utc, berlin) = (TimeZone::UTC, berlin());
    let november = ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"];
    let october = ["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"];
    for (zone, now, day, month) in [
        (
            &utc,
            "2026-11-22T23:59:59.999Z",
            ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"],
            november,
        ),
        (
            &utc,
            "2026-11-23T00:00:00Z",
            ["2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"],
            november,
        ),
        (
            &utc,
            "2026-11-30T23:59:59.999Z",
            ["2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"],
            november,
        ),
        (
            &utc,
            "2026-12-31T23:59:59.999Z",
            ["2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"],
            ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
        ),
        (
            &utc,
            "2028-02-29T12:00:00Z",
            ["2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"],
            ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
        ),
        // The day that summer time begins has 23 hours, the day that it ends 25.
        (
            &berlin,
            "2026-03-29T12:00:00Z",
            ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
            ["2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"],
        ),
        (
            &berlin,
            "2026-10-25T22:59:59.999Z",
            ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
            october,
        ),
        (
            &berlin,
            "2026-10-25T23:00:00Z",
            ["2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"],
            october,
        ),
    ] {
        let [day_start, day_end] = day.map(at);
        let [month_start, month_end] = month.map(at);
        assert_eq!(
            windows(at(now), zone),
            Windows {
                day_start,
                day_end,
                month_start,
                month_end
            },
            "{now}"
        );
    }
    for wild in [i64::MIN, i64::MAX] {
        let found = windows(Timestamp(wild), &utc);
        assert_eq!(
            (found.day_start.0, found.month_end.0),
            (i64::MIN, i64::MAX),
            "no calendar, no panic, no refill"
        );
    }
}

#[test]
fn a_new_day_has_room_and_an_old_charge_never_moves_into_it() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = Budget {
        zone: berlin(),
        ..per_day("1")
    };
    let (late, next) = (at("2026-10-25T22:59:59.999Z"), at("2026-10-25T23:00:00Z"));
    let dollar = |name: &str, at| reservation("c", name, name, Some(usd("1")), at);
    assert_eq!(
        budget.reserve(&db, &dollar("1", late)),
        Ok(Admission::Granted)
    );
    assert!(matches!(
        budget.reserve(&db, &dollar("2", late)),
        Ok(Admission::Refused { .. })
    ));
    assert_eq!(
        budget.reserve(&db, &dollar("3", next)),
        Ok(Admission::Granted)
    );
    // Settled after midnight, it belongs to the day it was taken in.
    Ledger(&db)
        .settle(&AttemptId::from_text("1"), &exact("0.5"))
        .unwrap();
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(next)).unwrap().total(),
        usd("1")
    );
    assert_eq!(
        ScopeSums(&db)
            .sum(ChargeScope::Month(next))
            .unwrap()
            .total(),
        usd("1.5")
    );
}

#[test]
fn neither_a_clock_nor_a_time_zone_that_is_turned_gives_a_day_twice() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let dollar = |name: &str, at| reservation("c", name, name, Some(usd("1")), at);
    let noon = at("2026-11-22T12:00:00Z");
    assert_eq!(
        budget.reserve(&db, &dollar("1", noon)),
        Ok(Admission::Granted)
    );
    for back in ["2026-11-22T11:59:59Z", "2026-11-21T12:00:00Z"] {
        let refused = budget.reserve(&db, &dollar(back, at(back))).unwrap();
        assert!(
            matches!(refused, Admission::Refused { .. }),
            "back to {back}: {refused:?}"
        );
    }
    for far in [
        "2026-11-21T11:59:59Z",
        "2026-10-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
    ] {
        let refused = budget.reserve(&db, &dollar(far, at(far))).unwrap();
        assert!(
            matches!(refused, Admission::ClockMoved(_)),
            "back to {far}: {refused:?}"
        );
    }
    // East and west of here it is another day; the charge still counts until its own day has ended.
    for zone in ["<+14>-14", "<-12>12"] {
        let budget = Budget {
            zone: TimeZone::posix(zone).unwrap(),
            ..budget.clone()
        };
        let refused = budget.reserve(&db, &dollar(zone, noon)).unwrap();
        assert!(
            matches!(refused, Admission::Refused { .. }),
            "{zone}: {refused:?}"
        );
    }
    assert_eq!(
        budget.reserve(&db, &dollar("d", at("2026-11-23T00:00:00Z"))),
        Ok(Admission::Granted)
    );
    let status = Spending(&budget).status(&db, None, "run", noon).unwrap();
    assert_eq!(
        status[0].resets_at,
        Some(at("2026-11-24T00:00:00Z")),
        "the later day is the one in force"
    );
}

#[test]
fn what_is_spent_while_the_clock_is_wrong_counts_when_it_is_right_again() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let half = |name: &str, at| {
        budget
            .reserve(&db, &reservation("c", name, name, Some(usd("0.5")), at))
            .unwrap()
    };
    let (noon, day_before) = (at("2026-11-22T12:00:00Z"), at("2026-11-21T12:00:00Z"));
    assert_eq!(half("1", noon), Admission::Granted);
    assert_eq!(half("2", day_before), Admission::Granted);
    let refused = half("3", noon);
    assert!(
        matches!(
            refused,
            Admission::Refused {
                left: Usd::ZERO,
                ..
            }
        ),
        "{refused:?}"
    );
}

/// A reservation at an instant, on a machine that has been running for so long.
fn running(name: &str, amount: &str, now: Timestamp, boot: &str, ms: i64) -> Reservation {
    Reservation {
        uptime: Some(Uptime {
            boot: boot.into(),
            ms,
        }),
        ..reservation("c", name, name, Some(usd(amount)), now)
    }
}

#[test]
fn a_clock_that_jumps_is_asked_about() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let noon = at("2026-11-22T12:00:00Z");
    let after = |hours: i64| Timestamp(noon.0 + hours * HOUR);
    assert_eq!(
        budget.reserve(&db, &running("1", "1", noon, "a", 0)),
        Ok(Admission::Granted)
    );
    // The next day by the wall clock, and an hour by the machine's own.
    let jumped = running("2", "1", after(26), "a", HOUR);
    let refused = budget.reserve(&db, &jumped).unwrap();
    assert_eq!(refused, Admission::ClockMoved(Moved(25 * HOUR)));
    assert_eq!(
        refused.failure().unwrap().to_string(),
        "the clock moved forward by 25 h - `chat-agent budget settle clock` accepts it"
    );
    // It stays refused until it is accepted, also back in the old day; what is free passes, and proves nothing.
    assert_eq!(
        budget.reserve(&db, &running("3", "0", after(26), "a", HOUR)),
        Ok(Admission::Granted)
    );
    assert!(matches!(
        budget.reserve(&db, &jumped),
        Ok(Admission::ClockMoved(_))
    ));
    assert_eq!(
        Ledger(&db).open_items().unwrap().len(),
        2,
        "nothing of it is kept"
    );
    // Where no limit is over a day or a month, no clock can give anything twice.
    let per_request = super::budget(Limits {
        per_request: Some(usd("5")),
        ..Limits::default()
    });
    let unlimited = Db::open(folder().path()).unwrap();
    for (name, hours) in [("1", 0), ("2", 99)] {
        assert_eq!(
            per_request.reserve(&unlimited, &running(name, "1", after(hours), "a", 0)),
            Ok(Admission::Granted)
        );
    }

    let uptime = Uptime {
        boot: "a".into(),
        ms: 2 * HOUR,
    };
    assert_eq!(
        check_clock(&db, after(27), Some(&uptime)),
        Ok(Some(Moved(25 * HOUR)))
    );
    assert_eq!(budget.settle_clock(&db, after(27), Some(&uptime)), Ok(0));
    assert_eq!(check_clock(&db, after(27), Some(&uptime)), Ok(None));
    assert_eq!(
        budget.reserve(&db, &running("4", "1", after(27), "a", 2 * HOUR)),
        Ok(Admission::Granted)
    );
}

#[test]
fn sleep_small_steps_and_another_start_of_the_machine_pass() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let noon = at("2026-11-22T12:00:00Z");
    for (n, (minutes, own, boot)) in [
        (0, 0, "a"),
        // Set right by a time server, and back.
        (9, 0, "a"),
        (0, 0, "a"),
        // Asleep over the weekend.
        (3 * 24 * 60, 3 * 24 * 60, "a"),
        // Started anew a week later.
        (10 * 24 * 60, 1, "b"),
    ]
    .into_iter()
    .enumerate()
    {
        let reservation = running(
            &n.to_string(),
            "0.10",
            Timestamp(noon.0 + minutes * 60_000),
            boot,
            own * 60_000,
        );
        assert_eq!(
            budget.reserve(&db, &reservation),
            Ok(Admission::Granted),
            "step {n}"
        );
    }
}

#[test]
fn an_accepted_clock_frees_the_windows_and_refills_none() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let spend = |name: &str, amount: &str, now: &str| {
        budget
            .reserve(
                &db,
                &reservation("c", name, name, Some(usd(amount)), at(now)),
            )
            .unwrap()
    };
    let full = |admission: &Admission| matches!(admission, Admission::Refused { .. });
    // The clock was four years ahead when this was spent.
    assert_eq!(
        spend("1", "0.60", "2030-01-01T12:00:00Z"),
        Admission::Granted
    );
    let now = "2026-11-22T12:00:00Z";
    assert!(matches!(spend("2", "0.10", now), Admission::ClockMoved(_)));
    assert_eq!(budget.settle_clock(&db, at(now), None), Ok(1));
    check(&db).unwrap();
    // It counts today, because it was spent by now.
    assert!(full(&spend("3", "0.41", now)));
    assert_eq!(spend("4", "0.40", now), Admission::Granted);
    assert!(full(&spend("5", "0.01", "2026-11-22T23:59:59.999Z")));
    // The days between are free of it, the day that it was spent in is not.
    assert_eq!(spend("6", "1", "2026-11-23T00:00:00Z"), Admission::Granted);
    assert!(full(&spend("7", "0.41", "2030-01-01T09:00:00Z")));
    assert_eq!(
        spend("8", "0.40", "2030-01-01T09:00:00Z"),
        Admission::Granted
    );
    // What is settled later is settled in both.
    Ledger(&db)
        .settle(&AttemptId::from_text("1"), &exact("0.20"))
        .unwrap();
    assert_eq!(
        ScopeSums(&db)
            .sum(ChargeScope::Day(at("2026-11-22T13:00:00Z")))
            .unwrap()
            .total(),
        usd("0.60")
    );
    assert_eq!(
        ScopeSums(&db)
            .sum(ChargeScope::Day(at("2030-01-01T13:00:00Z")))
            .unwrap()
            .total(),
        usd("0.60")
    );
    assert_eq!(
        budget.settle_clock(&db, at("2030-01-01T10:00:00Z"), None),
        Ok(0),
        "once is enough"
    );
    check(&db).unwrap();
}

#[test]
fn a_clock_set_back_within_the_day_counts_nothing_twice() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let (noon, nine) = (at("2026-11-22T12:00:00Z"), at("2026-11-22T09:00:00Z"));
    assert_eq!(
        budget.reserve(&db, &reservation("c", "1", "1", Some(usd("0.50")), noon)),
        Ok(Admission::Granted)
    );
    assert_eq!(budget.settle_clock(&db, nine, None), Ok(1));
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(nine)).unwrap().total(),
        usd("0.50")
    );
    assert_eq!(
        ScopeSums(&db)
            .sum(ChargeScope::Month(nine))
            .unwrap()
            .total(),
        usd("0.50")
    );
    check(&db).unwrap();
}
