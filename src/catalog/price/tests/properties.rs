use proptest::prelude::*;

use super::*;

fn any_rate() -> impl Strategy<Value = Usd> {
    (0i128..700_000_000).prop_map(Usd::from_pico)
}

fn any_long() -> impl Strategy<Value = LongContext> {
    (
        0u64..300_000,
        any_rate(),
        proptest::option::of(any_rate()),
        proptest::option::of(any_rate()),
        any_rate(),
    )
        .prop_map(
            |(above, input, cached_input, cache_write, output)| LongContext {
                above,
                input,
                cached_input,
                cache_write,
                output,
            },
        )
}

prop_compose! {
    fn any_price()(
        input in any_rate(),
        cached_input in proptest::option::of(any_rate()),
        cache_write in proptest::option::of(any_rate()),
        output in any_rate(),
        long in proptest::option::of(any_long()),
    ) -> Price {
        Price { cached_input, cache_write, long, ..Price::flat(input, output, PriceOrigin::Catalogue) }
    }
}

fn any_share() -> impl Strategy<Value = Option<TermPrice>> {
    proptest::option::of(
        (any_rate(), proptest::option::of(any_rate()))
            .prop_map(|(input, output)| TermPrice { input, output }),
    )
}

prop_compose! {
    /// With terms: any tiers, and hours in which it costs no more than at the peak.
    fn any_terms()(
        price in any_price(),
        (flex, batch, priority, fast) in (any_share(), any_share(), any_share(), any_share()),
        tier in proptest::sample::select(vec![ServiceTier::Default, ServiceTier::Flex, ServiceTier::Batch,
            ServiceTier::Priority, ServiceTier::Fast, ServiceTier::Auto]),
        off_peak in proptest::option::of((0u64..=100, proptest::collection::vec((0u8..12, 12u8..=24), 0..3))),
    ) -> Price {
        let share = |percent: u64| price.input.times(percent).in_proportion(Usd::from_pico(1), Usd::from_pico(100));
        let off_peak = off_peak.map(|(percent, peak_hours)| OffPeak {
            share: TermPrice { input: share(percent), output: None }, peak_hours, now: false,
        });
        Price { tiers: TierPrices { flex, batch, priority, fast }, tier, off_peak, ..price }
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

    /// A tier that is dearer than what was asked for is the one way past the reservation; the ledger books it as a breach.
    #[test]
    fn no_tier_that_was_asked_for_and_no_hour_costs_more_than_the_worst_case(
        price in any_terms(),
        (uncached, cached, write) in (0u64..200_000, 0u64..200_000, 0u64..200_000),
        output in 0u64..200_000,
        named in proptest::sample::select(vec![None, Some("default"), Some("flex"), Some("batch"), Some("priority"),
            Some("fast"), Some("scale"), Some("")]),
        from in 0i64..200_000_000,
        lasted in 0i64..200_000_000,
        looked_at in 0i64..200_000_000,
    ) {
        let used = usage(uncached, cached, write, output);
        let price = price.at(Timestamp(looked_at));
        let worst = price.worst(used.input(), output);
        prop_assert!(price.cost(&used) <= worst);
        prop_assert!(price.expected(used.input(), output) <= worst);
        let served = Served { tier: named, from: Timestamp(from), to: Timestamp(from + lasted) };
        let (cost, _) = price.settled(&used, &served);
        let tier = named.filter(|name| !name.is_empty()).map(ServiceTier::named);
        let of_its_own = matches!(tier, Some(Some(tier)) if tier != ServiceTier::Default && price.tiers.of(tier).is_some());
        let unknown = matches!(tier, Some(None)) || (tier.is_some_and(|tier| tier != Some(ServiceTier::Default)) && !of_its_own);
        let asked = tier.is_none() || tier == Some(Some(ServiceTier::Default)) || tier == Some(Some(price.tier))
            || (price.tier == ServiceTier::Auto && of_its_own);
        if asked && !unknown {
            prop_assert!(cost <= worst, "{cost} > {worst}");
        }
        // What the server named is bounded by that tier; what it named without a price is at least the listed one.
        if of_its_own {
            prop_assert!(cost <= price.worst_at(named, used.input(), output));
        }
        if unknown && price.off_peak.is_none() {
            let listed = Price { tier: ServiceTier::Default, ..price.clone() };
            prop_assert!(cost >= listed.cost(&used));
        }
    }

    #[test]
    fn the_affordable_cap_fits_and_the_next_one_does_not(
        price in any_terms(),
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
