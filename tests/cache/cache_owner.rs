//! The process that owns the answers on disk: how it comes, serves, goes, and what its death costs.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::answers;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use answers::{DAY, Folder, NOW, digest, entry, found, kept, lives, until};
use chat_agent::cache::Cache;
use chat_agent::protocol::CacheHit;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

/// The longest wait of a look-up, on a clock that runs only while everybody waits; with room for its grain.
const ONE_WAIT: Duration = Duration::from_millis(22);
/// The same, for an owner that has just come up.
const FIRST_WAIT: Duration = Duration::from_millis(62);

#[tokio::test]
async fn an_answer_is_found_by_the_next_process_and_after_the_owner_was_gone() {
    let folder = Folder::new();
    let first = folder.cache();
    assert_eq!(first.get(digest(1), NOW).await, None);
    kept(&first, 1, "yes").await;
    drop(first);
    let second = folder.cache();
    found(&second, 1).await;
    let hit = second.get(digest(1), NOW.plus(DAY)).await.unwrap();
    assert_eq!(
        (hit.tier, hit.age, hit.entry.text.as_str()),
        (CacheHit::Disk, DAY, "yes")
    );
    assert_eq!(
        second.get(digest(1), NOW.plus(8 * DAY)).await,
        None,
        "it is old"
    );
    assert!(
        second
            .get_stale(digest(1), NOW.plus(8 * DAY))
            .await
            .unwrap()
            .expired
    );
    assert_eq!(second.trouble(), None);
    drop(second);
    folder.end_owner();
    assert_eq!(found(&folder.cache(), 1).await.entry.text, "yes");
}

#[tokio::test]
async fn eight_processes_share_one_owner() {
    let folder = Folder::new();
    let caches: Vec<Cache> = (0..8).map(|_| folder.cache()).collect();
    let looks = caches
        .iter()
        .cloned()
        .map(|cache| tokio::spawn(async move { cache.get(digest(0), NOW).await }));
    for look in looks.collect::<Vec<_>>() {
        assert_eq!(look.await.unwrap(), None);
    }
    for (n, cache) in (1..).zip(&caches) {
        kept(cache, n, &format!("from {n}")).await;
    }
    for cache in &caches {
        for n in 1..=8 {
            assert_eq!(
                cache.get(digest(n), NOW).await.unwrap().entry.text,
                format!("from {n}")
            );
        }
        assert_eq!(cache.trouble(), None);
        let figures = cache.figures().await.pop().unwrap();
        let owner = figures.owner.unwrap();
        assert_eq!((figures.entries, owner.clients), (Some(8), 8));
        assert_eq!(
            owner.pid.cast_signed(),
            folder.owner().unwrap().as_raw_nonzero().get()
        );
    }
}

#[tokio::test]
async fn an_owner_that_is_killed_costs_nobody_a_wait_and_is_replaced() {
    let folder = Folder::new();
    let cache = folder.impatient();
    kept(&cache, 1, "yes").await;
    let first = folder.owner().unwrap();
    kill_process(first, Signal::KILL).unwrap();
    until("it is dead", || !lives(first));
    tokio::time::pause();
    let begin = Instant::now();
    cache.get(digest(1), NOW).await;
    assert!(begin.elapsed() <= FIRST_WAIT, "{:?}", begin.elapsed());
    tokio::time::resume();
    kept(&cache, 2, "again").await;
    assert_ne!(folder.owner().unwrap(), first);
}

#[tokio::test]
async fn an_owner_that_hangs_costs_one_short_wait_and_is_replaced() {
    let folder = Folder::new();
    let cache = folder.impatient();
    kept(&cache, 1, "yes").await;
    let first = folder.owner().unwrap();
    kill_process(first, Signal::STOP).unwrap();
    tokio::time::pause();
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(cache.get(digest(1), NOW).await, None);
        cache.put(digest(9), &entry("lost without a waiter"));
    }
    assert!(
        begin.elapsed() <= FIRST_WAIT,
        "twenty look-ups took {:?}",
        begin.elapsed()
    );
    tokio::time::resume();
    kept(&cache, 2, "again").await;
    until("the one that hung is gone", || !lives(first));
    assert_ne!(folder.owner().unwrap(), first);
}

#[tokio::test]
async fn an_owner_that_is_only_slow_is_left_alone_by_who_is_patient() {
    let folder = Folder::new();
    kept(&folder.cache(), 1, "yes").await;
    let owner = folder.owner().unwrap();
    kill_process(owner, Signal::STOP).unwrap();
    let look = tokio::spawn({
        let cache = folder.cache();
        async move { cache.get(digest(1), NOW).await }
    });
    // Others count it as dead after a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    kill_process(owner, Signal::CONT).unwrap();
    assert_eq!(look.await.unwrap().unwrap().entry.text, "yes");
    assert_eq!(folder.owner(), Some(owner));
}

