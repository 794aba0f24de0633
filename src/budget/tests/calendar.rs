//! Edges of days and months, clocks that are wrong.

use super::*;
use crate::chat::Timestamp;
use crate::chat::id::AttemptId;
use crate::store::tests::{exact, folder, hold};
use crate::store::{Db, Over};

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
        (&utc, "2026-11-22T23:59:59.999Z", ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"], november),
        (&utc, "2026-11-23T00:00:00Z", ["2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"], november),
        (&utc, "2026-11-30T23:59:59.999Z", ["2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"], november),
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
        (&berlin, "2026-10-25T22:59:59.999Z", ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"], october),
        (&berlin, "2026-10-25T23:00:00Z", ["2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"], october),
    ] {
        let [day_start, day_end] = day.map(at);
        let [month_start, month_end] = month.map(at);
        assert_eq!(windows(at(now), zone), Windows { day_start, day_end, month_start, month_end }, "{now}");
    }
    for wild in [i64::MIN, i64::MAX] {
        let found = windows(Timestamp(wild), &utc);
        assert_eq!((found.day_start.0, found.month_end.0), (i64::MIN, i64::MAX), "no calendar, no panic, no refill");
    }
}

#[test]
fn a_new_day_has_room_and_an_old_charge_never_moves_into_it() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = Budget { zone: berlin(), ..per_day("1") };
    let (late, next) = (at("2026-10-25T22:59:59.999Z"), at("2026-10-25T23:00:00Z"));
    let dollar = |name: &str, at| hold("c", name, name, Some(usd("1")), at);
    assert_eq!(budget.reserve(&db, &dollar("1", late)), Ok(Admission::Granted));
    assert!(matches!(budget.reserve(&db, &dollar("2", late)), Ok(Admission::Refused { .. })));
    assert_eq!(budget.reserve(&db, &dollar("3", next)), Ok(Admission::Granted));
    // Settled after midnight, it belongs to the day it was taken in.
    db.settle(&AttemptId::from_text("1"), &exact("0.5")).unwrap();
    assert_eq!(db.sum(Over::Day(next)).unwrap().total(), usd("1"));
    assert_eq!(db.sum(Over::Month(next)).unwrap().total(), usd("1.5"));
}

#[test]
fn neither_a_clock_nor_a_time_zone_that_is_turned_gives_a_day_twice() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let dollar = |name: &str, at| hold("c", name, name, Some(usd("1")), at);
    let noon = at("2026-11-22T12:00:00Z");
    assert_eq!(budget.reserve(&db, &dollar("1", noon)), Ok(Admission::Granted));
    for back in ["2026-11-21T12:00:00Z", "2026-10-01T00:00:00Z", "1970-01-01T00:00:00Z"] {
        let refused = budget.reserve(&db, &dollar(back, at(back))).unwrap();
        assert!(matches!(refused, Admission::Refused { .. }), "back to {back}: {refused:?}");
    }
    // East and west of here it is another day; the charge still counts until its own day has ended.
    for zone in ["<+14>-14", "<-12>12"] {
        let budget = Budget { zone: TimeZone::posix(zone).unwrap(), ..budget.clone() };
        let refused = budget.reserve(&db, &dollar(zone, noon)).unwrap();
        assert!(matches!(refused, Admission::Refused { .. }), "{zone}: {refused:?}");
    }
    assert_eq!(budget.reserve(&db, &dollar("d", at("2026-11-23T00:00:00Z"))), Ok(Admission::Granted));
    let status = budget.status(&db, None, "run", noon).unwrap();
    assert_eq!(status[0].resets_at, Some(at("2026-11-24T00:00:00Z")), "the later day is the one in force");
}

#[test]
fn what_is_spent_while_the_clock_is_wrong_counts_when_it_is_right_again() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let budget = per_day("1");
    let half = |name: &str, at| budget.reserve(&db, &hold("c", name, name, Some(usd("0.5")), at)).unwrap();
    let (noon, day_before) = (at("2026-11-22T12:00:00Z"), at("2026-11-21T12:00:00Z"));
    assert_eq!(half("1", noon), Admission::Granted);
    assert_eq!(half("2", day_before), Admission::Granted);
    let refused = half("3", noon);
    assert!(matches!(refused, Admission::Refused { left: Usd::ZERO, .. }), "{refused:?}");
}
