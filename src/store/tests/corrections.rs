//! What was booked without the server's last word, and how it is put right.

use super::ledger::NOVEMBER;
use super::*;

fn attempt(name: &str) -> AttemptId {
    AttemptId::from_text(name)
}

/// A charge of ten cents, in this state.
fn with(settlement: Option<&Settlement>) -> (tempfile::TempDir, Db) {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    Ledger(&db)
        .insert_reservation(
            &reservation("c", "x", "t", Some(usd("0.10")), NOON),
            NOON,
            &NOVEMBER,
        )
        .unwrap();
    if let Some(settlement) = settlement {
        Ledger(&db).settle(&attempt("t"), settlement).unwrap();
    }
    (data, db)
}

fn billed(text: &str) -> Cost {
    Cost::new(usd(text), CostKind::Billed)
}

fn estimated(text: &str) -> Cost {
    Cost::new(usd(text), CostKind::Estimated)
}

fn history(db: &Db) -> Vec<(i64, i64)> {
    let mut query = db
        .conn
        .prepare("SELECT was, usd FROM corrections ORDER BY seq")
        .unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn only_a_bound_without_a_last_word_is_uncertain() {
    let whole = Settlement {
        last_word: true,
        ..settlement(estimated("0.05"))
    };
    for (settlement, uncertain) in [
        (settlement(Cost::UNKNOWN), Some("0.10")),
        (settlement(estimated("0.05")), Some("0.05")),
        (whole, None),
        (settlement(billed("0.05")), None),
        (exact("0.05"), None),
    ] {
        let (_data, db) = with(Some(&settlement));
        let found: Vec<Usd> = Corrections(&db)
            .uncertain(NOON, 9)
            .unwrap()
            .iter()
            .map(|charge| charge.usd)
            .collect();
        assert_eq!(found, Vec::from_iter(uncertain.map(usd)), "{settlement:?}");
    }
}

#[test]
fn the_list_is_of_this_day_and_month_newest_first_and_bounded() {
    let (_data, db) = with(Some(&settlement(Cost::UNKNOWN)));
    for (name, at) in [("u", 5), ("v", 7)] {
        let at = Timestamp(NOON.0 + at);
        Ledger(&db)
            .insert_reservation(
                &reservation("c", "x", name, Some(usd("0.10")), at),
                at,
                &NOVEMBER,
            )
            .unwrap();
        Ledger(&db)
            .settle(&attempt(name), &settlement(Cost::UNKNOWN))
            .unwrap();
    }
    let listed = |at: Timestamp, most| -> Vec<String> {
        Corrections(&db)
            .uncertain(at, most)
            .unwrap()
            .iter()
            .map(|charge| charge.id.to_string())
            .collect()
    };
    assert_eq!(listed(NOON, 9), ["v", "u", "t"]);
    assert_eq!(listed(NOON, 2), ["v", "u"]);
    assert_eq!(
        listed(Timestamp(NOVEMBER.day_end.0), 9),
        ["v", "u", "t"],
        "the month goes on"
    );
    assert!(listed(Timestamp(NOVEMBER.month_end.0), 9).is_empty());
    assert!(
        Corrections(&db).uncertain_charge("t").unwrap().is_some(),
        "and can be put right all the same"
    );
}

#[test]
fn a_correction_gives_back_the_difference_and_keeps_what_was() {
    for (said, stands, breach) in [
        (Some("0"), billed("0"), "0"),
        (Some("0.04"), billed("0.04"), "0"),
        (Some("0.30"), billed("0.30"), "0.20"),
        (None, estimated("0.10"), "0"),
    ] {
        let (_data, db) = with(Some(&settlement(Cost::UNKNOWN)));
        let booked = Corrections(&db)
            .correct(&attempt("t"), said.map(usd), NOON)
            .unwrap();
        assert_eq!(
            booked,
            Booked {
                cost: stands,
                breach: usd(breach)
            },
            "{said:?}"
        );
        for over in [
            ChargeScope::Day(NOON),
            ChargeScope::Month(NOON),
            ChargeScope::Session(&session("c")),
            ChargeScope::ModelDay(&model(), NOON),
        ] {
            let sum = ScopeSums(&db).sum(over).unwrap();
            assert_eq!(
                (sum.settled, sum.reserved),
                (stands.usd.unwrap(), Usd::ZERO),
                "{said:?} {over:?}"
            );
            assert_eq!(
                (sum.estimated, sum.unknown),
                (stands.kind == CostKind::Estimated, 0),
                "{said:?} {over:?}"
            );
        }
        assert_eq!(
            Ledger(&db).breach(&model()).unwrap().unwrap_or_default(),
            usd(breach)
        );
        let pico = |usd: Usd| i64::try_from(usd.pico()).unwrap();
        assert_eq!(
            history(&db),
            [(pico(usd("0.10")), pico(stands.usd.unwrap()))]
        );
        assert_eq!(Corrections(&db).uncertain(NOON, 9).unwrap(), [], "{said:?}");
        assert_eq!(
            Corrections(&db).correct(&attempt("t"), said.map(usd), NOON),
            Err(StoreError::NotOpen("t".to_owned()))
        );
        check(&db).unwrap();
    }
}

#[test]
fn what_is_not_uncertain_is_not_corrected() {
    for settlement in [None, Some(exact("0.01"))] {
        let (_data, db) = with(settlement.as_ref());
        assert_eq!(
            Corrections(&db).correct(&attempt("t"), Some(usd("0")), NOON),
            Err(StoreError::NotOpen("t".to_owned()))
        );
        assert_eq!(history(&db), []);
    }
    let (_data, db) = with(Some(&settlement(Cost::UNKNOWN)));
    assert_eq!(
        Corrections(&db).correct(&attempt("t"), Some(usd("-0.01")), NOON),
        Err(StoreError::Money)
    );
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().settled,
        usd("0.10")
    );
}

