//! What was foreseen, beside what came.

use super::*;

/// An exchange that was asked of `asked` and answered as `outcome` says, `age` milliseconds before noon.
fn exchange(db: &Db, name: &str, asked: &ModelId, age: i64, outcome: &ExchangeOutcome) {
    let begin = Begin {
        model: asked.clone(),
        at: Timestamp(NOON.0 - age),
        ..begin("c", name, None, "why?")
    };
    ChatLog(db).begin_exchange(&begin).unwrap();
    ExchangeLog(db)
        .finish_exchange(&begin.exchange, outcome)
        .unwrap();
}

/// A whole answer of `model` for which we counted `counted` and the server `actual`.
fn answered(model: &ModelId, counted: u64, actual: u64) -> ExchangeOutcome {
    let usage = Usage {
        source: UsageSource::Provider,
        ..Usage::counted(actual, 34)
    };
    ExchangeOutcome {
        model: Some(model.clone()),
        ended: NOON,
        cache: CacheHit::None,
        saved: Some(Usd::ZERO),
        latency: Latency {
            ttft_ms: Some(412),
            total_ms: 2100,
            tokens_per_second: None,
        },
        finish: Some(Finish::Stop),
        failure: None,
        usage: Some(usage),
        foreseen: Some(Foreseen {
            effort: None,
            counted_input: counted,
            estimate: estimate(),
        }),
    }
}

#[test]
fn after_a_fail_over_the_row_holds_what_was_foreseen_of_the_model_that_answered() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let lower = ModelId::new("mistral", "m");
    let foreseen = Foreseen {
        effort: None,
        counted_input: 77,
        estimate: Estimate {
            input_tokens: 88,
            output_tokens: 99,
            expected_usd: None,
            worst_usd: None,
            ..estimate()
        },
    };
    exchange(
        &db,
        "x",
        &model(),
        0,
        &ExchangeOutcome {
            foreseen: Some(foreseen),
            ..answered(&lower, 77, 80)
        },
    );
    let silent = ExchangeOutcome {
        model: None,
        usage: None,
        finish: None,
        foreseen: None,
        ..answered(&lower, 0, 0)
    };
    exchange(&db, "y", &model(), 0, &silent);
    let row = |id: &str| {
        let sql = "SELECT model, counted_input, estimated_input, expected_output, expected_usd IS NULL FROM exchanges WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        };
        db.conn.query_row(sql, [id], read).unwrap()
    };
    assert_eq!(row("x"), ("mistral/m".to_owned(), 77, 88, 99, true));
    assert_eq!(
        row("y"),
        ("openai/gpt-5-mini".to_owned(), 12, 12, 600, false),
        "no model answered: as it was asked"
    );
}

#[test]
fn the_factor_is_learned_from_whole_answers_with_the_servers_own_usage() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let (learns, other) = (ModelId::new("mistral", "m"), ModelId::new("mistral", "n"));
    let good = answered(&learns, 1000, 1200);
    let counted = ExchangeOutcome {
        usage: Some(Usage::counted(9, 9)),
        ..good.clone()
    };
    let cut = ExchangeOutcome {
        finish: Some(Finish::Cut),
        ..answered(&learns, 1000, 3)
    };
    let cached = ExchangeOutcome {
        cache: CacheHit::Disk,
        ..answered(&learns, 1000, 3)
    };
    let huge = answered(&learns, 1, u64::MAX);
    let split = Usage {
        uncached_input: 500,
        cached_input: 400,
        cache_write: 300,
        ..good.usage.unwrap()
    };
    let in_parts = ExchangeOutcome {
        usage: Some(split),
        ..good.clone()
    };
    for (n, outcome) in [
        &good,
        &counted,
        &cut,
        &cached,
        &good,
        &in_parts,
        &answered(&other, 10, 90),
        &huge,
    ]
    .into_iter()
    .enumerate()
    {
        exchange(&db, &format!("a{n}"), &learns, 100, outcome);
    }
    assert_eq!(
        EstimateHistory(&db).calibration(&learns).unwrap(),
        None,
        "four answers are too few"
    );
    exchange(&db, "fifth", &learns, 100, &good);
    assert_eq!(
        EstimateHistory(&db)
            .calibration(&learns)
            .unwrap()
            .unwrap()
            .apply(1000)
            .0,
        1200
    );
    for n in 0..50 {
        exchange(
            &db,
            &format!("b{n}"),
            &learns,
            50,
            &answered(&learns, 1000, 2000),
        );
    }
    assert_eq!(
        EstimateHistory(&db)
            .calibration(&learns)
            .unwrap()
            .unwrap()
            .apply(1000),
        (2000, 10),
        "only the last 50 count"
    );
    for n in 0..400 {
        exchange(&db, &format!("c{n}"), &learns, 0, &counted);
    }
    assert_eq!(
        EstimateHistory(&db).calibration(&learns).unwrap(),
        None,
        "the look is bounded"
    );
    assert_eq!(EstimateHistory(&db).calibration(&other).unwrap(), None);
}

#[test]
fn the_report_card_is_over_the_last_fifty_replies() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let estimate = |input, expected: &str| Estimate {
        input_tokens: input,
        expected_usd: Some(usd(expected)),
        ..estimate()
    };
    for n in 0..60 {
        // The ten oldest would spoil the picture; of the fifty that count one is far off, and one has no price.
        let (input, actual) = match n {
            0..10 => (1, 1_000_000),
            10 => (130, 100),
            _ => (98, 100),
        };
        let name = format!("x{n:02}");
        let foreseen = Foreseen {
            counted_input: 1,
            effort: None,
            estimate: estimate(input, "0.002"),
        };
        let begin = Begin {
            at: Timestamp(NOON.0 + n),
            ..begin("c", &name, None, "why?")
        };
        ChatLog(&db).begin_exchange(&begin).unwrap();
        for (attempt, outcome) in [("1", "500"), ("2", "ok")] {
            let amount = (n != 20).then(|| usd("0.01"));
            let reservation =
                reservation("c", &name, &format!("{name}-{attempt}"), amount, begin.at);
            Ledger(&db)
                .insert_reservation(&reservation, begin.at, &ledger::NOVEMBER)
                .unwrap();
            let known = if amount.is_some() {
                Cost::new(usd("0.001"), CostKind::Exact)
            } else {
                Cost::UNKNOWN
            };
            Ledger(&db)
                .settle(
                    &reservation.attempt,
                    &Settlement {
                        outcome: outcome.to_owned(),
                        ..settlement(known)
                    },
                )
                .unwrap();
        }
        let outcome = ExchangeOutcome {
            foreseen: Some(foreseen),
            ..answered(&model(), 1, actual)
        };
        ExchangeLog(&db)
            .finish_exchange(&begin.exchange, &outcome)
            .unwrap();
    }
    let expected = Accuracy {
        model: model(),
        replies: 50,
        input: Some(InputError {
            median: -20,
            worst: 300,
        }),
        expected_output: 600,
        output: 34,
        priced: 49,
        expected: usd("0.098"),
        booked: usd("0.049"),
    };
    assert_eq!(EstimateHistory(&db).report_card().unwrap(), [expected]);
}
