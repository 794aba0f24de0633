//! One gateway in this process, between scripted servers and a clock that the test holds.
//!
//! Owns: [`World`], the questions it asks, and how each of them ended.
//! Refuses: to say what is right.
//! Invariant: the clock stands still unless the test moves it; what waits for real time waits for milliseconds.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a kit that cannot go on fails the test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use chat_agent::budget::{Budget, Limits};
use chat_agent::cache::{Cache, CacheSettings};
use chat_agent::catalog::Catalog;
use chat_agent::chat::{
    Clock, Failure, ModelId, Params, Random, Selection, SessionId, Timestamp, Usd,
};
use chat_agent::config::{
    Config, Env, KeyEntry, KeySource, LadderRung, ModelEntry, ProviderConfig,
};
use chat_agent::gateway::{Ask, Exchange, Gateway, Parts};
use chat_agent::protocol::{Answer, Attempt, Event, Link};
use chat_agent::provider::providers;
use chat_agent::store::{ChargeScope, Db, ScopeSums};

use crate::support::scene::KEY;
use crate::support::server::Server;

const START: i64 = 1_798_700_000_000;

/// Two providers: `mine`, with the addresses that the test gives, and `other`.
pub struct World {
    pub gateway: Arc<Gateway>,
    pub data: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    ticks: Arc<AtomicBool>,
}

/// How a question ended, and what was told on the way.
#[derive(Debug)]
pub struct Told {
    pub answer: Result<Answer, Failure>,
    pub attempts: Vec<Attempt>,
    pub links: Vec<Link>,
    /// The models that answered or were about to.
    pub started: Vec<String>,
    pub reasons: Vec<String>,
    pub pauses: Vec<(String, u64)>,
}

impl Told {
    #[track_caller]
    pub fn text(&self) -> &str {
        &self
            .answer
            .as_ref()
            .unwrap_or_else(|failure| panic!("{failure}: {self:#?}"))
            .text
    }

    #[track_caller]
    pub fn failure(&self) -> &Failure {
        self.answer.as_ref().expect_err("it should have failed")
    }
}

pub fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A model at which a thousand tokens of output cost ten cents, and input nothing.
fn model(provider: &str, name: &str, context: u64) -> ModelEntry {
    ModelEntry {
        input: Some(Usd::ZERO),
        output: Some(usd("100")),
        context: Some(context),
        max_output: Some(1000),
        ..ModelEntry::new(ModelId::new(provider, name))
    }
}

fn provider(name: &str, base_urls: Vec<String>) -> ProviderConfig {
    let entry = KeyEntry {
        source: KeySource::Env("KEY".to_owned()),
        per_day: None,
        per_month: None,
    };
    ProviderConfig {
        name: name.to_owned(),
        base_urls,
        keys: vec![entry],
        ..ProviderConfig::default()
    }
}

