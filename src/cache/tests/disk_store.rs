//! Entries in sled: pieces, versions, the budget of bytes, and space given back.

use std::fs;

use super::super::disk_store::DiskStore;
use super::super::generations;
use super::*;

const LIMIT: u64 = 1 << 30;

/// sled frees its lock when its own threads are done, a moment after the last handle is gone.
fn open(folder: &Path, limit: u64) -> (DiskStore, Option<String>) {
    for _ in 0..6_000 {
        match DiskStore::open(folder, limit) {
            Err(cause) if cause.contains("another process") => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the folder stays locked");
}

/// Small numbers that look like none; the seed is printed by the test that uses them.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % below
    }
}

fn filled(length: usize, with: u64) -> Vec<u8> {
    with.to_le_bytes()
        .into_iter()
        .cycle()
        .take(length)
        .collect()
}

#[test]
fn what_is_put_is_there_in_the_next_run_in_any_size() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    let sizes = [0, 1, 61_439, 61_440, 61_441, 200_000, 1 << 20];
    let (mut disk_store, notice) = open(&folder, LIMIT);
    assert_eq!(notice, None);
    for (n, size) in (1..).zip(sizes) {
        disk_store.put(digest(n), &filled(size, 7)).unwrap();
    }
    let sums = disk_store.sums();
    assert_eq!(
        (sums.entries, sums.bytes),
        (7, sizes.iter().map(|size| *size as u64).sum())
    );
    disk_store.flush().unwrap();
    drop(disk_store);
    let (mut disk_store, _) = open(&folder, LIMIT);
    assert_eq!(
        (disk_store.sums().entries, disk_store.sums().bytes),
        (sums.entries, sums.bytes)
    );
    for (n, size) in (1..).zip(sizes) {
        assert_eq!(
            disk_store.get(digest(n)).unwrap().unwrap()[..],
            filled(size, 7)[..],
            "{size}"
        );
    }
    assert_eq!(disk_store.get(digest(99)).unwrap(), None);
}

#[test]
fn the_newest_four_versions_are_kept_and_the_newest_is_given() {
    let home = tempfile::tempdir().unwrap();
    let (mut disk_store, _) = open(&home.path().join("cache"), LIMIT);
    for n in 0..10 {
        disk_store.put(digest(1), &filled(70_000, n)).unwrap();
        // The same once more, as when a lower tier fills this one, is no version of its own.
        disk_store.put(digest(1), &filled(70_000, n)).unwrap();
        assert_eq!(
            disk_store.get(digest(1)).unwrap().unwrap()[..],
            filled(70_000, n)[..]
        );
        assert_eq!(disk_store.sums().bytes, 70_000 * (n + 1).min(4));
    }
    assert_eq!(disk_store.sums().entries, 1);
    disk_store.remove(digest(1)).unwrap();
    assert_eq!((disk_store.sums().entries, disk_store.sums().bytes), (0, 0));
}

#[test]
fn the_least_recently_used_go_first() {
    let home = tempfile::tempdir().unwrap();
    // A third of the limit may be live: ten of these, with what they take up besides.
    let (mut disk_store, _) = open(&home.path().join("cache"), 30 * (50_000 + 256));
    for n in 1..=10 {
        disk_store.put(digest(n), &filled(50_000, 1)).unwrap();
    }
    for used in [1, 3, 5] {
        assert!(disk_store.get(digest(used)).unwrap().is_some());
    }
    disk_store.put(digest(11), &filled(50_000, 1)).unwrap();
    let left: Vec<u8> = (1..=11)
        .filter(|n| disk_store.get(digest(*n)).unwrap().is_some())
        .collect();
    assert_eq!(left, [1, 3, 5, 7, 8, 9, 10, 11], "down to four fifths");
    assert_eq!(disk_store.sums().bytes, 8 * 50_000);
}

#[test]
fn on_disk_there_is_never_more_than_three_times_what_is_live() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    let (mut disk_store, _) = open(&folder, 36 << 20);
    let seed = std::env::var("SEED").map_or(4711, |seed| seed.parse().unwrap());
    let mut dice = Dice(seed);
    let mut last = std::collections::HashMap::new();
    for turn in 0..1500 {
        let (n, size) = (
            u8::try_from(dice.roll(40)).unwrap(),
            1000 + dice.roll(120_000) as usize,
        );
        disk_store.put(digest(n), &filled(size, turn)).unwrap();
        last.insert(n, (size, turn));
        if turn % 50 == 0 {
            let (disk, live) = (generations::size(&folder), disk_store.sums().bytes);
            assert!(live <= 12 << 20, "SEED={seed} turn {turn}: {live} live");
            // One look at every mebibyte, and sled writes in segments of half of one.
            assert!(
                disk <= (3 * live).max(12 << 20),
                "SEED={seed} turn {turn}: {disk} on disk for {live} live"
            );
        }
    }
    let kept = last.iter().filter(|(n, (size, turn))| {
        let found = disk_store.get(digest(**n)).unwrap();
        found
            .inspect(|bytes| assert_eq!(bytes[..], filled(*size, *turn)[..]))
            .is_some()
    });
    assert!(kept.count() > 5);
    let verified = disk_store.clear().unwrap();
    assert!(verified.entries > 5);
    assert!(
        generations::size(&folder) < 4 << 20,
        "the space is given back"
    );
    assert_eq!(disk_store.get(digest(1)).unwrap(), None);
    disk_store.put(digest(1), b"and on it goes").unwrap();
}

