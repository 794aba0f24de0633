//! The disk tier, as every process but its owner sees it: a connection, and patience that ends.
//!
//! Owns: how long a look-up may take, when the tier is left alone for a while, and what waits to be put meanwhile.
//! Refuses: sled; that is the owner's, see [`super::owner`].
//! Invariant: after one look-up that took too long, none waits again until the owner has answered in the background; what
//! was told to it, and the leases that it holds, last as long as it greets.

mod connection;
mod idle;
mod reach;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::entry::LARGEST;
use super::frame::{Answer, Ask};
use super::place::Place;
use super::tier::{Bytes, Freed, Later, Lease, Tier, TierFigures, Verified};
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;
use connection::Connection;
use reach::Reached;

/// Longest wait of a process, once and in all, for an owner that is just coming up where answers lie. What it finds saves
/// seconds and money, and most of the time has passed already, see [`begin`].
const RISING: Duration = Duration::from_millis(60);
/// How long the tier is left alone after it failed.
const OFF: Duration = Duration::from_secs(10);
/// Longest wait for what is still to be put, when the program ends.
const CLOSING: Duration = Duration::from_millis(250);
/// Longest wait of a report, or of a walk over everything.
const REPORT: Duration = Duration::from_secs(2);
const WALK: Duration = Duration::from_mins(5);
/// Frames that wait for the owner to come up.
const WAITING: usize = 16;

pub(super) use reach::begin;

pub(super) struct Disk(Arc<Shared>);

struct Shared {
    place: Place,
    limit: u64,
    /// Longest wait of a look-up for an owner that is there. It answers in a small part of a millisecond.
    patience: Duration,
    /// The program that is started as the owner; `None`: only one that is there is used.
    program: Option<PathBuf>,
    state: Mutex<State>,
    trouble: Mutex<Trouble>,
    /// Whether an attempt to reach the owner is under way.
    reaching: watch::Sender<bool>,
    /// The end of the time in which this process waits for an owner to come up; it begins with the first who waits, and
    /// anew when a connection that nobody used was given up.
    rising: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Trouble {
    last: String,
    untold: Option<String>,
}

struct State {
    link: Link,
    waiting: Vec<Vec<u8>>,
    /// When somebody last wanted the connection.
    used: Instant,
}

enum Link {
    /// Not tried yet, or given up because nobody used it.
    Cold,
    Up(Arc<Connection>),
    /// Alive as far as is known, and too slow to be waited for; from this time on it is looked at in the background.
    Slow {
        connection: Arc<Connection>,
        from: Instant,
    },
    /// Away. Nobody waits for it; from this time on it is tried again in the background.
    Off {
        from: Instant,
    },
}

impl State {
    /// A connection that ended, or was ended, is none: another one is made, and nobody waits for it.
    fn forget_ended(&mut self) {
        if let Link::Up(connection) | Link::Slow { connection, .. } = &self.link
            && !connection.is_open()
        {
            self.link = Link::Off {
                from: Instant::now(),
            };
        }
    }
}

impl Disk {
    pub(super) fn new(
        folder: &Path,
        limit: u64,
        patience: Duration,
        program: Option<PathBuf>,
    ) -> Self {
        Self(Arc::new(Shared {
            place: Place::new(folder),
            limit,
            patience,
            program,
            state: Mutex::new(State {
                link: Link::Cold,
                waiting: Vec::new(),
                used: Instant::now(),
            }),
            trouble: Mutex::default(),
            reaching: watch::Sender::new(false),
            rising: Mutex::default(),
        }))
    }

    /// The connection; while the first attempt to get one is under way, after a wait.
    async fn connection(&self, patience: Duration) -> Option<Arc<Connection>> {
        if let Some(connection) = self.0.up() {
            return Some(connection);
        }
        let was_cold = matches!(self.0.lock().link, Link::Cold);
        if was_cold
            && self.0.program.is_some()
            && let Err(cause) = self.0.place.prepare()
        {
            // Known at once, so told with this very question.
            self.0.away(&cause);
            return None;
        }
        self.0.reach();
        if !was_cold || patience.is_zero() {
            return None;
        }
        let mut reaching = self.0.reaching.subscribe();
        timeout(patience, reaching.wait_for(|reaching| !reaching))
            .await
            .ok()?
            .ok()?;
        self.0.up()
    }