impl World {
    /// `change` has the last word on the configuration. The ladder is `mine/small`, `mine/tiny`, `other/large`.
    pub fn new(mine: Vec<String>, other: Vec<String>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            models: vec![
                model("mine", "small", 20_000),
                model("mine", "tiny", 10_000),
                model("other", "large", 90_000),
            ],
            providers: vec![provider("mine", mine), provider("other", other)],
            ..Config::default()
        };
        config.router.pace = false;
        config.router.ladder = config
            .models
            .iter()
            .map(|m| LadderRung {
                model: m.id.clone(),
                effort: None,
            })
            .collect();
        change(&mut config);
        let now = Arc::new(AtomicI64::new(START));
        let ticks = Arc::new(AtomicBool::new(false));
        let (held, runs, began) = (Arc::clone(&now), Arc::clone(&ticks), Instant::now());
        let clock = Clock::from_fn(move || {
            let passed = if runs.load(SeqCst) {
                began.elapsed()
            } else {
                Duration::ZERO
            };
            Timestamp(held.load(SeqCst)).plus(passed)
        });
        let (env, data) = (
            Env::from_pairs([("KEY", KEY)]),
            tempfile::tempdir().unwrap(),
        );
        let settings = CacheSettings {
            ttl: Duration::from_hours(7 * 24),
            memory: 1 << 20,
            disk: 1 << 24,
            patience: Duration::from_secs(20),
        };
        let gateway = Arc::new(Gateway::new(Parts {
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
                limits: Limits {
                    per_day: Some(usd("1000")),
                    ..Limits::default()
                },
                zone: jiff::tz::TimeZone::UTC,
            },
            run: "run".into(),
            data_dir: data.path().to_path_buf(),
            // In memory only; and `ask` below leaves it alone.
            cache: Some(Cache::new(&data.path().join("cache"), settings, None, None)),
            clock,
            random: Random::system(),
        }));
        Self {
            gateway,
            data,
            clock: now,
            ticks,
        }
    }

    /// One server is all that there is.
    pub fn of(server: &Server, change: impl FnOnce(&mut Config)) -> Self {
        Self::new(vec![server.base_url()], vec![server.base_url()], change)
    }

    /// Goes on as another process of the same user: with the same data, and nothing in its memory.
    pub fn restart(&mut self) {
        self.restart_with(self.gateway.parts().providers.clone());
    }

    /// As [`Self::restart`], after the user has given `mine` other addresses.
    pub fn restart_at(&mut self, servers: &[&Server]) {
        let parts = self.gateway.parts();
        let mut written = parts.config.providers.clone();
        written[0].base_urls = servers.iter().map(|server| server.base_url()).collect();
        self.restart_with(providers(&written, &parts.env).unwrap());
    }

    fn restart_with(&mut self, providers: Vec<chat_agent::provider::Provider>) {
        let parts = self.gateway.parts();
        self.gateway = Arc::new(Gateway::new(Parts {
            config: Arc::clone(&parts.config),
            catalog: Arc::clone(&parts.catalog),
            env: Arc::clone(&parts.env),
            providers,
            budget: parts.budget.clone(),
            run: parts.run.clone(),
            data_dir: parts.data_dir.clone(),
            cache: None,
            clock: parts.clock.clone(),
            random: parts.random.clone(),
        }));
    }

    /// Lets the clock run, for tests in which keys rest for some milliseconds.
    pub fn tick(self) -> Self {
        self.ticks.store(true, SeqCst);
        self
    }

    pub fn pass(&self, time: Duration) {
        self.clock
            .fetch_add(i64::try_from(time.as_millis()).unwrap(), SeqCst);
    }

    /// Starts a question for `mine/small`, and nothing else.
    pub fn open(&self) -> Exchange {
        self.gateway
            .open(ask(Selection::Pinned(ModelId::new("mine", "small"))))
    }

    pub async fn ask(&self) -> Told {
        end(self.open()).await
    }

    /// Leaves the choice to the ladder.
    pub async fn ask_auto(&self) -> Told {
        end(self.gateway.open(ask(Selection::Auto))).await
    }

    /// What is booked and what is held back.
    pub fn money(&self) -> (Usd, Usd) {
        let db = Db::open(self.data.path()).unwrap();
        let sum = ScopeSums(&db)
            .sum(ChargeScope::Day(Timestamp(START)))
            .unwrap();
        (sum.settled, sum.reserved)
    }
}

/// The events to the last one.
pub async fn end(mut exchange: Exchange) -> Told {
    let answer = Err(Failure::new(
        chat_agent::chat::FailureKind::Request,
        "no last event",
    ));
    let mut told = Told {
        answer,
        attempts: vec![],
        links: vec![],
        started: vec![],
        reasons: vec![],
        pauses: vec![],
    };
    while let Some(event) = exchange.next().await {
        match event {
            Event::Attempt(attempt) => told.attempts.push(attempt),
            Event::Link(link) => told.links.push(link),
            Event::Pausing { why, ms } => told.pauses.push((why, ms)),
            Event::Started(started) => {
                told.started.push(started.model.to_string());
                told.reasons.push(started.route.reason);
            }
            Event::Finished(answer) => told.answer = Ok(*answer),
            Event::Failed { failure, .. } => told.answer = Err(failure),
            _ => {}
        }
    }
    told
}

fn ask(selection: Selection) -> Ask {
    let random = Random::system();
    let session = SessionId::from_bits(random.bits());
    let params = Params {
        max_output: Some(1000),
        ..Params::default()
    };
    Ask {
        params,
        cached: false,
        ..Ask::new(session, selection, "hi", &random)
    }
}

/// Runs a test on two threads.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}
