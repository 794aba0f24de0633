//! A server's own token counts, and the four disjoint buckets that they come to.
//!
//! Owns: what the figures that servers write mean; the arithmetic from theirs to ours.
//! Refuses: prices; a usage that contradicts itself, of which nobody can say what was billed.
//! Invariant: buckets never overlap and never wrap; what comes of a usage is what the server counted, or nothing.

use serde_json::{Number, Value};

use crate::chat::{Usage, UsageSource, Usd};

/// Above this a token count is nonsense, not a figure.
const COUNT_CAP: u64 = 1_000_000_000;
/// The dearest request that any catalogue allows costs less than a hundredth of this, in dollars.
const DOLLAR_CAP: f64 = 1e4;
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
    /// Part of `prompt`, and the complement of `cached`.
    pub missed: Option<u64>,
    /// Part of `prompt`.
    pub cache_write: Option<u64>,
    /// Part of `completion`, at most servers.
    pub reasoning: Option<u64>,
    /// What the server says the request cost.
    pub billed: Option<Usd>,
    /// A count is there and is none: negative, a fraction, a text, beyond 64 bits; or of a kind that has no price.
    odd_count: bool,
    /// A cost is there and is none.
    odd_cost: bool,
}

impl RawUsage {
    /// Reads a `usage` value; `None` when it holds nothing that we know (`null`, `{}`, a string).
    pub fn of(value: &Value) -> Option<Self> {
        let mut reader = CountReader {
            usage: value,
            odd: false,
        };
        let native = value.get("prompt_tokens").is_none() && value.get("input_tokens").is_some();
        let mut usage = if native {
            reader.native()
        } else {
            reader.compatible()
        };
        usage.total = reader.count("total_tokens");
        // Kept for an hour instead of five minutes, a write to Anthropic's cache costs 2x input, not 1.25x. This program
        // never asks for that, and has no price for it.
        let for_an_hour = reader.count("cache_creation.ephemeral_1h_input_tokens");
        reader.odd |= for_an_hour.is_some_and(|tokens| tokens > 0);
        usage.odd_count = reader.odd;
        match billed(value) {
            Ok(billed) => usage.billed = billed,
            Err(Odd) => usage.odd_cost = true,
        }
        (usage != Self::default()).then_some(usage)
    }

    /// Our four buckets; `None` unless both prompt and completion were counted, not both are 0, and the parts fit the
    /// whole. A part that is larger than its whole was counted in some way that nobody here knows, so it is as if
    /// nothing had been reported, and the upper bound is booked.
    pub fn normalise(&self) -> Option<Usage> {
        let (prompt, completion) = (self.prompt?, self.completion?);
        if self.odd_count || (prompt == 0 && completion == 0) {
            return None;
        }
        let cached = match (self.cached, self.missed) {
            (Some(cached), Some(missed)) if cached.checked_add(missed)? != prompt => return None,
            (None, Some(missed)) => prompt.checked_sub(missed)?,
            (cached, _) => cached.unwrap_or(0),
        };
        let cache_write = self.cache_write.unwrap_or(0);
        let uncached_input = prompt.checked_sub(cached)?.checked_sub(cache_write)?;
        let beside = self.beside(prompt.saturating_add(completion))?;
        let output = completion.saturating_add(beside);
        let reasoning = self.reasoning.unwrap_or(beside);
        (reasoning <= output).then_some(Usage {
            uncached_input,
            cached_input: cached,
            cache_write,
            output,
            reasoning,
            source: UsageSource::Provider,
        })
    }

    /// Tokens thought beside the completion, and billed as output: xAI and Gemini count them there. `None`: the total
    /// is neither with nor without them.
    fn beside(&self, counted: u64) -> Option<u64> {
        let reasoning = self.reasoning.unwrap_or(0);
        match self.total.filter(|total| *total > 0) {
            // Without a total only a thought longer than the completion shows where it was counted.
            None => Some(if Some(reasoning) > self.completion {
                reasoning
            } else {
                0
            }),
            Some(total) => match total.checked_sub(counted)? {
                0 => Some(0),
                // Gemini shows it in the total only.
                beyond if self.reasoning.is_none_or(|reasoning| reasoning == beyond) => {
                    Some(beyond)
                }
                _ => None,
            },
        }
    }

