//! The disk tier: answers of earlier runs, in sled.
//!
//! Owns: a thread that holds the database, and the ladder for one that will not open (retry without its snapshot, then
//! move it aside and start anew).
//! Refuses: to be waited for; a look-up gives up after [`DEADLINE`], a write is dropped when the queue is full.
//! Invariant: opened at the first look-up, never before; sled's panics end here.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Entry;
use crate::chat::request::Digest;

/// Longest wait for the disk, the first opening included.
pub const DEADLINE: Duration = Duration::from_millis(250);
/// Largest entry kept: sled moves values from about 100 KB up to files of their own and never gives their space back.
const LARGEST: usize = 60 * 1024;
/// Jobs that may wait.
const QUEUE: usize = 256;

enum Job {
    Get(Digest, oneshot::Sender<Option<Entry>>),
    Put(Digest, Vec<u8>),
    Remove(Digest),
    Close(oneshot::Sender<()>),
}

pub(super) struct Disk {
    folder: PathBuf,
    /// Bytes on disk above which the tier starts anew.
    limit: u64,
    jobs: OnceLock<Option<SyncSender<Job>>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Disk {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, jobs: OnceLock::new(), trouble: Arc::default() }
    }

    pub(super) async fn get(&self, digest: Digest) -> Option<Entry> {
        let (reply, answer) = oneshot::channel();
        self.jobs()?.try_send(Job::Get(digest, reply)).ok()?;
        tokio::time::timeout(DEADLINE, answer).await.ok()?.ok()?
    }

    pub(super) fn put(&self, digest: Digest, entry: &Entry) {
        let Ok(bytes) = serde_json::to_vec(entry) else { return };
        if bytes.len() <= LARGEST
            && let Some(jobs) = self.jobs()
        {
            // A full queue means a slow disk: this answer is not kept there, which is all that is lost.
            let _ = jobs.try_send(Job::Put(digest, bytes));
        }
    }

    pub(super) fn remove(&self, digest: Digest) {
        if let Some(jobs) = self.jobs() {
            let _ = jobs.try_send(Job::Remove(digest));
        }
    }

    pub(super) async fn close(&self) {
        let Some(Some(jobs)) = self.jobs.get() else { return };
        let (done, closed) = oneshot::channel();
        if jobs.try_send(Job::Close(done)).is_ok() {
            let _ = tokio::time::timeout(DEADLINE, closed).await;
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().ok()?.take()
    }

    fn jobs(&self) -> Option<&SyncSender<Job>> {
        let start = || {
            let (sender, receiver) = sync_channel(QUEUE);
            let (folder, limit, trouble) = (self.folder.clone(), self.limit, Arc::clone(&self.trouble));
            let run = move || serve(&folder, limit, &receiver, &trouble);
            thread::Builder::new().name("cache-disk".into()).spawn(run).ok().map(|_| sender)
        };
        self.jobs.get_or_init(start).as_ref()
    }
}

/// The thread: opens once, then does one job after another until the last sender is gone or sled panics.
fn serve(folder: &Path, limit: u64, jobs: &Receiver<Job>, trouble: &Mutex<Option<String>>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (db, notice) = open(folder, limit)?;
        if let (Some(notice), Ok(mut slot)) = (notice, trouble.lock()) {
            *slot = Some(notice);
        }
        for job in jobs {
            if let Err(error) = perform(&db, job) {
                return Err(error.to_string());
            }
        }
        Ok(())
    }));
    let cause = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(cause)) => cause,
        Err(_) => "sled panicked".to_owned(),
    };
    tracing::warn!(%cause, "the disk cache is off");
    if let Ok(mut slot) = trouble.lock() {
        *slot = Some(format!("answers are not kept on disk in this run: {cause}"));
    }
}

fn perform(db: &sled::Db, job: Job) -> sled::Result<()> {
    match job {
        Job::Get(digest, reply) => {
            let entry = db.get(digest.0)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let _ = reply.send(entry);
        }
        Job::Put(digest, bytes) => {
            db.insert(digest.0, bytes)?;
        }
        Job::Remove(digest) => {
            db.remove(digest.0)?;
        }
        Job::Close(done) => {
            db.flush()?;
            let _ = done.send(());
        }
    }
    Ok(())
}

/// Opens the database, mending what can be mended. The second value is a notice for the user.
fn open(folder: &Path, limit: u64) -> Result<(sled::Db, Option<String>), String> {
    prepare(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    if size(folder) > limit {
        let aside = set_aside(folder, "full")?;
        let _ = fs::remove_dir_all(aside);
        prepare(folder).map_err(|error| error.to_string())?;
    }
    let first = match try_open(folder) {
        Ok(db) => return Ok((db, None)),
        Err(error) => error,
    };
    if is_locked(&first) {
        return Err("another chat-agent holds the cache folder".to_owned());
    }
    // An emptied or garbled snapshot is the usual damage; everything can be read back from the log without it.
    remove_snapshots(folder);
    if let Ok(db) = try_open(folder) {
        return Ok((db, None));
    }
    let aside = set_aside(folder, "damaged")?;
    prepare(folder).map_err(|error| error.to_string())?;
    let db = try_open(folder).map_err(|error| error.to_string())?;
    Ok((db, Some(format!("the answer cache was damaged and starts anew; the old one is {}", aside.display()))))
}

fn try_open(folder: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(folder).cache_capacity(8 << 20).flush_every_ms(Some(1000)).open()
}

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.kind() == io::ErrorKind::WouldBlock || io.to_string().contains("lock"))
}

fn prepare(folder: &Path) -> io::Result<()> {
    if fs::symlink_metadata(folder).is_ok_and(|meta| meta.file_type().is_symlink() || meta.is_file()) {
        return Err(io::Error::other("is not a folder of its own"));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|e| e.metadata().map_or(0, |m| if m.is_dir() { size(&e.path()) } else { m.len() })).sum()
}

fn remove_snapshots(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("snap.")) {
        let _ = fs::remove_file(entry.path());
    }
}

fn set_aside(folder: &Path, why: &str) -> Result<PathBuf, String> {
    let aside = folder.with_extension(format!("{why}-{}", std::process::id()));
    fs::rename(folder, &aside).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(aside)
}
