use super::*;
use crate::catalog::{Catalog, OutputCap, TemperatureRule};
use crate::chat::{Effort, ServiceTier, Usage};
use crate::tokens::encoding::Encoding;

fn entry(id: &str) -> ModelEntry {
    ModelEntry::new(id.parse().unwrap())
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn priced(id: &str, input: &str, output: &str) -> ModelEntry {
    ModelEntry {
        input: Some(usd(input)),
        output: Some(usd(output)),
        ..entry(id)
    }
}

/// The model that the entry makes of the built-in catalogue.
fn model(entry: ModelEntry) -> Result<Model, String> {
    let id = entry.id.clone();
    let catalog = Catalog::builtin()
        .with_entries(&[entry])
        .map_err(|error| error.to_string())?;
    Ok(catalog.get(&id).unwrap().clone())
}

#[test]
fn a_user_price_replaces_the_whole_price() {
    let gpt = model(priced("openai/gpt-5.5", "4", "20"))
        .unwrap()
        .price
        .unwrap();
    assert_eq!(
        (per_million(gpt.input), per_million(gpt.output)),
        (usd("4"), usd("20"))
    );
    assert_eq!(
        (gpt.cached_input, gpt.long, gpt.origin, gpt.free),
        (None, None, PriceOrigin::User, false)
    );
}

#[test]
fn a_zero_in_a_user_price_makes_that_part_free() {
    let half = model(priced("openai/gpt-5", "0", "10"))
        .unwrap()
        .price
        .unwrap();
    assert!(!half.free);
    assert_eq!(half.cost(&Usage::counted(1_000_000, 1_000_000)), usd("10"));
    let all = model(priced("openai/gpt-5", "0", "0"))
        .unwrap()
        .price
        .unwrap();
    let said = model(ModelEntry {
        free: true,
        ..entry("openai/gpt-5")
    })
    .unwrap()
    .price
    .unwrap();
    let both = model(ModelEntry {
        free: true,
        ..priced("openai/gpt-5", "0", "0")
    })
    .unwrap()
    .price
    .unwrap();
    assert!(
        all.free && said == both && said == all && said.free && said.origin == PriceOrigin::User
    );
}

#[test]
fn a_user_price_replaces_a_dated_price() {
    let sonnet = model(priced("anthropic/claude-sonnet-5", "3", "15")).unwrap();
    assert!(sonnet.price.is_some() && sonnet.dated.is_none());
}

#[test]
fn an_entry_without_a_price_keeps_the_listed_price() {
    let listed = Catalog::builtin()
        .get(&"openai/gpt-5".parse().unwrap())
        .unwrap()
        .clone();
    let same = model(ModelEntry {
        vision: Some(false),
        ..entry("openai/gpt-5")
    })
    .unwrap();
    assert_eq!(
        same,
        Model {
            vision: false,
            ..listed
        }
    );
}

#[test]
fn a_new_model_gets_the_assumptions_of_its_provider() {
    let ours = model(ModelEntry {
        context: Some(8192),
        efforts: Some(vec![Effort::Low]),
        encoding: Some("cl100k_base".into()),
        ..priced("openai/gpt-7", "1", "2")
    })
    .unwrap();
    assert_eq!(ours.dialect.output_cap, OutputCap::MaxCompletionTokens);
    assert_eq!(
        (ours.encoding, ours.encoding_assumed),
        (Some(Encoding::Cl100kBase), false)
    );
    assert!(ours.reasoning && ours.dialect.efforts == [Effort::Low]);
    assert_eq!(
        (ours.context, ours.source.as_str()),
        (Some(8192), "your configuration")
    );
    let local = model(entry("my-server/some-model")).unwrap();
    assert_eq!(
        (local.dialect.output_cap, local.dialect.temperature),
        (OutputCap::MaxTokens, TemperatureRule::Any)
    );
    assert_eq!((local.price, local.encoding), (None, None));
}

#[test]
fn a_smaller_window_shrinks_what_was_inside_it() {
    let small = model(ModelEntry {
        context: Some(4096),
        ..entry("openai/gpt-5")
    })
    .unwrap();
    assert_eq!(
        (small.max_input, small.max_output),
        (Some(4096), Some(4096))
    );
}

#[test]
fn new_models_come_last_in_the_files_order_and_aliases_resolve() {
    let entries = [
        ModelEntry {
            alias: Some("best".into()),
            ..priced("b/two", "1", "1")
        },
        ModelEntry {
            alias: Some("quick".into()),
            ..entry("openai/gpt-5-nano")
        },
        priced("a/one", "1", "1"),
    ];
    let catalog = Catalog::builtin().with_entries(&entries).unwrap();
    let ids: Vec<String> = catalog.iter().map(|model| model.id.to_string()).collect();
    assert_eq!(ids[ids.len() - 2..], ["b/two", "a/one"]);
    assert_eq!(
        catalog.resolve("quick", |_| false).unwrap().to_string(),
        "openai/gpt-5-nano"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_impossible_entry_is_refused_with_what_to_do() {
    let gpt = || entry("openai/gpt-5");
    for (bad, cause) in [
        (
            ModelEntry {
                input: Some(usd("1")),
                ..gpt()
            },
            "the price has no output; give input and output together",
        ),
        (
            ModelEntry {
                output: Some(usd("1")),
                ..gpt()
            },
            "the price has no input",
        ),
        (
            ModelEntry {
                cached_input: Some(usd("1")),
                ..gpt()
            },
            "the price has no input",
        ),
        (
            ModelEntry {
                free: true,
                ..priced("openai/gpt-5", "1", "10")
            },
            "both a price and free = true",
        ),
        (
            priced("openai/gpt-5", "0.00000125", "0.00001"),
            "input = 0.00000125 is no price",
        ),
        (priced("openai/gpt-5", "-1", "10"), "input = -1 is no price"),
        (
            priced("openai/gpt-5", "0.000001", "10"),
            "over 100 times off the catalogue's 1.25",
        ),
        (
            priced("openai/gpt-5", "1250000", "10"),
            "add confirmed = true",
        ),
        (
            priced("openai/gpt-5", "1.25", "0.09"),
            "output = 0.09 is over 100 times off",
        ),
        (
            ModelEntry {
                cached_input: Some(usd("25")),
                ..priced("openai/gpt-5", "1", "10")
            },
            "cached_input = 25 is over",
        ),
        // A price that has ended is still a measure.
        (
            priced("anthropic/claude-sonnet-5", "0.000003", "0.000015"),
            "not per token",
        ),
        (
            ModelEntry {
                encoding: Some("o201k".into()),
                ..gpt()
            },
            "unknown encoding `o201k`; an encoding is one of",
        ),
        (
            ModelEntry {
                max_output: Some(500_000),
                ..gpt()
            },
            "max_output = 500000 is more than context = 400000",
        ),
        (
            ModelEntry {
                alias: Some("auto".into()),
                ..gpt()
            },
            "the alias `auto` would hide another name",
        ),
        (
            ModelEntry {
                alias: Some("openai/o3".into()),
                ..gpt()
            },
            "an alias has no slash",
        ),
        (
            ModelEntry {
                context: Some(0),
                ..gpt()
            },
            "context = 0 leaves no room",
        ),
        (
            ModelEntry {
                reasoning: Some(false),
                efforts: Some(vec![Effort::Low]),
                ..gpt()
            },
            "efforts but reasoning = false",
        ),
    ] {
        let error = model(bad.clone()).expect_err(cause);
        assert!(error.contains(cause), "{error}");
        assert!(
            error.starts_with(&format!("[[models]] `{}`: ", bad.id)) && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[test]
fn a_service_tier_is_chosen_where_its_price_is_known() {
    let tier = |id: &str, tier| ModelEntry {
        service_tier: Some(tier),
        ..entry(id)
    };
    for (chosen, sent) in [
        (
            tier("openai/gpt-5", ServiceTier::Flex),
            Some(ServiceTier::Flex),
        ),
        (
            tier("openai/gpt-5", ServiceTier::Priority),
            Some(ServiceTier::Priority),
        ),
        // Newer models have it under this name.
        (
            tier("openai/gpt-6.1-sol", ServiceTier::Fast),
            Some(ServiceTier::Fast),
        ),
        (tier("openai/gpt-5", ServiceTier::Auto), None),
        (
            tier("openai/gpt-4", ServiceTier::Default),
            Some(ServiceTier::Default),
        ),
        (
            tier("gemini/gemini-3.5-flash", ServiceTier::Priority),
            Some(ServiceTier::Priority),
        ),
        (tier("anthropic/claude-opus-5", ServiceTier::Default), None),
        // Another address than OpenAI's may not know the field; one that is chosen is sent all the same.
        (priced("openai/gpt-9", "1", "2"), None),
        (
            ModelEntry {
                service_tier: Some(ServiceTier::Default),
                ..priced("openai/gpt-9", "1", "2")
            },
            Some(ServiceTier::Default),
        ),
    ] {
        let model = model(chosen.clone()).unwrap();
        assert_eq!(model.dialect.tier_to_send(), sent, "{chosen:?}");
        assert_eq!(
            model.price.map(|price| price.tier),
            Some(chosen.service_tier.unwrap_or_default())
        );
    }
    for (chosen, cause) in [
        (
            tier("openai/gpt-4o", ServiceTier::Flex),
            "no price is known for service_tier = \"flex\" of this model; it has one for priority",
        ),
        (
            tier("openai/gpt-5-nano", ServiceTier::Auto),
            "service_tier = \"auto\" of this model; it has one for flex",
        ),
        (
            tier("openai/gpt-4", ServiceTier::Priority),
            "of this model; leave the line out",
        ),
        (
            tier("my-server/some-model", ServiceTier::Flex),
            "no price is known",
        ),
        (
            tier("anthropic/claude-opus-5-5", ServiceTier::Fast),
            "would be ignored by the provider",
        ),
        (
            ModelEntry {
                service_tier: Some(ServiceTier::Flex),
                ..priced("openai/gpt-5", "1", "10")
            },
            "needs the catalogue's price",
        ),
    ] {
        let error = model(chosen.clone()).expect_err(cause);
        assert!(
            error.contains(cause) && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[test]
fn a_price_far_off_is_taken_when_confirmed_and_up_to_a_hundredfold_without() {
    let far = ModelEntry {
        confirmed: true,
        ..priced("openai/gpt-5", "0.000001", "0.000001")
    };
    assert_eq!(model(far).unwrap().price.unwrap().input, Usd::from_pico(1));
    for (input, output) in [("125", "1000"), ("0.0125", "0.1")] {
        assert!(
            model(priced("openai/gpt-5", input, output)).is_ok(),
            "{input}, {output}"
        );
    }
}

#[test]
fn one_table_and_one_alias_for_one_model() {
    let alias = |id: &str| ModelEntry {
        alias: Some("best".into()),
        ..entry(id)
    };
    for (entries, cause) in [
        (
            [entry("a/b"), entry("a/b")],
            "[[models]] `a/b`: it is given twice; keep one table",
        ),
        (
            [alias("a/b"), alias("a/c")],
            "[[models]] `a/c`: the alias `best` already means `a/b`",
        ),
    ] {
        assert_eq!(
            Catalog::builtin()
                .with_entries(&entries)
                .unwrap_err()
                .to_string(),
            cause
        );
    }
}
