//! What the server would charge.
//!
//! Owns: [`Prices`] as a provider prints them, and [`Bill`], their product with what each request used.
//! Refuses: the price and money code of the crate under test; this is the judge of its ledger.
//! Invariant: integer pico-dollars (1e-12 US$) throughout; a price that cannot be held exactly is refused.

use std::collections::BTreeMap;
use std::fmt;

/// Tokens of one request, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// All input tokens, cached ones and cache writes included.
    pub prompt: u64,
    /// Of `prompt`: read from the provider's prompt cache.
    pub cached: u64,
    /// Of `prompt`: written to it.
    pub cache_write: u64,
    /// All output tokens, reasoning included.
    pub completion: u64,
    /// Of `completion`: reasoning.
    pub reasoning: u64,
}

/// An exact amount in pico-dollars. Prints as a decimal number of US dollars without trailing zeros: `0.001834`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pico(pub i128);

impl Pico {
    /// Reads a decimal number of US dollars: `0.25`.
    pub fn usd(text: &str) -> Self {
        Self(scaled(text, 12))
    }
}

impl fmt::Display for Pico {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = format!("{:013}", self.0.unsigned_abs());
        let (whole, part) = all.split_at(all.len() - 12);
        match part.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            part => write!(f, "{sign}{whole}.{part}"),
        }
    }
}

/// `text` times ten to the power of `decimals`, exactly.
fn scaled(text: &str, decimals: usize) -> i128 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(
        part.len() <= decimals,
        "{text:?} has more than {decimals} decimals"
    );
    format!("{whole}{part:0<decimals$}")
        .parse()
        .unwrap_or_else(|_| panic!("{text:?} is not a decimal number"))
}

#[derive(Debug, Clone, Copy)]
struct Price {
    input: i128,
    cached: i128,
    cache_write: i128,
    output: i128,
}

/// Prices by the model name on the wire.
#[derive(Debug, Clone, Default)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    pub fn new() -> Self {
        Self::default()
    }

    /// US dollars per million tokens as decimal strings. Cache writes cost what other input costs.
    #[must_use]
    pub fn model(self, name: &str, input: &str, cached: &str, output: &str) -> Self {
        self.model_with_writes(name, input, cached, input, output)
    }

    #[must_use]
    pub fn model_with_writes(
        mut self,
        name: &str,
        input: &str,
        cached: &str,
        cache_write: &str,
        output: &str,
    ) -> Self {
        // US$ per million tokens, times 1e12, divided by 1e6.
        let [input, cached, cache_write, output] =
            [input, cached, cache_write, output].map(|text| scaled(text, 6));
        self.0.insert(
            name.to_owned(),
            Price {
                input,
                cached,
                cache_write,
                output,
            },
        );
        self
    }

    /// What these tokens cost on this model.
    pub fn cost(&self, model: &str, tokens: Tokens) -> Pico {
        let price = self
            .0
            .get(model)
            .unwrap_or_else(|| panic!("the test gave no price for {model:?}"));
        let plain = tokens
            .prompt
            .checked_sub(tokens.cached + tokens.cache_write)
            .expect("cached tokens and cache writes are part of the prompt");
        let line = |count: u64, each: i128| i128::from(count) * each;
        Pico(
            line(plain, price.input)
                + line(tokens.cached, price.cached)
                + line(tokens.cache_write, price.cache_write)
                + line(tokens.completion, price.output),
        )
    }
}

/// One charged request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which request, as [`super::Request::index`].
    pub request: usize,
    pub model: String,
    pub tokens: Tokens,
    pub cost: Pico,
}

/// What the server charges for all requests so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bill {
    pub lines: Vec<Line>,
}

impl Bill {
    pub fn total(&self) -> Pico {
        Pico(self.lines.iter().map(|line| line.cost.0).sum())
    }
}
