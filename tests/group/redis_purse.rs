//! Requests that are small beside the group's limit: none of its money is left lying about, and none of it is spent twice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

#[allow(dead_code, reason = "each test file uses its part")]
use crate::one_gateway;
use crate::support;

use std::sync::Arc;
use std::time::Duration;

use chat_agent::budget::{DayMonth, GroupBudget, GroupLimit};
use chat_agent::chat::{Clock, Random};
use chat_agent::config;
use chat_agent::gateway::{Gateway, Parts};
use chat_agent::protocol::Event;
use chat_agent::redis::{Redis, RedisSettings};
use chat_agent::store::{GroupLeases, Store};
use one_gateway::{Core, ask, usd};
use support::redis::RedisServer;
use support::server::{Answer, Script};
use tempfile::TempDir;

/// A thousandth of a dollar is asked for at a time, and this is 320 of them; a 64th of it is five.
const LIMIT: &str = "0.32";

/// One Redis, one provider, and as many machines as are made.
struct Team {
    core: Core,
    redis: RedisServer,
}

/// A machine of its own: its data folder, and the program that runs there.
struct Machine {
    gateway: Arc<Gateway>,
    _data: TempDir,
}

impl Team {
    fn new() -> Self {
        Self {
            core: Core::new(Script::always(Answer::text("abcd").usage(10, 1000))),
            redis: RedisServer::start(),
        }
    }

    fn machine(&self) -> Machine {
        let (plain, data) = (self.core.gateway(), tempfile::tempdir().unwrap());
        let parts = plain.parts();
        let mut config = (*parts.config).clone();
        config.models[0].input = Some(usd("0"));
        config.models[0].output = Some(usd("1"));
        config.redis = Some(config::RedisConfig {
            url: self.redis.url(),
            secret: None,
            budget_group: Some("team".to_owned()),
            per_day: Some(usd(LIMIT)),
            per_month: None,
            cluster: false,
            prefix: "t:".to_owned(),
            patience: Duration::from_secs(30),
        });
        let catalog = parts
            .catalog
            .as_ref()
            .clone()
            .with_entries(&config.models)
            .unwrap();
        let gateway = Gateway::new(Parts {
            config: Arc::new(config),
            catalog: Arc::new(catalog),
            env: Arc::clone(&parts.env),
            providers: parts.providers.clone(),
            budget: parts.budget.clone(),
            run: parts.run.clone(),
            data_dir: data.path().to_path_buf(),
            cache: None,
            clock: parts.clock.clone(),
            random: parts.random.clone(),
        });
        Machine {
            gateway: Arc::new(gateway.sharing(&self.connection())),
            _data: data,
        }
    }

    fn connection(&self) -> Redis {
        Redis::new(RedisSettings {
            url: self.redis.url(),
            cluster: false,
            prefix: "t:".to_owned(),
            patience: Duration::from_secs(30),
        })
    }

    /// What the group has leased, by Redis, in thousandths of a dollar.
    fn leased(&self) -> i64 {
        let key = self
            .redis
            .keys()
            .into_iter()
            .find(|key| key.contains("budget:"))
            .unwrap();
        self.redis.tell(&["HGET", &key, "month"])[0]
            .parse::<i64>()
            .unwrap()
            / 1_000_000
    }

    /// Another machine leases this much, in thousandths.
    fn others_lease(&self, thousandths: i64) {
        let key = self
            .redis
            .keys()
            .into_iter()
            .find(|key| key.contains("budget:"))
            .unwrap();
        let fields = self.redis.tell(&["HKEYS", &key]);
        for field in fields
            .iter()
            .filter(|field| field.starts_with("day:") || *field == "month")
        {
            self.redis.tell(&[
                "HINCRBY",
                &key,
                field,
                &(thousandths * 1_000_000).to_string(),
            ]);
        }
    }
}

