use proptest::prelude::*;
use serde_json::json;

use super::*;

/// (uncached, cached, cache write, output, reasoning)
fn buckets(value: &Value) -> Option<(u64, u64, u64, u64, u64)> {
    let usage = RawUsage::of(value)?.normalise()?;
    Some((
        usage.uncached_input,
        usage.cached_input,
        usage.cache_write,
        usage.output,
        usage.reasoning,
    ))
}

/// How each server counts, with where that is written.
#[test]
fn every_server_comes_to_the_same_four_buckets() {
    for (who, value, expected) in [
        // The common ground.
        (
            "plain",
            json!({"prompt_tokens": 10, "completion_tokens": 5}),
            (10, 0, 0, 5, 0),
        ),
        // platform.openai.com, prompt caching: cached and written tokens lie inside `prompt_tokens`, reasoning inside
        // `completion_tokens`.
        (
            "OpenAI",
            json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0}}),
            (10, 60, 30, 50, 40),
        ),
        // The Responses API has Anthropic's names and OpenAI's way.
        (
            "OpenAI, Responses",
            json!({"input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
                "input_tokens_details": {"cached_tokens": 60}, "output_tokens_details": {"reasoning_tokens": 40}}),
            (40, 60, 0, 50, 40),
        ),
        // docs.anthropic.com, prompt caching: `input_tokens` is what is left after both.
        (
            "Anthropic",
            json!({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 60, "cache_creation": {"ephemeral_5m_input_tokens": 30,
                "ephemeral_1h_input_tokens": 0}, "service_tier": "standard"}),
            (10, 60, 30, 5, 0),
        ),
        // Its compatible layer leaves the details empty.
        (
            "Anthropic, compatible",
            json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_tokens_details": null,
                "completion_tokens_details": null}),
            (100, 0, 0, 5, 0),
        ),
        // litellm 14849: thoughts are in the total only.
        (
            "Gemini, compatible",
            json!({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81}),
            (21, 0, 0, 60, 60),
        ),
        // api-docs.deepseek.com: hit and miss together are the prompt.
        (
            "DeepSeek",
            json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_cache_hit_tokens": 64,
                "prompt_cache_miss_tokens": 36}),
            (36, 64, 0, 5, 0),
        ),
        (
            "DeepSeek, the miss alone",
            json!({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_miss_tokens": 36}),
            (36, 64, 0, 5, 0),
        ),
        // docs.litellm.ai, prompt caching: OpenAI's way with Anthropic's names on top.
        (
            "LiteLLM before Anthropic",
            json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 30}),
            (10, 60, 30, 5, 0),
        ),
        // docs.x.ai: reasoning lies beside the completion, as the total shows.
        (
            "xAI",
            json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94}}),
            (32, 0, 0, 103, 94),
        ),
        (
            "xAI, without a total",
            json!({"prompt_tokens": 32, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}}),
            (32, 0, 0, 103, 94),
        ),
        // platform.moonshot.ai: on the top level.
        (
            "Moonshot",
            json!({"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 64}),
            (36, 64, 0, 5, 0),
        ),
        // docs.mistral.ai: the plain three, in the last chunk.
        (
            "Mistral",
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}),
            (10, 0, 0, 5, 0),
        ),
        // console.groq.com: the plain three with times, also as `x_groq.usage`.
        (
            "Groq",
            json!({"queue_time": 0.01, "prompt_tokens": 10, "prompt_time": 0.002, "completion_tokens": 5,
                "completion_time": 0.02, "total_tokens": 15, "total_time": 0.022}),
            (10, 0, 0, 5, 0),
        ),
        // openrouter.ai, usage accounting: OpenAI's way, and its own price beside it.
        (
            "OpenRouter",
            json!({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cost": 0.00014,
                "prompt_tokens_details": {"cached_tokens": 64}, "cost_details": {"upstream_inference_cost": null}}),
            (36, 64, 0, 5, 0),
        ),
        (
            "a whole number with a point",
            json!({"prompt_tokens": 12.0, "completion_tokens": 5}),
            (12, 0, 0, 5, 0),
        ),
        (
            "a total of 0 is none",
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 0}),
            (10, 0, 0, 5, 0),
        ),
    ] {
        assert_eq!(buckets(&value), Some(expected), "{who}");
        assert!(!RawUsage::of(&value).unwrap().is_odd(), "{who}");
    }
}

