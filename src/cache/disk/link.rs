//! The link to the owner: whether there is a connection, whether it may be waited for, and when it is tried again.
//!
//! Owns: the phases of the link, attempts to reach the owner in the background, and letting go of a connection that
//! nothing has used for a while: an owner lives as long as it has clients, and sled wakes up every second, so an open
//! but idle screen would keep both running.
//! Refuses: look-ups, which are the tier's.
//! Invariant: one attempt at a time; a connection on which a lease depends is not given up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::connection::OwnerConnection;
use super::reach::{self, Reached};
use crate::cache::folder::CacheFolder;

/// How long the tier is left alone after it failed.
const OFF: Duration = Duration::from_secs(10);
/// An unused connection is given up after this time.
pub(super) const IDLE: Duration = Duration::from_secs(30);

pub(super) struct OwnerLink {
    pub(super) folder: CacheFolder,
    pub(super) limit: u64,
    /// Longest wait of a look-up for an owner that is there. It answers in a small part of a millisecond.
    pub(super) patience: Duration,
    /// The program that is started as the owner; `None`: only one that is there is used.
    pub(super) program: Option<PathBuf>,
    pub(super) state: Mutex<LinkState>,
    pub(super) trouble: Mutex<LinkTrouble>,
    /// Whether an attempt to reach the owner is under way.
    pub(super) reaching: watch::Sender<bool>,
    /// Until when this process waits for an owner to start. Set by the first wait, and again after an unused connection
    /// was given up.
    pub(super) rising: Mutex<Option<Instant>>,
}

#[derive(Default)]
pub(super) struct LinkTrouble {
    pub(super) last: String,
    pub(super) untold: Option<String>,
}

pub(super) struct LinkState {
    pub(super) link: LinkPhase,
    pub(super) waiting: Vec<Vec<u8>>,
    /// When the connection was last used.
    pub(super) used: Instant,
}

pub(super) enum LinkPhase {
    /// Not tried yet, or given up because it was unused.
    Cold,
    Up(Arc<OwnerConnection>),
    /// Alive as far as is known, but too slow to wait for; from this time on it is checked in the background.
    Slow {
        connection: Arc<OwnerConnection>,
        from: Instant,
    },
    /// Away. No request waits for it; from this time on it is tried again in the background.
    Off {
        from: Instant,
    },
}

impl LinkState {
    /// Treats a connection that has ended as away: a new one is made in the background.
    fn forget_ended(&mut self) {
        if let LinkPhase::Up(connection) | LinkPhase::Slow { connection, .. } = &self.link
            && !connection.is_open()
        {
            self.link = LinkPhase::Off {
                from: Instant::now(),
            };
        }
    }
}

