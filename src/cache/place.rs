//! Where the owner of the disk tier is to be found: its folder, its socket, and its card.
//!
//! Owns: the folder of the tier (made, and only its user's), the card beside it (who owns it now, and at which socket),
//! and where sockets lie.
//! Refuses: folders and sockets that belong to somebody else.
//! Invariant: who holds the lock of the card is the owner; only a process that the card proves to be ours is killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use crate::store::{Life, life, this_process};

/// Bytes that the path of a socket may have; the shortest limit of the systems we know is 104.
const LONGEST_SOCKET: usize = 100;
/// How long an owner counts as just come up.
const RISE: Duration = Duration::from_secs(2);

/// Who owns a folder now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Card {
    pub(super) pid: u32,
    /// As [`this_process`] writes it: it tells this process from a later one of the same number.
    mark: String,
    pub(super) socket: PathBuf,
}

/// The folder of a disk tier.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
}

impl Place {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
        }
    }

    fn card_file(&self) -> PathBuf {
        self.folder.with_extension("owner")
    }

    /// Whether an earlier run left answers here; without any, nobody needs to wait for an owner.
    pub(super) fn has_answers(&self) -> bool {
        self.folder.join(super::disk_store::CURRENT).exists()
    }

    /// Whether the folder that holds all this is still there.
    pub(super) fn exists(&self) -> bool {
        self.folder.parent().is_some_and(Path::exists)
    }

    /// Makes the folder, or makes sure that it is one, is ours, and can be written. In words for the user.
    pub(super) fn prepare(&self) -> Result<(), String> {
        let told = |error: io::Error| format!("{}: {error}", self.folder.display());
        private_folder(&self.folder).map_err(told)?;
        self.open_card()
            .map(drop)
            .map_err(|error| format!("{}: {error}", self.card_file().display()))
    }

    /// The card, as far as there is one that can be read.
    pub(super) fn card(&self) -> Option<Card> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(no_follow())
            .open(self.card_file())
            .ok()?;
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn open_card(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        options.custom_flags(no_follow()).open(self.card_file())
    }

    /// Becomes the owner, if there is none.
    pub(super) fn own(&self) -> io::Result<Option<Owned>> {
        let file = self.open_card()?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Owned { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether somebody owns it, or is about to.
    pub(super) fn is_owned(&self) -> bool {
        matches!(self.own(), Ok(None))
    }

    /// Whether somebody listens at the socket of the owner.
    pub(super) fn listens(&self) -> bool {
        self.card()
            .is_some_and(|card| UnixStream::connect(card.socket).is_ok())
    }

    /// Whether an owner is coming up, or has to: it needs a moment to open what lies here.
    pub(super) fn is_rising(&self) -> bool {
        let signed = fs::metadata(self.card_file())
            .and_then(|card| card.modified())
            .ok();
        signed
            .and_then(|at| at.elapsed().ok())
            .is_none_or(|age| age < RISE)
            || !self.listens()
    }

    /// Where an owner started from here has its socket.
    pub(super) fn socket(&self) -> io::Result<PathBuf> {
        let folder = fs::canonicalize(&self.folder)?;
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

/// The lock of the card, for as long as this lives.
pub(super) struct Owned {
    file: File,
}

impl Owned {
    /// Writes who owns the folder.
    pub(super) fn sign(&mut self, socket: &Path) -> io::Result<()> {
        let card = Card {
            pid: std::process::id(),
            mark: this_process(),
            socket: socket.to_path_buf(),
        };
        let text = serde_json::to_vec(&card)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)
    }
}

impl Card {
    /// Ends the owner that this card names, if it still is that process. For one that no longer answers: stopped, it
    /// would hold the folder for ever, and whatever it has written survives its end.
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

/// Makes a folder that only its user can enter, or sees to it that it is one.
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    if let Err(error) = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let meta = fs::symlink_metadata(folder)?;
    if !meta.is_dir() {
        return Err(io::Error::other("is not a folder of its own"));
    }
    if meta.uid() != geteuid().as_raw() {
        return Err(io::Error::other("belongs to another user"));
    }
    if meta.mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
