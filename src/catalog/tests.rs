//! The rows of the built-in catalogue, one by one and as a whole.

use super::*;
use crate::chat::{Effort, ModelId, ServiceTier, Timestamp, Usd};
use crate::tokens::encoding::Encoding;

fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

fn model(text: &str) -> Model {
    Catalog::builtin()
        .get(&id(text))
        .unwrap_or_else(|| panic!("{text} is not listed"))
        .clone()
}

/// Noon UTC of a day.
fn noon(day: &str) -> Timestamp {
    Timestamp(
        format!("{day}T12:00:00Z")
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_millisecond(),
    )
}

/// US dollars per million.
fn usd(text: &str) -> Usd {
    price::per_token(text.parse().unwrap()).unwrap()
}

#[test]
fn a_hundred_models_are_known() {
    assert_eq!(Catalog::builtin().iter().count(), 100);
}

#[test]
fn every_row_is_sane() {
    let catalog = Catalog::builtin();
    for model in catalog.iter() {
        let name = &model.id;
        let (context, max_output) = (
            model.context.expect("context"),
            model.max_output.expect("max_output"),
        );
        assert!(max_output <= context && max_output > 0, "{name}");
        assert!(
            model.max_input.is_none_or(|max_input| max_input <= context),
            "{name}"
        );
        assert!(
            model.reasoning || model.dialect.efforts.is_empty(),
            "{name}"
        );
        assert!(model.dialect.efforts.is_sorted_by(|a, b| a < b), "{name}");
        assert!(
            !model.encoding_assumed || model.encoding.is_some(),
            "{name}"
        );
        assert!(
            !model.source.is_empty() && model.note.lines().count() <= 1,
            "{name}"
        );
        let can_switch_off = model.dialect.efforts.contains(&Effort::None);
        assert!(
            model.dialect.temperature != TemperatureRule::OnlyWithoutEffort || can_switch_off,
            "{name}"
        );
        if let Lifecycle::Retired {
            instead: Some(instead),
            ..
        } = &model.status
        {
            assert_eq!(
                catalog.get(instead).expect("replacement").status,
                Lifecycle::Current,
                "{name}"
            );
        }
        let dated = model.dated.as_ref().map(|dated| &dated.before);
        if let Some(price) = model.price.as_ref().or(dated) {
            every_price_is_sane(model, price);
        }
    }
}

fn every_price_is_sane(model: &Model, price: &Price) {
    let name = &model.id;
    assert_eq!(price.origin, PriceOrigin::Catalogue, "{name}");
    assert_eq!(price.free, name.provider() == "offline", "{name}");
    assert_eq!(
        price.input == Usd::ZERO || price.output == Usd::ZERO,
        price.free,
        "{name}"
    );
    assert!(price.input <= price.output, "{name}");
    assert!(
        price.cached_input.is_none_or(|cached| cached < price.input),
        "{name}"
    );
    assert!(
        price.cache_write.is_none_or(|write| write > price.input),
        "{name}"
    );
    assert_eq!(
        (price.source.as_str(), price.as_of.as_str()),
        (model.source.as_str(), model.as_of.as_str()),
        "{name}"
    );
    for (tier, share) in price.tiers.iter() {
        match tier {
            ServiceTier::Flex | ServiceTier::Batch => {
                assert_eq!(share.input.times(2), price.input, "{name}");
            }
            // `Price::settled` takes twice the listed price for the dearest that a tier without a price can be.
            _ => assert!(
                share.input > price.input && share.input <= price.input.times(2),
                "{name}"
            ),
        }
        // Where the output is stated too, it has the share of the input.
        let derived = price.output.in_proportion(share.input, price.input);
        assert_eq!(share.output.unwrap_or(derived), derived, "{name}");
    }
    if let Some(off_peak) = &price.off_peak {
        assert_eq!(
            (name.provider(), off_peak.share.input.times(2)),
            ("deepseek", price.input),
            "{name}"
        );
    }
    if let Some(long) = &price.long {
        assert!(long.above < model.context.unwrap(), "{name}");
        assert!(
            long.input > price.input && long.output > price.output,
            "{name}"
        );
        assert!(
            long.cached_input.is_none_or(|cached| cached < long.input),
            "{name}"
        );
    }
}

