//! The thread that owns the store.
//!
//! Owns: opening it, one job after another, and what becomes of it when sled fails or panics.
//! Refuses: to block any connection but the one that asked.
//! Invariant: a panic ends here; damage is set aside and the tier goes on empty, trouble with the disk switches it off for
//! a while.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::cache::disk_store::DiskStore;

/// Jobs that may wait.
const QUEUE: usize = 256;
/// How long the tier is off when the disk refuses.
const OFF: Duration = Duration::from_mins(1);

type Job = Box<dyn FnOnce(&mut StoreThread) + Send>;

/// Why a job on the store failed.
pub(super) enum JobError {
    Sled(sled::Error),
    Other(String),
}

impl From<sled::Error> for JobError {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl From<String> for JobError {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// A handle to the thread.
pub(super) struct StoreHandle {
    jobs: SyncSender<Job>,
    notice: Arc<Mutex<Option<String>>>,
}

/// What the thread owns.
struct StoreThread {
    folder: PathBuf,
    limit: u64,
    state: StoreState,
    notice: Arc<Mutex<Option<String>>>,
}

enum StoreState {
    Open(DiskStore),
    Off { until: Instant },
    Closed,
}

impl StoreHandle {
    pub(super) fn start(folder: PathBuf, limit: u64) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(QUEUE);
        let notice = Arc::<Mutex<Option<String>>>::default();
        let thread = StoreThread {
            folder,
            limit,
            state: StoreState::Off {
                until: Instant::now(),
            },
            notice: Arc::clone(&notice),
        };
        thread::Builder::new()
            .name("cache-store".into())
            .spawn(move || run(thread, &receiver))?;
        Ok(Self { jobs, notice })
    }

    /// Runs a job on the store; `None`: the store is off, or the job failed.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut DiskStore) -> Result<T, JobError> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            if let Some(value) = thread.attempt(work) {
                let _ = reply.send(value);
            }
        });
        self.jobs.try_send(job).ok()?;
        answer.await.ok()
    }

    /// A sentence for the user; the next client that asks gets it.
    pub(super) fn notice(&self) -> Option<String> {
        self.notice.lock().ok()?.take()
    }

    /// Writes everything out and gives up the folder.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            thread.attempt(|store| Ok(store.flush()?));
            thread.close();
            let _ = done.send(());
        });
        if self.jobs.try_send(job).is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
        }
    }
}

fn run(mut thread: StoreThread, jobs: &Receiver<Job>) {
    // Open before the first job, so that it need not wait.
    thread.open();
    for job in jobs {
        job(&mut thread);
    }
    thread.close();
}

impl StoreThread {
    fn open(&mut self) {
        self.settle(DiskStore::open);
    }

    /// Opens the store with this function.
    fn settle(
        &mut self,
        open: impl FnOnce(&Path, u64) -> Result<(DiskStore, Option<String>), String>,
    ) {
        match catch_unwind(AssertUnwindSafe(|| open(&self.folder, self.limit))) {
            Ok(Ok((opened, notice))) => {
                self.state = StoreState::Open(opened);
                if let Some(notice) = notice {
                    self.tell(notice);
                }
            }
            Ok(Err(cause)) => self.off(&cause),
            Err(_) => self.off("sled panicked"),
        }
    }

    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut DiskStore) -> Result<T, JobError>,
    ) -> Option<T> {
        if matches!(self.state, StoreState::Off { until } if Instant::now() >= until) {
            self.open();
        }
        let StoreState::Open(opened) = &mut self.state else {
            return None;
        };
        match catch_unwind(AssertUnwindSafe(|| work(opened))) {
            Ok(Ok(value)) => Some(value),
            Ok(Err(JobError::Sled(sled::Error::Io(error)))) => {
                self.close();
                self.off(&error.to_string());
                None
            }
            Ok(Err(JobError::Sled(sled::Error::Unsupported(cause)) | JobError::Other(cause))) => {
                self.close();
                self.off(&cause);
                None
            }
            Ok(Err(JobError::Sled(_))) | Err(_) => {
                self.damaged();
                None
            }
        }
    }

    /// What cannot be read is moved out of the way.
    fn damaged(&mut self) {
        let StoreState::Open(opened) = &self.state else {
            return;
        };
        let generation = opened.generation();
        self.close();
        self.settle(|folder, limit| DiskStore::anew(folder, limit, generation));
    }

    /// Drops the store; sled may panic then, too.
    fn close(&mut self) {
        let last = std::mem::replace(&mut self.state, StoreState::Closed);
        let _ = catch_unwind(AssertUnwindSafe(move || drop(last)));
    }

    fn off(&mut self, cause: &str) {
        self.state = StoreState::Off {
            until: Instant::now() + OFF,
        };
        self.tell(format!("answers are not kept on disk for now: {cause}"));
    }

    fn tell(&self, text: String) {
        tracing::warn!("{text}");
        if let Ok(mut notice) = self.notice.lock() {
            *notice = Some(text);
        }
    }
}
