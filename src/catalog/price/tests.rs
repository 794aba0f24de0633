use super::*;
use crate::chat::UsageSource;

mod properties;

/// A price from US dollars per million tokens; an empty text is a missing price.
fn price(input: &str, cached: &str, write: &str, output: &str) -> Price {
    Price {
        cached_input: rate(cached),
        cache_write: rate(write),
        source: "a list".into(),
        as_of: "2026-07-02".into(),
        ..Price::flat(
            rate(input).unwrap(),
            rate(output).unwrap(),
            PriceOrigin::Catalogue,
        )
    }
}

fn rate(text: &str) -> Option<Usd> {
    (!text.is_empty()).then(|| per_token(text.parse().unwrap()).unwrap())
}

fn with_long(mut price: Price, above: u64, input: &str, cached: &str, output: &str) -> Price {
    price.long = Some(LongContext {
        above,
        input: rate(input).unwrap(),
        cached_input: rate(cached),
        cache_write: None,
        output: rate(output).unwrap(),
    });
    price
}

fn usage(uncached_input: u64, cached_input: u64, cache_write: u64, output: u64) -> Usage {
    Usage {
        uncached_input,
        cached_input,
        cache_write,
        output,
        reasoning: 0,
        source: UsageSource::Provider,
    }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[test]
fn a_price_per_million_is_exact_or_refused() {
    for (text, pico) in [
        ("1", 1_000_000),
        ("0.003625", 3625),
        ("0.000001", 1),
        ("0", 0),
        ("600", 600_000_000),
    ] {
        assert_eq!(per_token(usd(text)), Ok(Usd::from_pico(pico)), "{text}");
        assert_eq!(per_million(Usd::from_pico(pico)), usd(text));
    }
    for bad in ["0.0000001", "0.00000125", "-1"] {
        assert_eq!(per_token(usd(bad)), Err(NotAPrice), "{bad}");
    }
}

#[test]
fn each_bucket_has_its_own_price_and_a_missing_one_is_as_input() {
    let full = price("2", "0.2", "2.5", "10");
    let bare = price("2", "", "", "10");
    for (used, full_cost, bare_cost) in [
        (usage(1_000_000, 0, 0, 0), "2", "2"),
        (usage(0, 1_000_000, 0, 0), "0.2", "2"),
        (usage(0, 0, 1_000_000, 0), "2.5", "2"),
        (usage(0, 0, 0, 1_000_000), "10", "10"),
        (usage(1, 1, 1, 1), "0.0000147", "0.000016"),
        (usage(0, 0, 0, 0), "0", "0"),
    ] {
        assert_eq!(full.cost(&used), usd(full_cost), "{used:?}");
        assert_eq!(bare.cost(&used), usd(bare_cost), "{used:?}");
    }
}

#[test]
fn reasoning_is_part_of_output_and_not_charged_twice() {
    let price = price("2", "", "", "10");
    let plain = usage(10, 0, 0, 100);
    assert_eq!(
        price.cost(&Usage {
            reasoning: 90,
            ..plain
        }),
        price.cost(&plain)
    );
}

#[test]
fn a_long_request_is_repriced_whole_but_exactly_at_the_mark_it_is_short() {
    let price = with_long(price("5", "0.5", "", "30"), 272_000, "10", "1", "45");
    for (used, cost) in [
        (usage(272_000, 0, 0, 1_000_000), "31.36"),
        (usage(272_001, 0, 0, 1_000_000), "47.72001"),
        // Cached tokens count towards the length.
        (usage(1, 272_000, 0, 0), "0.27201"),
        (usage(0, 272_000, 0, 0), "0.136"),
    ] {
        assert_eq!(price.cost(&used), usd(cost), "{used:?}");
    }
    assert_eq!(price.expected(272_000, 1_000_000), usd("31.36"));
    assert_eq!(price.expected(272_001, 1_000_000), usd("47.72001"));
    assert_eq!(price.worst(272_000, 1_000_000), usd("31.36"));
    assert_eq!(price.worst(272_001, 1_000_000), usd("47.72001"));
}

#[test]
fn the_worst_case_takes_the_dearest_kind_of_input() {
    let claude = price("2", "0.2", "2.5", "10");
    assert_eq!(claude.worst(1_000_000, 0), usd("2.5"));
    assert_eq!(claude.expected(1_000_000, 0), usd("2"));
    // One call without a cap at the dearest model of the catalogue.
    assert_eq!(price("150", "", "", "600").worst(0, 100_000), usd("60"));
}

#[test]
fn the_money_left_gives_the_largest_affordable_cap() {
    let mini = price("0.25", "0.025", "", "2");
    for (input, left, cap) in [
        (0, "2", Some(1_000_000)),
        (1_000_000, "2.25", Some(1_000_000)),
        (1_000_000, "0.25", Some(0)),
        (1_000_000, "0.249999", None),
        (0, "0.000001999999", Some(0)),
        (0, "0.000002", Some(1)),
        (0, "0", Some(0)),
        (0, "-1", None),
    ] {
        assert_eq!(
            mini.affordable_output(input, usd(left)),
            cap,
            "{input} tokens, {left} left"
        );
    }
}

#[test]
fn what_is_free_costs_nothing_and_is_always_affordable() {
    let free = Price::free(PriceOrigin::User, "2026-11-22");
    assert_eq!(free.cost(&usage(9, 9, 9, 9)), Usd::ZERO);
    assert_eq!(free.worst(u64::MAX, u64::MAX), Usd::ZERO);
    assert_eq!(free.affordable_output(u64::MAX, Usd::ZERO), Some(u64::MAX));
}

/// The price with `flex` at half, and `priority` at twice the input and `priority` dollars of output.
fn with_tiers(mut price: Price, priority: &str) -> Price {
    let share = |input: Usd, output: &str| {
        Some(TermPrice {
            input,
            output: rate(output),
        })
    };
    price.tiers.flex = share(
        price
            .input
            .in_proportion(Usd::from_pico(1), Usd::from_pico(2)),
        "",
    );
    price.tiers.priority = share(price.input.times(2), priority);
    price
}

/// Half price outside 01-04 and 06-10 UTC.
fn with_hours(mut price: Price) -> Price {
    let half = TermPrice {
        input: price
            .input
            .in_proportion(Usd::from_pico(1), Usd::from_pico(2)),
        output: None,
    };
    price.off_peak = Some(OffPeak {
        share: half,
        peak_hours: vec![(1, 4), (6, 10)],
        now: false,
    });
    price
}

fn at(time: &str) -> Timestamp {
    Timestamp(
        format!("2026-11-22T{time}Z")
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_millisecond(),
    )
}

fn served<'a>(tier: impl Into<Option<&'a str>>) -> Served<'a> {
    Served {
        tier: tier.into(),
        from: at("12:00:00"),
        to: at("12:00:09"),
    }
}

