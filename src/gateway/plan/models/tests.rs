//! The models that count when no rung of the ladder has a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use super::*;
use crate::budget::{Budget, Limits};
use crate::chat::{Random, Usd};
use crate::config::{ModelEntry, ProviderConfig};
use crate::gateway::{Gateway, Parts};
use crate::provider::providers;

/// 1 November 2026, noon.
const NOON: i64 = 1_793_534_400_000;
const HOUR: i64 = 3_600_000;

/// A gateway that was started at noon, with one key, and its clock.
fn started(key: &str, config: Config) -> (Gateway, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(NOON));
    let hand = Arc::clone(&now);
    let clock = Clock::from_fn(move || Timestamp(hand.load(SeqCst)));
    let env = Env::from_pairs([(key, "sk-one-key-1234")]);
    let parts = Parts {
        catalog: Arc::new(
            Catalog::builtin()
                .at(clock.now())
                .with_entries(&config.models)
                .unwrap(),
        ),
        providers: providers(&config.providers, &env).unwrap(),
        config: Arc::new(config),
        env: Arc::new(env),
        budget: Budget::in_utc(Limits::default()),
        run: "run".into(),
        data_dir: "/nowhere".into(),
        cache: None,
        clock,
        random: Random::system(),
    };
    (Gateway::new(parts), now)
}

fn entry(id: &str, output: &str) -> ModelEntry {
    let output: Usd = output.parse().unwrap();
    ModelEntry {
        input: Some(output),
        output: Some(output),
        ..ModelEntry::new(id.parse().unwrap())
    }
}

fn find<'a>(models: &'a [Model], id: &str) -> Option<&'a Model> {
    models.iter().find(|model| model.id.to_string() == id)
}

#[test]
fn without_a_rung_every_priced_model_with_a_key_counts_the_users_own_first() {
    let own = vec![entry("anthropic/mine", "1"), entry("openai/mine", "1")];
    let (gateway, _) = started(
        "ANTHROPIC_API_KEY",
        Config {
            models: own,
            ..Config::default()
        },
    );
    let found = gateway.models().dearest_first();
    assert_eq!(found[0].id.to_string(), "anthropic/mine");
    let outputs: Vec<_> = found[1..]
        .iter()
        .map(|model| model.price.as_ref().unwrap().output)
        .collect();
    assert!(
        outputs.is_sorted_by(|dearer, cheaper| dearer >= cheaper),
        "{outputs:?}"
    );
    let known = gateway.parts.catalog.iter().filter(|model| {
        let usable = model.status == Lifecycle::Current
            && model.dialect.api == ModelApi::Chat
            && model.price.is_some();
        usable && model.id.provider() == "anthropic"
    });
    assert_eq!(found.len(), known.count());
    assert!(
        find(&found, "anthropic/claude-haiku-4-5").is_some(),
        "the cheapest"
    );
}

#[test]
fn without_a_rung_the_prices_are_those_of_the_moment() {
    let (gateway, clock) = started("GEMINI_API_KEY", Config::default());
    let output = || {
        find(&gateway.models().dearest_first(), "gemini/gemini-3.8-flash")
            .unwrap()
            .price
            .clone()
            .unwrap()
            .output
    };
    let before = output();
    // The introductory price ends with the year.
    clock.store(NOON + 62 * 24 * HOUR, SeqCst);
    assert_eq!(output(), before.times(2));

    let (gateway, clock) = started("DEEPSEEK_API_KEY", Config::default());
    let is_off_peak = || {
        let models = gateway.models().dearest_first();
        find(&models, "deepseek/deepseek-flash")
            .unwrap()
            .price
            .clone()
            .unwrap()
            .off_peak
            .unwrap()
            .now
    };
    assert!(is_off_peak());
    clock.store(NOON + 14 * HOUR, SeqCst);
    assert!(!is_off_peak(), "two in the morning is peak");
}

#[test]
fn without_a_rung_a_model_is_asked_as_it_would_be_by_name() {
    let (gateway, _) = started(
        "OPENAI_API_KEY",
        Config {
            models: vec![entry("openai/new", "1")],
            ..Config::default()
        },
    );
    let found = gateway.models().dearest_first();
    assert_eq!(found[0].dialect.tier_field, TierField::Always);
    assert!(
        found
            .iter()
            .all(|model| gateway.model(&model.id).as_ref() == Ok(model))
    );
}

#[test]
fn an_unknown_model_is_free_on_this_machine_only() {
    for (url, free) in [
        ("http://127.0.0.1:9000/v1", true),
        ("https://gpu.example.com/v1", false),
    ] {
        let vllm = ProviderConfig {
            name: "vllm".into(),
            base_urls: vec![url.into()],
            ..ProviderConfig::default()
        };
        let (gateway, _) = started(
            "NO_KEY",
            Config {
                providers: vec![vllm],
                ..Config::default()
            },
        );
        let price = gateway.model(&ModelId::new("vllm", "x")).unwrap().price;
        assert_eq!(price.map(|price| price.free), free.then_some(true), "{url}");
    }
}
