//! The folder of the disk tier, and the record that tells which process owns it.
//!
//! Owns: the folder (made for its user alone), the record beside it (the owner's process and socket), and the paths of
//! sockets.
//! Refuses: folders and sockets of other users.
//! Invariant: the process that holds the record's lock is the owner; only a process that the record proves to be ours is
//! killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::generations::CURRENT;
use super::private_folder::private_folder;
use crate::store::{Life, life, this_process};

/// Bytes that the path of a socket may have; the shortest limit of the systems we know is 104.
const LONGEST_SOCKET: usize = 100;
/// How long an owner counts as just started.
const RISE: Duration = Duration::from_secs(2);

/// Who owns a folder now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnerRecord {
    pub(super) pid: u32,
    /// As [`this_process`] writes it: it tells this process from a later one of the same number.
    mark: String,
    pub(super) socket: PathBuf,
}

/// The folder of a disk tier.
#[derive(Debug, Clone)]
pub(super) struct CacheFolder {
    pub(super) path: PathBuf,
}

impl CacheFolder {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
        }
    }

    fn record_file(&self) -> PathBuf {
        self.path.with_extension("owner")
    }

    /// Whether an earlier run left answers here. Without answers there is no need to wait for an owner.
    pub(super) fn has_answers(&self) -> bool {
        self.path.join(CURRENT).exists()
    }

    /// Whether the folder that holds all this is still there.
    pub(super) fn exists(&self) -> bool {
        self.path.parent().is_some_and(Path::exists)
    }

    /// Makes the folder, or makes sure that it is one, is ours, and can be written. In words for the user.
    pub(super) fn prepare(&self) -> Result<(), String> {
        let told = |error: io::Error| format!("{}: {error}", self.path.display());
        private_folder(&self.path).map_err(told)?;
        self.open_record()
            .map(drop)
            .map_err(|error| format!("{}: {error}", self.record_file().display()))
    }

    /// The record, if there is one that can be read.
    pub(super) fn record(&self) -> Option<OwnerRecord> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(no_follow())
            .open(self.record_file())
            .ok()?;
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn open_record(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        options.custom_flags(no_follow()).open(self.record_file())
    }

    /// Becomes the owner, if there is none.
    pub(super) fn own(&self) -> io::Result<Option<OwnerLock>> {
        let file = self.open_record()?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(OwnerLock { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a process owns it, or is about to.
    pub(super) fn is_owned(&self) -> bool {
        matches!(self.own(), Ok(None))
    }

    /// Whether a process listens at the owner's socket.
    pub(super) fn listens(&self) -> bool {
        self.record()
            .is_some_and(|record| UnixStream::connect(record.socket).is_ok())
    }

    /// Whether an owner has just started or must be started: it needs a moment to open the folder.
    pub(super) fn is_rising(&self) -> bool {
        let signed = fs::metadata(self.record_file())
            .and_then(|record| record.modified())
            .ok();
        signed
            .and_then(|at| at.elapsed().ok())
            .is_none_or(|age| age < RISE)
            || !self.listens()
    }

    /// Where an owner started from here has its socket.
    pub(super) fn socket(&self) -> io::Result<PathBuf> {
        let folder = fs::canonicalize(&self.path)?;
        let name = format!(
            "{}.sock",
            &blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex()[..16]
        );
        let run = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|run| run.is_absolute());
        let beside = folder.parent().map(|data| data.join("run"));
        let short = PathBuf::from(format!("/tmp/chat-agent-{}", geteuid().as_raw()));
        let candidates = run
            .map(|run| run.join("chat-agent"))
            .into_iter()
            .chain(beside)
            .chain([short]);
        let mut last = io::Error::other("there is no place for a socket");
        for candidate in candidates {
            let path = candidate.join(&name);
            if path.as_os_str().len() > LONGEST_SOCKET {
                continue;
            }
            match private_folder(&candidate) {
                Ok(()) => return Ok(path),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The lock of the record. Dropping it gives the lock up.
pub(super) struct OwnerLock {
    file: File,
}

impl OwnerLock {
    /// Writes this process into the record.
    pub(super) fn sign(&mut self, socket: &Path) -> io::Result<()> {
        let record = OwnerRecord {
            pid: std::process::id(),
            mark: this_process(),
            socket: socket.to_path_buf(),
        };
        let text = serde_json::to_vec(&record)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)
    }
}

impl OwnerRecord {
    /// Kills the owner that this record names, if it still is that process. For one that no longer answers: a stopped one
    /// would hold the folder for ever. What it has written survives.
    pub(super) fn kill(&self) {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return;
        };
        let named = || self.mark.split(' ').nth_back(1) == Some(self.pid.to_string().as_str());
        // An empty last word: this system does not tell one process from the next of the same number.
        let sure = || !self.mark.ends_with(' ') && life(&self.mark) == Life::Alive;
        if self.pid == std::process::id() || !named() {
            return;
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
            // The handle first, then the question: it cannot become another process in between.
            if let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
                && sure()
            {
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
        }
        #[cfg(not(target_os = "linux"))]
        if sure() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}
