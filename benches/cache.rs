//! Finding an answer that was given before: in memory, on disk, and not at all; and keeping one.
//!
//! `ENTRIES=1000000 cargo bench --bench cache` looks up among that many instead, and tells the memory of their owner.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops")]
#![allow(clippy::print_stdout, reason = "a bench tells its figures")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chat_agent::cache::{Cache, CacheSettings, CachedAnswer};
use chat_agent::chat::request::Digest;
use chat_agent::chat::{Clock, Message, ModelId, Params, Request, Role, Usage};
use chat_agent::protocol::CacheHit;
use criterion::{Criterion, criterion_group, criterion_main};

const MEMORY: u64 = 64 << 20;
/// As it is set unless the user says otherwise.
const PATIENCE: Duration = Duration::from_millis(20);
const DISK: u64 = 512 << 20;
const ENTRIES: usize = 1000;

fn model() -> ModelId {
    ModelId::new("openai", "gpt-5-mini")
}

/// A conversation of a few kilobytes, as it is hashed for each look-up.
fn request(n: usize) -> Request {
    let text = format!("question {n}: ") + &"why does this string move, and where to? ".repeat(100);
    Request {
        model: model(),
        messages: vec![Message::new(Role::User, text)],
        params: Params::default(),
    }
}

fn entry(n: usize) -> CachedAnswer {
    let text =
        format!("answer {n}: ") + &"it is taken by value, so the vector owns it now. ".repeat(40);
    let (usage, at) = (Usage::counted(900, 420), Clock::system().now());
    CachedAnswer {
        model: model(),
        text,
        reasoning: String::new(),
        usage,
        cost: None,
        at,
    }
}

fn cache(folder: &Path, memory: u64) -> Cache {
    let settings = CacheSettings {
        ttl: Duration::from_hours(24),
        memory,
        disk: DISK,
        patience: PATIENCE,
    };
    Cache::new(
        folder,
        settings,
        Some(env!("CARGO_BIN_EXE_chat-agent").into()),
        None,
    )
}

/// A folder on the disk that the program was built on; the system's own may lie in memory.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = home.path().join("cache");
    (home, path)
}

/// One look-up after another, as criterion does not tell how long the slowest ones take.
fn tail(name: &str, mut look_up: impl FnMut(usize)) {
    let times = (0..20_000).map(|n| {
        let begin = Instant::now();
        look_up(n);
        begin.elapsed()
    });
    told(name, times.collect());
}

fn told(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[times.len() * share / 1000];
    println!(
        "{name}: p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(500),
        at(990),
        at(999)
    );
}

fn looking_up(c: &mut Criterion) {
    if let Ok(entries) = std::env::var("ENTRIES") {
        return among(entries.parse().unwrap());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_home, path) = folder();
    let digests: Vec<Digest> = (0..ENTRIES).map(|n| request(n).digest("")).collect();
    let now = Clock::system().now();
    let get = |cache: &Cache, digest| runtime.block_on(cache.get(digest, now));
    let mut group = c.benchmark_group("cache");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));

    let question = request(0);
    group.bench_function("digest of 4 kB", |b| b.iter(|| question.digest("")));
    let mut long = request(0);
    long.messages[0].text = long.messages[0].text.repeat(256);
    group.bench_function("digest of 1 MB", |b| b.iter(|| long.digest("")));
    group.bench_function("copy and digest of 1 MB", |b| {
        b.iter(|| long.clone().digest(""));
    });

    let both = cache(&path, MEMORY);
    runtime.block_on(async {
        both.get(digests[0], now).await;
        for (n, digest) in digests.iter().enumerate() {
            both.put(*digest, &entry(n));
            // What waits for the owner is bounded.
            if n % 10 == 0 {
                both.close().await;
            }
        }
        both.close().await;
    });
    let memory = |n: usize| {
        let hit = get(&both, digests[n % ENTRIES]);
        assert!(hit.as_ref().is_some_and(|hit| hit.tier == CacheHit::Memory));
    };
    let mut n = 0;
    let mut next = || {
        n += 1;
        n
    };
    group.bench_function("hit in memory", |b| b.iter(|| memory(next())));
    tail("hit in memory", memory);

    // Without memory every hit is the disk's: a question to another process, and its answer.
    let disk = cache(&path, 0);
    // No look-up waits longer than 20 ms; on a machine that stalls for so long it is a miss.
    let late = Cell::new(0);
    let on_disk = |n: usize| match get(&disk, digests[n % ENTRIES]) {
        Some(hit) => assert_eq!(hit.tier, CacheHit::Disk),
        None => late.set(late.get() + 1),
    };
    group.bench_function("hit on disk", |b| b.iter(|| on_disk(next())));
    tail("hit on disk", on_disk);
    println!("hit on disk: {} were not had in time", late.get());
    let missing = request(ENTRIES).digest("");
    group.bench_function("miss", |b| {
        b.iter(|| assert!(get(&disk, missing).is_none()));
    });
    group.finish();
    runtime.block_on(async {
        // Alone in its queue, until the owner has it; and as the caller sees it, who does not wait.
        let answer = entry(0);
        let (mut whole, mut call) = (Vec::new(), Vec::new());
        for n in 0..2000 {
            let digest = request(ENTRIES + 1 + n).digest("");
            let begin = Instant::now();
            disk.put(digest, &answer);
            call.push(begin.elapsed());
            disk.close().await;
            whole.push(begin.elapsed());
        }
        told("put, as the caller sees it", call);
        told("put, until the owner has it", whole);
    });
    drop(both);
    drop(disk);
    cold(&runtime, &path, digests[0]);
}

