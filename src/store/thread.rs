//! The thread that owns the connection, and the handle to it.
//!
//! Owns: [`Store`], its opening, the queue of jobs behind it, and the thread that works through them.
//! Refuses: SQL; a job is a closure that gets the [`Db`].
//! Invariant: jobs run one after the other in the order of arrival; a job in the queue is finished even when its caller
//! has gone; without a job the thread sleeps.

use std::hint::black_box;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::{Db, StoreError};

/// Jobs in the queue; a caller with one more has to wait.
const QUEUE: usize = 256;

/// The heap that one question needs on the store's thread, in bytes, and half as much again.
const ROOM: usize = 640 << 10;

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// A handle to the store. Clones share one connection; it closes when the last of them is dropped.
#[derive(Clone)]
pub struct Store(SyncSender<Job>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// A store that is being opened on its own thread.
pub(crate) struct Opening {
    store: Store,
    opened: Receiver<Result<(), StoreError>>,
}

impl Opening {
    /// Waits until it is open. Not for use on a runtime's worker.
    pub(crate) fn wait(self) -> Result<Store, StoreError> {
        self.opened
            .recv()
            .unwrap_or(Err(StoreError::Closed))
            .map(|()| self.store)
    }
}

impl Store {
    /// Opens chat.db in this folder (see [`Db::open`]) on the thread that owns it. Takes a few milliseconds, or up to
    /// five seconds when another process holds the lock.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::begin(folder)?.wait()
    }

    /// As [`Self::open`], without waiting for the end.
    pub(crate) fn begin(folder: &Path) -> Result<Opening, StoreError> {
        let folder = folder.to_owned();
        let (jobs, queue) = sync_channel(QUEUE);
        let (reply, opened) = sync_channel(1);
        let work = move || {
            make_room();
            match Db::open(&folder) {
                Ok(db) => {
                    let _ = reply.send(Ok(()));
                    work(db, &queue);
                }
                Err(error) => drop(reply.send(Err(error))),
            }
        };
        let started = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(work);
        started.map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(Opening {
            store: Self(jobs),
            opened,
        })
    }

    /// Runs `f` on the store's thread. Dropping the future does not take a job back that is in the queue.
    pub async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| drop(reply.send(f(db))));
        match self.0.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Disconnected(_)) => return Err(StoreError::Closed),
            Err(TrySendError::Full(job)) => {
                let jobs = self.0.clone();
                let sent = tokio::task::spawn_blocking(move || jobs.send(job)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return Err(StoreError::Closed);
                }
            }
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// As [`Self::run`], blocking the calling thread. Not for use on a runtime's worker.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |db| drop(reply.send(f(db))));
        self.0.send(job).map_err(|_| StoreError::Closed)?;
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }
}

/// The C library's allocator grows a thread's heap page by page, with a system call for each: over a hundred for one
/// question. Allocating and freeing one large piece makes it ask for all pages at once. The first, slightly larger piece
/// raises the allocator's threshold, so that it keeps the pages. Untouched pages take no memory.
fn make_room() {
    for bytes in [ROOM + 4096, ROOM] {
        drop(black_box(Vec::<u8>::with_capacity(bytes)));
    }
}

fn work(mut db: Db, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(&mut db);
    }
}
