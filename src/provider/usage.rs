//! A server's token counts, and the four disjoint buckets that they are converted to.
//!
//! Owns: the names under which servers write counts and costs, their meaning, and the conversion to our buckets.
//! Refuses: prices; a usage that contradicts itself, because it does not say what was billed.
//! Invariant: buckets never overlap and never wrap; a usage becomes exactly what the server counted, or nothing.

use serde_json::{Number, Value};

use crate::chat::{Usage, UsageSource, Usd};

/// A token count above this cannot be true.
const COUNT_CAP: u64 = 1_000_000_000;
/// In dollars. The most expensive request that a catalogue allows costs less than a hundredth of this.
const DOLLAR_CAP: f64 = 1e4;
/// xAI's `cost_in_usd_ticks`: 10^10 to the dollar (docs.x.ai, cost tracking), so 100 pico-dollars each.
const PICO_PER_TICK: i128 = 100;

/// Counts as written, each of them optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RawUsage {
    pub(crate) prompt: Option<u64>,
    pub(crate) completion: Option<u64>,
    pub(crate) total: Option<u64>,
    /// Part of `prompt`.
    pub(crate) cached: Option<u64>,
    /// Part of `prompt`, and the complement of `cached`.
    pub(crate) missed: Option<u64>,
    /// Part of `prompt`.
    pub(crate) cache_write: Option<u64>,
    /// Part of `completion`, at most servers.
    pub(crate) reasoning: Option<u64>,
    /// What the server says the request cost.
    pub(crate) billed: Option<Usd>,
    /// A count is invalid (negative, a fraction, a text, beyond 64 bits), or of a kind that has no price.
    odd_count: bool,
    /// A cost is invalid.
    odd_cost: bool,
}

impl RawUsage {
    /// Reads a `usage` value; `None` when it holds nothing that we know (`null`, `{}`, a string).
    pub(crate) fn of(value: &Value) -> Option<Self> {
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
        // A write to Anthropic's cache that is kept for an hour instead of five minutes costs 2x input, not 1.25x. This
        // program never requests that, and has no price for it.
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
    /// whole. If a part is larger than its whole, we do not know how the server counts: the usage is treated as not
    /// reported, and the upper bound is booked.
    pub(crate) fn normalise(&self) -> Option<Usage> {
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

    /// Reasoning tokens that are not part of the completion but are billed as output: xAI and Gemini count so. `None`: the
    /// total matches neither with nor without them.
    fn beside(&self, counted: u64) -> Option<u64> {
        let reasoning = self.reasoning.unwrap_or(0);
        match self.total.filter(|total| *total > 0) {
            // Without a total, only reasoning larger than the completion shows that it was counted separately.
            None => Some(if Some(reasoning) > self.completion {
                reasoning
            } else {
                0
            }),
            Some(total) => match total.checked_sub(counted)? {
                0 => Some(0),
                // Gemini includes it in the total only.
                beyond if self.reasoning.is_none_or(|reasoning| reasoning == beyond) => {
                    Some(beyond)
                }
                _ => None,
            },
        }
    }

    /// A count was written and cannot be true. Two zeros mean that nothing was counted yet.
    pub(crate) fn is_refused(&self) -> bool {
        let both = self
            .prompt
            .zip(self.completion)
            .is_some_and(|both| both != (0, 0));
        self.odd_count || (both && self.normalise().is_none())
    }

    /// A part of it had to be ignored.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd_cost || self.is_refused()
    }
}

/// Reads counts under several names, and remembers if one of them was invalid.
struct CountReader<'a> {
    usage: &'a Value,
    odd: bool,
}

impl CountReader<'_> {
    /// `OpenAI`'s format, which most servers follow: cached tokens are included in the prompt.
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
            // Gateways in front of Anthropic add its names to OpenAI's.
            cache_write: self.first([
                "prompt_tokens_details.cache_write_tokens",
                "cache_creation_input_tokens",
            ]),
            reasoning: self.count("completion_tokens_details.reasoning_tokens"),
            ..RawUsage::default()
        }
    }

    /// Anthropic's format: tokens read from and written to the cache are not included in the input. (`OpenAI`'s Responses
    /// API uses the same two names, but includes them.)
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

    /// The first of several paths that holds a count.
    fn first<const N: usize>(&mut self, paths: [&str; N]) -> Option<u64> {
        paths.into_iter().find_map(|path| self.count(path))
    }

    /// The count at a path; `None` if it is absent or invalid.
    fn count(&mut self, path: &str) -> Option<u64> {
        let figure = figure(self.usage, path)?;
        let count = figure.as_number().and_then(count);
        self.odd |= count.is_none();
        count
    }
}

/// The value at a path like `prompt_tokens_details.cached_tokens`; null counts as absent.
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

/// A figure that cannot be true.
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
    // With the user's own provider key at OpenRouter, `cost` is only OpenRouter's part of the bill.
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
