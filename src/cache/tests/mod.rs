mod disk_store;
mod flight;

use super::*;
use crate::chat::ModelId;
use crate::chat::usage::Usage;

const DAY: Duration = Duration::from_hours(24);
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn entry(text: &str) -> CachedAnswer {
    CachedAnswer {
        model: ModelId::new("openai", "gpt-5"),
        text: text.to_owned(),
        reasoning: String::new(),
        usage: Usage::counted(3, 4),
        cost: None,
        at: NOW,
    }
}

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn memory() -> Box<dyn Tier> {
    Box::new(MemoryTier::new(1 << 20, 28 * DAY))
}

#[tokio::test]
async fn a_hit_in_a_lower_tier_fills_the_upper_ones() {
    let (upper, lower) = (
        Cache::of(vec![memory()], DAY),
        Cache::of(vec![memory(), memory()], DAY),
    );
    upper.put(digest(1), &entry("yes"));
    assert!(upper.get(digest(1), NOW).await.is_some());
    let bytes = entry("yes").encode(digest(1));
    lower.tiers()[1].put(digest(1), &bytes);
    assert!(
        lower.tiers()[0]
            .get(digest(1), &Waiting::default())
            .await
            .is_none()
    );
    let hit = lower.get(digest(1), NOW.plus(DAY / 2)).await.unwrap();
    assert_eq!((hit.entry.text.as_str(), hit.age), ("yes", DAY / 2));
    assert_eq!(
        lower.tiers()[0].get(digest(1), &Waiting::default()).await,
        Some(bytes)
    );
}

#[tokio::test]
async fn what_is_damaged_is_a_miss_and_removed() {
    let cache = Cache::of(vec![memory(), memory()], DAY);
    let mut bytes = entry("yes").encode(digest(1)).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    cache.tiers()[0].put(digest(1), &bytes.into());
    // An answer to another question, put in this one's place.
    cache.tiers()[1].put(digest(1), &entry("fake").encode(digest(2)));
    assert_eq!(cache.get(digest(1), NOW).await, None);
    for tier in cache.tiers() {
        assert_eq!(tier.get(digest(1), &Waiting::default()).await, None);
    }
}

#[tokio::test]
async fn an_answer_beyond_the_largest_stays_in_memory() {
    let memory: Box<dyn Tier> = Box::new(MemoryTier::new(8 << 20, DAY));
    let home = tempfile::tempdir().unwrap();
    let disk: Box<dyn Tier> = Box::new(DiskTier::new(
        &home.path().join("cache"),
        1 << 30,
        Duration::from_secs(20),
        None,
    ));
    let cache = Cache::of(vec![memory, disk], DAY);
    let large = entry(&"x".repeat(LARGEST));
    cache.put(digest(1), &large);
    assert_eq!(cache.get(digest(1), NOW).await.unwrap().entry, large);
}

#[tokio::test]
async fn a_disk_tier_without_an_owner_is_a_miss_and_one_notice() {
    let home = tempfile::tempdir().unwrap();
    let settings = CacheSettings {
        ttl: DAY,
        memory: 1 << 20,
        disk: 1 << 26,
        patience: Duration::from_secs(20),
    };
    let cache = Cache::new(&home.path().join("cache"), settings, None, None);
    assert_eq!(cache.get(digest(1), NOW).await, None);
    cache.put(digest(1), &entry("yes"));
    assert!(
        cache.get(digest(1), NOW).await.is_some(),
        "memory still serves"
    );
    cache.close().await;
    let trouble = cache.trouble().unwrap();
    assert!(trouble.contains("no process serves them"), "{trouble}");
    assert_eq!(cache.trouble(), None, "told once");
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[tokio::test]
async fn memory_holds_no_more_than_it_may_and_keeps_what_is_asked_for_again_and_again() {
    let cache = Cache::of(vec![Box::new(MemoryTier::new(1 << 20, DAY))], DAY);
    let name = |n: u32| Digest(*blake3::hash(&n.to_le_bytes()).as_bytes());
    cache.put(name(0), &entry("asked for all the time"));
    for n in 1..5000 {
        assert!(cache.get(name(0), NOW).await.is_some(), "at {n}");
        cache.put(name(n), &entry(&"x".repeat(2000)));
    }
    let figures = cache.figures().await.remove(0);
    assert!(figures.kept_bytes.unwrap() <= 1 << 20, "{figures:?}");
    assert!(
        (100..600).contains(&figures.entries.unwrap()),
        "{figures:?}"
    );
}
