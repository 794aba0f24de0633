//! The answers on disk, damaged and on bad disks: never worse than a miss and a notice.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the small functions of tests are tests"
)]

use crate::answers;

use std::fs;
use std::path::PathBuf;

use answers::{Folder, NOW, digest, entry, found, kept};

/// The files of the generation in use whose name begins so.
fn files(folder: &Folder, prefix: &str) -> Vec<PathBuf> {
    let generation = fs::read_to_string(folder.path().join("CURRENT")).unwrap();
    let entries = fs::read_dir(folder.path().join(format!("g-{generation}"))).unwrap();
    let files = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    files
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(prefix)
        })
        .collect()
}

fn change(folder: &Folder, prefix: &str, how: impl Fn(&mut Vec<u8>)) {
    let files = files(folder, prefix);
    assert!(!files.is_empty(), "nothing to damage under {prefix:?}");
    for file in files {
        let mut bytes = fs::read(&file).unwrap();
        how(&mut bytes);
        fs::write(file, bytes).unwrap();
    }
}

/// A folder with answers in it, without an owner process.
async fn filled() -> Folder {
    let folder = Folder::new();
    let cache = folder.cache();
    for n in 1..40 {
        kept(&cache, n, &format!("answer {n} {}", "x".repeat(3000))).await;
    }
    drop(cache);
    folder.end_owner();
    // sled writes a snapshot when it reads back what it finds.
    found(&folder.cache(), 1).await;
    folder.end_owner();
    folder
}

#[tokio::test]
async fn damage_of_any_kind_is_a_miss_and_it_goes_on() {
    type Damage = (&'static str, fn(&Folder));
    let damages: [Damage; 9] = [
        ("emptied snapshots", |f| change(f, "snap.", Vec::clear)),
        ("garbled snapshots", |f| {
            change(f, "snap.", |bytes| bytes.fill(0xA5));
        }),
        ("half a database", |f| {
            change(f, "db", |bytes| bytes.truncate(bytes.len() / 2));
        }),
        ("an empty database", |f| change(f, "db", Vec::clear)),
        ("flipped bytes", |f| {
            change(f, "db", |bytes| {
                bytes.iter_mut().step_by(997).for_each(|byte| *byte ^= 0x40);
            });
        }),
        ("garbage everywhere", |f| {
            change(f, "", |bytes| bytes.fill(0xff));
        }),
        ("no generation", |f| {
            fs::remove_dir_all(files(f, "db")[0].parent().unwrap()).unwrap();
        }),
        ("nonsense for a name", |f| {
            fs::write(f.path().join("CURRENT"), "../../etc").unwrap();
        }),
        ("a folder for a name", |f| {
            fs::remove_file(f.path().join("CURRENT")).unwrap();
            fs::create_dir(f.path().join("CURRENT")).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let folder = filled().await;
        damage(&folder);
        let cache = folder.cache();
        let mut hits = 0;
        for n in 1..40 {
            // Whatever is still found is the answer that was put there.
            if let Some(hit) = cache.get(digest(n), NOW).await {
                assert!(
                    hit.entry.text.starts_with(&format!("answer {n} x")),
                    "{name}"
                );
                hits += 1;
            }
        }
        println!("{name}: {hits} of 39 are still there");
        if name != "a folder for a name" {
            kept(&cache, 50, "on it goes").await;
            assert_eq!(
                found(&folder.cache(), 50).await.entry.text,
                "on it goes",
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn emptied_snapshots_lose_nothing() {
    let folder = filled().await;
    change(&folder, "snap.", Vec::clear);
    let cache = folder.cache();
    for n in 1..40 {
        found(&cache, n).await;
    }
    assert_eq!(cache.trouble(), None, "nothing to tell");
}

#[tokio::test]
async fn what_is_unreadable_is_set_aside_and_told_once() {
    let folder = filled().await;
    change(&folder, "", |bytes| bytes.fill(0xff));
    let cache = folder.cache();
    // A report waits until the folder is open. A look-up that has given up meanwhile does not hear what was told to it.
    cache.figures().await;
    kept(&cache, 1, "new").await;
    let trouble = cache.trouble().unwrap();
    assert!(trouble.contains("damaged and start anew"), "{trouble}");
    assert_eq!(cache.trouble(), None);
    assert!(
        folder.path().join("damaged-1").is_dir(),
        "the old ones are still there"
    );
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_a_notice_and_left_alone() {
    for link in [false, true] {
        let folder = Folder::new();
        if link {
            let elsewhere = folder.home.path().join("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, folder.path()).unwrap();
        } else {
            fs::write(folder.path(), "a file").unwrap();
        }
        let cache = folder.cache();
        cache.put(digest(1), &entry("yes"));
        cache.close().await;
        assert_eq!(cache.get(digest(1), NOW).await, None);
        let trouble = cache.trouble().unwrap();
        assert!(
            trouble.contains("not kept on disk") && trouble.contains("cache: "),
            "{trouble}"
        );
        assert_eq!(cache.trouble(), None, "told once");
        assert_eq!(folder.owner(), None);
        if link {
            assert_eq!(
                fs::read_dir(folder.home.path().join("elsewhere"))
                    .unwrap()
                    .count(),
                0
            );
        } else {
            assert_eq!(fs::read_to_string(folder.path()).unwrap(), "a file");
        }
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_under_the_owner_harms_nobody() {
    let folder = Folder::new();
    // Files of at most 1,024 blocks of 512 bytes.
    folder.start(3600, "ulimit -f 1024; ");
    let cache = folder.cache();
    for n in 0..60 {
        cache.put(digest(n), &entry(&format!("{n}{}", "x".repeat(40_000))));
        cache.close().await;
        if let Some(hit) = cache.get(digest(n), NOW).await {
            assert!(hit.entry.text.starts_with(&n.to_string()));
        }
    }
    let trouble = cache.trouble();
    println!("{trouble:?}");
}
