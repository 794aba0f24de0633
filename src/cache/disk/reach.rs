//! Reaching the owner: the one that runs, or one that is started.
//!
//! Owns: finding the socket, starting the program as the owner, and ending one that no longer answers.
//! Refuses: to make a request wait; all of it goes on in the background.
//! Invariant: an owner is killed only when it has accepted no greeting for [`GREETING`] (or the configured patience, if that
//! is longer) and its record proves that it is ours.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connection::{ConnectError, GREETING, OwnerConnection};
use crate::cache::folder::{CacheFolder, OwnerRecord};
use crate::cache::frame::OwnerRequest;

/// How long a connected owner may take for its first reply before it counts as slow.
const BUSY: Duration = Duration::from_secs(3);
/// How long an owner may take to start.
const RISE: Duration = Duration::from_secs(3);
/// Pause between two starts: an owner that ended at once would do so again.
const AGAIN: Duration = Duration::from_millis(250);
/// Pause between two attempts to connect to a starting owner.
const LOOK: Duration = Duration::from_millis(1);

/// The hidden command under which the program is the owner.
pub(in crate::cache) const COMMAND: &str = "cache-owner";

/// An owner that greets.
pub(super) enum Reached {
    Up(Arc<OwnerConnection>),
    /// Its store is busy: it does what it is told, but no request waits for its replies.
    Slow(Arc<OwnerConnection>),
}

/// A connection, or why there is none in words for the user. `known`: the one there is, which was too slow; it is kept as
/// long as its owner greets, for leases hang on it, and what was told through it is on its way. `patience` lengthens every
/// limit that is shorter.
pub(super) async fn reach(
    folder: &CacheFolder,
    limit: u64,
    patience: Duration,
    program: Option<&Path>,
    known: Option<&Arc<OwnerConnection>>,
) -> Result<Reached, String> {
    let [greeting, busy, rise] = [GREETING, BUSY, RISE].map(|limit| limit.max(patience));
    if let Some(record) = folder.record() {
        let greeted = timeout(greeting, OwnerConnection::open(&record.socket, greeting)).await;
        if let (Ok(_), Some(known)) = (&greeted, known.filter(|known| known.is_open())) {
            return Ok(works(Arc::clone(known), busy).await);
        }
        match greeted {
            Ok(Ok(connection)) => return Ok(works(connection, busy).await),
            Ok(Err(ConnectError::Newer)) => {
                return Err("a newer chat-agent has them; restart this one".to_owned());
            }
            Ok(Err(ConnectError::Io(error))) => return Err(error.to_string()),
            Ok(Err(ConnectError::NoOwner | ConnectError::Older)) => {}
            // It is stopped or hangs, and would hold the folder for ever.
            Err(_) => {
                record.kill();
                known.inspect(|known| known.close());
            }
        }
    }
    let program = program.ok_or("no process serves them")?;
    folder.prepare()?;
    let deadline = Instant::now() + rise;
    let mut started: Option<(Instant, JoinHandle<()>)> = None;
    while Instant::now() < deadline {
        // A starting owner has the folder already. One that is ending has it for another moment, and an owner that was
        // started meanwhile may have given way to it.
        let waits = started
            .as_ref()
            .is_some_and(|(at, owner)| !owner.is_finished() || at.elapsed() < AGAIN);
        if !waits && !folder.is_owned() {
            started = Some((Instant::now(), start(folder, limit, program)?));
        }
        if let Some(OwnerRecord { socket, .. }) = folder.record()
            && let Ok(Ok(connection)) =
                timeout(greeting, OwnerConnection::open(&socket, greeting)).await
        {
            return Ok(Reached::Up(connection));
        }
        sleep(LOOK).await;
    }
    Err("their owner does not come up".to_owned())
}

/// Whether its store replies too; sled may be busy with a folder that it has to copy.
async fn works(connection: Arc<OwnerConnection>, busy: Duration) -> Reached {
    match timeout(busy, connection.ask(&OwnerRequest::Settle)).await {
        Ok(_) => Reached::Up(connection),
        Err(_) => Reached::Slow(connection),
    }
}

/// Starts the owner of a folder that has answers, unless one runs: for a process that will look something up in a moment
/// and has other work until then. Returns at once.
pub(in crate::cache) fn begin(folder: CacheFolder, limit: u64, program: PathBuf) {
    // Whether the listening process also replies is found out by the first look-up.
    if !folder.has_answers() || folder.listens() {
        return;
    }
    let start = move || {
        if folder.prepare().is_ok()
            && let Ok(mut owner) = command(&folder, limit, &program).spawn()
        {
            let _ = owner.wait();
        }
    };
    // A failure is not told here: the look-up tries again, and tells it.
    let _ = std::thread::Builder::new()
        .name("cache-start".into())
        .spawn(start);
}

/// The task ends with the process.
fn start(folder: &CacheFolder, limit: u64, program: &Path) -> Result<JoinHandle<()>, String> {
    let child = Command::from(command(folder, limit, program))
        .kill_on_drop(false)
        .spawn();
    // Waited for, so that it leaves no zombie.
    let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(tokio::spawn(async move { drop(child.wait().await) }))
}

fn command(folder: &CacheFolder, limit: u64, program: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command
        .arg0("chat-agent")
        .arg(COMMAND)
        .arg(&folder.path)
        .arg(limit.to_string())
        .current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
