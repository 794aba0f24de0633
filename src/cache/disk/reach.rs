//! How a process comes to an owner: the one that is there, or one that it starts.
//!
//! Owns: finding the socket, starting the program as the owner, and ending one that no longer answers.
//! Refuses: to be waited for; all of it goes on in the background.
//! Invariant: an owner is killed only when it has accepted no greeting for [`GREETING`] and its card proves that it is ours.
//! Whoever is configured to be more patient gives it that time.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, GREETING, Refused};
use crate::cache::frame::Ask;
use crate::cache::place::{Card, Place};

/// How long one whose shelf is busy counts as only slow.
const BUSY: Duration = Duration::from_secs(3);
/// How long one may take to come up.
const RISE: Duration = Duration::from_secs(3);
/// Between two starts; one that ends at once would end at once again.
const AGAIN: Duration = Duration::from_millis(250);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(1);

/// The hidden command under which the program is the owner.
pub(in crate::cache) const COMMAND: &str = "cache-owner";

/// An owner that greets.
pub(super) enum Reached {
    Up(Arc<Connection>),
    /// Its shelf is busy: what it is told it does, and nobody waits for what it is asked.
    Slow(Arc<Connection>),
}

/// A connection, or why there is none in words for the user. `known`: the one there is, which was too slow; it is kept as
/// long as its owner greets, for leases hang on it, and what was told through it is on its way. `patience` lengthens every
/// limit that is shorter.
pub(super) async fn reach(
    place: &Place,
    limit: u64,
    patience: Duration,
    program: Option<&Path>,
    known: Option<&Arc<Connection>>,
) -> Result<Reached, String> {
    let [greeting, busy, rise] = [GREETING, BUSY, RISE].map(|limit| limit.max(patience));
    if let Some(card) = place.card() {
        let greeted = timeout(greeting, Connection::open(&card.socket, greeting)).await;
        if let (Ok(_), Some(known)) = (&greeted, known.filter(|known| known.is_open())) {
            return Ok(works(Arc::clone(known), busy).await);
        }
        match greeted {
            Ok(Ok(connection)) => return Ok(works(connection, busy).await),
            Ok(Err(Refused::Newer)) => {
                return Err("a newer chat-agent has them; restart this one".to_owned());
            }
            Ok(Err(Refused::Io(error))) => return Err(error.to_string()),
            Ok(Err(Refused::Nobody | Refused::Older)) => {}
            // Stopped, or out of its mind: it would hold the folder for ever.
            Err(_) => {
                card.kill();
                known.inspect(|known| known.close());
            }
        }
    }
    let program = program.ok_or("nobody serves them")?;
    place.prepare()?;
    let deadline = Instant::now() + rise;
    let mut started: Option<(Instant, JoinHandle<()>)> = None;
    while Instant::now() < deadline {
        // One that is just coming up has the folder already; one that is ending, or was just ended, has it for another
        // moment, and whoever was started meanwhile may have given way to it.
        let waits = started
            .as_ref()
            .is_some_and(|(at, owner)| !owner.is_finished() || at.elapsed() < AGAIN);
        if !waits && !place.is_owned() {
            started = Some((Instant::now(), start(place, limit, program)?));
        }
        if let Some(Card { socket, .. }) = place.card()
            && let Ok(Ok(connection)) = timeout(greeting, Connection::open(&socket, greeting)).await
        {
            return Ok(Reached::Up(connection));
        }
        sleep(LOOK).await;
    }
    Err("their owner does not come up".to_owned())
}

/// Whether the shelf behind it answers too; sled may be busy with a folder that it has to copy.
async fn works(connection: Arc<Connection>, busy: Duration) -> Reached {
    match timeout(busy, connection.ask(&Ask::Settle)).await {
        Ok(_) => Reached::Up(connection),
        Err(_) => Reached::Slow(connection),
    }
}

/// Starts the owner of a folder in which answers lie, unless one is there: for a process that will look something up in
/// a moment and has other things to do until then. Returns at once.
pub(in crate::cache) fn begin(place: Place, limit: u64, program: PathBuf) {
    // Whether who listens also answers is found out later, by whoever needs it.
    if !place.has_answers() || place.listens() {
        return;
    }
    let start = move || {
        if place.prepare().is_ok()
            && let Ok(mut owner) = command(&place, limit, &program).spawn()
        {
            let _ = owner.wait();
        }
    };
    // Nobody is told when that fails: it is tried again, and told then.
    let _ = std::thread::Builder::new()
        .name("cache-start".into())
        .spawn(start);
}

/// The task ends with the process.
fn start(place: &Place, limit: u64, program: &Path) -> Result<JoinHandle<()>, String> {
    let child = Command::from(command(place, limit, program))
        .kill_on_drop(false)
        .spawn();
    // Waited for, so that no dead process stays on the list for as long as this one lives.
    let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(tokio::spawn(async move { drop(child.wait().await) }))
}

fn command(place: &Place, limit: u64, program: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command
        .arg0("chat-agent")
        .arg(COMMAND)
        .arg(&place.folder)
        .arg(limit.to_string())
        .current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
