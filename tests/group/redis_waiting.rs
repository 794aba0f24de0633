//! One request and a slow Redis: whatever a request asks of it, it waits for it only once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::one_gateway;
use crate::support;

use std::net::TcpListener;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chat_agent::cache::{Bytes, Cache, Freed, Later, Lease, SharedTier, Tier, TierFigures};
use chat_agent::chat::Timestamp;
use chat_agent::chat::request::Digest;
use chat_agent::gateway::{Gateway, Parts};
use chat_agent::protocol::{CacheHit, Event};
use chat_agent::redis::{Away, Cooldowns, Cooling, PATIENCE, Redis, RedisSettings, Seal, Waiting};
use one_gateway::{Core, ask};
use support::redis::RedisServer;
use support::server::{Answer, Script};

const DIGEST: Digest = Digest([1; 32]);

fn redis(url: String, patience: Duration) -> Redis {
    Redis::new(RedisSettings {
        url,
        cluster: false,
        prefix: "t:".to_owned(),
        patience,
    })
}

/// What it comes to without any waiting.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

async fn after_one_wait_in_vain_a_request_asks_no_more_also_while_it_connects() {
    // The system accepts the connection, and no answer ever comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let redis = redis(
        format!("redis://{}", listener.local_addr().unwrap()),
        PATIENCE,
    );
    let seal = async { Seal::new(b"a-secret-of-the-whole-team").ok_or_else(String::new) };
    let tier = SharedTier::new(redis.clone(), Duration::from_hours(1), Box::pin(seal));
    let waiting = Waiting::default();
    assert_eq!(tier.get(DIGEST, &waiting).await, None);
    assert!(matches!(
        at_once(tier.lease(DIGEST, &waiting)),
        Lease::Unknown
    ));
    assert_eq!(at_once(tier.get(DIGEST, &waiting)), None);
    let of = Cooling {
        provider: "p".into(),
        fingerprint: "f".into(),
        model: "m".into(),
    };
    let heard = Cooldowns::new(redis).within(&waiting);
    assert_eq!(
        at_once(heard.read(&[of], Timestamp(1))),
        Err(Away::LeftAlone)
    );
}

/// A tier that notes whether there is anything left of the request's patience, and may use it up.
struct Probe {
    uses_it_up: bool,
    left: Arc<Mutex<Vec<bool>>>,
}

impl Probe {
    fn look(&self, waiting: &Waiting) {
        self.left
            .lock()
            .unwrap()
            .push(waiting.left(PATIENCE).is_some());
        waiting.spent(Duration::ZERO, self.uses_it_up);
    }
}

impl Tier for Probe {
    fn name(&self) -> CacheHit {
        CacheHit::Redis
    }

    fn get<'a>(&'a self, _: Digest, waiting: &'a Waiting) -> Later<'a, Option<Bytes>> {
        self.look(waiting);
        Box::pin(async { None })
    }

    fn put(&self, _: Digest, _: &Bytes) {}

    fn remove(&self, _: Digest) {}

    fn lease<'a>(&'a self, _: Digest, waiting: &'a Waiting) -> Later<'a, Lease> {
        self.look(waiting);
        Box::pin(async { Lease::Unknown })
    }

    fn figures(&self) -> Later<'_, TierFigures> {
        Box::pin(async { TierFigures::of(CacheHit::Redis) })
    }

    fn clear(&self) -> Later<'_, Option<Freed>> {
        Box::pin(async { None })
    }
}

/// Asks one question through such a tier; gives what it noted, and how often Redis was asked what others were told of keys.
fn question(uses_it_up: bool) -> (Vec<bool>, usize) {
    let core = Core::new(Script::always(Answer::text("yes")));
    let (server, left) = (RedisServer::start(), Arc::default());
    let probe = Probe {
        uses_it_up,
        left: Arc::clone(&left),
    };
    core.run(|plain| async move {
        let parts = plain.parts();
        let shared = Gateway::new(Parts {
            config: Arc::clone(&parts.config),
            catalog: Arc::clone(&parts.catalog),
            env: Arc::clone(&parts.env),
            providers: parts.providers.clone(),
            budget: parts.budget.clone(),
            run: parts.run.clone(),
            data_dir: parts.data_dir.clone(),
            cache: Some(Cache::of(vec![Box::new(probe)], Duration::from_hours(1))),
            clock: parts.clock.clone(),
            random: parts.random.clone(),
        });
        let gateway = Arc::new(shared.sharing(&redis(server.url(), Duration::from_secs(30))));
        let mut exchange = gateway.open(ask("hi"));
        let mut answered = false;
        while let Some(event) = exchange.next().await {
            answered |= matches!(event, Event::Finished(_));
        }
        assert!(answered);
        let stats = server.tell(&["INFO", "commandstats"]).concat();
        let asked = usize::from(stats.contains("cmdstat_eval:"));
        (left.lock().unwrap().clone(), asked)
    })
}

fn all_that_a_request_asks_of_redis_shares_one_patience() {
    assert_eq!(
        question(false),
        (vec![true, true, true], 1),
        "a look, who fetches it, another look, and the keys"
    );
    assert_eq!(question(true), (vec![true, false, false], 0));
}

tests![
    after_one_wait_in_vain_a_request_asks_no_more_also_while_it_connects,
    all_that_a_request_asks_of_redis_shares_one_patience,
];
