//! Finding an answer that was given before: in memory, on disk, and not at all.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on stops")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_agent::cache::{Cache, Entry, Settings};
use chat_agent::chat::request::Digest;
use chat_agent::chat::{Clock, Message, ModelId, Params, Request, Role, Usage};
use chat_agent::protocol::CacheHit;
use criterion::{Criterion, criterion_group, criterion_main};

const MEMORY: u64 = 64 << 20;
const DISK: u64 = 512 << 20;
const ENTRIES: usize = 1000;

fn model() -> ModelId {
    ModelId::new("openai", "gpt-5-mini")
}

/// A conversation of a few kilobytes, as it is hashed for each look-up.
fn request(n: usize) -> Request {
    let text = format!("question {n}: ") + &"why does this string move, and where to? ".repeat(100);
    Request { model: model(), messages: vec![Message::new(Role::User, text)], params: Params::default() }
}

fn entry(n: usize) -> Entry {
    let text = format!("answer {n}: ") + &"it is taken by value, so the vector owns it now. ".repeat(40);
    let (usage, at) = (Usage::counted(900, 420), Clock::system().now());
    Entry { model: model(), text, reasoning: String::new(), usage, cost: None, at }
}

fn cache(folder: &Path, memory: u64) -> Cache {
    Cache::new(folder, Settings { ttl: Duration::from_hours(24), memory, disk: DISK })
}

/// A folder on the disk that the program was built on; the system's own may lie in memory.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = home.path().join("cache");
    (home, path)
}

fn looking_up(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (_home, path) = folder();
    let digests: Vec<Digest> = (0..ENTRIES).map(|n| request(n).digest("")).collect();
    let now = Clock::system().now();
    let get = |cache: &Cache, digest| runtime.block_on(cache.get(digest, now));
    let mut group = c.benchmark_group("cache");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));

    let question = request(0);
    group.bench_function("digest of 4 kB", |b| b.iter(|| question.digest("")));

    let both = cache(&path, MEMORY);
    for (n, digest) in digests.iter().enumerate() {
        both.put(*digest, &entry(n));
        // The queue of the disk is bounded: looking for what is not there waits until it is empty.
        if n % 100 == 99 {
            assert!(get(&both, request(ENTRIES + n).digest("")).is_none());
        }
    }
    let mut n = 0;
    group.bench_function("hit in memory", |b| {
        b.iter(|| {
            n = (n + 1) % ENTRIES;
            let hit = get(&both, digests[n]);
            assert!(hit.as_ref().is_some_and(|hit| hit.tier == CacheHit::Memory));
            hit
        });
    });
    runtime.block_on(both.close());
    drop(both);

    // Without memory every hit is the disk's. Another thread has to answer, so most of this is two wake-ups.
    let disk = reopened(&path, &get, digests[0]);
    group.bench_function("hit on disk", |b| {
        b.iter(|| {
            n = (n + 1) % ENTRIES;
            let hit = get(&disk, digests[n]);
            assert!(hit.as_ref().is_some_and(|hit| hit.tier == CacheHit::Disk));
            hit
        });
    });
    let missing = request(ENTRIES).digest("");
    group.bench_function("miss", |b| b.iter(|| assert!(get(&disk, missing).is_none())));
    group.finish();
}

/// The same folder without its memory tier, once the thread that held it has let go.
fn reopened(path: &Path, get: &impl Fn(&Cache, Digest) -> Option<chat_agent::cache::Hit>, known: Digest) -> Cache {
    for _ in 0..50 {
        let cache = cache(path, 0);
        if get(&cache, known).is_some() {
            return cache;
        }
        drop(cache);
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the disk tier did not open again");
}

criterion_group!(benches, looking_up);
criterion_main!(benches);