    /// What is left of the time that this process waits for an owner that it has not met yet.
    fn rest(&self) -> Duration {
        let patience = self.0.patience;
        let whole = || {
            if self.0.place.is_rising() {
                RISING.max(patience)
            } else {
                patience
            }
        };
        let mut rising = self.0.rising.lock().unwrap_or_else(PoisonError::into_inner);
        rising
            .get_or_insert_with(|| Instant::now() + whole())
            .saturating_duration_since(Instant::now())
    }

    /// Asks, and leaves the owner alone for a while when it does not answer.
    async fn ask(
        &self,
        connection: &Arc<Connection>,
        ask: &Ask,
        patience: Duration,
    ) -> Option<Answer> {
        if let Ok(answer) = timeout(patience, connection.ask(ask)).await {
            return answer;
        }
        tracing::warn!("the cache's owner did not answer in {patience:?}");
        self.0.gave_up(connection);
        None
    }

    async fn report<T: serde::de::DeserializeOwned>(
        &self,
        ask: Ask,
        patience: Duration,
    ) -> Option<T> {
        let connection = self.connection(REPORT.max(self.0.patience)).await?;
        match self.ask(&connection, &ask, patience).await? {
            Answer::Report(json) => serde_json::from_slice(&json).ok(),
            _ => None,
        }
    }

    /// Sends without waiting for the answer.
    fn send(&self, ask: &Ask) {
        if let Some(connection) = self.0.up() {
            connection.tell(ask);
            return;
        }
        self.0.reach();
        if let Some(slow) = self.0.line() {
            slow.tell(ask);
        }
        // Should a slow one prove to be dead, the next one hears it.
        let mut state = self.0.lock();
        if *self.0.reaching.borrow() && state.waiting.len() < WAITING {
            // The first frame of a connection is the greeting, so any other id will do.
            state.waiting.push(ask.frame(connection::UNHEARD));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, where it may be waited for.
    fn up(&self) -> Option<Arc<Connection>> {
        let mut state = self.lock();
        state.forget_ended();
        state.used = Instant::now();
        if let Link::Up(connection) = &state.link {
            Some(Arc::clone(connection))
        } else {
            None
        }
    }

    /// The connection, slow or not.
    fn line(&self) -> Option<Arc<Connection>> {
        let mut state = self.lock();
        state.forget_ended();
        state.used = Instant::now();
        match &state.link {
            Link::Up(connection) | Link::Slow { connection, .. } => Some(Arc::clone(connection)),
            Link::Cold | Link::Off { .. } => None,
        }
    }

    /// Starts an attempt in the background, unless one is under way or it is too early.
    fn reach(self: &Arc<Self>) {
        let (early, known) = match &self.lock().link {
            Link::Cold => (false, None),
            Link::Up(_) => (true, None),
            Link::Slow { connection, from } => {
                (Instant::now() < *from, Some(Arc::clone(connection)))
            }
            Link::Off { from } => (Instant::now() < *from, None),
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
                &shared.place,
                shared.limit,
                shared.patience,
                program,
                known.as_ref(),
            )
            .await;
            shared.reached(outcome, known.as_ref());
            shared.reaching.send_replace(false);
            idle::watch(&shared);
        });
    }