#[test]
fn an_answer_is_billed_at_the_tier_that_it_names() {
    let price = with_tiers(price("2", "0.2", "2.5", "10"), "19");
    let all = usage(1_000_000, 1_000_000, 1_000_000, 1_000_000);
    for (asked, named, cost, sure) in [
        // 2 + 0.2 + 2.5 + 10
        (ServiceTier::Default, None, "14.7", true),
        (ServiceTier::Default, Some("default"), "14.7", true),
        (ServiceTier::Default, Some("standard"), "14.7", true),
        (ServiceTier::Default, Some("on_demand"), "14.7", true),
        (ServiceTier::Default, Some(""), "14.7", true),
        // Half of everything, although only the input is stated.
        (ServiceTier::Default, Some("flex"), "7.35", true),
        // Twice the input side; the output as stated.
        (ServiceTier::Default, Some("priority"), "28.4", true),
        (ServiceTier::Default, Some("fast"), "28.4", true),
        (ServiceTier::Flex, Some("default"), "14.7", true),
        // The server does not say which of the two it was.
        (ServiceTier::Flex, None, "14.7", false),
        (ServiceTier::Priority, None, "28.4", false),
        (ServiceTier::Auto, None, "28.4", false),
        (ServiceTier::Auto, Some("flex"), "7.35", true),
        // A tier without a price is taken for the dearest: here twice the listed price.
        (ServiceTier::Default, Some("batch"), "29.4", false),
        (ServiceTier::Default, Some("scale"), "29.4", false),
        (ServiceTier::Default, Some("auto"), "29.4", false),
    ] {
        let asking = Price {
            tier: asked,
            ..price.clone()
        };
        assert_eq!(
            asking.settled(&all, &served(named)),
            (usd(cost), sure),
            "{asked:?}, answered at {named:?}"
        );
    }
}

