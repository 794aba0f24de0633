//! Sums over a period, in groups.

use super::*;

const HOUR: i64 = 3_600_000;

/// A question at `at` with one attempt that ended as `settlement` says; `None`: it is still held.
fn asked(
    db: &Db,
    name: &str,
    chat: &str,
    at: Timestamp,
    amount: Option<&str>,
    settled: Option<Settlement>,
) {
    let begin = Begin {
        at,
        ..begin(chat, name, None, "why?")
    };
    let reservation = reservation(chat, name, name, amount.map(usd), at);
    ChatLog(db).begin_exchange(&begin).unwrap();
    Ledger(db)
        .insert_reservation(&reservation, at, &ledger::NOVEMBER)
        .unwrap();
    let Some(settlement) = settled else { return };
    Ledger(db)
        .settle(&reservation.attempt, &settlement)
        .unwrap();
    let outcome = ExchangeOutcome {
        model: None,
        ended: at,
        cache: CacheHit::None,
        saved: Some(Usd::ZERO),
        latency: Latency {
            ttft_ms: Some(100),
            total_ms: 200,
            tokens_per_second: None,
        },
        finish: Some(Finish::Stop),
        failure: None,
        usage: settlement.usage,
        foreseen: None,
    };
    ExchangeLog(db)
        .finish_exchange(&begin.exchange, &outcome)
        .unwrap();
}

fn cost(text: &str, kind: CostKind) -> Settlement {
    settlement(Cost::new(usd(text), kind))
}

fn past() -> (tempfile::TempDir, Db) {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    asked(
        &db,
        "old",
        "c",
        Timestamp(NOON.0 - 48 * HOUR),
        Some("1"),
        Some(cost("0.5", CostKind::Exact)),
    );
    asked(
        &db,
        "a",
        "c",
        Timestamp(NOON.0 - 24 * HOUR),
        Some("1"),
        Some(cost("0.01", CostKind::Exact)),
    );
    asked(
        &db,
        "b",
        "c",
        NOON,
        Some("1"),
        Some(cost("0.02", CostKind::Billed)),
    );
    asked(&db, "d", "d", NOON, Some("1"), None);
    asked(&db, "e", "d", NOON, None, Some(settlement(Cost::UNKNOWN)));
    (data, db)
}

fn day(at: Timestamp) -> String {
    if at < NOON { "yesterday" } else { "today" }.to_owned()
}

#[test]
fn every_grouping_has_the_same_total() {
    let (_data, db) = past();
    let since = Timestamp(NOON.0 - 24 * HOUR);
    let whole = StatsReader(&db).stats(By::Model, since, day).unwrap().total;
    assert_eq!(
        (whole.requests, whole.spent, whole.reserved, whole.unpriced),
        (4, usd("0.03"), usd("1"), 1)
    );
    assert_eq!(
        (whole.uncached_input, whole.output, whole.ttft_p95_ms),
        (36, 102, Some(100))
    );
    for (by, names) in [
        (By::Day, vec!["yesterday", "today"]),
        (By::Model, vec!["openai/gpt-5-mini"]),
        (By::Provider, vec!["openai"]),
        (By::Session, vec!["c", "d"]),
        (By::Key, vec!["f3a1"]),
    ] {
        let stats = StatsReader(&db).stats(by, since, day).unwrap();
        assert_eq!(stats.total, whole, "{by:?}");
        assert_eq!(
            stats
                .groups
                .iter()
                .map(|g| g.name.as_str())
                .collect::<Vec<_>>(),
            names,
            "{by:?}"
        );
        let sum =
            |of: fn(&StatsFigures) -> u64| stats.groups.iter().map(|g| of(&g.figures)).sum::<u64>();
        assert_eq!(
            (sum(|f| f.requests), sum(|f| f.output), sum(|f| f.unpriced)),
            (4, 102, 1),
            "{by:?}"
        );
        assert_eq!(
            stats.groups.iter().map(|g| g.figures.spent).sum::<Usd>(),
            whole.spent,
            "{by:?}"
        );
    }
    assert_eq!(
        StatsReader(&db)
            .stats(By::Model, Timestamp(NOON.0 + 1), day)
            .unwrap()
            .groups,
        []
    );
    let titles: Vec<_> = StatsReader(&db)
        .stats(By::Session, since, day)
        .unwrap()
        .groups
        .into_iter()
        .map(|g| g.title)
        .collect();
    assert_eq!(titles, [Some("why?".to_owned()), Some("why?".to_owned())]);
}

#[test]
fn a_sum_is_no_surer_than_its_parts() {
    use CostKind::{Billed, Estimated, Exact, Free, Unknown};
    for (costs, kind) in [
        (&[][..], Exact),
        (&[("1", Exact), ("1", Billed)], Exact),
        (&[("1", Billed)], Billed),
        (&[("1", Exact), ("1", Estimated)], Estimated),
        (&[("0", Free)], Free),
        (&[("0", Free), ("1", Exact)], Exact),
        (&[("", Unknown)], Unknown),
        (&[("", Unknown), ("1", Exact)], Exact),
    ] {
        let data = folder();
        let db = Db::open(data.path()).unwrap();
        for (n, (amount, kind)) in costs.iter().enumerate() {
            let known = amount.parse().ok().map(|usd| Cost::new(usd, *kind));
            let reserved = known.map(|_| "2");
            asked(
                &db,
                &n.to_string(),
                "c",
                NOON,
                reserved,
                Some(settlement(known.unwrap_or(Cost::UNKNOWN))),
            );
        }
        assert_eq!(
            StatsReader(&db)
                .stats(By::Model, NOON, day)
                .unwrap()
                .total
                .kind(),
            kind,
            "{costs:?}"
        );
    }
}

#[test]
fn absurd_usage_is_summed_without_overflow() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    for name in ["a", "b", "d"] {
        let usage = Some(Usage {
            source: UsageSource::Provider,
            ..Usage::counted(u64::MAX, u64::MAX)
        });
        asked(
            &db,
            name,
            "c",
            NOON,
            Some("1"),
            Some(Settlement {
                usage,
                ..exact("1")
            }),
        );
    }
    let total = StatsReader(&db).stats(By::Model, NOON, day).unwrap().total;
    assert_eq!((total.output, total.spent), (u64::MAX, usd("3")));
    assert_eq!(EstimateHistory(&db).report_card().unwrap()[0].replies, 3);
}
