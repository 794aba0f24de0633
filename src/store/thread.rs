//! The thread that owns the connection, and the handle to it.
//!
//! Owns: [`Store`], the queue of jobs behind it, and the thread that works through them.
//! Refuses: SQL; a job is a closure over [`Db`].
//! Invariant: jobs run one after the other in the order of arrival; a job that was taken is finished, even when the
//! one who asked has gone; with no job the thread sleeps without waking.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::{Db, StoreError};

/// Jobs that may wait; whoever comes with one more is told to wait.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// A handle to the store. Clones share one connection; it closes when the last of them is dropped.
#[derive(Clone)]
pub struct Store(SyncSender<Job>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens chat.db in this folder (see [`Db::open`]) and starts the thread that owns it. Takes a few milliseconds, or
    /// up to five seconds when another process holds the lock.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let db = Db::open(folder)?;
        let (jobs, queue) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(db, &queue))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(Self(jobs))
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

fn work(mut db: Db, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(&mut db);
    }
}
