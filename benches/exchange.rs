//! One whole exchange against a server that answers at once: what chat-agent itself adds.
//!
//! `first text` and `16 tokens` run from `Gateway::open` to the event. `commit` is the one durable commit that both wait
//! for before anything is sent, and `bare request` the same answer read from a kept connection with nothing around it.
//! Before that, p50 and p99 of our own part are printed: from `open` to the request at the server, from the first token
//! written to its event, and the commit that lies in the first of the two. Once with the data on the disk, and once in
//! memory, where the commit costs next to nothing and what is left is our own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that cannot go on stops"
)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_agent::budget::{Budget, Limits, Reservation};
use chat_agent::catalog::Catalog;
use chat_agent::chat::id::{AttemptId, ExchangeId};
use chat_agent::chat::{Clock, ModelId, Random, Selection, SessionId, Usd};
use chat_agent::config::{Config, Env};
use chat_agent::gateway::{Ask, Gateway, Parts};
use chat_agent::protocol::{Estimate, Event, RouteMode};
use chat_agent::provider::providers;
use chat_agent::store::{Begin, ChatSetting, NewPrompt, Store};
use chat_agent::tokens::{Encoding, count};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

fn model() -> ModelId {
    ModelId::new("openai", "gpt-5-mini")
}

const ESTIMATE: Estimate = Estimate {
    input_tokens: 14,
    output_tokens: 600,
    output_cap: 8_192,
    expected_usd: None,
    worst_usd: None,
    exact_count: true,
    band_permille: None,
};

fn budget() -> Budget {
    let limits = Limits {
        per_day: Some(Usd::from_pico(i64::MAX.into())),
        ..Limits::default()
    };
    Budget {
        limits,
        zone: jiff::tz::TimeZone::UTC,
    }
}

fn gateway(server: SocketAddr, folder: &Path) -> Arc<Gateway> {
    let url = format!("http://{server}/v1");
    let env = Env::from_pairs([
        ("OPENAI_BASE_URL", url.as_str()),
        ("OPENAI_API_KEY", "sk-bench-0000"),
    ]);
    let config = Config::default();
    let clock = Clock::system();
    Arc::new(Gateway::new(Parts {
        catalog: Arc::new(Catalog::builtin().at(clock.now())),
        providers: providers(&config.providers, &env).unwrap(),
        config: Arc::new(config),
        env: Arc::new(env),
        budget: budget(),
        run: "bench".into(),
        data_dir: folder.to_path_buf(),
        cache: None,
        clock,
        random: Random::system(),
    }))
}

/// A question of a chat of its own.
fn ask(random: &Random) -> Ask {
    let session = SessionId::from_bits(random.bits());
    Ask {
        cached: false,
        ..Ask::new(
            session,
            Selection::Pinned(model()),
            "Why does `push` move my string?",
            random,
        )
    }
}

/// The times from `open` to the first text and to the last event.
async fn exchange(gateway: &Arc<Gateway>, ask: Ask) -> (Duration, Duration) {
    let began = Instant::now();
    let mut exchange = gateway.open(ask);
    let mut first = None;
    while let Some(event) = exchange.next().await {
        match event {
            Event::Text { .. } => {
                first.get_or_insert_with(|| began.elapsed());
            }
            Event::Finished(_) => return (first.unwrap(), began.elapsed()),
            Event::Failed { failure, .. } => panic!("{failure:?}"),
            _ => {}
        }
    }
    panic!("an exchange without an end");
}

/// The rows that are written before a request is sent.
fn rows(random: &Random, clock: &Clock) -> (Begin, Reservation) {
    let ask = ask(random);
    let (exchange, at) = (ExchangeId::from_bits(random.bits()), clock.now());
    let begin = Begin {
        session: ask.session.clone(),
        setting: ChatSetting {
            selection: ask.selection,
            effort: None,
            system: None,
        },
        exchange: exchange.clone(),
        model: model(),
        mode: RouteMode::Pinned,
        parent: None,
        prompt: Some(NewPrompt {
            id: ask.prompt,
            text: ask.question,
        }),
        answer: ask.answer,
        messages: true,
        counted_input: 14,
        kind: None,
        effort: None,
        pace: None,
        estimate: ESTIMATE,
        at,
    };
    let hold = Reservation {
        attempt: AttemptId::from_bits(random.bits()),
        exchange,
        session: ask.session,
        run: "bench".into(),
        model: model(),
        provider: "openai".into(),
        key_last4: String::new(),
        amount: Some(Usd::from_pico(1_000_000_000)),
        price: serde_json::Value::Null,
        raise: None,
        at,
        uptime: None,
    };
    (begin, hold)
}

