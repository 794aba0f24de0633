//! Charges: held, settled, released, once each.

use super::*;

pub(super) const NOVEMBER: Windows = Windows {
    day_start: Timestamp(NOON.0 - 43_200_000),
    day_end: Timestamp(NOON.0 + 43_200_000),
    month_start: Timestamp(NOON.0 - 43_200_000 - 21 * 86_400_000),
    month_end: Timestamp(NOON.0 + 43_200_000 + 8 * 86_400_000),
};

fn attempt(name: &str) -> AttemptId {
    AttemptId::from_text(name)
}

fn with_reservation(amount: Option<Usd>) -> (tempfile::TempDir, Db) {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    Ledger(&db)
        .insert_reservation(&reservation("c", "x", "t", amount, NOON), NOON, &NOVEMBER)
        .unwrap();
    (data, db)
}

#[test]
fn what_is_booked_depends_on_what_is_known() {
    let billed = |text: &str| Cost::new(usd(text), CostKind::Billed);
    let estimated = |text: &str| Cost::new(usd(text), CostKind::Estimated);
    for (reserved, cost, booked, breach) in [
        (Some("0.10"), billed("0.04"), billed("0.04"), "0"),
        (Some("0.10"), billed("0.10"), billed("0.10"), "0"),
        (Some("0.10"), billed("0.25"), billed("0.25"), "0.15"),
        (Some("0.10"), Cost::UNKNOWN, estimated("0.10"), "0"),
        (Some("0"), Cost::UNKNOWN, Cost::FREE, "0"),
        (Some("0"), Cost::FREE, Cost::FREE, "0"),
        (Some("0"), billed("0.01"), billed("0.01"), "0.01"),
        (None, Cost::UNKNOWN, Cost::UNKNOWN, "0"),
        (None, billed("0.25"), billed("0.25"), "0"),
        (
            Some("0.10"),
            Cost {
                usd: Some(usd("0.02")),
                kind: CostKind::Unknown,
            },
            estimated("0.02"),
            "0",
        ),
    ] {
        let (_data, db) = with_reservation(reserved.map(usd));
        let found = Ledger(&db)
            .settle(&attempt("t"), &settlement(cost))
            .unwrap();
        assert_eq!(
            found,
            Booked {
                cost: booked,
                breach: usd(breach)
            },
            "{reserved:?} {cost:?}"
        );
        let sum = ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap();
        assert_eq!(sum.total(), booked.usd.unwrap_or_default());
        assert_eq!(
            (sum.estimated, sum.unknown > 0),
            (booked.kind == CostKind::Estimated, booked.usd.is_none())
        );
        let expected = Some(usd(breach)).filter(|breach| *breach > Usd::ZERO);
        assert_eq!(Ledger(&db).breach(&model()).unwrap(), expected);
    }
}

#[test]
fn a_charge_is_closed_once() {
    let (_data, db) = with_reservation(Some(usd("0.10")));
    Ledger(&db).settle(&attempt("t"), &exact("0.01")).unwrap();
    let closed = StoreError::NotOpen("t".to_owned());
    assert_eq!(
        Ledger(&db).settle(&attempt("t"), &exact("0.02")),
        Err(closed.clone())
    );
    assert_eq!(
        Ledger(&db).release(&attempt("t"), "refused", NOON),
        Err(closed.clone())
    );
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().total(),
        usd("0.01")
    );

    Ledger(&db)
        .insert_reservation(
            &reservation("c", "x", "u", Some(usd("0.10")), NOON),
            NOON,
            &NOVEMBER,
        )
        .unwrap();
    Ledger(&db).release(&attempt("u"), "429", NOON).unwrap();
    assert_eq!(
        Ledger(&db).release(&attempt("u"), "429", NOON),
        Err(StoreError::NotOpen("u".to_owned()))
    );
    assert_eq!(
        Ledger(&db).settle(&attempt("u"), &exact("0.02")),
        Err(StoreError::NotOpen("u".to_owned()))
    );
    assert_eq!(
        Ledger(&db).settle(&attempt("none"), &exact("0.02")),
        Err(StoreError::NoCharge("none".to_owned()))
    );
    let again = Ledger(&db).insert_reservation(
        &reservation("c", "x", "u", Some(usd("0.10")), NOON),
        NOON,
        &NOVEMBER,
    );
    assert!(
        matches!(again, Err(StoreError::Rule(_))),
        "an attempt is reserved once"
    );
    assert_eq!(
        ScopeSums(&db)
            .sum(ChargeScope::Session(&session("c")))
            .unwrap()
            .total(),
        usd("0.01")
    );
}

