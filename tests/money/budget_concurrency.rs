//! Limits under many hands: one gateway with a thousand questions, many gateways, many processes, and the turn of a day.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use chat_agent::budget::{Admission, Budget, DayMonth, Limits, Reservation, Scope};
use chat_agent::catalog::Catalog;
use chat_agent::chat::id::{AttemptId, ExchangeId};
use chat_agent::chat::{
    Clock, FailureKind, ModelId, Params, Random, Selection, SessionId, Timestamp, Usd,
};
use chat_agent::config::{Config, Env, KeyEntry, KeySource, ModelEntry, ProviderConfig};
use chat_agent::gateway::{Ask, Exchange, Gateway, Parts};
use chat_agent::protocol::{Event, Raise};
use chat_agent::provider::providers;
use chat_agent::store::{ChargeScope, Db, Ledger, ScopeSums, Store, StoreError, check};
use support::scene::KEY;
use support::server::{Answer, Gate, Pico, Prices, Script, Server};
use tokio::runtime::Builder;

/// 2026-12-31T23:59:59.900Z: the last moment of a day, a month, a year, and of a price of the catalogue.
const LATE: i64 = 1_798_761_599_900;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn model() -> ModelId {
    ModelId::new("mine", "m")
}

/// A provider with one model at which 1000 tokens of output cost exactly $0.10, and input nothing.
fn config(server: &Server, key: DayMonth) -> Config {
    let source = KeySource::Env("KEY".to_owned());
    let provider = |name: &str| ProviderConfig {
        name: name.to_owned(),
        base_urls: vec![server.base_url()],
        keys: vec![KeyEntry {
            source: source.clone(),
            per_day: key.per_day,
            per_month: key.per_month,
        }],
        ..ProviderConfig::default()
    };
    let entry = ModelEntry {
        input: Some(Usd::ZERO),
        output: Some(usd("100")),
        context: Some(100_000),
        max_output: Some(1000),
        ..ModelEntry::new(model())
    };
    Config {
        providers: vec![provider("mine"), provider("gemini")],
        models: vec![entry],
        ..Config::default()
    }
}

fn gateway(config: Config, limits: Limits, folder: &Path, clock: Clock) -> Arc<Gateway> {
    let env = Env::from_pairs([("KEY", KEY)]);
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
            limits,
            zone: jiff::tz::TimeZone::UTC,
        },
        run: "run".into(),
        data_dir: folder.to_path_buf(),
        cache: None,
        clock,
        random: Random::system(),
    }))
}

/// A question that wants the whole cap or nothing.
fn ask(model: ModelId, session: Option<&SessionId>) -> Ask {
    let random = Random::system();
    let session = session
        .cloned()
        .unwrap_or_else(|| SessionId::from_bits(random.bits()));
    let params = Params {
        max_output: Some(1000),
        ..Params::default()
    };
    Ask {
        params,
        cached: false,
        ..Ask::new(session, Selection::Pinned(model), "hi", &random)
    }
}

/// Whether it was answered; a refusal must be one by the budget. A process that waited in vain for the lock of the ledger has
/// sent nothing and tries again, as a user would.
async fn answered(gateway: Arc<Gateway>, ask: Ask) -> bool {
    loop {
        match last_event(gateway.open(ask.clone())).await {
            Event::Finished(_) => return true,
            Event::Failed { failure, .. } if failure.message.contains("chat.db locked") => {}
            Event::Failed { failure, .. } => {
                assert_eq!(failure.kind, FailureKind::Budget, "{failure:?}");
                return false;
            }
            other => panic!("an exchange that ends with {other:?}"),
        }
    }
}

async fn last_event(mut exchange: Exchange) -> Event {
    let mut last = None;
    while let Some(event) = exchange.next().await {
        last = Some(event);
    }
    last.unwrap()
}

fn full_answers() -> Server {
    Server::start(Script::always(Answer::text("abcd").usage(10, 1000)).keys([KEY]))
}

fn prices() -> Prices {
    Prices::new().model("m", "0", "0", "100")
}