#[test]
fn a_long_request_at_another_tier_is_repriced_and_shared() {
    let price = with_tiers(with_long(price("2", "", "", "10"), 1000, "4", "", "15"), "");
    for (input, tier, cost) in [
        (1000, "flex", "0.001"),
        (1001, "flex", "0.002002"),
        (1001, "priority", "0.008008"),
        (1001, "default", "0.004004"),
    ] {
        assert_eq!(
            price.settled(&usage(input, 0, 0, 0), &served(tier)).0,
            usd(cost),
            "{input} at {tier}"
        );
    }
    assert_eq!(
        price
            .settled(&usage(1001, 0, 0, 1_000_000), &served("flex"))
            .0,
        usd("7.502002")
    );
}

#[test]
fn the_reservation_uses_the_dearest_tier_that_may_be_billed() {
    let price = with_tiers(price("2", "", "", "10"), "");
    for (asked, worst, expected) in [
        (ServiceTier::Default, "12", "12"),
        // The provider may step down to the standard tier.
        (ServiceTier::Flex, "12", "6"),
        (ServiceTier::Priority, "24", "24"),
        // The project's own setting decides.
        (ServiceTier::Auto, "24", "12"),
    ] {
        let asking = Price {
            tier: asked,
            ..price.clone()
        };
        assert_eq!(asking.worst(1_000_000, 1_000_000), usd(worst), "{asked:?}");
        assert_eq!(
            asking.expected(1_000_000, 1_000_000),
            usd(expected),
            "{asked:?}"
        );
        assert_eq!(
            asking.affordable_output(1_000_000, usd(worst)),
            Some(1_000_000),
            "{asked:?}"
        );
    }
    assert_eq!(
        price.worst_at(Some("priority"), 1_000_000, 1_000_000),
        usd("24")
    );
    assert_eq!(
        price.worst_at(Some("scale"), 1_000_000, 1_000_000),
        Usd::ZERO
    );
}

#[test]
fn off_peak_prices_apply_only_when_the_hour_is_certain() {
    let price = with_hours(price("1.32", "0.044", "", "3.96"));
    let all = usage(1_000_000, 1_000_000, 0, 1_000_000);
    for (from, to, cost, sure) in [
        ("02:00:00", "02:00:30", "5.324", true),
        ("12:00:00", "12:00:30", "2.662", true),
        ("04:30:00", "05:30:00", "2.662", true),
        ("00:10:00", "00:20:00", "2.662", true),
        // Across the hour, or so close to it that the clocks may differ: the dearer one, and not for certain.
        ("03:59:00", "04:02:00", "5.324", false),
        ("00:59:30", "00:59:40", "5.324", false),
        ("04:00:10", "04:00:20", "5.324", false),
        ("00:30:00", "11:00:00", "5.324", false),
    ] {
        let served = Served {
            tier: None,
            from: at(from),
            to: at(to),
        };
        assert_eq!(
            price.settled(&all, &served),
            (usd(cost), sure),
            "{from} to {to}"
        );
    }
    let (day, evening) = (price.clone().at(at("02:00:00")), price.at(at("12:00:00")));
    assert_eq!(
        (day.cost(&all), evening.cost(&all)),
        (usd("5.324"), usd("2.662"))
    );
    assert_eq!(
        (day.expected(1_000_000, 0), evening.expected(1_000_000, 0)),
        (usd("1.32"), usd("0.66"))
    );
    // Reserved is the peak, whatever the hour.
    assert_eq!(
        day.worst(1_000_000, 1_000_000),
        evening.worst(1_000_000, 1_000_000)
    );
}

#[test]
fn a_price_reads_back_from_the_ledger() {
    let price = with_hours(with_tiers(
        with_long(price("5", "0.5", "6.25", "30"), 272_000, "10", "1", "45"),
        "60",
    ));
    let json = serde_json::to_value(&price).unwrap();
    assert_eq!(
        serde_json::from_value::<Price>(json.clone()).unwrap(),
        price
    );
    for (name, value) in [
        ("tier", "default"),
        ("source", "a list"),
        ("as_of", "2026-07-02"),
        ("input", "0.000005"),
    ] {
        assert_eq!(json[name], value);
    }
    assert_eq!(json["tiers"]["priority"]["output"], "0.00006");
    // A row that was written before there were terms.
    let old = r#"{"input":"0.000001","cached_input":null,"cache_write":null,"output":"0.00001","long":null,"free":false,
        "origin":"catalogue","as_of":"2026-07-02"}"#;
    assert_eq!(
        serde_json::from_str::<Price>(old).unwrap().tier,
        ServiceTier::Default
    );
}
