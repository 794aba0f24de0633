//! A server's own token counts, and the four disjoint buckets that they come to.
//!
//! Owns: the names under which servers write counts and costs; the arithmetic from theirs to ours.
//! Refuses: prices.
//! Invariant: buckets never overlap and never wrap; a figure that cannot be a count is as if it were missing.

use serde_json::Value;

use crate::chat::{Usage, UsageSource, Usd};

/// Above this a token count or a price in dollars is nonsense, not a figure.
const COUNT_CAP: u64 = 1_000_000_000_000;
const DOLLAR_CAP: f64 = 1e9;
/// xAI's `cost_in_usd_ticks`: 10^10 to the dollar (docs.x.ai, cost tracking), so 100 pico-dollars each.
const PICO_PER_TICK: i128 = 100;

/// Counts as written, each of them optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawUsage {
    pub prompt: Option<u64>,
    pub completion: Option<u64>,
    pub total: Option<u64>,
    /// Part of `prompt`.
    pub cached: Option<u64>,
    /// Part of `prompt`.
    pub cache_write: Option<u64>,
    /// Part of `completion`, at most servers.
    pub reasoning: Option<u64>,
    /// What the server says the request cost.
    pub billed: Option<Usd>,
}

impl RawUsage {
    /// Reads a `usage` value; `None` when it holds nothing that we know (`null`, `{}`, a string).
    pub fn of(value: &Value) -> Option<Self> {
        let inner = |outer: &str, name: &str| value.get(outer).and_then(|details| details.get(name));
        let usage = Self {
            prompt: count(value.get("prompt_tokens")),
            completion: count(value.get("completion_tokens")),
            total: count(value.get("total_tokens")),
            cached: count(inner("prompt_tokens_details", "cached_tokens"))
                .or_else(|| count(value.get("prompt_cache_hit_tokens")))
                .or_else(|| count(value.get("cached_tokens"))),
            cache_write: count(inner("prompt_tokens_details", "cache_write_tokens")),
            reasoning: count(inner("completion_tokens_details", "reasoning_tokens")),
            billed: billed(value),
        };
        (usage != Self::default()).then_some(usage)
    }

    /// Our four buckets; `None` unless both prompt and completion were counted and not both are 0.
    pub fn normalise(&self) -> Option<Usage> {
        let (prompt, completion) = (self.prompt?, self.completion?);
        if prompt == 0 && completion == 0 {
            return None;
        }
        let cached = self.cached.unwrap_or(0).min(prompt);
        let cache_write = self.cache_write.unwrap_or(0).min(prompt - cached);
        let beyond = self.total.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        // xAI and Gemini count thinking beside the completion, and only the total shows it: it is billed as output.
        let thinking_beside = match self.reasoning {
            Some(reasoning) if beyond == reasoning => beyond,
            None => beyond,
            Some(_) => 0,
        };
        let output = completion.saturating_add(thinking_beside);
        Some(Usage {
            uncached_input: prompt - cached - cache_write,
            cached_input: cached,
            cache_write,
            output,
            reasoning: self.reasoning.unwrap_or(thinking_beside).min(output),
            source: UsageSource::Provider,
        })
    }
}

/// A count: a whole number from 0 to 10^12, also when written `12.0`.
fn count(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    let whole = value.as_u64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=1e12).contains(number))
            .map(|number| number as u64)
    })?;
    (whole <= COUNT_CAP).then_some(whole)
}