fn tokio() -> tokio::runtime::Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn of_a_thousand_calls_of_a_dime_five_dollars_let_fifty_through() {
    let (server, data) = (full_answers(), tempfile::tempdir().unwrap());
    let limits = Limits {
        per_day: Some(usd("5")),
        ..Limits::default()
    };
    let gateway = gateway(
        config(&server, DayMonth::default()),
        limits,
        data.path(),
        Clock::system(),
    );
    let granted = tokio().block_on(async {
        let calls: Vec<_> = (0..1000)
            .map(|_| tokio::spawn(answered(Arc::clone(&gateway), ask(model(), None))))
            .collect();
        let mut granted = 0;
        for call in calls {
            granted += usize::from(call.await.unwrap());
        }
        granted
    });
    assert_eq!((granted, server.chats().len()), (50, 50));
    assert_eq!(server.bill(&prices()).total(), Pico::usd("5"));
    let db = Db::open(data.path()).unwrap();
    let sum = ScopeSums(&db)
        .sum(ChargeScope::Day(Clock::system().now()))
        .unwrap();
    assert_eq!((sum.settled, sum.reserved), (usd("5"), Usd::ZERO));
    server.assert_clean();
}

#[test]
fn a_limit_that_is_raised_once_lets_one_question_through() {
    let (server, data) = (full_answers(), tempfile::tempdir().unwrap());
    let limits = Limits {
        per_day: Some(usd("0.04")),
        per_session: Some(usd("1")),
        ..Limits::default()
    };
    let gateway = gateway(
        config(&server, DayMonth::default()),
        limits,
        data.path(),
        Clock::system(),
    );
    let by = |scope, by| Ask {
        raise: Some(Raise { scope, by: usd(by) }),
        ..ask(model(), None)
    };
    tokio().block_on(async {
        for (name, ask, expected) in [
            ("not raised", ask(model(), None), false),
            ("another limit raised", by(Scope::Session, "0.06"), false),
            ("not by enough", by(Scope::Day, "0.05"), false),
            ("raised", by(Scope::Day, "0.06"), true),
            ("and once", ask(model(), None), false),
        ] {
            assert_eq!(
                answered(Arc::clone(&gateway), ask).await,
                expected,
                "{name}"
            );
        }
    });
    let db = Db::open(data.path()).unwrap();
    let day = ChargeScope::Day(Clock::system().now());
    assert_eq!(
        (
            ScopeSums(&db).sum(day).unwrap().total(),
            ScopeSums(&db).raised(day).unwrap()
        ),
        (usd("0.10"), usd("0.06"))
    );
    assert_eq!(server.chats().len(), 1);
}

#[test]
fn first_requests_that_race_share_one_limit() {
    let three = Some(usd("0.35"));
    let day = DayMonth {
        per_day: three,
        per_month: None,
    };
    let chat = SessionId::from_bits(7);
    let none = Limits::default;
    for (name, limits, key, session) in [
        (
            "session",
            Limits {
                per_session: three,
                ..none()
            },
            DayMonth::default(),
            Some(&chat),
        ),
        (
            "model",
            Limits {
                models: [(model(), day)].into(),
                ..none()
            },
            DayMonth::default(),
            None,
        ),
        ("key", none(), day, None),
        (
            "run",
            Limits {
                per_run: three,
                ..none()
            },
            DayMonth::default(),
            None,
        ),
    ] {
        let (server, data) = (full_answers(), tempfile::tempdir().unwrap());
        // Eight programs, none of which has seen the chat, the model, the key or the ledger before.
        let open = || {
            gateway(
                config(&server, key),
                limits.clone(),
                data.path(),
                Clock::system(),
            )
        };
        let granted = tokio().block_on(async {
            let calls: Vec<_> = (0..8)
                .map(|_| tokio::spawn(answered(open(), ask(model(), session))))
                .collect();
            let mut granted = 0;
            for call in calls {
                granted += usize::from(call.await.unwrap());
            }
            granted
        });
        assert_eq!((granted, server.chats().len()), (3, 3), "{name}");
    }
}

