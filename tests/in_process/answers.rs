//! A folder of kept answers, the processes that use it, and the one that owns it.
//!
//! Owns: [`Folder`], how its owner is found, signalled and waited for, and entries to put there.
//! Refuses: what is right; that is each test's own.
//! Invariant: no owner outlives the folder by more than a moment.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use chat_agent::cache::{
    AnswerHit, Cache, CacheSettings, CachedAnswer, Flight, Follower, LeadGuard,
};
use chat_agent::chat::request::Digest;
use chat_agent::chat::{ModelId, Timestamp, Usage};
use rustix::process::{Pid, Signal, kill_process};

pub const DAY: Duration = Duration::from_hours(24);
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// Only ever used up by a failure.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-agent");

pub struct Folder {
    pub home: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self {
            home: tempfile::Builder::new()
                .prefix("chat-agent-test-")
                .tempdir()
                .unwrap(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.home.path().join("cache")
    }

    pub fn settings() -> CacheSettings {
        CacheSettings {
            ttl: 7 * DAY,
            memory: 0,
            disk: 64 << 20,
            patience: Duration::from_secs(20),
        }
    }

    /// One process's view, without a memory of its own: what it finds, it finds on disk.
    pub fn cache(&self) -> Cache {
        Cache::new(&self.path(), Self::settings(), Some(PROGRAM.into()), None)
    }

    /// The same with the patience of the program, for those whom an owner keeps waiting.
    pub fn impatient(&self) -> Cache {
        let settings = CacheSettings {
            patience: Duration::from_millis(20),
            ..Self::settings()
        };
        Cache::new(&self.path(), settings, Some(PROGRAM.into()), None)
    }

    fn card(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&std::fs::read(self.path().with_extension("owner")).ok()?).ok()
    }

    /// The process that owns it, if it still runs.
    pub fn owner(&self) -> Option<Pid> {
        let pid = Pid::from_raw(i32::try_from(self.card()?["pid"].as_i64()?).unwrap())?;
        lives(pid).then_some(pid)
    }

    pub fn socket(&self) -> PathBuf {
        self.card().unwrap()["socket"].as_str().unwrap().into()
    }

    /// An owner that was started by hand, with a short stay after its last client.
    pub fn start(&self, linger: u64, before: &str) -> Pid {
        let line = format!(
            "{before}exec \"$0\" cache-owner \"$1\" {} --linger {linger}",
            64 << 20
        );
        let mut command = Command::new("sh");
        command.args(["-c", &line, PROGRAM]).arg(self.path());
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        std::thread::spawn(move || child.wait());
        until("the owner is up", || self.owner() == Some(pid));
        pid
    }

    /// Ends the owner as the system would when it goes down: everything is written.
    pub fn end_owner(&self) {
        let pid = self.owner().unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        until("the owner ends", || !lives(pid));
    }
}

/// Whether it runs; one that is dead and not yet waited for does not.
pub fn lives(pid: Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

pub fn entry(text: &str) -> CachedAnswer {
    CachedAnswer {
        model: ModelId::new("openai", "gpt-5"),
        text: text.to_owned(),
        reasoning: String::new(),
        usage: Usage::counted(3, 4),
        cost: None,
        at: NOW,
    }
}

/// The text found, after a wait as long as it takes for the tier to be there.
pub async fn found(cache: &Cache, n: u8) -> AnswerHit {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(hit) = cache.get(digest(n), NOW).await {
            return hit;
        }
        assert!(
            Instant::now() < deadline,
            "{n} is not found: {:?}",
            cache.trouble()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Puts until it is there: what is put while the tier is away is lost, which is all that is.
pub async fn kept(cache: &Cache, n: u8, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        cache.put(digest(n), &entry(text));
        cache.close().await;
        if cache
            .get(digest(n), NOW)
            .await
            .is_some_and(|hit| hit.entry.text == text)
        {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{text} is not kept: {:?}",
            cache.trouble()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The one who fetches the first answer.
pub async fn leader(cache: &Cache) -> LeadGuard {
    match cache.join(digest(1)).await {
        Flight::Lead(guard) => guard,
        Flight::Follow(_) => panic!("another process leads"),
    }
}

/// One who waits for it.
pub async fn follower(cache: &Cache) -> Follower {
    match cache.join(digest(1)).await {
        Flight::Follow(follower) => follower,
        Flight::Lead(_) => panic!("no process leads"),
    }
}
