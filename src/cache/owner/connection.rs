//! One client's connection to the owner.
//!
//! Owns: the greeting, the requests in order, and the end of a client that sends nonsense or does not read its replies.
//! Refuses: to wait for a client longer than [`PATIENCE`] during the greeting or a write.
//! Invariant: whatever a client does, only its own connection ends, and with it its leases.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::leases::Client;
use super::server_state::ServerState;
use crate::cache::entry::LARGEST;
use crate::cache::frame::{OwnerReply, OwnerRequest, PROTOCOL, read_frame};
use crate::cache::tier::{Owner, TierFigures};
use crate::protocol::CacheHit;

/// For the greeting, and for a client to take what it asked for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers that may wait for a client.
const ANSWERS: usize = 16;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

pub(super) async fn serve_connection(stream: UnixStream, server: &ServerState) {
    let (from, to) = stream.into_split();
    let (frames, waiting) = mpsc::channel(ANSWERS);
    let client = Client {
        number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        frames,
    };
    let writer = tokio::spawn(write(to, waiting));
    let mut from = BufReader::new(from);
    if let Ok(Some(())) = timeout(PATIENCE, greet(&mut from, &client, server)).await {
        while let Ok(body) = read_frame(&mut from).await {
            let Some((id, ask)) = OwnerRequest::read(&body) else {
                break;
            };
            if answer(id, ask, &client, server).await.is_none() {
                break;
            }
        }
    }
    server.leases.gone(&client);
    drop(client);
    // What was answered last still goes out; the writer has its own deadline.
    let _ = writer.await;
}

async fn write(mut to: OwnedWriteHalf, mut waiting: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = waiting.recv().await {
        if !matches!(timeout(PATIENCE, to.write_all(&frame)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// `None`: not one of ours, or not of this version.
async fn greet(
    from: &mut BufReader<impl tokio::io::AsyncRead + Unpin>,
    client: &Client,
    server: &ServerState,
) -> Option<()> {
    let body = read_frame(from).await.ok()?;
    let (id, OwnerRequest::Hello { protocol }) = OwnerRequest::read(&body)? else {
        return None;
    };
    say(client, id, &OwnerReply::Welcome { protocol: PROTOCOL }).await?;
    if protocol > PROTOCOL {
        server.outdated.notify_one();
    }
    (protocol == PROTOCOL).then_some(())
}

/// `None`: the client does not listen.
async fn answer(id: u64, ask: OwnerRequest, client: &Client, server: &ServerState) -> Option<()> {
    let disk_store = &server.disk_store;
    let done = |done: Option<()>| done.map_or(OwnerReply::Missing, |()| OwnerReply::Done);
    let answer = match ask {
        OwnerRequest::Hello { .. } => return None,
        OwnerRequest::Get(digest) => {
            let found = disk_store
                .with(move |store| Ok(store.get(digest)?))
                .await
                .flatten();
            found.map_or(OwnerReply::Missing, OwnerReply::Found)
        }
        OwnerRequest::Put(_, bytes) if bytes.len() > LARGEST => return None,
        OwnerRequest::Put(digest, bytes) => done(
            disk_store
                .with(move |store| Ok(store.put(digest, &bytes)?))
                .await,
        ),
        OwnerRequest::Remove(digest) => done(
            disk_store
                .with(move |store| Ok(store.remove(digest)?))
                .await,
        ),
        OwnerRequest::Settle => done(disk_store.with(|_| Ok(())).await),
        OwnerRequest::Join(digest) => server.leases.join(digest, client, id),
        OwnerRequest::Leave(digest) => {
            server.leases.leave(digest, client);
            OwnerReply::Done
        }
        OwnerRequest::Figures => report(&figures(server).await),
        OwnerRequest::Clear => match disk_store.with(|store| Ok(store.clear()?)).await {
            Some(freed) => report(&freed),
            None => OwnerReply::Missing,
        },
        OwnerRequest::Verify => match disk_store.with(|store| Ok(store.verify()?)).await {
            Some(verified) => report(&verified),
            None => OwnerReply::Missing,
        },
    };
    if let Some(text) = disk_store.notice() {
        say(client, 0, &OwnerReply::Trouble(text)).await?;
    }
    say(client, id, &answer).await
}

async fn say(client: &Client, id: u64, answer: &OwnerReply) -> Option<()> {
    timeout(PATIENCE, client.frames.send(answer.frame(id)))
        .await
        .ok()?
        .ok()
}

fn report(value: &impl serde::Serialize) -> OwnerReply {
    serde_json::to_vec(value).map_or(OwnerReply::Missing, OwnerReply::Report)
}

async fn figures(server: &ServerState) -> TierFigures {
    let known = server
        .disk_store
        .with(|store| Ok((store.sums(), store.kept())))
        .await;
    let owner = Owner {
        pid: std::process::id(),
        uptime_s: server.since.elapsed().as_secs(),
        clients: server.clients.load(Ordering::Relaxed),
    };
    TierFigures {
        entries: known.map(|(sums, _)| sums.entries),
        live_bytes: known.map(|(sums, _)| sums.bytes),
        kept_bytes: known.map(|(_, size)| size),
        limit_bytes: Some(server.limit),
        owner: Some(owner),
        note: known.is_none().then(|| "off for now".to_owned()),
        ..TierFigures::of(CacheHit::Disk)
    }
}
