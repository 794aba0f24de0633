use proptest::prelude::*;

use super::*;
use crate::chat::UsageSource;

/// A price from US dollars per million tokens; an empty text is a missing price.
fn price(input: &str, cached: &str, write: &str, output: &str) -> Price {
    Price {
        input: rate(input).unwrap(),
        cached_input: rate(cached),
        cache_write: rate(write),
        output: rate(output).unwrap(),
        long: None,
        free: false,
        origin: PriceOrigin::Catalogue,
        as_of: "2026-07-02".into(),
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
    Usage { uncached_input, cached_input, cache_write, output, reasoning: 0, source: UsageSource::Provider }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[test]
fn a_price_per_million_is_exact_or_refused() {
    for (text, pico) in [("1", 1_000_000), ("0.003625", 3625), ("0.000001", 1), ("0", 0), ("600", 600_000_000)] {
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
    assert_eq!(price.cost(&Usage { reasoning: 90, ..plain }), price.cost(&plain));
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
fn what_is_left_buys_so_much_output() {
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
        assert_eq!(mini.affordable_output(input, usd(left)), cap, "{input} tokens, {left} left");
    }
}

#[test]
fn what_is_free_costs_nothing_and_is_always_affordable() {
    let free = Price::free(PriceOrigin::User, "2026-11-22");
    assert_eq!(free.cost(&usage(9, 9, 9, 9)), Usd::ZERO);
    assert_eq!(free.worst(u64::MAX, u64::MAX), Usd::ZERO);
    assert_eq!(free.affordable_output(u64::MAX, Usd::ZERO), Some(u64::MAX));
}

#[test]
fn a_price_survives_the_ledger() {
    let price = with_long(price("5", "0.5", "6.25", "30"), 272_000, "10", "1", "45");
    let json = serde_json::to_string(&price).unwrap();
    assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
}

fn any_rate() -> impl Strategy<Value = Usd> {
    (0i128..700_000_000).prop_map(Usd::from_pico)
}

fn any_long() -> impl Strategy<Value = LongContext> {
    (0u64..300_000, any_rate(), proptest::option::of(any_rate()), proptest::option::of(any_rate()), any_rate())
        .prop_map(|(above, input, cached_input, cache_write, output)| LongContext {
            above,
            input,
            cached_input,
            cache_write,
            output,
        })
}

prop_compose! {
    fn any_price()(
        input in any_rate(),
        cached_input in proptest::option::of(any_rate()),
        cache_write in proptest::option::of(any_rate()),
        output in any_rate(),
        long in proptest::option::of(any_long()),
    ) -> Price {
        Price {
            input, cached_input, cache_write, output, long,
            free: false, origin: PriceOrigin::Catalogue, as_of: String::new(),
        }
    }
}

proptest! {
    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_worst_case(
        price in any_price(),
        (uncached, cached, write) in (0u64..200_000, 0u64..200_000, 0u64..200_000),
        output in 0u64..200_000,
        spare_input in 0u64..400_000,
        spare_output in 0u64..1_000,
    ) {
        let used = usage(uncached, cached, write, output);
        let worst = price.worst(used.input() + spare_input, output + spare_output);
        prop_assert!(price.cost(&used) <= worst);
        prop_assert!(price.expected(used.input(), output) <= worst);
    }

    #[test]
    fn the_affordable_cap_fits_and_the_next_one_does_not(
        price in any_price(),
        input in 0u64..600_000,
        left in -1_000_000_000i128..2_000_000_000_000_000,
    ) {
        let left = Usd::from_pico(left);
        match price.affordable_output(input, left) {
            None => prop_assert!(price.worst(input, 0) > left || left < Usd::ZERO),
            Some(u64::MAX) => prop_assert!(price.worst(input, u64::MAX) <= left),
            Some(cap) => {
                prop_assert!(price.worst(input, cap) <= left);
                prop_assert!(price.worst(input, cap + 1) > left);
            }
        }
    }
}