    /// Something was counted, and it cannot be a count. Two zeros say that nothing was counted yet.
    pub fn is_refused(&self) -> bool {
        let both = self
            .prompt
            .zip(self.completion)
            .is_some_and(|both| both != (0, 0));
        self.odd_count || (both && self.normalise().is_none())
    }

    /// Something of it had to be passed over.
    pub fn is_odd(&self) -> bool {
        self.odd_cost || self.is_refused()
    }
}

/// Reads counts under several names, and remembers when one of them was none.
struct CountReader<'a> {
    usage: &'a Value,
    odd: bool,
}

impl CountReader<'_> {
    /// `OpenAI`'s way, and that of all who follow it: what is cached lies inside the prompt.
    fn compatible(&mut self) -> RawUsage {
        RawUsage {
            prompt: self.count("prompt_tokens"),
            completion: self.count("completion_tokens"),
            cached: self.first([
                "prompt_tokens_details.cached_tokens",
                "prompt_cache_hit_tokens",
                "cached_tokens",
                "cache_read_input_tokens",
            ]),
            missed: self.count("prompt_cache_miss_tokens"),
            // Gateways before Anthropic keep its names beside OpenAI's.
            cache_write: self.first([
                "prompt_tokens_details.cache_write_tokens",
                "cache_creation_input_tokens",
            ]),
            reasoning: self.count("completion_tokens_details.reasoning_tokens"),
            ..RawUsage::default()
        }
    }

    /// Anthropic's own way: what is read from the cache and what is written to it lie beside the input. (`OpenAI`'s
    /// Responses API uses the same two names, and counts as ever.)
    fn native(&mut self) -> RawUsage {
        let (read, written) = (
            self.count("cache_read_input_tokens"),
            self.count("cache_creation_input_tokens"),
        );
        let input = self.count("input_tokens");
        let beside = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
        RawUsage {
            prompt: input.map(|input| input.saturating_add(beside)),
            completion: self.count("output_tokens"),
            cached: read.or_else(|| self.count("input_tokens_details.cached_tokens")),
            cache_write: written,
            reasoning: self.count("output_tokens_details.reasoning_tokens"),
            ..RawUsage::default()
        }
    }

    /// The first of several that is a count.
    fn first<const N: usize>(&mut self, paths: [&str; N]) -> Option<u64> {
        paths.into_iter().find_map(|path| self.count(path))
    }

    /// The count at a path; `None` when there is none, or one that cannot be.
    fn count(&mut self, path: &str) -> Option<u64> {
        let figure = figure(self.usage, path)?;
        let count = figure.as_number().and_then(count);
        self.odd |= count.is_none();
        count
    }
}

/// What stands at a path like `prompt_tokens_details.cached_tokens`; null counts as nothing.
fn figure<'a>(usage: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(usage, |value, key| value.get(key))
        .filter(|value| !value.is_null())
}

/// A count: a whole number from 0 to 10^9, also when written `12.0`.
fn count(number: &Number) -> Option<u64> {
    let whole = number.as_u64().or_else(|| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked just before"
        )]
        number
            .as_f64()
            .filter(|number| number.fract() == 0.0 && (0.0..=1e9).contains(number))
            .map(|number| number as u64)
    })?;
    (whole <= COUNT_CAP).then_some(whole)
}

/// A figure that cannot be what it says.
struct Odd;

/// What the server says it charged: OpenRouter's `cost` in dollars, xAI's ticks. `None`: it says nothing.
fn billed(usage: &Value) -> Result<Option<Usd>, Odd> {
    if let Some(ticks) = figure(usage, "cost_in_usd_ticks") {
        let ticks = ticks.as_u64().ok_or(Odd)?;
        let usd = Usd::from_pico(i128::from(ticks) * PICO_PER_TICK);
        return if usd.to_f64() < DOLLAR_CAP {
            Ok(Some(usd))
        } else {
            Err(Odd)
        };
    }
    // With a key of the user's own at OpenRouter, `cost` is only OpenRouter's part of the bill.
    if figure(usage, "is_byok") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let Some(cost) = figure(usage, "cost") else {
        return Ok(None);
    };
    let cost = cost
        .as_f64()
        .filter(|cost| (0.0..DOLLAR_CAP).contains(cost))
        .ok_or(Odd)?;
    let exact = cost.to_string().parse().unwrap_or_else(|_| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below 10^17, and rounded up"
        )]
        Usd::from_pico((cost * 1e12).ceil() as i128)
    });
    Ok(Some(exact))
}

#[cfg(test)]
mod tests;