    fn reached(&self, outcome: Result<Reached, String>, known: Option<&Arc<Connection>>) {
        let from = Instant::now() + OFF;
        let (link, cause) = match outcome {
            Ok(Reached::Up(connection)) => (Link::Up(connection), None),
            Ok(Reached::Slow(connection)) => (
                Link::Slow { connection, from },
                Some("the disk is slow".to_owned()),
            ),
            Err(cause) => (Link::Off { from }, Some(cause)),
        };
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        if let Link::Up(connection) | Link::Slow { connection, .. } = &link
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

    /// An owner that does not answer in time: it is looked at in the background, at once and then not for a while.
    fn gave_up(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.lock();
        if matches!(&state.link, Link::Up(up) if Arc::ptr_eq(up, connection)) {
            state.link = Link::Slow {
                connection: Arc::clone(connection),
                from: Instant::now(),
            };
        }
        drop(state);
        self.reach();
    }

    /// Leaves the tier alone for a while, and tells why.
    fn away(&self, cause: &str) {
        self.lock().link = Link::Off {
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
}

impl Tier for Disk {
    fn name(&self) -> CacheHit {
        CacheHit::Disk
    }

    fn get<'a>(&'a self, digest: Digest, _: &'a Waiting) -> Later<'a, Option<Bytes>> {
        Box::pin(async move {
            let begun = Instant::now();
            // Where nothing lies, nobody is started to look for it.
            let connection = if self.0.place.has_answers() {
                self.connection(self.rest()).await?
            } else {
                self.0.up()?
            };
            // Connected to, it may still be opening what lies there.
            let rest = self
                .0
                .patience
                .saturating_sub(begun.elapsed())
                .max(self.rest());
            match self.ask(&connection, &Ask::Get(digest), rest).await? {
                Answer::Found(bytes) => Some(bytes),
                _ => None,
            }
        })
    }

    fn put(&self, digest: Digest, bytes: &Bytes) {
        if bytes.len() <= LARGEST {
            self.send(&Ask::Put(digest, Bytes::clone(bytes)));
        }
    }

    fn remove(&self, digest: Digest) {
        self.send(&Ask::Remove(digest));
    }

    fn trouble(&self) -> Option<String> {
        let heard = self.0.line().and_then(|connection| connection.trouble());
        heard.or_else(|| self.0.trouble.lock().ok()?.untold.take())
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            let (mut reaching, patience) =
                (self.0.reaching.subscribe(), CLOSING.max(self.0.patience));
            let settled = async {
                if !self.0.lock().waiting.is_empty() {
                    let _ = reaching.wait_for(|reaching| !reaching).await;
                }
                if let Some(connection) = self.0.line() {
                    connection.ask(&Ask::Settle).await;
                }
            };
            if timeout(patience, settled).await.is_err()
                && let Some(connection) = self.0.up()
            {
                self.0.gave_up(&connection);
            }
        })
    }

    fn lease<'a>(&'a self, digest: Digest, _: &'a Waiting) -> Later<'a, Lease> {
        Box::pin(async move {
            // Also where nothing lies yet: of several who ask the same at once, one is enough.
            let Some(connection) = self.connection(self.rest()).await else {
                return Lease::Unknown;
            };
            if let Ok(lease) = timeout(self.0.patience, connection.join(digest)).await {
                return lease;
            }
            self.0.gave_up(&connection);
            Lease::Unknown
        })
    }

    fn figures(&self) -> Later<'_, TierFigures> {
        Box::pin(async move {
            if !self.0.place.has_answers() && self.0.place.card().is_none() {
                // Nothing was ever kept here: no reason to start anything.
                let none = Some(0);
                let limit_bytes = Some(self.0.limit);
                let of = TierFigures::of(CacheHit::Disk);
                return TierFigures {
                    entries: none,
                    live_bytes: none,
                    kept_bytes: none,
                    limit_bytes,
                    ..of
                };
            }
            let figures = self.report(Ask::Figures, REPORT.max(self.0.patience)).await;
            figures.unwrap_or_else(|| TierFigures {
                limit_bytes: Some(self.0.limit),
                note: Some("its owner cannot be reached".to_owned()),
                ..TierFigures::of(CacheHit::Disk)
            })
        })
    }

    fn clear(&self) -> Later<'_, Option<Freed>> {
        Box::pin(self.report(Ask::Clear, WALK))
    }

    fn verify(&self) -> Later<'_, Option<Verified>> {
        Box::pin(self.report(Ask::Verify, WALK))
    }
}

#[cfg(test)]
mod tests;