#[test]
fn the_turn_of_a_day_and_of_a_price_changes_nothing_for_what_was_reserved_before() {
    let (gate, data) = (Gate::new(), tempfile::tempdir().unwrap());
    let held = Answer::text("abcd").usage(4, 1000).gate_after(1, &gate);
    let server =
        Server::start(Script::each([held, Answer::text("abcd").usage(4, 1000)]).keys([KEY]));
    let now = Arc::new(AtomicI64::new(LATE));
    let theirs = Arc::clone(&now);
    let clock = Clock::from_fn(move || Timestamp(theirs.load(SeqCst)));
    // The price in force until midnight: $0.75 and $3.75 for a million; afterwards twice that.
    let flash = ModelId::new("gemini", "gemini-3.8-flash");
    let limits = Limits {
        per_day: Some(usd("0.008")),
        per_month: Some(usd("0.008")),
        ..Limits::default()
    };
    let gateway = gateway(
        config(&server, DayMonth::default()),
        limits,
        data.path(),
        clock,
    );
    tokio().block_on(async {
        let first = tokio::spawn(answered(Arc::clone(&gateway), ask(flash.clone(), None)));
        let reached = gate.clone();
        tokio::task::spawn_blocking(move || reached.wait_reached(1))
            .await
            .unwrap();
        now.store(LATE + 60_000, SeqCst);
        gate.open();
        assert!(first.await.unwrap());
        assert!(
            answered(Arc::clone(&gateway), ask(flash.clone(), None)).await,
            "the new day has its own limit"
        );
    });
    let db = Db::open(data.path()).unwrap();
    let (old, new) = (
        ScopeSums(&db)
            .sum(ChargeScope::Day(Timestamp(LATE)))
            .unwrap(),
        ScopeSums(&db)
            .sum(ChargeScope::Day(Timestamp(LATE + 60_000)))
            .unwrap(),
    );
    assert_eq!(
        (old.settled, new.settled),
        (usd("0.003753"), usd("0.007506"))
    );
    let month = ScopeSums(&db)
        .sum(ChargeScope::Month(Timestamp(LATE + 60_000)))
        .unwrap();
    assert_eq!(
        (month.settled, month.reserved),
        (usd("0.007506"), Usd::ZERO)
    );
}

/// One of the processes of the next test: tries to reserve a cent, two hundred times, and says how often it could.
#[test]
#[ignore = "a process of the test below"]
#[expect(clippy::print_stdout, reason = "how a process tells the test")]
fn worker() {
    let folder = std::env::var_os("LEDGER").expect("started by the test below");
    let store = loop {
        match Store::open(Path::new(&folder)) {
            // Sixteen at one new file: a process that waited in vain tries again, as a user would.
            Err(StoreError::Locked) => {}
            opened => break opened.unwrap(),
        }
    };
    let limits = Limits {
        per_day: Some(usd("20")),
        per_run: Some(usd("20")),
        ..Limits::default()
    };
    let budget = Budget {
        limits,
        zone: jiff::tz::TimeZone::UTC,
    };
    let (random, clock) = (Random::system(), Clock::system());
    let mut granted = 0;
    for _ in 0..200 {
        let hold = Reservation {
            attempt: AttemptId::from_bits(random.bits()),
            exchange: ExchangeId::from_bits(random.bits()),
            session: SessionId::from_bits(random.bits()),
            run: "run".into(),
            model: model(),
            provider: "mine".into(),
            key_last4: "…zq7w".into(),
            amount: Some(usd("0.01")),
            price: serde_json::Value::Null,
            raise: None,
            at: clock.now(),
            uptime: chat_agent::store::uptime(),
        };
        loop {
            let (budget, hold) = (budget.clone(), hold.clone());
            match store.run_blocking(move |db| budget.reserve(db, &hold)) {
                Ok(Admission::Granted) => granted += 1,
                Ok(Admission::Refused { .. }) => {}
                Err(StoreError::Locked) => continue,
                other => panic!("{other:?}"),
            }
            break;
        }
    }
    println!("granted {granted};");
}

#[test]
fn sixteen_processes_share_room_for_exactly_two_thousand() {
    let data = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--ignored",
                "--exact",
                "budget_concurrency::worker",
                "--nocapture",
            ])
            .env("LEDGER", data.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let workers: Vec<_> = (0..16).map(|_| start()).collect();
    let granted: u64 = workers
        .into_iter()
        .map(|worker| {
            let output = worker.wait_with_output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{text}");
            let count = text
                .split("granted ")
                .nth(1)
                .and_then(|rest| rest.split(';').next());
            count
                .unwrap_or_else(|| panic!("{text}"))
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(granted, 2000);
    let db = Db::open(data.path()).unwrap();
    check(&db).unwrap();
    let sum = ScopeSums(&db).sum(ChargeScope::Run("run")).unwrap();
    assert_eq!(
        (sum.reserved, Ledger(&db).open_items().unwrap().len()),
        (usd("20"), 2000)
    );
}
