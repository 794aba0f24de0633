//! One client of the owner, from its first word to its last.
//!
//! Owns: the greeting, the questions in their order, and the end of a client that says nonsense or does not listen.
//! Refuses: to wait for a client longer than [`PATIENCE`] in the middle of anything.
//! Invariant: whatever a client does, only its own connection ends; with it end its leases.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ServerState;
use super::leases::Client;
use crate::cache::entry::LARGEST;
use crate::cache::frame::{Answer, Ask, PROTOCOL, read_frame};
use crate::cache::tier::{Owner, TierFigures};
use crate::protocol::CacheHit;

/// For the greeting, and for a client to take what it asked for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers that may wait for a client.
const ANSWERS: usize = 16;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

pub(super) async fn serve_connection(stream: UnixStream, house: &ServerState) {
    let (from, to) = stream.into_split();
    let (frames, waiting) = mpsc::channel(ANSWERS);
    let client = Client {
        number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        frames,
    };
    let writer = tokio::spawn(write(to, waiting));
    let mut from = BufReader::new(from);
    if let Ok(Some(())) = timeout(PATIENCE, greet(&mut from, &client, house)).await {
        while let Ok(body) = read_frame(&mut from).await {
            let Some((id, ask)) = Ask::read(&body) else {
                break;
            };
            if answer(id, ask, &client, house).await.is_none() {
                break;
            }
        }
    }
    house.leases.gone(&client);
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
    house: &ServerState,
) -> Option<()> {
    let body = read_frame(from).await.ok()?;
    let (id, Ask::Hello { protocol }) = Ask::read(&body)? else {
        return None;
    };
    say(client, id, &Answer::Welcome { protocol: PROTOCOL }).await?;
    if protocol > PROTOCOL {
        house.outdated.notify_one();
    }
    (protocol == PROTOCOL).then_some(())
}

/// `None`: the client does not listen.
async fn answer(id: u64, ask: Ask, client: &Client, house: &ServerState) -> Option<()> {
    let worker = &house.worker;
    let done = |done: Option<()>| done.map_or(Answer::Missing, |()| Answer::Done);
    let answer = match ask {
        Ask::Hello { .. } => return None,
        Ask::Get(digest) => {
            let found = worker
                .with(move |disk_store| Ok(disk_store.get(digest)?))
                .await
                .flatten();
            found.map_or(Answer::Missing, Answer::Found)
        }
        Ask::Put(_, bytes) if bytes.len() > LARGEST => return None,
        Ask::Put(digest, bytes) => done(
            worker
                .with(move |disk_store| Ok(disk_store.put(digest, &bytes)?))
                .await,
        ),
        Ask::Remove(digest) => done(
            worker
                .with(move |disk_store| Ok(disk_store.remove(digest)?))
                .await,
        ),
        Ask::Settle => done(worker.with(|_| Ok(())).await),
        Ask::Join(digest) => house.leases.join(digest, client, id),
        Ask::Leave(digest) => {
            house.leases.leave(digest, client);
            Answer::Done
        }
        Ask::Figures => report(&figures(house).await),
        Ask::Clear => match worker.with(|disk_store| Ok(disk_store.clear()?)).await {
            Some(freed) => report(&freed),
            None => Answer::Missing,
        },
        Ask::Verify => match worker.with(|disk_store| Ok(disk_store.verify()?)).await {
            Some(verified) => report(&verified),
            None => Answer::Missing,
        },
    };
    if let Some(text) = worker.notice() {
        say(client, 0, &Answer::Trouble(text)).await?;
    }
    say(client, id, &answer).await
}

async fn say(client: &Client, id: u64, answer: &Answer) -> Option<()> {
    timeout(PATIENCE, client.frames.send(answer.frame(id)))
        .await
        .ok()?
        .ok()
}

fn report(value: &impl serde::Serialize) -> Answer {
    serde_json::to_vec(value).map_or(Answer::Missing, Answer::Report)
}

async fn figures(house: &ServerState) -> TierFigures {
    let known = house
        .worker
        .with(|disk_store| Ok((disk_store.sums(), disk_store.kept())))
        .await;
    let owner = Owner {
        pid: std::process::id(),
        uptime_s: house.since.elapsed().as_secs(),
        clients: house.clients.load(Ordering::Relaxed),
    };
    TierFigures {
        entries: known.map(|(sums, _)| sums.entries),
        live_bytes: known.map(|(sums, _)| sums.bytes),
        kept_bytes: known.map(|(_, size)| size),
        limit_bytes: Some(house.limit),
        owner: Some(owner),
        note: known.is_none().then(|| "off for now".to_owned()),
        ..TierFigures::of(CacheHit::Disk)
    }
}