impl OwnerLink {
    pub(super) fn new(
        folder: &Path,
        limit: u64,
        patience: Duration,
        program: Option<PathBuf>,
    ) -> Self {
        Self {
            folder: CacheFolder::new(folder),
            limit,
            patience,
            program,
            state: Mutex::new(LinkState {
                link: LinkPhase::Cold,
                waiting: Vec::new(),
                used: Instant::now(),
            }),
            trouble: Mutex::default(),
            reaching: watch::Sender::new(false),
            rising: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, where it may be waited for.
    pub(super) fn up(&self) -> Option<Arc<OwnerConnection>> {
        let mut state = self.lock();
        state.forget_ended();
        state.used = Instant::now();
        if let LinkPhase::Up(connection) = &state.link {
            Some(Arc::clone(connection))
        } else {
            None
        }
    }

    /// The connection, slow or not.
    pub(super) fn line(&self) -> Option<Arc<OwnerConnection>> {
        let mut state = self.lock();
        state.forget_ended();
        state.used = Instant::now();
        match &state.link {
            LinkPhase::Up(connection) | LinkPhase::Slow { connection, .. } => {
                Some(Arc::clone(connection))
            }
            LinkPhase::Cold | LinkPhase::Off { .. } => None,
        }
    }

    /// Starts an attempt in the background, unless one is under way or it is too early.
    pub(super) fn reach(self: &Arc<Self>) {
        let (early, known) = match &self.lock().link {
            LinkPhase::Cold => (false, None),
            LinkPhase::Up(_) => (true, None),
            LinkPhase::Slow { connection, from } => {
                (Instant::now() < *from, Some(Arc::clone(connection)))
            }
            LinkPhase::Off { from } => (Instant::now() < *from, None),
        };
        if early || self.reaching.send_replace(true) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            self.reaching.send_replace(false);
            return;
        };
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            let program = shared.program.as_deref();
            let outcome = reach::reach(
                &shared.folder,
                shared.limit,
                shared.patience,
                program,
                known.as_ref(),
            )
            .await;
            shared.reached(outcome, known.as_ref());
            shared.reaching.send_replace(false);
            watch(&shared);
        });
    }

    fn reached(&self, outcome: Result<Reached, String>, known: Option<&Arc<OwnerConnection>>) {
        let from = Instant::now() + OFF;
        let (link, cause) = match outcome {
            Ok(Reached::Up(connection)) => (LinkPhase::Up(connection), None),
            Ok(Reached::Slow(connection)) => (
                LinkPhase::Slow { connection, from },
                Some("the disk is slow".to_owned()),
            ),
            Err(cause) => (LinkPhase::Off { from }, Some(cause)),
        };
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        if let LinkPhase::Up(connection) | LinkPhase::Slow { connection, .. } = &link
            && known.is_none_or(|known| !Arc::ptr_eq(known, connection))
        {
            for frame in waiting {
                connection.push(frame);
            }
        }
        state.link = link;
        drop(state);
        if let Some(cause) = cause {
            self.tell(&cause);
        }
    }

    /// Notes that an owner did not reply in time. It is checked in the background at once, and then not for a while.
    pub(super) fn gave_up(self: &Arc<Self>, connection: &Arc<OwnerConnection>) {
        let mut state = self.lock();
        if matches!(&state.link, LinkPhase::Up(up) if Arc::ptr_eq(up, connection)) {
            state.link = LinkPhase::Slow {
                connection: Arc::clone(connection),
                from: Instant::now(),
            };
        }
        drop(state);
        self.reach();
    }

    /// Leaves the tier alone for a while, and tells why.
    pub(super) fn away(&self, cause: &str) {
        self.lock().link = LinkPhase::Off {
            from: Instant::now() + OFF,
        };
        self.tell(cause);
    }

    /// The same cause is told once.
    fn tell(&self, cause: &str) {
        tracing::warn!(%cause, "the disk tier is away");
        if let Ok(mut trouble) = self.trouble.lock()
            && trouble.last != cause
        {
            cause.clone_into(&mut trouble.last);
            trouble.untold = Some(format!("answers are not kept on disk for now: {cause}"));
        }
    }

    /// Gives up the connection if it was unused for [`IDLE`]; else returns when to look again.
    pub(super) fn let_go(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.forget_ended();
        let LinkPhase::Up(connection) = &state.link else {
            return None;
        };
        let until = state.used + IDLE;
        if now < until {
            return Some(until);
        }
        // Leases and followers hold it too.
        if Arc::strong_count(connection) > 1 {
            return Some(now + IDLE);
        }
        state.link = LinkPhase::Cold;
        *self.rising.lock().unwrap_or_else(PoisonError::into_inner) = None;
        None
    }
}

/// Watches a connection that was just made, until it is given up or ends. Wakes up once for each [`IDLE`].
fn watch(shared: &Arc<OwnerLink>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        while let Some(at) = look(&shared) {
            sleep_until(at).await;
        }
    });
}

/// When to look again; `None`: there is no connection left to give up.
fn look(shared: &Weak<OwnerLink>) -> Option<Instant> {
    let shared = shared.upgrade()?;
    shared.let_go(Instant::now())
}
