//! The owner of the disk tier: a process of its own, so that no other process has sled's lock, threads and memory.
//!
//! Owns: the life of that process: its session, its lock, its socket, its clients, its end.
//! Refuses: terminals, other users, and more clients than `CLIENTS`.
//! Invariant: one for each folder. It ends soon after its last client, however that ended, and at once when the folder is
//! gone.

mod connection;
mod leases;
mod server_state;
mod store_thread;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid, setsid};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::folder::{CacheFolder, OwnerLock};
use leases::Leases;
use server_state::ServerState;
use store_thread::StoreHandle;

/// Clients at a time; one more is turned away.
const CLIENTS: u64 = 128;
/// How often it looks whether it is still needed, and how long a predecessor may take to go.
const ROUND: Duration = Duration::from_millis(500);
/// How long it waits for the lock of an owner that is just ending, and may have much to write out.
const TAKE_OVER: Duration = Duration::from_secs(3);

/// How an owner is started.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// The folder of the tier.
    pub(crate) folder: PathBuf,
    /// Bytes that it may take up.
    pub(crate) limit: u64,
    /// How long it stays without a client.
    pub(crate) linger: Duration,
}

/// Serves until no client needs it. Returns at once when another process serves already.
pub(crate) fn serve(service: &Service) -> io::Result<()> {
    // A session of its own, so that Ctrl-C and the end of the terminal do not reach it. An error means it has one already.
    let _ = setsid();
    let folder = CacheFolder::new(&service.folder);
    folder.prepare().map_err(io::Error::other)?;
    let Some(mut owned) = take_over(&folder)? else {
        return Ok(());
    };
    let _ = std::env::set_current_dir("/");
    let socket = folder.socket()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        // The default action would end the process at the user's limit on file sizes; ignored, the write fails instead.
        let _ignored = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        owned.sign(&socket)?;
        let disk_store = StoreHandle::start(service.folder.clone(), service.limit)?;
        let server = ServerState {
            disk_store,
            leases: Leases::default(),
            clients: AtomicU64::new(0),
            limit: service.limit,
            since: Instant::now(),
            outdated: tokio::sync::Notify::new(),
        };
        let server = Arc::new(server);
        live(&listener, &folder, service.linger, &server).await;
        // No new clients from here on: while it writes out it is silent, and a client would take it for dead.
        drop(listener);
        let _ = fs::remove_file(&socket);
        server.disk_store.close().await;
        io::Result::Ok(())
    });
    let _ = fs::remove_file(&socket);
    runtime.shutdown_background();
    outcome
}

/// The lock, unless another process has it and answers.
fn take_over(folder: &CacheFolder) -> io::Result<Option<OwnerLock>> {
    let deadline = Instant::now() + TAKE_OVER;
    loop {
        if let Some(owned) = folder.own()? {
            return Ok(Some(owned));
        }
        if Instant::now() > deadline || folder.listens() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Accepts clients until the owner is no longer needed.
async fn live(
    listener: &UnixListener,
    folder: &CacheFolder,
    linger: Duration,
    server: &Arc<ServerState>,
) {
    let mut rounds = tokio::time::interval(ROUND);
    // On SIGTERM, as at a shutdown, what was put is written out.
    let mut term = signal(SignalKind::terminate()).ok();
    let (mut needed, mut opened) = (Instant::now(), false);
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                admit(stream, server);
                needed = Instant::now();
            }
            _ = rounds.tick() => {
                if opened && !folder.has_answers() {
                    // The folder was removed while in use; the next client starts a new owner.
                    break;
                }
                opened = folder.has_answers();
                if server.clients.load(Ordering::Relaxed) > 0 {
                    needed = Instant::now();
                } else if needed.elapsed() >= linger || !folder.exists() {
                    break;
                }
            }
            () = server.outdated.notified() => break,
            Some(()) = asked(&mut term) => break,
        }
    }
}

async fn asked(term: &mut Option<Signals>) -> Option<()> {
    term.as_mut()?.recv().await
}

fn admit(stream: UnixStream, server: &Arc<ServerState>) {
    let is_ours = stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == geteuid().as_raw());
    if !is_ours || server.clients.load(Ordering::Relaxed) >= CLIENTS {
        return;
    }
    server.clients.fetch_add(1, Ordering::Relaxed);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        connection::serve_connection(stream, &server).await;
        server.clients.fetch_sub(1, Ordering::Relaxed);
    });
}
