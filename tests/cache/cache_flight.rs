//! One of many processes fetches what all of them want. One that is killed is in `tests/cache_processes.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::answers;

use std::time::Duration;

use answers::{Folder, NOW, PATIENCE, digest, entry, follower, kept, leader};
use chat_agent::cache::{Cache, Flight};
use rustix::process::{Signal, kill_process};
use tokio::time::timeout;

/// Two caches with connections of their own are to the owner what two processes are.
async fn two() -> (Folder, Cache, Cache) {
    let folder = Folder::new();
    let (one, other) = (folder.cache(), folder.cache());
    kept(&one, 100, "up").await;
    kept(&other, 101, "up").await;
    (folder, one, other)
}

#[tokio::test]
async fn a_follower_in_another_process_gets_what_the_leader_put() {
    let (_folder, one, other) = two().await;
    let guard = leader(&one).await;
    let waiting = [
        follower(&other).await,
        follower(&other).await,
        follower(&one).await,
    ];
    let waiting = waiting.map(|follower| tokio::spawn(follower.wait(NOW)));
    guard.put(&entry("yes"));
    for waiter in waiting {
        assert_eq!(
            timeout(PATIENCE, waiter)
                .await
                .unwrap()
                .unwrap()
                .unwrap()
                .entry
                .text,
            "yes"
        );
    }
}

#[tokio::test]
async fn a_leader_that_fails_lets_the_next_one() {
    let (_folder, one, other) = two().await;
    let guard = leader(&one).await;
    let waiter = tokio::spawn(follower(&other).await.wait(NOW));
    drop(guard);
    assert_eq!(timeout(PATIENCE, waiter).await.unwrap().unwrap(), None);
    leader(&other).await;
}

#[tokio::test]
async fn a_follower_that_gives_up_cancels_nobody_elsewhere() {
    let (_folder, one, other) = two().await;
    let guard = leader(&one).await;
    let (first, second) = (follower(&other).await, follower(&other).await);
    // The first stands in front of the second: when it goes, the second joins anew.
    let second = tokio::spawn(second.wait(NOW));
    drop(first);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().unwrap(), None);
    let again = tokio::spawn(follower(&other).await.wait(NOW));
    guard.put(&entry("yes"));
    assert_eq!(
        timeout(PATIENCE, again)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .entry
            .text,
        "yes"
    );
}

#[tokio::test]
async fn a_join_that_is_cancelled_leaves_no_lease_behind() {
    let (_folder, one, other) = two().await;
    for _ in 0..50 {
        let joining = one.join(digest(1));
        let _ = timeout(Duration::ZERO, joining).await;
    }
    let deadline = std::time::Instant::now() + PATIENCE;
    while let Flight::Follow(follower) = other.join(digest(1)).await {
        assert!(std::time::Instant::now() < deadline);
        let _ = timeout(PATIENCE, follower.wait(NOW)).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_stays_in_the_queue_behind_an_owner_that_hangs() {
    let (folder, one, other) = two().await;
    let guard = leader(&one).await;
    let waiter = tokio::spawn(follower(&other).await.wait(NOW));
    let hung = folder.owner().unwrap();
    kill_process(hung, Signal::STOP).unwrap();
    // The answer does not arrive: the leader may be done, and its process gone.
    drop(guard);
    assert_eq!(timeout(PATIENCE, waiter).await.unwrap().unwrap(), None);
    kept(&other, 2, "again").await;
    assert_ne!(folder.owner(), Some(hung));
}

#[tokio::test]
async fn without_an_owner_everybody_leads() {
    let folder = Folder::new();
    let alone = Cache::new(&folder.path(), Folder::settings(), None, None);
    assert!(matches!(alone.join(digest(1)).await, Flight::Lead(_)));
}
