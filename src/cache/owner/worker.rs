//! The thread that has the shelf.
//!
//! Owns: opening it, one job after another, and what becomes of it when sled fails or panics.
//! Refuses: to be waited for by anything but the connection that asked.
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

use super::super::disk_store::DiskStore;

/// Jobs that may wait.
const QUEUE: usize = 256;
/// How long the tier is off when the disk refuses.
const OFF: Duration = Duration::from_mins(1);

type Job = Box<dyn FnOnce(&mut Room) + Send>;

/// How a job with the shelf ends.
pub(super) enum Trouble {
    Sled(sled::Error),
    Other(String),
}

impl From<sled::Error> for Trouble {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// The way to the thread.
pub(super) struct Worker {
    jobs: SyncSender<Job>,
    notice: Arc<Mutex<Option<String>>>,
}

/// What the thread has.
struct Room {
    folder: PathBuf,
    limit: u64,
    state: State,
    notice: Arc<Mutex<Option<String>>>,
}

enum State {
    Open(DiskStore),
    Off { until: Instant },
    Closed,
}

impl Worker {
    pub(super) fn start(folder: PathBuf, limit: u64) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(QUEUE);
        let notice = Arc::<Mutex<Option<String>>>::default();
        let room = Room {
            folder,
            limit,
            state: State::Off {
                until: Instant::now(),
            },
            notice: Arc::clone(&notice),
        };
        thread::Builder::new()
            .name("cache-disk_store".into())
            .spawn(move || run(room, &receiver))?;
        Ok(Self { jobs, notice })
    }

    /// Does something with the shelf; `None`: it cannot be had, or that failed.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut DiskStore) -> Result<T, Trouble> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |room| {
            if let Some(value) = room.attempt(work) {
                let _ = reply.send(value);
            }
        });
        self.jobs.try_send(job).ok()?;
        answer.await.ok()
    }

    /// A sentence for the user, for the first client that comes by.
    pub(super) fn notice(&self) -> Option<String> {
        self.notice.lock().ok()?.take()
    }

    /// Writes everything out and lets go of the folder.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let job: Job = Box::new(move |room| {
            room.attempt(|disk_store| Ok(disk_store.flush()?));
            room.close();
            let _ = done.send(());
        });
        if self.jobs.try_send(job).is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
        }
    }
}

fn run(mut room: Room, jobs: &Receiver<Job>) {
    // Before the first question, so that it need not wait for it.
    room.open();
    for job in jobs {
        job(&mut room);
    }
    room.close();
}

impl Room {
    fn open(&mut self) {
        self.settle(DiskStore::open);
    }

    /// Opens the shelf in one way or another.
    fn settle(
        &mut self,
        open: impl FnOnce(&Path, u64) -> Result<(DiskStore, Option<String>), String>,
    ) {
        match catch_unwind(AssertUnwindSafe(|| open(&self.folder, self.limit))) {
            Ok(Ok((opened, notice))) => {
                self.state = State::Open(opened);
                if let Some(notice) = notice {
                    self.tell(notice);
                }
            }
            Ok(Err(cause)) => self.off(&cause),
            Err(_) => self.off("sled panicked"),
        }
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&mut DiskStore) -> Result<T, Trouble>) -> Option<T> {
        if matches!(self.state, State::Off { until } if Instant::now() >= until) {
            self.open();
        }
        let State::Open(opened) = &mut self.state else {
            return None;
        };
        match catch_unwind(AssertUnwindSafe(|| work(opened))) {
            Ok(Ok(value)) => Some(value),
            Ok(Err(Trouble::Sled(sled::Error::Io(error)))) => {
                self.close();
                self.off(&error.to_string());
                None
            }
            Ok(Err(Trouble::Sled(sled::Error::Unsupported(cause)) | Trouble::Other(cause))) => {
                self.close();
                self.off(&cause);
                None
            }
            Ok(Err(Trouble::Sled(_))) | Err(_) => {
                self.damaged();
                None
            }
        }
    }

    /// What cannot be read is moved out of the way.
    fn damaged(&mut self) {
        let State::Open(opened) = &self.state else {
            return;
        };
        let generation = opened.generation();
        self.close();
        self.settle(|folder, limit| DiskStore::anew(folder, limit, generation));
    }

    /// sled may panic when it is let go, too.
    fn close(&mut self) {
        let last = std::mem::replace(&mut self.state, State::Closed);
        let _ = catch_unwind(AssertUnwindSafe(move || drop(last)));
    }

    fn off(&mut self, cause: &str) {
        self.state = State::Off {
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