impl Machine {
    /// One question, and what is done behind its answer; whether there was money for it.
    async fn asks(&self) -> bool {
        let mut exchange = self.gateway.open(ask("hi"));
        let mut answered = None;
        while let Some(event) = exchange.next().await {
            match event {
                Event::Finished(_) => answered = Some(true),
                Event::Failed { failure, .. } => {
                    assert!(failure.to_string().contains("group"), "{failure}");
                    answered = Some(false);
                }
                Event::AtLimit(_) => answered = Some(false),
                _ => {}
            }
        }
        answered.unwrap()
    }

    /// Asks until there is no more money; how often there was.
    async fn asks_on(&self) -> usize {
        let mut answered = 0;
        while self.asks().await {
            answered += 1;
        }
        answered
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

fn machines_that_ask_once_and_go_leave_all_the_rest_to_the_others() {
    let team = Team::new();
    run(async {
        for _ in 0..48 {
            let machine = team.machine();
            assert!(machine.asks().await);
            machine.gateway.close().await;
        }
        assert_eq!(team.leased(), 48);
        let last = team.machine();
        assert_eq!(last.asks_on().await, 320 - 48);
        assert_eq!(team.leased(), 320);
        let late = team.machine();
        assert!(!late.asks().await);
    });
    assert_eq!(team.core.server.chats().len(), 320);
}

fn a_machine_that_lives_on_its_lease_takes_none_of_the_last_money_for_later() {
    let team = Team::new();
    run(async {
        let (one, two) = (team.machine(), team.machine());
        assert!(one.asks().await);
        assert_eq!(
            team.leased(),
            4,
            "while there is plenty, four requests like this"
        );
        // The others lease all but six, of which it has not heard when its own are spent.
        team.others_lease(320 - 4 - 6);
        for _ in 0..3 {
            assert!(one.asks().await);
        }
        assert_eq!(two.asks_on().await, 6);
        assert!(!one.asks().await);
    });
    assert_eq!(team.core.server.chats().len(), 4 + 6);
}

fn what_the_next_requests_would_need_is_leased_behind_an_answer() {
    let mut team = Team::new();
    run(async {
        let machine = team.machine();
        for _ in 0..4 {
            assert!(machine.asks().await);
        }
        assert_eq!(team.leased(), 8);
        team.redis.kill();
        assert_eq!(machine.asks_on().await, 4, "then what is leased is spent");
    });
    assert_eq!(team.core.server.chats().len(), 8);
}

fn a_lease_that_was_granted_to_a_program_that_died_is_neither_lost_nor_spent() {
    let team = Team::new();
    run(async {
        let data = tempfile::tempdir().unwrap();
        let (store, now) = (Store::open(data.path()).unwrap(), Clock::system().now());
        let limit = DayMonth {
            per_day: Some(usd(LIMIT)),
            per_month: None,
        };
        let group = GroupLimit {
            name: "team".to_owned(),
            limit,
        };
        let program = || GroupBudget::new(team.connection(), group.clone(), Random::system());
        let thousandth = usd("0.001");
        // Redis grants it, and the program dies before the ledger has it.
        let grant = program()
            .lease(&store, thousandth, thousandth, now)
            .await
            .unwrap();
        assert_eq!(team.leased(), 4);
        // Another run finds that the answer never arrived; Redis is told that it is a lease of nothing.
        let later = now.plus(Duration::from_secs(20));
        let next = program()
            .lease(&store, thousandth, thousandth, later)
            .await
            .unwrap();
        assert_eq!(team.leased(), 4, "only its own");
        // And were the dead one alive after all, it could not spend it.
        let windows = chat_agent::budget::windows(later, &jiff::tz::TimeZone::UTC);
        let both = move |db: &mut chat_agent::store::Db| {
            grant.record(db)?;
            next.record(db)?;
            GroupLeases(db).leased("team", &windows)
        };
        assert_eq!(store.run(both).await.unwrap().month, usd("0.004"));
    });
}

tests![
    machines_that_ask_once_and_go_leave_all_the_rest_to_the_others,
    a_machine_that_lives_on_its_lease_takes_none_of_the_last_money_for_later,
    what_the_next_requests_would_need_is_leased_behind_an_answer,
    a_lease_that_was_granted_to_a_program_that_died_is_neither_lost_nor_spent,
];
