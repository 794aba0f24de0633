use super::*;
use crate::catalog::{TermPrice, TierPrices};

fn price() -> Price {
    Price {
        cached_input: Some(Usd::from_pico(100_000)),
        tiers: TierPrices {
            flex: Some(TermPrice {
                input: Usd::from_pico(500_000),
                output: None,
            }),
            priority: Some(TermPrice {
                input: Usd::from_pico(1_500_000),
                output: None,
            }),
            ..TierPrices::default()
        },
        ..Price::flat(
            Usd::from_pico(1_000_000),
            Usd::from_pico(10_000_000),
            PriceOrigin::Catalogue,
        )
    }
}

fn count(tokens: u64) -> TokenCount {
    TokenCount {
        tokens,
        upper: tokens,
        exact: true,
    }
}

fn figures<'a>(price: Option<&'a Price>, reply: &'a Reply) -> AttemptFigures<'a> {
    AttemptFigures {
        price,
        foreign_address: false,
        hidden_output: false,
        reserved: Some(Usd::from_pico(1_000_000_000)),
        input: count(100),
        output: count(10),
        output_cap: 90,
        past_cap: false,
        reply,
        close: Close::Whole,
        sent: Timestamp(0),
        ended: Timestamp(1_000),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of endings")]
fn the_servers_word_comes_first() {
    let usage = Usage {
        uncached_input: 60,
        cached_input: 40,
        cache_write: 0,
        output: 7,
        reasoning: 0,
        source: UsageSource::Provider,
    };
    let price = price();
    let counted = Reply::default();
    let exact = Reply {
        usage: Some(usage),
        ..Reply::default()
    };
    let billed = Reply {
        billed: Some(Usd::from_pico(5)),
        ..exact.clone()
    };
    let dear = Reply {
        billed: Some(Usd::from_pico(2_000_000_000)),
        ..exact.clone()
    };
    let free = Price::free(PriceOrigin::User, "");
    let estimated = |pico| Cost::new(Usd::from_pico(pico), CostKind::Estimated);
    for (name, figures, expected) in [
        (
            "billed",
            figures(Some(&price), &billed),
            Cost::new(Usd::from_pico(5), CostKind::Billed),
        ),
        (
            "usage",
            figures(Some(&price), &exact),
            Cost::new(Usd::from_pico(134_000_000), CostKind::Exact),
        ),
        (
            "counted",
            figures(Some(&price), &counted),
            estimated(200_000_000),
        ),
        (
            "interrupted: what may be in flight is booked too",
            AttemptFigures {
                close: Close::Left,
                ..figures(Some(&price), &counted)
            },
            estimated(100_000_000 + 10_000_000 * 75),
        ),
        (
            "a usage before a cut is no final word",
            AttemptFigures {
                close: Close::Left,
                ..figures(Some(&price), &exact)
            },
            estimated(100_000_000 + 10_000_000 * 75),
        ),
        (
            "broken by others: it may have gone on to the cap",
            AttemptFigures {
                close: Close::Broken,
                ..figures(Some(&price), &counted)
            },
            estimated(1_000_000_000),
        ),
        (
            "broken, and a usage before it",
            AttemptFigures {
                close: Close::Broken,
                ..figures(Some(&price), &exact)
            },
            estimated(1_000_000_000),
        ),
        (
            "broken, and a bill before it that is higher",
            AttemptFigures {
                close: Close::Broken,
                ..figures(Some(&price), &dear)
            },
            estimated(2_000_000_000),
        ),
        (
            "broken, and nothing was reserved",
            AttemptFigures {
                close: Close::Broken,
                reserved: None,
                ..figures(Some(&price), &counted)
            },
            estimated(100_000_000 + 10_000_000 * 90),
        ),
        (
            "never above the cap",
            AttemptFigures {
                close: Close::Left,
                output: count(80),
                ..figures(Some(&price), &counted)
            },
            estimated(1_000_000_000),
        ),
        (
            "hidden reasoning cannot be counted, so all of it",
            AttemptFigures {
                hidden_output: true,
                ..figures(Some(&price), &counted)
            },
            estimated(1_000_000_000),
        ),
        (
            "past the cap, nothing of ours bounds it",
            AttemptFigures {
                close: Close::Left,
                past_cap: true,
                output: count(200),
                ..figures(Some(&price), &counted)
            },
            estimated(100_000_000 + 10_000_000 * (200 + 20 + 64)),
        ),
        (
            "past the cap, with what it may have thought before",
            AttemptFigures {
                close: Close::Left,
                past_cap: true,
                hidden_output: true,
                output: count(200),
                ..figures(Some(&price), &counted)
            },
            estimated(100_000_000 + 10_000_000 * (90 + 200 + 20 + 64)),
        ),
        (
            "past the cap by our count, and the server's last word is figures",
            AttemptFigures {
                past_cap: true,
                ..figures(Some(&price), &exact)
            },
            Cost::new(Usd::from_pico(134_000_000), CostKind::Exact),
        ),
        (
            "another address",
            AttemptFigures {
                foreign_address: true,
                ..figures(Some(&price), &exact)
            },
            estimated(134_000_000),
        ),
        ("no price", figures(None, &exact), Cost::UNKNOWN),
        ("free", figures(Some(&free), &counted), Cost::FREE),
    ] {
        assert_eq!(settle(&figures).1, expected, "{name}");
    }
}

#[test]
fn the_tier_that_the_server_names_is_what_is_paid() {
    let usage = Usage {
        source: UsageSource::Provider,
        ..Usage::counted(100, 10)
    };
    let price = price();
    let named = |tier: &str, usage| Reply {
        usage,
        service_tier: Some(tier.to_owned()),
        ..Reply::default()
    };
    let (flex, priority) = (named("flex", Some(usage)), named("priority", Some(usage)));
    let (scale, silent) = (named("scale", Some(usage)), named("priority", None));
    let million = |n: i128| Usd::from_pico(n * 1_000_000);
    for (name, figures, expected) in [
        // 100 of input and 10 times 10 of output, in millions of pico-dollars.
        (
            "flex is half",
            figures(Some(&price), &flex),
            Cost::new(million(100), CostKind::Exact),
        ),
        (
            "priority is half as much again",
            figures(Some(&price), &priority),
            Cost::new(million(300), CostKind::Exact),
        ),
        (
            "priority that was not asked for is booked in full, and the ledger calls it a breach",
            AttemptFigures {
                reserved: Some(million(250)),
                ..figures(Some(&price), &priority)
            },
            Cost::new(million(300), CostKind::Exact),
        ),
        (
            "a tier without a price: the dearest that it may be",
            figures(Some(&price), &scale),
            Cost::new(million(400), CostKind::Estimated),
        ),
        (
            "a guess is no breach",
            AttemptFigures {
                reserved: Some(million(250)),
                ..figures(Some(&price), &scale)
            },
            Cost::new(million(250), CostKind::Estimated),
        ),
        (
            "without a count, the bound is that of the tier",
            AttemptFigures {
                reserved: Some(million(250)),
                ..figures(Some(&price), &silent)
            },
            Cost::new(million(300), CostKind::Estimated),
        ),
        (
            "and with thoughts out of sight, all that the tier allows: 150 and 90 times 15",
            AttemptFigures {
                hidden_output: true,
                ..figures(Some(&price), &silent)
            },
            Cost::new(million(1_500), CostKind::Estimated),
        ),
    ] {
        assert_eq!(settle(&figures).1, expected, "{name}");
    }
}

#[test]
fn reasoning_costs_its_tokens_at_the_output_price() {
    let usage = |reasoning| Usage {
        uncached_input: 60,
        cached_input: 40,
        cache_write: 0,
        output: 70,
        reasoning,
        source: UsageSource::Provider,
    };
    let (price, free) = (price(), Price::free(PriceOrigin::User, ""));
    let (plain, flex) = (
        Reply::default(),
        Reply {
            service_tier: Some("flex".to_owned()),
            ..Reply::default()
        },
    );
    for (name, price, reply, tokens, expected) in [
        ("some of it", Some(&price), &plain, 64, Some(640_000_000)),
        ("all of it", Some(&price), &plain, 70, Some(700_000_000)),
        (
            "more than there is",
            Some(&price),
            &plain,
            99,
            Some(700_000_000),
        ),
        ("none", Some(&price), &plain, 0, None),
        ("no price", None, &plain, 64, None),
        ("free", Some(&free), &plain, 64, Some(0)),
        (
            "at the tier that served it",
            Some(&price),
            &flex,
            64,
            Some(320_000_000),
        ),
    ] {
        let figures = figures(price, reply);
        assert_eq!(
            reasoning(&figures, &usage(tokens)),
            expected.map(Usd::from_pico),
            "{name}"
        );
    }
}