#[test]
fn older_models_get_requests_in_their_dialect() {
    use Effort::{High, Low, Medium, Minimal};
    for (name, efforts) in [
        ("openai/gpt-5", &[Minimal, Low, Medium, High][..]),
        ("openai/gpt-5-mini", &[Minimal, Low, Medium, High]),
        ("openai/gpt-5-nano", &[Minimal, Low, Medium, High]),
        ("openai/o1", &[Low, Medium, High]),
        ("openai/o3", &[Low, Medium, High]),
        ("openai/o3-mini", &[Low, Medium, High]),
    ] {
        let expected = Dialect {
            output_cap: OutputCap::MaxCompletionTokens,
            temperature: TemperatureRule::Never,
            system: SystemRole::Developer,
            efforts: efforts.to_vec(),
            api: ModelApi::Chat,
            stream_usage: true,
            tier_field: TierField::Always,
            service_tier: None,
        };
        let model = model(name);
        assert_eq!(
            (model.dialect, model.status),
            (expected, Lifecycle::Current),
            "{name}"
        );
        assert_eq!(model.encoding, Some(Encoding::O200kBase), "{name}");
    }
    let o1_mini = model("openai/o1-mini");
    assert_eq!(o1_mini.dialect.system, SystemRole::FoldIntoUser);
    assert_eq!(
        o1_mini.status,
        Lifecycle::Retired {
            since: "2025-10-27".into(),
            instead: Some(id("openai/o4-mini"))
        }
    );
}

#[test]
fn each_model_family_has_its_dialect() {
    use OutputCap::{MaxCompletionTokens, MaxTokens};
    use TemperatureRule::{Any, Never, OnlyWithoutEffort, UpToOne};
    for (name, cap, temperature, api) in [
        (
            "openai/gpt-5.1",
            MaxCompletionTokens,
            OnlyWithoutEffort,
            ModelApi::Chat,
        ),
        (
            "openai/gpt-5.6-sol",
            MaxCompletionTokens,
            OnlyWithoutEffort,
            ModelApi::Chat,
        ),
        (
            "openai/gpt-6-sol",
            MaxCompletionTokens,
            Never,
            ModelApi::Chat,
        ),
        (
            "openai/gpt-5-chat-latest",
            MaxCompletionTokens,
            Any,
            ModelApi::Chat,
        ),
        ("openai/gpt-4o", MaxTokens, Any, ModelApi::Chat),
        (
            "openai/gpt-5-pro",
            MaxCompletionTokens,
            Never,
            ModelApi::Responses,
        ),
        (
            "openai/gpt-5.3-codex",
            MaxCompletionTokens,
            Never,
            ModelApi::Responses,
        ),
        (
            "anthropic/claude-sonnet-4-6",
            MaxTokens,
            UpToOne,
            ModelApi::Chat,
        ),
        (
            "anthropic/claude-opus-4-7",
            MaxTokens,
            Never,
            ModelApi::Chat,
        ),
        ("deepseek/deepseek-flash", MaxTokens, Any, ModelApi::Chat),
        (
            "groq/openai/gpt-oss-120b",
            MaxCompletionTokens,
            Any,
            ModelApi::Chat,
        ),
        ("xai/grok-4.5", MaxCompletionTokens, Any, ModelApi::Chat),
    ] {
        let dialect = model(name).dialect;
        assert_eq!(
            (dialect.output_cap, dialect.temperature, dialect.api),
            (cap, temperature, api),
            "{name}"
        );
    }
}

#[test]
fn a_zero_price_in_a_source_is_listed_as_unknown() {
    assert_eq!(
        model("llama/llama-4-maverick-17b-128e-instruct-fp8").price,
        None
    );
    assert_eq!(
        model("openai/gpt-3.5-turbo").price.unwrap().cached_input,
        None
    );
    assert_eq!(model("zai/glm-5.2").price.unwrap().cache_write, None);
}

#[test]
fn the_guide_is_free_and_built_in() {
    let guide = model("offline/guide");
    assert!(guide.price.unwrap().free);
    assert_eq!((guide.context, guide.max_output), (Some(8192), Some(2048)));
    assert_eq!(
        (guide.encoding, guide.source.as_str()),
        (Some(Encoding::O200kBase), "built in")
    );
}