#[test]
fn money_that_does_not_fit_is_an_error_and_books_nothing() {
    let (_data, db) = with_reservation(Some(usd("0.10")));
    for amount in ["-0.01", "9300000", "1e12"] {
        assert_eq!(
            Ledger(&db).settle(&attempt("t"), &exact(amount)),
            Err(StoreError::Money),
            "{amount}"
        );
        let held = reservation("c", "x", "u", Some(usd(amount)), NOON);
        assert_eq!(
            Ledger(&db).insert_reservation(&held, NOON, &NOVEMBER),
            Err(StoreError::Money),
            "{amount}"
        );
    }
    assert_eq!(Ledger(&db).open_items().unwrap().len(), 1);
    let huge = |name: &str| reservation("c", "x", name, Some(usd("9000000")), NOON);
    Ledger(&db)
        .insert_reservation(&huge("a"), NOON, &NOVEMBER)
        .unwrap();
    assert_eq!(
        Ledger(&db).insert_reservation(&huge("b"), NOON, &NOVEMBER),
        Err(StoreError::Money),
        "a sum that would not fit"
    );
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().reserved,
        usd("9000000.10")
    );
    check(&db).unwrap();
}

#[test]
fn the_file_itself_keeps_charges_as_they_are() {
    let (_data, db) = with_reservation(Some(usd("0.10")));
    Ledger(&db).settle(&attempt("t"), &exact("0.01")).unwrap();
    for tampering in [
        "UPDATE charges SET settled = 0",
        "UPDATE charges SET state = 'held'",
        "UPDATE charges SET state = 'released'",
        "DELETE FROM charges",
    ] {
        assert!(db.conn.execute_batch(tampering).is_err(), "{tampering}");
    }
    check(&db).unwrap();
    db.conn
        .execute_batch("UPDATE totals SET settled = settled - 1 WHERE scope = 'day'")
        .unwrap();
    assert!(matches!(check(&db), Err(StoreError::Damaged(_))));
}

#[test]
fn what_is_open_can_be_listed() {
    let (_data, db) = with_reservation(Some(usd("0.10")));
    let mut later = reservation("d", "y", "u", None, NOON);
    later.model = ModelId::new("groq", "openai/gpt-oss-120b");
    Ledger(&db)
        .insert_reservation(&later, Timestamp(NOON.0 + 5), &NOVEMBER)
        .unwrap();
    let item = |id: &str, chat: &str, model: &ModelId, usd, at| OpenItem {
        id: attempt(id),
        session: session(chat),
        model: model.clone(),
        usd,
        since: Timestamp(at),
        under_way: true,
    };
    let first = item("t", "c", &model(), Some(usd("0.10")), NOON.0);
    let second = item("u", "d", &later.model, None, NOON.0 + 5);
    assert_eq!(Ledger(&db).open_items().unwrap(), [first, second.clone()]);
    Ledger(&db).settle(&attempt("t"), &exact("0")).unwrap();
    assert_eq!(Ledger(&db).open_items().unwrap(), [second]);
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().unknown,
        1
    );
}

#[test]
fn a_breach_stands_until_the_user_clears_it() {
    let (_data, db) = with_reservation(Some(usd("0.10")));
    Ledger(&db).settle(&attempt("t"), &exact("0.30")).unwrap();
    assert_eq!(Ledger(&db).breaches().unwrap(), [(model(), usd("0.20"))]);
    Ledger(&db).clear_breach(&model()).unwrap();
    assert_eq!(
        (
            Ledger(&db).breaches().unwrap(),
            Ledger(&db).breach(&model()).unwrap()
        ),
        (vec![], None)
    );
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().settled,
        usd("0.30"),
        "it was billed all the same"
    );
}
