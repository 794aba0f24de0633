//! The owner of the disk tier: a process of its own, so that nobody else has sled's lock, threads and memory.
//!
//! Owns: the life of that process: its session, its lock, its socket, its clients, its end.
//! Refuses: terminals, other users, and more clients than `CLIENTS`.
//! Invariant: one for each folder. It ends soon after its last client, however that ended, and at once when the folder is
//! gone.

mod desk;
mod leases;
mod worker;

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

use super::place::Place;
use leases::Leases;
use worker::Worker;

/// Clients at a time; one more is turned away.
const CLIENTS: u64 = 128;
/// How often it looks whether it is still needed, and how long a predecessor may take to go.
const ROUND: Duration = Duration::from_millis(500);
/// How long it waits for the lock of an owner that is just ending, and may have much to write out.
const TAKE_OVER: Duration = Duration::from_secs(3);

/// How an owner is started.
#[derive(Debug, Clone)]
pub struct Service {
    /// The folder of the tier.
    pub folder: PathBuf,
    /// Bytes that it may take up.
    pub limit: u64,
    /// How long it stays when nobody is connected.
    pub linger: Duration,
}

/// What the clients share.
struct ServerState {
    worker: Worker,
    leases: Leases,
    clients: AtomicU64,
    limit: u64,
    since: Instant,
    /// A client speaks a newer language: this owner makes room.
    outdated: tokio::sync::Notify,
}

/// Serves until nobody needs it any more. Returns at once when another process already does.
pub fn serve(service: &Service) -> io::Result<()> {
    // A session of its own: neither Ctrl-C nor the end of the terminal is meant for it. It leads one already: well.
    let _ = setsid();
    let place = Place::new(&service.folder);
    place.prepare().map_err(io::Error::other)?;
    let Some(mut owned) = take_over(&place)? else {
        return Ok(());
    };
    let _ = std::env::set_current_dir("/");
    let socket = place.socket()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        // The default would end the process when the user's limit on the size of files is met; so it is an error.
        let _ignored = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        owned.sign(&socket)?;
        let worker = Worker::start(service.folder.clone(), service.limit)?;
        let house = ServerState {
            worker,
            leases: Leases::default(),
            clients: AtomicU64::new(0),
            limit: service.limit,
            since: Instant::now(),
            outdated: tokio::sync::Notify::new(),
        };
        let house = Arc::new(house);
        live(&listener, &place, service.linger, &house).await;
        // Nobody comes in any more, so that nobody takes the silence of one that is writing out for that of a dead one.
        drop(listener);
        let _ = fs::remove_file(&socket);
        house.worker.close().await;
        io::Result::Ok(())
    });
    let _ = fs::remove_file(&socket);
    runtime.shutdown_background();
    outcome
}

/// The lock, unless somebody has it who also answers.
fn take_over(place: &Place) -> io::Result<Option<super::place::Owned>> {
    let deadline = Instant::now() + TAKE_OVER;
    loop {
        if let Some(owned) = place.own()? {
            return Ok(Some(owned));
        }
        if Instant::now() > deadline || place.listens() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets clients in until there is no more need.
async fn live(listener: &UnixListener, place: &Place, linger: Duration, house: &Arc<ServerState>) {
    let mut rounds = tokio::time::interval(ROUND);
    // Asked to end, as when the machine goes down: what was put is written out.
    let mut term = signal(SignalKind::terminate()).ok();
    let (mut needed, mut opened) = (Instant::now(), false);
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                admit(stream, house);
                needed = Instant::now();
            }
            _ = rounds.tick() => {
                if opened && !place.has_answers() {
                    // The folder was removed under our feet: whoever comes next begins a new one.
                    break;
                }
                opened = place.has_answers();
                if house.clients.load(Ordering::Relaxed) > 0 {
                    needed = Instant::now();
                } else if needed.elapsed() >= linger || !place.exists() {
                    break;
                }
            }
            () = house.outdated.notified() => break,
            Some(()) = asked(&mut term) => break,
        }
    }
}

async fn asked(term: &mut Option<Signals>) -> Option<()> {
    term.as_mut()?.recv().await
}

fn admit(stream: UnixStream, house: &Arc<ServerState>) {
    let is_ours = stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == geteuid().as_raw());
    if !is_ours || house.clients.load(Ordering::Relaxed) >= CLIENTS {
        return;
    }
    house.clients.fetch_add(1, Ordering::Relaxed);
    let house = Arc::clone(house);
    tokio::spawn(async move {
        desk::serve_connection(stream, &house).await;
        house.clients.fetch_sub(1, Ordering::Relaxed);
    });
}