/// What the server says it charged: OpenRouter's `cost` in dollars, xAI's ticks.
fn billed(value: &Value) -> Option<Usd> {
    if let Some(ticks) = value.get("cost_in_usd_ticks").and_then(Value::as_u64) {
        return Some(Usd::from_pico(i128::from(ticks) * PICO_PER_TICK));
    }
    // With a key of the user's own at OpenRouter, `cost` is only OpenRouter's part of the bill.
    if value.get("is_byok").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let cost = value.get("cost")?.as_f64().filter(|cost| cost.is_finite() && (0.0..DOLLAR_CAP).contains(cost))?;
    cost.to_string().parse().ok().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "below 10^21, and rounded up")]
        Some(Usd::from_pico((cost * 1e12).ceil() as i128))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// (uncached, cached, cache write, output, reasoning)
    fn buckets(value: &Value) -> Option<(u64, u64, u64, u64, u64)> {
        let usage = RawUsage::of(value)?.normalise()?;
        Some((usage.uncached_input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning))
    }

    #[test]
    fn every_server_comes_to_the_same_four_buckets() {
        for (who, value, expected) in [
            ("plain", json!({"prompt_tokens": 10, "completion_tokens": 5}), Some((10, 0, 0, 5, 0))),
            (
                "OpenAI counts cached tokens as prompt",
                json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
                    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
                    "completion_tokens_details": {"reasoning_tokens": 40}}),
                Some((10, 60, 30, 50, 40)),
            ),
            (
                "DeepSeek",
                json!({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}),
                Some((36, 64, 0, 5, 0)),
            ),
            (
                "more cached than there was",
                json!({"prompt_tokens": 10, "completion_tokens": 5,
                    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 9}}),
                Some((0, 10, 0, 5, 0)),
            ),
            (
                "xAI counts reasoning beside the completion",
                json!({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
                    "completion_tokens_details": {"reasoning_tokens": 94}}),
                Some((32, 0, 0, 103, 94)),
            ),
            (
                "Gemini shows thinking in the total only",
                json!({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81}),
                Some((21, 0, 0, 60, 60)),
            ),
            ("MiniMax", json!({}), None),
            ("null", json!(null), None),
            ("half", json!({"prompt_tokens": 10}), None),
            ("nothing counted", json!({"prompt_tokens": 0, "completion_tokens": 0}), None),
            ("negative", json!({"prompt_tokens": -1, "completion_tokens": 5}), None),
            ("huge", json!({"prompt_tokens": u64::MAX, "completion_tokens": 5}), None),
            ("huge float", json!({"prompt_tokens": 1e300, "completion_tokens": 5}), None),
            ("fraction", json!({"prompt_tokens": 1.5, "completion_tokens": 5}), None),
            ("whole float", json!({"prompt_tokens": 12.0, "completion_tokens": 5}), Some((12, 0, 0, 5, 0))),
            ("text", json!({"prompt_tokens": "12", "completion_tokens": 5}), None),
        ] {
            assert_eq!(buckets(&value), expected, "{who}");
        }
    }

    #[test]
    fn what_the_server_charged_is_exact() {
        for (value, expected) in [
            (json!({"cost": 1834e-6}), Some("0.001834")),
            (json!({"cost": 0}), Some("0")),
            (json!({"cost": 1e-13}), Some("0.000000000001")),
            (json!({"cost": -1.0}), None),
            (json!({"cost": "1"}), None),
            (json!({"cost": 0.1, "is_byok": true}), None),
            (json!({"cost_in_usd_ticks": 37_756_000}), Some("0.0037756")),
            (json!({"cost_in_usd_ticks": -5}), None),
        ] {
            let billed = RawUsage::of(&value).and_then(|usage| usage.billed).map(|usd| usd.to_string());
            assert_eq!(billed.as_deref(), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn the_input_buckets_add_up_to_the_prompt(prompt in 0..COUNT_CAP, completion in 1..COUNT_CAP,
                                                   cached in 0..COUNT_CAP, write in 0..COUNT_CAP, total in 0..COUNT_CAP) {
            let usage = RawUsage { prompt: Some(prompt), completion: Some(completion), total: Some(total),
                cached: Some(cached), cache_write: Some(write), ..RawUsage::default() }.normalise().unwrap();
            prop_assert_eq!(usage.input(), prompt);
            prop_assert!(usage.output >= completion && usage.reasoning <= usage.output);
        }
    }
}
