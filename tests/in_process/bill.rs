//! What the proofs of the bill stand on: the core in this process, and a server whose tokens can be counted by hand.
//!
//! Owns: [`Core`] (several gateways over one data folder stand for several processes), the words that are one token
//! each, how the server counts a prompt, and [`Dice`].
//! Refuses: to judge; and the counting and prices of the crate under test, for they are what is judged.
//! Invariant: the server counts a prompt by its words, at most what the words and their framing can come to.

#![allow(dead_code, reason = "each proof uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a proof that cannot go on has failed"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use chat_agent::budget::{Budget, Limits};
use chat_agent::catalog::Catalog;
use chat_agent::chat::{Clock, ModelId, Random};
use chat_agent::config::{self, Config, Env, Overrides};
use chat_agent::gateway::{Gateway, Parts};
use chat_agent::provider::providers;
use chat_agent::store::Store;

use crate::support::scene::{self, KEY};
use crate::support::server::{Prices, Request, Server};

/// The models asked: one whose encoding is stated, three that think out of sight, and one of the user's own.
pub const MODELS: [&str; 5] = ["gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-5-nano", "own"];

/// What the server takes for them.
pub fn prices() -> Prices {
    scene::prices()
        .model("gpt-4o-mini", "0.15", "0.075", "0.6")
        .model("own", "1", "0.25", "4")
}

pub fn model(name: &str) -> ModelId {
    ModelId::new("openai", name)
}

/// Whether a model's reasoning may be hidden.
pub fn thinks(name: &str) -> bool {
    name.starts_with("gpt-5")
}

/// So many words, each of them one token in every encoding.
pub fn words(n: u64) -> String {
    const WORDS: [&str; 8] = [
        " one", " two", " red", " sea", " sun", " the", " and", " day",
    ];
    WORDS
        .into_iter()
        .cycle()
        .zip(0..n)
        .map(|(word, _)| word)
        .collect()
}

/// The server's own count of a request: a token for each word, four for each message and three for the answer.
pub fn prompt_tokens(request: &Request) -> u64 {
    let messages = request
        .field("messages")
        .and_then(|messages| messages.as_array())
        .unwrap();
    let words = messages
        .iter()
        .filter_map(|message| message["content"].as_str())
        .flat_map(str::split_whitespace);
    3 + 4 * messages.len() as u64 + words.count() as u64
}

/// The first word of the question: by it the test knows what a request was made for.
pub fn tag(request: &Request) -> String {
    let messages = request
        .field("messages")
        .and_then(|messages| messages.as_array())
        .unwrap();
    let last = messages
        .last()
        .and_then(|message| message["content"].as_str())
        .unwrap();
    last.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Read once: it takes longer than a whole case.
static BUILTIN: OnceLock<Catalog> = OnceLock::new();

/// The core of the program over one data folder, with the scripted server as its provider.
pub struct Core {
    dir: tempfile::TempDir,
    config: Arc<Config>,
    catalog: Arc<Catalog>,
    env: Arc<Env>,
}

impl Core {
    /// `toml` follows the provider and the models: tables only.
    pub fn new(server: &Server, toml: &str) -> Self {
        Self::at(&server.base_url(), toml)
    }

    /// With this address as the provider's.
    pub fn at(base_url: &str, toml: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("chat-agent-bill-")
            .tempdir()
            .unwrap();
        let file = dir.path().join("config.toml");
        let entry = |name: &str| match name {
            "own" => {
                "[[models]]\nid = \"openai/own\"\ninput = 1.0\ncached_input = 0.25\noutput = 4.0\n"
                    .to_owned()
            }
            name => format!("[[models]]\nid = \"openai/{name}\"\nconfirmed = true\n"),
        };
        let head = format!(
            "[[providers]]\nname = \"openai\"\nbase_urls = [\"{base_url}\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n"
        );
        std::fs::write(&file, head + &MODELS.map(entry).concat() + toml).unwrap();
        let env = Env::from_pairs([("OPENAI_API_KEY", KEY)])
            .with_folders(dir.path(), dir.path().join("data"));
        let overrides = Overrides {
            config_file: Some(file),
            ..Overrides::default()
        };
        let config = config::load(&overrides, &env)
            .unwrap_or_else(|error| panic!("{error}"))
            .config;
        let builtin = BUILTIN
            .get_or_init(|| Catalog::builtin().at(Clock::system().now()))
            .clone();
        let catalog = builtin.with_entries(&config.models).unwrap();
        Self {
            dir,
            config: Arc::new(config),
            catalog: Arc::new(catalog),
            env: Arc::new(env),
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// As another process of the same user would have it.
    pub fn gateway(&self, limits: Limits, run: &str) -> Arc<Gateway> {
        let clock = Clock::system();
        Arc::new(Gateway::new(Parts {
            catalog: Arc::clone(&self.catalog),
            providers: providers(&self.config.providers, &self.env).unwrap(),
            config: Arc::clone(&self.config),
            env: Arc::clone(&self.env),
            budget: Budget {
                limits,
                zone: jiff::tz::TimeZone::UTC,
            },
            run: run.to_owned(),
            data_dir: self.data_dir(),
            cache: None,
            clock,
            random: ids(),
        }))
    }

    /// The ledger, as one more process sees it.
    pub fn ledger(&self) -> Store {
        Store::open(&self.data_dir()).unwrap()
    }
}

/// Bits that never come twice, and so small that no retry waits.
pub fn ids() -> Random {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 16);
    Random::from_fn(|| NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Chance that can be had again: splitmix64.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One of 0 .. n.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n.max(1)
    }

    /// One of low ..= high.
    pub fn from(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True once in n.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
