use std::fs;

use super::*;
use crate::chat::ModelId;
use crate::chat::usage::Usage;

const DAY: Duration = Duration::from_hours(24);
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn settings() -> Settings {
    Settings { ttl: 7 * DAY, memory: 1 << 20, disk: 1 << 26 }
}

fn entry(text: &str) -> Entry {
    Entry {
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

/// The folder's lock is freed when sled's own threads are done, a moment after the last handle is gone.
async fn reopened(folder: &Path) -> Cache {
    for _ in 0..200 {
        let cache = Cache::new(folder, settings());
        let _ = cache.get(digest(255), NOW).await;
        if cache.trouble().is_none() {
            return cache;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the cache folder stays locked");
}

#[tokio::test]
async fn an_answer_is_found_in_memory_then_on_disk_by_the_next_run() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    let cache = Cache::new(&folder, settings());
    assert_eq!(cache.get(digest(1), NOW).await, None);
    cache.put(digest(1), &entry("yes"));
    let hit = cache.get(digest(1), NOW.plus(DAY)).await.unwrap();
    assert_eq!((hit.tier, hit.age, hit.entry.text.as_str()), (CacheHit::Memory, DAY, "yes"));
    cache.close().await;
    drop(cache);

    let cache = reopened(&folder).await;
    assert_eq!(cache.get(digest(1), NOW).await.unwrap().tier, CacheHit::Disk);
    assert_eq!(cache.get(digest(1), NOW).await.unwrap().tier, CacheHit::Memory, "copied upwards");
}

#[tokio::test]
async fn an_old_answer_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::new(&home.path().join("cache"), settings());
    cache.put(digest(1), &entry("old"));
    assert_eq!(cache.get(digest(1), NOW.plus(8 * DAY)).await, None);
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_a_notice_and_a_miss() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("cache");
    fs::write(&file, "a file").unwrap();
    let cache = Cache::new(&file, settings());
    cache.put(digest(1), &entry("yes"));
    assert!(cache.get(digest(1), NOW).await.is_some(), "memory still serves");
    assert_eq!(cache.get(digest(2), NOW).await, None);
    let trouble = cache.trouble().unwrap();
    assert!(trouble.contains("is not a folder"), "{trouble}");
    assert_eq!(cache.trouble(), None, "told once");
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file", "left alone");
}

#[tokio::test]
async fn a_second_instance_works_without_the_disk() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    let first = Cache::new(&folder, settings());
    first.put(digest(1), &entry("yes"));
    assert_eq!(first.get(digest(2), NOW).await, None, "the first has it open");
    let second = Cache::new(&folder, settings());
    assert_eq!(second.get(digest(1), NOW).await, None);
    assert!(second.trouble().unwrap().contains("another chat-agent"));
    second.put(digest(1), &entry("mine"));
    assert_eq!(second.get(digest(1), NOW).await.unwrap().entry.text, "mine");
}

#[tokio::test]
async fn damage_is_set_aside() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("conf"), "no configuration").unwrap();
    fs::write(folder.join("db"), vec![0xA5; 5000]).unwrap();
    let cache = Cache::new(&folder, settings());
    assert_eq!(cache.get(digest(1), NOW).await, None);
    cache.put(digest(1), &entry("yes"));
    assert!(cache.get(digest(1), NOW).await.is_some());
    assert!(cache.trouble().unwrap().contains("starts anew"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "the old folder is still there");
}