async fn commit(store: &Store, random: &Random, clock: &Clock) -> Duration {
    let (begin, hold) = rows(random, clock);
    let budget = budget();
    let start = Instant::now();
    let admission = store
        .run(move |db| budget.begin_exchange(db, &begin, &hold))
        .await
        .unwrap();
    assert!(admission.failure().is_none());
    start.elapsed()
}

/// Sends a request of about the usual size and reads the whole answer, whose length the first one showed.
async fn bare(stream: &mut TcpStream, length: &mut Option<usize>) -> Duration {
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(200));
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let began = Instant::now();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = Vec::with_capacity(16 * 1024);
    while length.map_or(!answer.ends_with(b"data: [DONE]\n\n"), |length| {
        answer.len() < length
    }) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    *length = Some(answer.len());
    began.elapsed()
}

/// Exchanges whose parts are looked at one by one, and those before them, after which all that is kept is warm: the
/// connection, the store's statements, the tables of the tokens.
const LOOKED_AT: usize = 500;
const WARM: usize = 20;

/// Prints p50 and p99 of the parts of an exchange that are ours.
async fn parts(
    place: &str,
    gateway: &Arc<Gateway>,
    store: &Store,
    seen: &support::Seen,
    random: &Random,
    clock: &Clock,
) {
    let (mut sent, mut shown, mut committed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..WARM {
        exchange(gateway, ask(random)).await;
        commit(store, random, clock).await;
    }
    for _ in 0..LOOKED_AT {
        let began = Instant::now();
        let (first, _) = exchange(gateway, ask(random)).await;
        let request = seen.lock().unwrap().take().unwrap();
        sent.push(request - began);
        shown.push((began + first).saturating_duration_since(request));
        committed.push(commit(store, random, clock).await);
    }
    let parts = [
        ("open to request at the server", sent),
        ("token written to its event", shown),
        ("one commit", committed),
    ];
    for (name, mut times) in parts {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1000.0;
        println!(
            "{place:9} {name:32} p50 {:7.3} ms   p99 {:7.3} ms",
            at(50),
            at(99)
        );
    }
}

/// Runs `once` as often as criterion wants and adds up what it measured.
fn measured<F: Future<Output = Duration>>(
    runtime: &Runtime,
    times: u64,
    mut once: impl FnMut() -> F,
) -> Duration {
    runtime.block_on(async {
        let mut total = Duration::ZERO;
        for _ in 0..times {
            total += once().await;
        }
        total
    })
}

fn exchanging(c: &mut Criterion) {
    count(Encoding::O200kBase, "warm");
    // The server has a thread of its own, as it would be a machine of its own.
    let theirs = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let ours = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let seen = support::Seen::default();
    let server = theirs.block_on(support::serve(Arc::clone(&seen))).unwrap();
    let (random, clock) = (Random::system(), Clock::system());
    let in_memory = Path::new("/dev/shm");
    if in_memory.is_dir() {
        let home = tempfile::tempdir_in(in_memory).unwrap();
        let gateway = gateway(server, &home.path().join("exchange"));
        let store = Store::open(&home.path().join("commit")).unwrap();
        ours.block_on(parts("in memory", &gateway, &store, &seen, &random, &clock));
    }
    // On the disk that the program was built on; the system's own folder may lie in memory, where a commit costs nothing.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let gateway = gateway(server, &home.path().join("exchange"));
    let store = Store::open(&home.path().join("commit")).unwrap();
    ours.block_on(parts("on disk", &gateway, &store, &seen, &random, &clock));
    let mut group = c.benchmark_group("exchange");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    group.bench_function("first text", |b| {
        b.iter_custom(|n| {
            measured(&ours, n, || async {
                exchange(&gateway, ask(&random)).await.0
            })
        });
    });
    group.bench_function(format!("{} tokens", support::TOKENS), |b| {
        b.iter_custom(|n| {
            measured(&ours, n, || async {
                exchange(&gateway, ask(&random)).await.1
            })
        });
    });
    group.bench_function("commit", |b| {
        b.iter_custom(|n| measured(&ours, n, || commit(&store, &random, &clock)));
    });
    let mut stream = ours.block_on(TcpStream::connect(server)).unwrap();
    let mut length = None;
    group.bench_function("bare request", |b| {
        b.iter_custom(|n| {
            ours.block_on(async {
                let mut total = Duration::ZERO;
                for _ in 0..n {
                    total += bare(&mut stream, &mut length).await;
                }
                total
            })
        });
    });
    group.finish();
}

criterion_group!(benches, exchanging);
criterion_main!(benches);