#[tokio::test]
async fn an_owner_that_takes_its_time_to_end_is_replaced_at_once() {
    let folder = Folder::new();
    let cache = folder.cache();
    std::fs::create_dir(folder.path()).unwrap();
    // As one that was killed and has not yet let go of the folder.
    let ending = std::fs::File::create(folder.path().with_extension("owner")).unwrap();
    ending.lock().unwrap();
    cache.put(digest(1), &entry("yes"));
    // The search for an owner finds the folder taken before it waits for the first time.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    drop(ending);
    kept(&cache, 1, "yes").await;
    assert_eq!(cache.trouble(), None);
}

#[tokio::test]
async fn a_process_that_meets_a_hanging_owner_first_waits_no_longer() {
    let folder = Folder::new();
    kept(&folder.cache(), 1, "yes").await;
    kill_process(folder.owner().unwrap(), Signal::STOP).unwrap();
    // One that has just come up would be given more time.
    let card = std::fs::File::options()
        .write(true)
        .open(folder.path().with_extension("owner"))
        .unwrap();
    card.set_modified(std::time::SystemTime::now() - Duration::from_mins(1))
        .unwrap();
    let cache = folder.impatient();
    tokio::time::pause();
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(cache.get(digest(1), NOW).await, None);
    }
    assert!(begin.elapsed() <= ONE_WAIT, "{:?}", begin.elapsed());
    tokio::time::resume();
    kept(&cache, 2, "again").await;
}

/// An owner with this stay, and its first client; on a busy machine it may have gone before that one came.
async fn met(linger: u64) -> (Pid, Cache, Folder) {
    loop {
        let folder = Folder::new();
        let (pid, cache) = (folder.start(linger, ""), folder.cache());
        kept(&cache, 1, "yes").await;
        if folder.owner() == Some(pid) {
            return (pid, cache, folder);
        }
    }
}

// On two threads: what closes the connection runs while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_after_its_last_client_and_when_the_folder_is_gone() {
    let (pid, cache, _folder) = met(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(lives(pid), "a client is there");
    drop(cache);
    until("it ends after its client", || !lives(pid));

    let folder = Folder::new();
    let pid = folder.start(3600, "");
    kept(&folder.cache(), 2, "yes").await;
    drop(folder);
    until("it ends with its folder", || !lives(pid));
}

#[tokio::test]
async fn socket_card_and_folder_are_their_users_alone() {
    let folder = Folder::new();
    folder.start(3600, "umask 000; ");
    let cache = folder.cache();
    kept(&cache, 1, "yes").await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = folder.socket();
    assert_eq!(
        (mode(&socket), mode(socket.parent().unwrap())),
        (0o600, 0o700)
    );
    assert_eq!(
        (
            mode(&folder.path()),
            mode(&folder.path().with_extension("owner"))
        ),
        (0o700, 0o600)
    );
    assert!(socket.as_os_str().len() <= 100);
}

#[tokio::test]
async fn a_hostile_client_harms_only_itself() {
    let folder = Folder::new();
    let cache = folder.cache();
    kept(&cache, 1, &"x".repeat(500_000)).await;
    let pid = folder.owner().unwrap();
    let hello = [13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let get = [&[41, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1][..], &[1; 32]].concat();
    let mut never_reads = UnixStream::connect(folder.socket()).unwrap();
    never_reads
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    never_reads.write_all(&hello).unwrap();
    // Hundreds of megabytes asked for and none of them taken.
    for _ in 0..1000 {
        if never_reads.write_all(&get).is_err() {
            break;
        }
    }
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        &[9, 0, 0, 0, 0],
        &[0; 64],
        &hello[..9],
    ] {
        let mut stream = UnixStream::connect(folder.socket()).unwrap();
        let _ = stream.write_all(nonsense);
        found(&cache, 1).await;
    }
    let mut after_hello = UnixStream::connect(folder.socket()).unwrap();
    after_hello
        .write_all(&[&hello[..], &[0xff; 64]].concat())
        .unwrap();
    after_hello
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut heard = Vec::new();
    after_hello.read_to_end(&mut heard).unwrap();
    assert_eq!(heard.len(), 17, "greeted, and turned out");
    // More clients than there is room for: the ones that are in stay in.
    let crowd: Vec<_> = (0..200)
        .map(|_| UnixStream::connect(folder.socket()))
        .collect();
    found(&cache, 1).await;
    drop(crowd);
    kept(&cache, 2, "on it goes").await;
    assert_eq!(folder.owner(), Some(pid));
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let kib: u64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kib < 200 << 10, "{kib} KiB at its largest");
}

#[tokio::test]
async fn a_newer_program_takes_over_and_an_older_one_does_without() {
    let folder = Folder::new();
    let cache = folder.cache();
    kept(&cache, 1, "yes").await;
    let pid = folder.owner().unwrap();
    let mut newer = UnixStream::connect(folder.socket()).unwrap();
    newer
        .write_all(&[13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0])
        .unwrap();
    let mut heard = Vec::new();
    newer.read_to_end(&mut heard).unwrap();
    assert_eq!(heard[13..], [1, 0, 0, 0], "it says which version it speaks");
    until("it makes room", || !lives(pid));
}
