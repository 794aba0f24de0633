//! Idle is idle: with nothing happening the program does not wake up, write or compute.
//!
//! Here a fixed time is the test itself.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use support::PATIENCE;
use support::screen::{Place, say, settled};
use support::server::{Answer, Script};
use support::terminal::Terminal;

/// By thread: its name, voluntary switches, ticks of processor time.
type Threads = BTreeMap<u32, (String, u64, u64)>;

fn threads(pid: u32) -> Threads {
    let mut all = Threads::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let entry = entry.unwrap();
        let read =
            |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let status = read("status");
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        // The name is in brackets and may hold anything; the 12th and 13th field behind it are the times.
        let stat = read("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        let id = entry.file_name().to_str().unwrap().parse().unwrap();
        all.insert(
            id,
            (
                read("comm").trim().to_owned(),
                switches.unwrap().trim().parse().unwrap(),
                ticks,
            ),
        );
    }
    all
}

/// Waits until three seconds have passed without a change; whatever wakes up on its own does so in every one of them.
#[track_caller]
fn assert_idle(terminal: &Terminal) {
    let pid = terminal.pid();
    let deadline = Instant::now() + PATIENCE;
    let mut before = (threads(pid), terminal.mark());
    loop {
        std::thread::sleep(Duration::from_secs(3));
        let now = (threads(pid), terminal.mark());
        if now == before {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "it never comes to rest: {before:#?} {now:#?}"
        );
        before = now;
    }
}

#[test]
fn before_the_first_exchange() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 120, 30);
    assert_idle(&terminal);
}

#[test]
fn with_a_draft_that_is_saved() {
    let place = Place::new(Script::always(Answer::text("fine")));
    let terminal = place.open(&[], 120, 30);
    terminal.send("half a thought");
    terminal.wait_for("› half a thought");
    assert_idle(&terminal);
    assert!(
        !place.home.data_dir().join("cache").exists(),
        "nothing is kept yet, so no owner is started"
    );
}

#[test]
fn after_an_exchange() {
    let place = Place::new(Script::always(Answer::text("an answer of some words")));
    // With the cache: sled and its threads are in a process of their own.
    let terminal = place.open(&[], 120, 30);
    say(&terminal, "go");
    terminal.wait_for("an answer of some words");
    settled(&terminal);
    let deadline = Instant::now() + PATIENCE;
    while !place.home.data_dir().join("cache/CURRENT").exists() {
        assert!(Instant::now() < deadline, "the answer is not kept on disk");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_idle(&terminal);
}
