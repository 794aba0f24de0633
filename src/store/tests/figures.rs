//! What a plan asks of the past: health, lengths, the pace that was held.

use super::*;

const MINUTE: i64 = 60_000;

#[test]
fn health_is_of_the_last_minutes_and_of_what_the_server_failed() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let windows = Windows {
        day_start: Timestamp(0),
        day_end: Timestamp(i64::MAX),
        month_start: Timestamp(0),
        month_end: Timestamp(i64::MAX),
    };
    let attempt = |name: &str, minutes: i64| {
        let at = Timestamp(NOON.0 - minutes * MINUTE);
        let reservation = reservation("c", name, name, Some(usd("0.01")), at);
        Ledger(&db)
            .insert_reservation(&reservation, at, &windows)
            .unwrap();
        reservation.attempt
    };
    for (name, minutes, failed) in [
        ("old", 11, true),
        ("a", 9, true),
        ("b", 8, false),
        ("c", 2, true),
        ("d", 1, false),
    ] {
        let attempt = attempt(name, minutes);
        db.write(|db| {
            Ledger(db).release(&attempt, "500", NOON)?;
            if failed {
                ServerHealth(db).blame_server(&attempt)
            } else {
                Ok(())
            }
        })
        .unwrap();
    }
    attempt("under way", 0);
    assert_eq!(
        ServerHealth(&db).health(&model(), NOON).unwrap(),
        Health {
            requests: 4,
            failed: 2
        }
    );
    assert_eq!(
        ServerHealth(&db)
            .health(&ModelId::new("openai", "gpt-5"), NOON)
            .unwrap(),
        Health::default()
    );
    assert_eq!(
        ServerHealth(&db)
            .health(&model(), Timestamp(NOON.0 + 11 * MINUTE))
            .unwrap(),
        Health::default(),
        "it heals"
    );
}

#[test]
fn lengths_are_those_of_the_kind_when_there_are_enough() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let mut n = 0;
    let mut answers = |kind: &'static str, effort: Option<Effort>, output: u64, times: u64| {
        for _ in 0..times {
            n += 1;
            let question = begin("c", &format!("x{n}"), None, "?");
            let question = Begin {
                kind: Some(kind),
                effort,
                at: Timestamp(NOON.0 + n),
                ..question
            };
            ChatLog(&db).begin_exchange(&question).unwrap();
            let outcome = ExchangeOutcome {
                model: None,
                ended: NOON,
                cache: CacheHit::None,
                saved: Some(Usd::ZERO),
                latency: Latency::default(),
                finish: Some(Finish::Stop),
                failure: None,
                usage: Some(Usage::counted(10, output)),
                foreseen: None,
            };
            ExchangeLog(&db)
                .finish_exchange(&question.exchange, &outcome)
                .unwrap();
        }
    };
    let median = |kind, effort| {
        let lengths = PastLengths(&db).lengths(&model(), effort, kind).unwrap();
        lengths.map(|l| (l.median, l.answers, l.of_kind))
    };
    assert_eq!(median("code", None), None);
    answers("fact", None, 20, 1);
    assert_eq!(
        median("code", None),
        Some((20, 1, false)),
        "one answer is better than none"
    );
    answers("fact", None, 20, 3);
    answers("code", None, 900, 5);
    answers("code", Some(Effort::High), 4_000, 4);
    assert_eq!(median("code", None), Some((900, 5, true)));
    assert_eq!(
        median("fact", None),
        Some((900, 9, false)),
        "four facts are too few: all without an effort"
    );
    assert_eq!(
        median("fact", Some(Effort::High)),
        Some((900, 13, false)),
        "four with it are too few: all"
    );
    answers("fact", None, 20, 1);
    answers("code", Some(Effort::High), 4_000, 1);
    assert_eq!(median("fact", None), Some((20, 5, true)));
    assert_eq!(median("code", Some(Effort::High)), Some((4_000, 5, true)));
}

#[test]
fn the_level_of_the_pace_is_stored_with_the_question_or_not_at_all() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let held = || db.remembered::<u32>(PACE).unwrap();
    assert_eq!(held(), None);
    ChatLog(&db)
        .begin_exchange(&Begin {
            pace: Some(2),
            ..begin("c", "a", None, "?")
        })
        .unwrap();
    assert_eq!(held(), Some(2));
    ChatLog(&db)
        .begin_exchange(&begin("c", "b", None, "?"))
        .unwrap();
    assert_eq!(held(), Some(2), "nothing new");
    let twice = Begin {
        pace: Some(0),
        ..begin("c", "b", None, "?")
    };
    assert!(ChatLog(&db).begin_exchange(&twice).is_err());
    assert_eq!(held(), Some(2));
    db.remember(PACE, &"no number").unwrap();
    assert_eq!(held(), None, "a value of another make is none");
}