#[test]
fn a_usage_that_cannot_be_is_as_if_there_were_none() {
    let with = |name: &str, value: Value| {
        let mut usage = json!({"prompt_tokens": 10, "completion_tokens": 5});
        usage[name] = value;
        usage
    };
    for (what, value) in [
        ("negative", with("prompt_tokens", json!(-1))),
        ("negative output", with("completion_tokens", json!(-5))),
        ("beyond what can be", with("prompt_tokens", json!(u64::MAX))),
        ("beyond 64 bits", with("prompt_tokens", json!(1e300))),
        ("a fraction", with("prompt_tokens", json!(1.5))),
        ("a text", with("prompt_tokens", json!("12"))),
        ("a list", with("completion_tokens", json!([5]))),
        ("a total that is none", with("total_tokens", json!("15"))),
        (
            "negative details",
            with("prompt_tokens_details", json!({"cached_tokens": -3})),
        ),
        (
            "more cached than there was",
            with("prompt_tokens_details", json!({"cached_tokens": 60})),
        ),
        (
            "cached and written are more than there was",
            with(
                "prompt_tokens_details",
                json!({"cached_tokens": 6, "cache_write_tokens": 5}),
            ),
        ),
        ("hit and miss are not the prompt", {
            let mut usage = with("prompt_cache_hit_tokens", json!(3));
            usage["prompt_cache_miss_tokens"] = json!(4);
            usage
        }),
        (
            "more missed than there was",
            with("prompt_cache_miss_tokens", json!(11)),
        ),
        ("parts above the total", with("total_tokens", json!(14))),
        ("thoughts that explain no total", {
            let mut usage = with("total_tokens", json!(35));
            usage["completion_tokens_details"] = json!({"reasoning_tokens": 3});
            usage
        }),
        ("more thought than was written, by the total", {
            let mut usage = with("total_tokens", json!(15));
            usage["completion_tokens_details"] = json!({"reasoning_tokens": 6});
            usage
        }),
        (
            "a cache write that is kept for an hour has no price",
            json!({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 30}}),
        ),
    ] {
        let usage = RawUsage::of(&value).expect(what);
        assert!(
            usage.normalise().is_none() && usage.is_refused() && usage.is_odd(),
            "{what}: {usage:?}"
        );
    }
    for (what, value) in [
        ("MiniMax", json!({})),
        ("null", json!(null)),
        ("a text", json!("5")),
    ] {
        assert_eq!(RawUsage::of(&value), None, "{what}");
    }
    for (what, value) in [
        ("half", json!({"prompt_tokens": 10})),
        (
            "nothing",
            json!({"prompt_tokens": 0, "completion_tokens": 0}),
        ),
    ] {
        let usage = RawUsage::of(&value).expect(what);
        assert!(usage.normalise().is_none() && !usage.is_odd(), "{what}");
    }
}

#[test]
fn what_the_server_charged_is_exact() {
    for (value, expected) in [
        (json!({"cost": 1834e-6}), Some("0.001834")),
        (json!({"cost": 0}), Some("0")),
        (json!({"cost": 1e-13}), Some("0.000000000001")),
        (json!({"cost": 0.1, "is_byok": true}), None),
        (json!({"cost": null, "prompt_tokens": 1}), None),
        (json!({"cost_in_usd_ticks": 37_756_000}), Some("0.0037756")),
    ] {
        let billed = RawUsage::of(&value)
            .and_then(|usage| usage.billed)
            .map(|usd| usd.to_string());
        assert_eq!(billed.as_deref(), expected, "{value}");
        assert!(
            !RawUsage::of(&value).is_some_and(|usage| usage.is_odd()),
            "{value}"
        );
    }
}

#[test]
fn a_charge_that_cannot_be_is_passed_over_and_the_count_beside_it_holds() {
    for cost in [
        json!(-1.0),
        json!("1"),
        json!("NaN"),
        json!(1e300),
        json!(10_000),
        json!([]),
        json!(true),
    ] {
        let value = json!({"prompt_tokens": 10, "completion_tokens": 5, "cost": cost});
        let usage = RawUsage::of(&value).unwrap();
        assert!(
            usage.billed.is_none() && usage.is_odd() && !usage.is_refused(),
            "{value}"
        );
        assert_eq!(buckets(&value), Some((10, 0, 0, 5, 0)), "{value}");
    }
    for ticks in [json!(-5), json!(1.5), json!(u64::MAX)] {
        let usage = RawUsage::of(&json!({ "cost_in_usd_ticks": ticks })).unwrap();
        assert!(usage.billed.is_none() && usage.is_odd(), "{ticks}");
    }
}

proptest! {
    #[test]
    fn the_buckets_are_what_was_counted_or_nothing(prompt in 0..COUNT_CAP, completion in 1..COUNT_CAP,
            cached in 0..COUNT_CAP, write in 0..COUNT_CAP, reasoning in proptest::option::of(0..COUNT_CAP),
            total in proptest::option::of(0..COUNT_CAP)) {
        let raw = RawUsage { prompt: Some(prompt), completion: Some(completion), total, cached: Some(cached),
            cache_write: Some(write), reasoning, ..RawUsage::default() };
        match raw.normalise() {
            Some(usage) => {
                prop_assert_eq!(usage.input(), prompt);
                prop_assert_eq!((usage.cached_input, usage.cache_write), (cached, write));
                prop_assert!(usage.output >= completion && usage.reasoning <= usage.output);
            }
            None => prop_assert!(raw.is_refused()),
        }
    }

    #[test]
    fn no_value_makes_it_panic(text in "\\PC{0,40}", n in any::<i64>(), f in any::<f64>()) {
        for value in [json!(text), json!(n), json!(f), json!(null), json!([n]), json!({ "cached_tokens": n })] {
            for name in ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "input_tokens",
                "cache_creation", "cost", "cost_in_usd_ticks"] {
                let usage = RawUsage::of(&json!({"prompt_tokens": 1, "completion_tokens": 1, name: value}));
                prop_assert!(usage.is_none_or(|usage| usage.normalise().is_none_or(|usage| usage.input() <= COUNT_CAP)));
            }
        }
    }
}
