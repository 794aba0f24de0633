//! One connection to the owner, shared by everything in this process.
//!
//! Owns: the ids of requests, the pending replies, the two tasks that write and read, and the greeting, which proves that
//! the owner still runs.
//! Refuses: deadlines for replies; the caller has one.
//! Invariant: a reply reaches the request it belongs to, or is dropped. The end of the connection ends every wait, and no
//! follower waits for an owner that does not greet.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::cache::frame::{OwnerReply, OwnerRequest, PROTOCOL, read_frame};
use crate::cache::tier::Lease;
use crate::chat::request::Digest;

/// The id of requests without a waiting caller.
pub(super) const UNHEARD: u64 = u64::MAX;
/// Frames that may wait to be written.
const FRAMES: usize = 64;
/// How long an owner may take to greet before it counts as dead.
pub(super) const GREETING: Duration = Duration::from_secs(1);
/// How often a follower checks that the owner still greets.
const ROUND: Duration = Duration::from_secs(1);

pub(super) struct OwnerConnection {
    socket: PathBuf,
    /// How long a greeting is waited for.
    greeting: Duration,
    frames: mpsc::Sender<Vec<u8>>,
    board: Arc<PendingReplies>,
    next: AtomicU64,
    tasks: [AbortHandle; 2],
}

/// What the reading task knows.
#[derive(Default)]
struct PendingReplies {
    waiting: Mutex<HashMap<u64, PendingReply>>,
    trouble: Mutex<Option<String>>,
    over: AtomicBool,
}

struct PendingReply {
    answer: mpsc::Sender<OwnerReply>,
    /// The digest of a requested lease: if its caller is gone when it is granted, it is given back.
    lease: Option<Digest>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// No process listens.
    NoOwner,
    /// It speaks an older language; it is ending.
    Older,
    /// It speaks a newer language.
    Newer,
    Io(io::Error),
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NoOwner,
            _ => Self::Io(error),
        }
    }
}

impl OwnerConnection {
    /// Connects and greets. An owner that does not greet for so long later on hangs.
    pub(super) async fn open(socket: &Path, greeting: Duration) -> Result<Arc<Self>, ConnectError> {
        Ok(Self::over(socket, greeted(socket).await?, greeting))
    }

    fn over(socket: &Path, stream: UnixStream, greeting: Duration) -> Arc<Self> {
        let (from, to) = stream.into_split();
        let (frames, outgoing) = mpsc::channel(FRAMES);
        let board = Arc::<PendingReplies>::default();
        let writer = tokio::spawn(write(to, outgoing));
        // The reader must not keep the connection alive, so it has no more than a weak way to write.
        let reader = tokio::spawn(read(from, Arc::clone(&board), frames.downgrade()));
        let tasks = [writer.abort_handle(), reader.abort_handle()];
        Arc::new(Self {
            socket: socket.to_path_buf(),
            greeting,
            frames,
            board,
            next: AtomicU64::new(1),
            tasks,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.board.over.load(Ordering::Acquire)
    }

    /// Ends it for all its users.
    pub(super) fn close(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.board.end();
    }

    /// `None`: the connection ended.
    pub(super) async fn ask(&self, ask: &OwnerRequest) -> Option<OwnerReply> {
        let (id, mut answer) = self.expect(None);
        let _forget = Forget {
            board: &self.board,
            id,
        };
        self.frames.send(ask.frame(id)).await.ok()?;
        answer.recv().await
    }

    /// Sends what needs no answer. What does not fit into the queue is left out.
    pub(super) fn tell(&self, ask: &OwnerRequest) {
        self.push(ask.frame(UNHEARD));
    }

    /// Sends a frame without waiting for its reply.
    pub(super) fn push(&self, frame: Vec<u8>) {
        let _ = self.frames.try_send(frame);
    }

    /// Asks for the lease of an answer.
    pub(super) async fn join(self: &Arc<Self>, digest: Digest) -> Lease {
        let (id, mut answer) = self.expect(Some(digest));
        if self
            .frames
            .send(OwnerRequest::Join(digest).frame(id))
            .await
            .is_err()
        {
            return Lease::Unknown;
        }
        match answer.recv().await {
            Some(OwnerReply::Lead) => Lease::Lead(Box::new(LeaseGuard {
                connection: Arc::clone(self),
                digest,
            })),
            Some(OwnerReply::Over) => Lease::Follow(Box::pin(std::future::ready(()))),
            Some(OwnerReply::Follow) => {
                let connection = Arc::clone(self);
                Lease::Follow(Box::pin(async move {
                    let _forget = Forget {
                        board: &connection.board,
                        id,
                    };
                    tokio::select! {
                        _ = answer.recv() => {}
                        () = connection.falls_silent() => connection.close(),
                    }
                }))
            }
            _ => Lease::Unknown,
        }
    }

    /// Ends when the owner no longer greets: it is stopped, and would never say that a lease is over. A slow owner still
    /// greets, because its store has a thread of its own.
    async fn falls_silent(&self) {
        loop {
            sleep(ROUND).await;
            if timeout(self.greeting, greeted(&self.socket)).await.is_err() {
                return;
            }
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.board.trouble.lock().ok()?.take()
    }

    fn expect(&self, lease: Option<Digest>) -> (u64, mpsc::Receiver<OwnerReply>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = mpsc::channel(2);
        let mut waiting = self.board.waiting();
        // After the end no reply would ever come.
        if self.is_open() {
            waiting.insert(id, PendingReply { answer, lease });
        }
        (id, receiver)
    }
}

impl Drop for OwnerConnection {
    fn drop(&mut self) {
        // The writer ends by itself when everything is written; the reader would wait for replies without callers.
        self.tasks[1].abort();
    }
}

impl PendingReplies {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, PendingReply>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut waiting = self.waiting();
        self.over.store(true, Ordering::Release);
        waiting.clear();
    }
}

/// Removes a pending reply when its caller stops waiting.
struct Forget<'a> {
    board: &'a PendingReplies,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.board.waiting().remove(&self.id);
    }
}