/// Sizes as answers have them: nearly all are short, a few are long, and one in a thousand is as long as may be.
fn mixed(dice: &mut Dice) -> usize {
    match dice.roll(1000) {
        0 => 1 << 20,
        1..=20 => 20_000 + dice.roll(120_000) as usize,
        _ => 20 + dice.roll(2000) as usize,
    }
}

/// Puts that many entries, far more than there is room for, and looks now and then at what it takes up.
#[expect(
    clippy::print_stdout,
    reason = "for a person who changes how entries are kept"
)]
fn many(puts: u32) {
    let (home, limit) = (tempfile::tempdir().unwrap(), 72 << 20);
    let folder = home.path().join("cache");
    let (mut disk_store, _) = open(&folder, limit);
    let seed = std::env::var("SEED").map_or(4711, |seed| seed.parse().unwrap());
    let (mut dice, mut worst) = (Dice(seed), 0.0f64);
    let name = |n: u32| Digest(*blake3::hash(&n.to_le_bytes()).as_bytes());
    for n in 0..puts {
        let size = mixed(&mut dice);
        disk_store
            .put(name(n), &filled(size, u64::from(n)))
            .unwrap();
        // The first one is used all the time, so it is never the least recently used.
        assert!(
            n % 100 != 0 || disk_store.get(name(0)).unwrap().is_some(),
            "SEED={seed} at {n}"
        );
        if n % 200 == 0 {
            let (disk, live) = (generations::size(&folder), disk_store.sums().live());
            assert!(live <= limit / 3, "SEED={seed} at {n}: {live} live");
            assert!(
                disk <= (3 * live).max(12 << 20),
                "SEED={seed} at {n}: {disk} on disk for {live} live"
            );
            if live > 8 << 20 {
                #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes")]
                let ratio = disk as f64 / live as f64;
                worst = worst.max(ratio);
            }
        }
    }
    println!(
        "{puts} puts: {:?}, at worst {worst:.2} times on disk",
        disk_store.sums()
    );
    println!("copied at (on disk, live): {:?}", disk_store.copies);
    assert!(!disk_store.copies.is_empty(), "SEED={seed}");
    for (disk, live) in &disk_store.copies {
        assert!(
            *disk <= 3 * live + (16 << 20),
            "SEED={seed}: {disk} on disk while {live} live ones are copied"
        );
    }
    let kept = |disk_store: &mut DiskStore, n| disk_store.get(name(n)).unwrap().is_some();
    assert!(
        kept(&mut disk_store, puts - 1) && !kept(&mut disk_store, 1),
        "the newest is there, the oldest is not"
    );
}

#[test]
fn of_thousands_of_all_sizes_the_latest_stay_and_the_space_of_the_others_is_given_back() {
    many(10_000);
}

#[test]
#[ignore = "takes minutes: for a change to how entries are kept"]
fn of_a_hundred_thousand_as_well() {
    many(100_000);
}

#[test]
fn verifying_removes_what_is_damaged_and_counts_anew() {
    let home = tempfile::tempdir().unwrap();
    let (mut disk_store, _) = open(&home.path().join("cache"), LIMIT);
    let good = entry("good").encode(digest(1));
    disk_store.put(digest(1), &good).unwrap();
    disk_store.put(digest(2), b"nonsense").unwrap();
    disk_store.put(digest(3), &good).unwrap();
    let verified = disk_store.verify().unwrap();
    assert_eq!((verified.good, verified.removed), (1, 2));
    assert_eq!(
        (disk_store.sums().entries, disk_store.sums().bytes),
        (1, good.len() as u64)
    );
    assert_eq!(disk_store.get(digest(1)).unwrap(), Some(good));
    assert_eq!(
        disk_store.get(digest(3)).unwrap(),
        None,
        "the right answer in the wrong place"
    );
}

#[test]
fn what_was_set_aside_goes_after_a_week_or_with_everything_else() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    let aside = |n: u64| folder.join(format!("damaged-{n}"));
    let set_aside = |n: u64, age: Duration| {
        fs::create_dir_all(aside(n)).unwrap();
        fs::write(aside(n).join("db"), filled(1000, 7)).unwrap();
        fs::File::open(aside(n))
            .unwrap()
            .set_modified(std::time::SystemTime::now() - age)
            .unwrap();
    };
    set_aside(1, 8 * DAY);
    set_aside(2, 6 * DAY);
    let (mut disk_store, _) = open(&folder, LIMIT);
    assert!(!aside(1).exists() && aside(2).exists());
    let without = generations::size(&generations::path(&folder, disk_store.generation()));
    assert!(
        disk_store.kept() >= without + 1000,
        "what lies there is counted"
    );
    disk_store.clear().unwrap();
    assert!(!aside(2).exists(), "every answer is forgotten");

    // A generation that has been in use for long is kept from the day on which it was found to be damaged.
    drop(disk_store);
    let (disk_store, _) = open(&folder, LIMIT);
    let damaged = disk_store.generation();
    drop(disk_store);
    let path = generations::path(&folder, damaged);
    fs::File::open(path)
        .unwrap()
        .set_modified(std::time::SystemTime::now() - 30 * DAY)
        .unwrap();
    drop(DiskStore::anew(&folder, LIMIT, damaged).unwrap());
    drop(open(&folder, LIMIT));
    assert!(aside(damaged).exists());
}

#[test]
fn files_are_their_users_alone_and_those_of_older_versions_go() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cache");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    for old in ["conf", "db", "snap.0123"] {
        fs::write(folder.join(old), "of an older version").unwrap();
    }
    drop(open(&folder, LIMIT));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["CURRENT", "g-1"]);
    assert_eq!(mode(&folder.join("g-1")), 0o700);
}