#[test]
fn a_price_with_an_end_holds_to_its_last_day() {
    for (name, day, input) in [
        ("gemini/gemini-3.8-flash", "2026-12-31", Some("0.75")),
        ("gemini/gemini-3.8-flash", "2027-01-01", Some("1.5")),
        ("anthropic/claude-sonnet-5", "2026-08-31", Some("2")),
        ("anthropic/claude-sonnet-5", "2026-09-01", None),
        ("deepseek/deepseek-chat", "2026-11-22", None),
        ("openai/gpt-5", "2026-11-22", Some("1.25")),
    ] {
        let catalog = Catalog::builtin().at(noon(day));
        let price = catalog.get(&id(name)).unwrap().price.as_ref();
        assert_eq!(
            price.map(|price| price.input),
            input.map(usd),
            "{name} on {day}"
        );
    }
    let undecided = Catalog::builtin();
    assert_eq!(
        undecided.get(&id("gemini/gemini-3.8-flash")).unwrap().price,
        None
    );
    let later = undecided.at(noon("2026-12-31")).at(noon("2027-01-01"));
    assert_eq!(
        later
            .get(&id("gemini/gemini-3.8-flash"))
            .unwrap()
            .price
            .as_ref()
            .unwrap()
            .output,
        usd("7.5")
    );
}

#[test]
fn prompt_caching_is_known_only_where_the_provider_states_it() {
    let five_minutes = PromptCache {
        lifetime: std::time::Duration::from_mins(5),
        minimum_tokens: 1024,
    };
    for (name, kept) in [
        ("openai/gpt-5", Some(five_minutes)),
        // Older than the cache: it has no price for cached input.
        ("openai/gpt-4", None),
        // Its compatible layer keeps nothing.
        ("anthropic/claude-opus-5", None),
        // Caches prompts, but for how long is not stated.
        ("deepseek/deepseek-flash", None),
    ] {
        assert_eq!(model(name).prompt_cache, kept, "{name}");
    }
    assert_eq!(
        Catalog::builtin()
            .unlisted(&id("openai/gpt-9"))
            .prompt_cache,
        Some(five_minutes)
    );
}

#[test]
fn a_long_request_is_known_to_cost_more() {
    let long = model("openai/gpt-6-astra").price.unwrap().long.unwrap();
    assert_eq!(
        (long.above, long.input, long.cache_write),
        (272_000, usd("20"), Some(usd("25")))
    );
    assert_eq!(
        model("xai/grok-4.7").price.unwrap().long.unwrap().above,
        200_000
    );
}

#[test]
fn a_mistyped_name_finds_its_model_first() {
    for (typed, meant) in [
        ("gpt5", "openai/gpt-5"),
        ("gpt-5-mni", "openai/gpt-5-mini"),
        ("opnai/gpt-5-mini", "openai/gpt-5-mini"),
        ("claude-sonet-5", "anthropic/claude-sonnet-5"),
        ("Claude Opus 4.6", "anthropic/claude-opus-4-6"),
        ("o3mini", "openai/o3-mini"),
        ("gemini-2.5-pr", "gemini/gemini-2.5-pro"),
        ("deepseek-chta", "deepseek/deepseek-chat"),
        ("magistral", "mistral/magistral-medium-latest"),
    ] {
        let near = Catalog::builtin().nearest(typed, 3);
        assert_eq!(
            near.first().map(String::as_str),
            Some(meant),
            "{typed}: {near:?}"
        );
        assert!(near.len() <= 3);
    }
    assert_eq!(
        Catalog::builtin().nearest("some-quite-other-thing", 3),
        Vec::<String>::new()
    );
    assert!(
        !Catalog::builtin()
            .nearest("o1-mini", 9)
            .contains(&"openai/o1-mini".to_string())
    );
}

#[test]
fn a_bare_name_lists_its_providers() {
    let ids: Vec<String> = Catalog::builtin()
        .by_bare_name("gpt-oss-120b")
        .iter()
        .map(|model| model.id.to_string())
        .collect();
    assert_eq!(ids, ["groq/openai/gpt-oss-120b", "cerebras/gpt-oss-120b"]);
}
