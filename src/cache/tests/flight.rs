//! Who fetches and who waits, in one process. What becomes of those who wait is shown with whole exchanges and processes:
//! `tests/single_flight.rs`, `tests/cache_flight.rs`, `tests/cache_processes.rs`.

use super::*;

fn cache() -> Cache {
    Cache::of(vec![Box::new(MemoryTier::new(1 << 20, DAY))], DAY)
}

async fn leader(cache: &Cache) -> LeadGuard {
    match cache.join(digest(1)).await {
        Flight::Lead(guard) => guard,
        Flight::Follow(_) => panic!("another one leads"),
    }
}

async fn follower(cache: &Cache) -> Follower {
    match cache.join(digest(1)).await {
        Flight::Follow(follower) => follower,
        Flight::Lead(_) => panic!("this one leads"),
    }
}

#[tokio::test]
async fn one_fetches_and_all_have_it() {
    let cache = cache();
    let guard = leader(&cache).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(tokio::spawn(follower(&cache).await.wait(NOW)));
    }
    let other = cache.join(digest(2)).await;
    assert!(
        matches!(other, Flight::Lead(_)),
        "another question is another flight"
    );
    guard.put(&entry("yes"));
    for waiter in waiting {
        let hit = waiter.await.unwrap().unwrap();
        assert_eq!(
            (hit.entry.text.as_str(), hit.tier),
            ("yes", CacheHit::Memory)
        );
    }
    assert_eq!(
        cache.get(digest(1), NOW).await.unwrap().entry.text,
        "yes",
        "and it is kept"
    );
    leader(&cache).await;
}

#[tokio::test]
async fn an_expired_answer_is_offered_only_when_asked_for_and_not_for_ever() {
    let cache = Cache::of(vec![Box::new(MemoryTier::new(1 << 20, 40 * DAY))], 7 * DAY);
    cache.put(digest(1), &entry("old"));
    assert_eq!(cache.get(digest(1), NOW.plus(8 * DAY)).await, None);
    let hit = cache.get_stale(digest(1), NOW.plus(8 * DAY)).await.unwrap();
    assert_eq!(
        (hit.entry.text.as_str(), hit.age, hit.expired),
        ("old", 8 * DAY, true)
    );
    assert!(
        !cache
            .get_stale(digest(1), NOW.plus(DAY))
            .await
            .unwrap()
            .expired
    );
    assert_eq!(cache.get_stale(digest(1), NOW.plus(28 * DAY)).await, None);
    assert_eq!(
        cache.get_stale(digest(1), NOW).await,
        None,
        "and then it was forgotten"
    );
}