/// The first look-up of a process when no owner runs: it is started, opens sled, and answers.
fn cold(runtime: &tokio::runtime::Runtime, path: &Path, known: Digest) {
    let mut times = Vec::new();
    for _ in 0..20 {
        let card: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("owner")).unwrap()).unwrap();
        let pid =
            rustix::process::Pid::from_raw(i32::try_from(card["pid"].as_i64().unwrap()).unwrap())
                .unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        while rustix::process::test_kill_process(pid).is_ok() {
            // Its starter is this process, which has to be given the time to notice.
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        }
        let cache = cache(path, 0);
        let begin = Instant::now();
        let hit = runtime.block_on(cache.get(known, Clock::system().now()));
        times.push((begin.elapsed(), hit.is_some()));
        runtime.block_on(cache.close());
    }
    times.sort();
    let hits = times.iter().filter(|(_, hit)| *hit).count();
    println!(
        "first look-up without an owner: median {:?}, slowest {:?}, {hits} of 20 found",
        times[10].0, times[19].0
    );
}

/// Look-ups among very many small answers.
fn among(entries: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_home, path) = folder();
    let settings = CacheSettings {
        ttl: Duration::from_hours(24),
        memory: 0,
        disk: 4 << 30,
        patience: PATIENCE,
    };
    let cache = Cache::new(
        &path,
        settings,
        Some(env!("CARGO_BIN_EXE_chat-agent").into()),
        None,
    );
    let digest = |n: usize| request(n % entries).digest("");
    let (now, begin) = (Clock::system().now(), Instant::now());
    let short = |n: usize| CachedAnswer {
        text: format!("answer {n}"),
        ..entry(n)
    };
    runtime.block_on(async {
        cache.get(digest(0), now).await;
        for n in 0..entries {
            cache.put(digest(n), &short(n));
            if n % 30 == 0 {
                cache.close().await;
            }
        }
        cache.close().await;
    });
    println!("{entries} entries put in {:?}", begin.elapsed());
    let figures = runtime.block_on(cache.figures()).pop().unwrap();
    println!(
        "{:?} entries, {:?} bytes, kept in {:?}",
        figures.entries, figures.live_bytes, figures.kept_bytes
    );
    let mut hits = 0;
    // All over, in an order that no cache of pages foresees.
    tail("hit among many", |n| {
        hits += usize::from(
            runtime
                .block_on(cache.get(digest(n * 7_919), now))
                .is_some(),
        );
    });
    println!("{hits} of 20000 found");
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", figures.owner.unwrap().pid)).unwrap();
    status
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
        .for_each(|l| println!("{l}"));
}

criterion_group!(benches, looking_up);
criterion_main!(benches);
