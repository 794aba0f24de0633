//! One connection to the owner, shared by everything in this process.
//!
//! Owns: the ids of questions, who waits for which answer, the two tasks that write and read, and the greeting, which
//! proves that the owner still runs.
//! Refuses: deadlines for answers; whoever waits has one.
//! Invariant: an answer reaches the question it belongs to or nobody. The end of the connection ends every wait, and nobody
//! waits in the queue behind an owner that does not greet.

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

use crate::cache::frame::{Answer, Ask, PROTOCOL, read_frame};
use crate::cache::tier::Lease;
use crate::chat::request::Digest;

/// The id of questions whose answer nobody waits for.
pub(super) const UNHEARD: u64 = u64::MAX;
/// Frames that may wait to be written.
const FRAMES: usize = 64;
/// How long an owner may take to greet before it counts as dead.
pub(super) const GREETING: Duration = Duration::from_secs(1);
/// How often whoever waits in the queue makes sure that somebody is there.
const ROUND: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    socket: PathBuf,
    /// How long a greeting is waited for.
    greeting: Duration,
    frames: mpsc::Sender<Vec<u8>>,
    board: Arc<Board>,
    next: AtomicU64,
    tasks: [AbortHandle; 2],
}

/// What the reading task knows.
#[derive(Default)]
struct Board {
    waiting: Mutex<HashMap<u64, Waiting>>,
    trouble: Mutex<Option<String>>,
    over: AtomicBool,
}

struct Waiting {
    answer: mpsc::Sender<Answer>,
    /// What a lease is for: one that is granted to nobody is given back.
    lease: Option<Digest>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Refused {
    /// Nobody is there.
    Nobody,
    /// It speaks an older language; it is ending.
    Older,
    /// It speaks a newer language.
    Newer,
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::Nobody,
            _ => Self::Io(error),
        }
    }
}

impl Connection {
    /// Connects and greets. An owner that does not greet for so long later on hangs.
    pub(super) async fn open(socket: &Path, greeting: Duration) -> Result<Arc<Self>, Refused> {
        Ok(Self::over(socket, greeted(socket).await?, greeting))
    }

    fn over(socket: &Path, stream: UnixStream, greeting: Duration) -> Arc<Self> {
        let (from, to) = stream.into_split();
        let (frames, outgoing) = mpsc::channel(FRAMES);
        let board = Arc::<Board>::default();
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

    /// Ends it for everybody.
    pub(super) fn close(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.board.end();
    }

    /// `None`: the connection ended.
    pub(super) async fn ask(&self, ask: &Ask) -> Option<Answer> {
        let (id, mut answer) = self.expect(None);
        let _forget = Forget {
            board: &self.board,
            id,
        };
        self.frames.send(ask.frame(id)).await.ok()?;
        answer.recv().await
    }

    /// Sends what needs no answer. What does not fit into the queue is left out.
    pub(super) fn tell(&self, ask: &Ask) {
        self.push(ask.frame(UNHEARD));
    }

    /// Sends a frame whose answer nobody waits for.
    pub(super) fn push(&self, frame: Vec<u8>) {
        let _ = self.frames.try_send(frame);
    }

    /// Asks for the lease of an answer.
    pub(super) async fn join(self: &Arc<Self>, digest: Digest) -> Lease {
        let (id, mut answer) = self.expect(Some(digest));
        if self.frames.send(Ask::Join(digest).frame(id)).await.is_err() {
            return Lease::Unknown;
        }
        match answer.recv().await {
            Some(Answer::Lead) => Lease::Lead(Box::new(Held {
                connection: Arc::clone(self),
                digest,
            })),
            Some(Answer::Over) => Lease::Follow(Box::pin(std::future::ready(()))),
            Some(Answer::Follow) => {
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

    /// Ends when the owner does not greet any more: it is stopped, and would never say that a lease is over. One that is
    /// only slow greets all the same, for its shelf has a thread of its own.
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

    fn expect(&self, lease: Option<Digest>) -> (u64, mpsc::Receiver<Answer>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = mpsc::channel(2);
        let mut waiting = self.board.waiting();
        // After the end nobody would ever answer.
        if self.is_open() {
            waiting.insert(id, Waiting { answer, lease });
        }
        (id, receiver)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The writer ends by itself when everything is written; the reader has nobody left to read for.
        self.tasks[1].abort();
    }
}

impl Board {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut waiting = self.waiting();
        self.over.store(true, Ordering::Release);
        waiting.clear();
    }
}

/// A question that nobody waits for any more.
struct Forget<'a> {
    board: &'a Board,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.board.waiting().remove(&self.id);
    }
}

/// A lease; the owner hears of its end.
struct Held {
    connection: Arc<Connection>,
    digest: Digest,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connection.tell(&Ask::Leave(self.digest));
    }
}

/// A stream to an owner that has greeted.
async fn greeted(socket: &Path) -> Result<UnixStream, Refused> {
    let mut stream = UnixStream::connect(socket).await?;
    if stream.peer_cred()?.uid() != geteuid().as_raw() {
        return Err(Refused::Io(io::Error::other(
            "the socket belongs to another user",
        )));
    }
    stream
        .write_all(&Ask::Hello { protocol: PROTOCOL }.frame(0))
        .await?;
    let body = read_frame(&mut stream).await.map_err(|_| Refused::Nobody)?;
    match Answer::read(&body) {
        Some((_, Answer::Welcome { protocol: PROTOCOL })) => Ok(stream),
        Some((_, Answer::Welcome { protocol })) if protocol > PROTOCOL => Err(Refused::Newer),
        _ => Err(Refused::Older),
    }
}

async fn write(mut to: OwnedWriteHalf, mut outgoing: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = outgoing.recv().await {
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn read(from: OwnedReadHalf, board: Arc<Board>, frames: mpsc::WeakSender<Vec<u8>>) {
    let mut from = BufReader::new(from);
    while let Ok(body) = read_frame(&mut from).await {
        match Answer::read(&body) {
            None => break,
            Some((_, Answer::Trouble(text))) => {
                if let Ok(mut trouble) = board.trouble.lock() {
                    *trouble = Some(text);
                }
            }
            Some((id, answer)) => deliver(&board, id, answer, &frames),
        }
    }
    board.end();
}

fn deliver(board: &Board, id: u64, answer: Answer, frames: &mpsc::WeakSender<Vec<u8>>) {
    let mut waiting = board.waiting();
    let granted = answer == Answer::Lead;
    // More comes under the same id.
    let last = answer != Answer::Follow;
    let Some(asker) = waiting.get(&id) else {
        return;
    };
    let lease = asker.lease;
    let unheard = asker.answer.try_send(answer).is_err();
    if last || unheard {
        waiting.remove(&id);
    }
    if let (true, true, Some(digest), Some(frames)) = (unheard, granted, lease, frames.upgrade()) {
        let _ = frames.try_send(Ask::Leave(digest).frame(UNHEARD));
    }
}
