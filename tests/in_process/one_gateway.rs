//! A gateway in this process, with the scripted server behind it, a ledger of its own and a cache in memory and on disk.
//!
//! Owns: [`Core`], the one model that it knows (`mine/m`, priced) and the plainest question.
//! Refuses: the command line; tests of that start the program.
//! Invariant: every core has a folder of its own, which goes with it.

use std::sync::Arc;
use std::time::Duration;

use chat_agent::budget::{Budget, Limits};
use chat_agent::cache::{Cache, CacheSettings};
use chat_agent::catalog::Catalog;
use chat_agent::chat::{Clock, ModelId, Random, Selection, SessionId, Usd};
use chat_agent::config::{Config, Env, KeyEntry, KeySource, ModelEntry, ProviderConfig};
use chat_agent::gateway::{Ask, Gateway, Parts};
use chat_agent::provider::providers;
use tempfile::TempDir;

use crate::support::scene::KEY;
use crate::support::server::{Script, Server};

pub struct Core {
    pub server: Server,
    pub data: TempDir,
}

pub fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

impl Core {
    pub fn new(script: Script) -> Self {
        Self {
            server: Server::start(script.keys([KEY])),
            data: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> Config {
        let source = KeySource::Env("KEY".to_owned());
        let provider = ProviderConfig {
            name: "mine".to_owned(),
            base_urls: vec![self.server.base_url()],
            keys: vec![KeyEntry {
                source,
                per_day: None,
                per_month: None,
            }],
            ..ProviderConfig::default()
        };
        let entry = ModelEntry {
            input: Some(usd("1")),
            output: Some(usd("10")),
            context: Some(100_000),
            max_output: Some(1000),
            ..ModelEntry::new(ModelId::new("mine", "m"))
        };
        Config {
            providers: vec![provider],
            models: vec![entry],
            ..Config::default()
        }
    }

    /// As one more process of the same user would have it.
    pub fn gateway(&self) -> Arc<Gateway> {
        self.waiting(Duration::from_mins(2))
    }

    /// One that waits so long for what others fetch.
    pub fn waiting(&self, patience: Duration) -> Arc<Gateway> {
        let (env, clock, config) = (
            Env::from_pairs([("KEY", KEY)]),
            Clock::system(),
            self.config(),
        );
        let settings = CacheSettings {
            ttl: Duration::from_hours(1),
            memory: 1 << 20,
            disk: 1 << 24,
            patience: Duration::from_secs(20),
        };
        Arc::new(Gateway::new(Parts {
            catalog: Arc::new(
                Catalog::builtin()
                    .at(clock.now())
                    .with_entries(&config.models)
                    .unwrap(),
            ),
            providers: providers(&config.providers, &env).unwrap(),
            config: Arc::new(config),
            env: Arc::new(env),
            budget: Budget {
                limits: Limits::default(),
                zone: jiff::tz::TimeZone::UTC,
            },
            run: "run".into(),
            data_dir: self.data.path().to_path_buf(),
            cache: Some(
                Cache::new(&self.data.path().join("cache"), settings, None, None).waiting(patience),
            ),
            clock,
            random: Random::system(),
        }))
    }

    /// Runs something on a gateway, on two threads.
    pub fn run<T, F: Future<Output = T>>(&self, f: impl FnOnce(Arc<Gateway>) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let gateway = self.gateway();
            let result = f(Arc::clone(&gateway)).await;
            gateway.close().await;
            result
        })
    }
}

/// A question in a chat of its own, which may be answered from the cache.
pub fn ask(question: &str) -> Ask {
    let random = Random::system();
    let session = SessionId::from_bits(random.bits());
    Ask::new(
        session,
        Selection::Pinned(ModelId::new("mine", "m")),
        question,
        &random,
    )
}
