//! The answers on disk between real processes: many at once, one that is killed, one that lies.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::answers;
use crate::support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use answers::lives;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::PATIENCE;
use support::scene::Scene;
use support::server::{Answer, Gate, Request, Script};

fn start(scene: &Scene, args: &[&str]) -> Child {
    let mut command = scene.command(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn owner(scene: &Scene) -> Pid {
    let card = std::fs::read(scene.home.data_dir().join("cache.owner")).unwrap();
    let card: Value = serde_json::from_slice(&card).unwrap();
    Pid::from_raw(i32::try_from(card["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

/// Ends the owner as the system would: everything is written.
fn end_owner(scene: &Scene) {
    let pid = owner(scene);
    kill_process(pid, Signal::TERM).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while lives(pid) {
        assert!(Instant::now() < deadline, "the owner does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks until it comes from the disk: a process may be too early for an owner that is just coming up.
fn kept(scene: &Scene, question: &str) {
    let deadline = Instant::now() + PATIENCE;
    while scene.json(&["ask", question, "-m", "gpt-5-mini", "--json"])["cache"]["hit"] != "disk" {
        assert!(Instant::now() < deadline, "{question:?} is not kept");
    }
}

/// Row 56 of the faults: eight at once, on a machine where nothing runs yet.
#[test]
fn eight_at_once_share_one_owner_and_none_complains() {
    let scene = Scene::saying("fine");
    let children: Vec<Child> = (0..8)
        .map(|n| {
            start(
                &scene,
                &["ask", &format!("question {n}"), "-m", "gpt-5-mini"],
            )
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        assert_eq!(output.stdout, b"fine\n");
    }
    let pids: BTreeSet<_> = (0..8)
        .map(|n| {
            kept(&scene, &format!("question {n}"));
            owner(&scene).as_raw_nonzero()
        })
        .collect();
    assert_eq!(pids.len(), 1, "one owner for all");
}

#[test]
fn when_the_process_that_fetches_is_killed_the_one_that_waits_fetches() {
    let gate = Gate::new();
    let (lost, asked) = (
        Answer::text("lost").gate_after(1, &gate),
        AtomicUsize::new(0),
    );
    let of_hi =
        move |request: &Request| match about(request, "hi").then(|| asked.fetch_add(1, SeqCst)) {
            Some(0) => Some(lost.clone()),
            again => again.map(|_| Answer::text("found")),
        };
    let scene = Scene::new(Script::always(Answer::text("up")).choose(of_hi));
    // Who fetches what is known to the owner, so there has to be one.
    kept(&scene, "warm up");
    let mut first = start(&scene, &["ask", "hi", "-m", "gpt-5-mini"]);
    gate.wait_reached(1);
    let mut second = start(&scene, &["ask", "hi", "-m", "gpt-5-mini", "-v", "--json"]);
    let mut says = BufReader::new(second.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("the same question is being answered already") {
        assert!(
            says.read_line(&mut said).unwrap() > 0,
            "it ended before it waited: {said}"
        );
    }
    assert_eq!(
        scene.json(&["budget", "show", "--json"])["open"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "who waits holds nothing"
    );
    kill_process(Pid::from_child(&first), Signal::KILL).unwrap();
    first.wait().unwrap();
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["answer"], &report["cache"]["hit"]),
        (&json!("found"), &json!("none"))
    );
    assert_eq!(
        scene
            .server
            .chats()
            .iter()
            .filter(|request| about(request, "hi"))
            .count(),
        2
    );
    gate.open();
}

/// Row 61: the answer to one question is stored under the key of another.
#[test]
fn an_entry_in_the_place_of_another_is_never_given() {
    let scene = Scene::new(
        Script::always(Answer::text("to two"))
            .choose(|request| about(request, "one").then(|| Answer::text("to one"))),
    );
    let asked = |question| scene.json(&["ask", question, "-m", "gpt-5-mini", "--json"]);
    asked("one");
    kept(&scene, "one");
    let one = keys(&scene);
    asked("two");
    kept(&scene, "two");
    let two: BTreeSet<Vec<u8>> = keys(&scene).difference(&one).cloned().collect();
    let (record, piece, victim) = (key(&one, b'r'), key(&one, b'p'), key(&two, b'r'));
    let db = open(&scene);
    let copy = |from: &[u8], to: &[u8]| db.insert(to, db.get(from).unwrap().unwrap()).unwrap();
    // All of it as the program itself would have written it: the record names the version, and that names the piece.
    copy(&record, &victim);
    copy(&piece, &[&b"p"[..], &victim[1..], &piece[33..]].concat());
    db.flush().unwrap();
    drop(db);
    let report = asked("two");
    assert_eq!(
        (&report["answer"], &report["cache"]["hit"]),
        (&json!("to two"), &json!("none"))
    );
    assert_eq!(asked("one")["answer"], "to one");
}

/// Whether this is the question of a request.
fn about(request: &Request, question: &str) -> bool {
    String::from_utf8_lossy(&request.body).contains(&format!("\"{question}\""))
}

/// The database of the answers, once its owner has let go of it.
fn open(scene: &Scene) -> sled::Db {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match sled::open(scene.home.data_dir().join("cache/g-1")) {
            Ok(db) => return db,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

/// Everything that lies there, after the owner was ended.
fn keys(scene: &Scene) -> BTreeSet<Vec<u8>> {
    end_owner(scene);
    open(scene)
        .iter()
        .keys()
        .map(|key| key.unwrap().to_vec())
        .collect()
}

fn key(keys: &BTreeSet<Vec<u8>>, kind: u8) -> Vec<u8> {
    keys.iter().find(|key| key[0] == kind).unwrap().clone()
}