#[test]
fn an_answer_that_ends_after_it_was_settled_books_the_difference() {
    for (by_user, late, stands, uncertain) in [
        (
            "0",
            exact("0.07"),
            Cost::new(usd("0.07"), CostKind::Exact),
            false,
        ),
        (
            "0.09",
            exact("0.07"),
            Cost::new(usd("0.07"), CostKind::Exact),
            false,
        ),
        (
            "0.02",
            settlement(estimated("0.05")),
            estimated("0.05"),
            true,
        ),
        ("0.08", settlement(estimated("0.05")), billed("0.08"), false),
        ("0", settlement(Cost::UNKNOWN), estimated("0.10"), true),
    ] {
        let (_data, db) = with(Some(&Settlement {
            last_word: true,
            ..settlement(billed(by_user))
        }));
        assert_eq!(
            Corrections(&db).book(&attempt("t"), &late).unwrap().cost,
            stands,
            "{by_user} {late:?}"
        );
        let sum = ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap();
        assert_eq!(
            (sum.settled, sum.estimated),
            (stands.usd.unwrap(), stands.kind == CostKind::Estimated)
        );
        assert_eq!(
            !Corrections(&db).uncertain(NOON, 9).unwrap().is_empty(),
            uncertain,
            "{by_user} {late:?}"
        );
        check(&db).unwrap();
    }
    let (_data, db) = with(None);
    Ledger(&db).release(&attempt("t"), "429", NOON).unwrap();
    assert_eq!(
        Corrections(&db).book(&attempt("t"), &exact("0.07")),
        Err(StoreError::NotOpen("t".to_owned()))
    );
}

#[test]
fn the_file_itself_keeps_corrections_and_takes_no_other_change() {
    let (_data, db) = with(Some(&settlement(Cost::UNKNOWN)));
    Corrections(&db)
        .correct(&attempt("t"), Some(usd("0.04")), NOON)
        .unwrap();
    let insert = |was: i64, usd: i64| {
        format!(
            "INSERT INTO corrections (attempt, at, was, was_kind, usd, kind, reason)
             VALUES ('t', 0, {was}, 'billed', {usd}, 'billed', '')"
        )
    };
    for tampering in [
        "UPDATE charges SET settled = 0",
        "UPDATE charges SET settled = 100000000000",
        "UPDATE charges SET state = 'released'",
        "UPDATE charges SET state = 'held'",
        "UPDATE charges SET reserved = 0",
        "UPDATE corrections SET usd = 0",
        "DELETE FROM corrections",
        &insert(100_000_000_000, 0),
        &insert(40_000_000_000, -1),
    ] {
        assert!(db.conn.execute_batch(tampering).is_err(), "{tampering}");
    }
    assert_eq!(
        ScopeSums(&db).sum(ChargeScope::Day(NOON)).unwrap().settled,
        usd("0.04")
    );
    check(&db).unwrap();
}

#[test]
fn a_program_that_runs_settles_what_it_asked_itself() {
    let (_data, db) = with(None);
    assert!(Ledger(&db).open_items().unwrap()[0].under_way);
    for gone in ["'another-boot pid:[1] 7 1'", "NULL"] {
        db.conn
            .execute_batch(&format!("UPDATE charges SET owner = {gone}"))
            .unwrap();
        assert!(!Ledger(&db).open_items().unwrap()[0].under_way, "{gone}");
    }
}

#[test]
fn a_reservation_that_its_exchange_left_open_counts_as_abandoned() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
    Ledger(&db)
        .insert_reservation(
            &reservation("c", "x", "t", Some(usd("0.10")), NOON),
            NOON,
            &NOVEMBER,
        )
        .unwrap();
    assert!(Ledger(&db).open_items().unwrap()[0].under_way);
    db.conn
        .execute_batch("UPDATE exchanges SET ended = 1")
        .unwrap();
    assert!(!Ledger(&db).open_items().unwrap()[0].under_way);
}
