//! Generations: the folders that sled works in, one after another.
//!
//! Owns: which generation is in use, what is tried when one does not open (without its snapshot, then set aside), and the
//! removal of leftovers.
//! Refuses: the content of the folders.
//! Invariant: the file that names the generation in use changes in one step, so that a crash leaves the old one or the new.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::private_folder::private_folder;

/// The file that names the generation in use.
pub(super) const CURRENT: &str = "CURRENT";

/// How long a damaged generation is kept for inspection.
const ASIDE: Duration = Duration::from_hours(7 * 24);

/// A generation that opened.
pub(super) struct Opened {
    pub(super) db: sled::Db,
    pub(super) generation: u64,
    /// What had to be done for it, in words for the user.
    pub(super) notice: Option<String>,
}

/// Opens the generation in use, or the first one.
pub(super) fn open(folder: &Path) -> Result<Opened, String> {
    private_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let now = SystemTime::now();
    remove_set_aside(folder, |since| {
        now.duration_since(since).is_ok_and(|age| age > ASIDE)
    });
    let Some(generation) = current(folder) else {
        remove_leftovers(folder, None);
        let db = create(folder, 1)?;
        choose(folder, 1)?;
        return Ok(Opened {
            db,
            generation: 1,
            notice: None,
        });
    };
    remove_leftovers(folder, Some(generation));
    let path = path(folder, generation);
    force_private(&path);
    let first = match try_open(&path) {
        Ok(db) => {
            return Ok(Opened {
                db,
                generation,
                notice: None,
            });
        }
        Err(error) => error,
    };
    match first {
        OpenError::Locked => return Err("another process holds the cache folder".to_owned()),
        // Nothing is wrong with what lies there: a disk that is full or cannot be written.
        OpenError::Io(error) => return Err(error),
        OpenError::Damaged => {}
    }
    // An emptied or garbled snapshot is the usual damage; everything can be read back from the log without it.
    remove_snapshots(&path);
    if let Ok(db) = try_open(&path) {
        return Ok(Opened {
            db,
            generation,
            notice: None,
        });
    }
    set_aside(folder, generation)
}

/// Moves a damaged generation out of the way and begins the next.
pub(super) fn set_aside(folder: &Path, generation: u64) -> Result<Opened, String> {
    remove_set_aside(folder, |_| true);
    let aside = folder.join(format!("damaged-{generation}"));
    fs::rename(path(folder, generation), &aside)
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    // It is kept from now on, not from when it was last written to.
    let _ = fs::File::open(&aside).and_then(|folder| folder.set_modified(SystemTime::now()));
    let db = create(folder, generation + 1)?;
    choose(folder, generation + 1)?;
    let notice = format!(
        "the answers on disk were damaged and start anew; the old ones are in {}",
        aside.display()
    );
    Ok(Opened {
        db,
        generation: generation + 1,
        notice: Some(notice),
    })
}

/// Removes damaged generations that are due, by the time since which they lie there.
pub(super) fn remove_set_aside(folder: &Path, is_due: impl Fn(SystemTime) -> bool) {
    for name in names(folder).filter(|name| name.starts_with("damaged-")) {
        let path = folder.join(name);
        if fs::symlink_metadata(&path)
            .and_then(|aside| aside.modified())
            .is_ok_and(&is_due)
        {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// An empty generation, not yet in use.
pub(super) fn create(folder: &Path, generation: u64) -> Result<sled::Db, String> {
    let path = path(folder, generation);
    let _ = fs::remove_dir_all(&path);
    private_folder(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    try_open(&path).map_err(|refusal| match refusal {
        OpenError::Io(error) => error,
        OpenError::Locked | OpenError::Damaged => format!("{} cannot be opened", path.display()),
    })
}

/// Makes a generation the one in use.
pub(super) fn choose(folder: &Path, generation: u64) -> Result<(), String> {
    let (new, name) = (folder.join("CURRENT.new"), folder.join(CURRENT));
    let write = || -> io::Result<()> {
        fs::write(&new, generation.to_string())?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, &name)
    };
    write().map_err(|error| format!("{}: {error}", name.display()))
}

pub(super) fn path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("g-{generation}"))
}

/// Bytes of all files below.
pub(super) fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|e| {
            e.metadata()
                .map_or(0, |m| if m.is_dir() { size(&e.path()) } else { m.len() })
        })
        .sum()
}

enum OpenError {
    Locked,
    Io(String),
    Damaged,
}

/// sled panics over some kinds of damage.
fn try_open(path: &Path) -> Result<sled::Db, OpenError> {
    let open = || {
        sled::Config::new()
            .path(path)
            .cache_capacity(8 << 20)
            .flush_every_ms(Some(1000))
            .open()
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(error))) if is_locked(&error) => Err(OpenError::Locked),
        Ok(Err(sled::Error::Io(error))) if !is_damage(&error) => {
            Err(OpenError::Io(error.to_string()))
        }
        Ok(Err(_)) | Err(_) => Err(OpenError::Damaged),
    }
}

fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.to_string().contains("could not acquire lock")
}

/// sled reports a file that ends too early or says nonsense as an error of reading.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    error.raw_os_error().is_none()
        && matches!(
            error.kind(),
            InvalidData | InvalidInput | Other | UnexpectedEof
        )
}

fn current(folder: &Path) -> Option<u64> {
    let generation = fs::read_to_string(folder.join(CURRENT))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    path(folder, generation).is_dir().then_some(generation)
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
}

/// Generations no longer in use, and the files of versions of this program that had none.
fn remove_leftovers(folder: &Path, keep: Option<u64>) {
    let keep = keep.map(|generation| format!("g-{generation}"));
    for name in names(folder).filter(|name| Some(name) != keep.as_ref()) {
        let path = folder.join(&name);
        if name.starts_with("g-") || name == "blobs" {
            let _ = fs::remove_dir_all(path);
        } else if name == "conf" || name == "db" || name.starts_with("snap.") {
            let _ = fs::remove_file(path);
        }
    }
}

fn remove_snapshots(folder: &Path) {
    for name in names(folder).filter(|name| name.starts_with("snap.")) {
        let _ = fs::remove_file(folder.join(name));
    }
}

/// What was copied here by hand, or written under another umask.
fn force_private(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let _ = fs::set_permissions(
            entry.path(),
            fs::Permissions::from_mode(if is_dir { 0o700 } else { 0o600 }),
        );
    }
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
}