/// A lease. Dropping it tells the owner.
struct LeaseGuard {
    connection: Arc<OwnerConnection>,
    digest: Digest,
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.connection.tell(&OwnerRequest::Leave(self.digest));
    }
}

/// A stream to an owner that has greeted.
async fn greeted(socket: &Path) -> Result<UnixStream, ConnectError> {
    let mut stream = UnixStream::connect(socket).await?;
    if stream.peer_cred()?.uid() != geteuid().as_raw() {
        return Err(ConnectError::Io(io::Error::other(
            "the socket belongs to another user",
        )));
    }
    stream
        .write_all(&OwnerRequest::Hello { protocol: PROTOCOL }.frame(0))
        .await?;
    let body = read_frame(&mut stream)
        .await
        .map_err(|_| ConnectError::NoOwner)?;
    match OwnerReply::read(&body) {
        Some((_, OwnerReply::Welcome { protocol: PROTOCOL })) => Ok(stream),
        Some((_, OwnerReply::Welcome { protocol })) if protocol > PROTOCOL => {
            Err(ConnectError::Newer)
        }
        _ => Err(ConnectError::Older),
    }
}

async fn write(mut to: OwnedWriteHalf, mut outgoing: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = outgoing.recv().await {
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn read(from: OwnedReadHalf, board: Arc<PendingReplies>, frames: mpsc::WeakSender<Vec<u8>>) {
    let mut from = BufReader::new(from);
    while let Ok(body) = read_frame(&mut from).await {
        match OwnerReply::read(&body) {
            None => break,
            Some((_, OwnerReply::Trouble(text))) => {
                if let Ok(mut trouble) = board.trouble.lock() {
                    *trouble = Some(text);
                }
            }
            Some((id, answer)) => deliver(&board, id, answer, &frames),
        }
    }
    board.end();
}

fn deliver(
    board: &PendingReplies,
    id: u64,
    answer: OwnerReply,
    frames: &mpsc::WeakSender<Vec<u8>>,
) {
    let mut waiting = board.waiting();
    let granted = answer == OwnerReply::Lead;
    // More comes under the same id.
    let last = answer != OwnerReply::Follow;
    let Some(asker) = waiting.get(&id) else {
        return;
    };
    let lease = asker.lease;
    let unheard = asker.answer.try_send(answer).is_err();
    if last || unheard {
        waiting.remove(&id);
    }
    if let (true, true, Some(digest), Some(frames)) = (unheard, granted, lease, frames.upgrade()) {
        let _ = frames.try_send(OwnerRequest::Leave(digest).frame(UNHEARD));
    }
}
