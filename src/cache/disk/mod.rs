//! The disk tier, as every process but its owner sees it: a connection, and limits on every wait.
//!
//! Owns: how long a look-up may take, when the tier is left alone for a while, and what waits to be put meanwhile.
//! Refuses: sled; that is the owner's, see [`super::owner`].
//! Invariant: after one look-up that took too long, none waits again until the owner has answered in the background; what
//! was told to it, and the leases that it holds, last as long as it greets.

mod connection;
mod link;
mod reach;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::entry::LARGEST;
use super::frame::{OwnerReply, OwnerRequest};
use super::tier::{Bytes, Freed, Later, Lease, Tier, TierFigures, Verified};
use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;
use connection::OwnerConnection;
use link::{LinkPhase, OwnerLink};

/// The longest that a process waits in total for an owner that is starting in a folder with answers. A hit saves seconds
/// and money, and most of this time has usually passed already, see [`begin`].
const RISING: Duration = Duration::from_millis(60);
/// Longest wait for what is still to be put, when the program ends.
const CLOSING: Duration = Duration::from_millis(250);
/// Longest wait of a report, or of a walk over everything.
const REPORT: Duration = Duration::from_secs(2);
const WALK: Duration = Duration::from_mins(5);
/// Frames that wait for the owner to come up.
const WAITING: usize = 16;

pub(super) use reach::begin;

pub(super) struct DiskTier(Arc<OwnerLink>);

impl DiskTier {
    pub(super) fn new(
        folder: &Path,
        limit: u64,
        patience: Duration,
        program: Option<PathBuf>,
    ) -> Self {
        Self(Arc::new(OwnerLink::new(folder, limit, patience, program)))
    }

    /// The connection; while the first attempt to get one is under way, after a wait.
    async fn connection(&self, patience: Duration) -> Option<Arc<OwnerConnection>> {
        if let Some(connection) = self.0.up() {
            return Some(connection);
        }
        let was_cold = matches!(self.0.lock().link, LinkPhase::Cold);
        if was_cold
            && self.0.program.is_some()
            && let Err(cause) = self.0.folder.prepare()
        {
            // The cause is known at once, so it is told with this request.
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
            if self.0.folder.is_rising() {
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
        connection: &Arc<OwnerConnection>,
        ask: &OwnerRequest,
        patience: Duration,
    ) -> Option<OwnerReply> {
        if let Ok(answer) = timeout(patience, connection.ask(ask)).await {
            return answer;
        }
        tracing::warn!("the cache's owner did not answer in {patience:?}");
        self.0.gave_up(connection);
        None
    }

    async fn report<T: serde::de::DeserializeOwned>(
        &self,
        ask: OwnerRequest,
        patience: Duration,
    ) -> Option<T> {
        let connection = self.connection(REPORT.max(self.0.patience)).await?;
        match self.ask(&connection, &ask, patience).await? {
            OwnerReply::Report(json) => serde_json::from_slice(&json).ok(),
            _ => None,
        }
    }

    /// Sends without waiting for the answer.
    fn send(&self, ask: &OwnerRequest) {
        if let Some(connection) = self.0.up() {
            connection.tell(ask);
            return;
        }
        self.0.reach();
        if let Some(slow) = self.0.line() {
            slow.tell(ask);
        }
        // If a slow owner turns out to be dead, the next one gets this frame.
        let mut state = self.0.lock();
        if *self.0.reaching.borrow() && state.waiting.len() < WAITING {
            // The first frame of a connection is the greeting, so any other id will do.
            state.waiting.push(ask.frame(connection::UNHEARD));
        }
    }
}

impl Tier for DiskTier {
    fn name(&self) -> CacheHit {
        CacheHit::Disk
    }

    fn get<'a>(&'a self, digest: Digest, _: &'a Waiting) -> Later<'a, Option<Bytes>> {
        Box::pin(async move {
            let begun = Instant::now();
            // Don't spawn the owner when the cache is empty.
            let connection = if self.0.folder.has_answers() {
                self.connection(self.rest()).await?
            } else {
                self.0.up()?
            };
            // It may be connected and still opening the folder.
            let rest = self
                .0
                .patience
                .saturating_sub(begun.elapsed())
                .max(self.rest());
            match self
                .ask(&connection, &OwnerRequest::Get(digest), rest)
                .await?
            {
                OwnerReply::Found(bytes) => Some(bytes),
                _ => None,
            }
        })
    }

    fn put(&self, digest: Digest, bytes: &Bytes) {
        if bytes.len() <= LARGEST {
            self.send(&OwnerRequest::Put(digest, Bytes::clone(bytes)));
        }
    }

    fn remove(&self, digest: Digest) {
        self.send(&OwnerRequest::Remove(digest));
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
                    connection.ask(&OwnerRequest::Settle).await;
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
            // Also when the cache is empty: of several equal requests at once, one is enough.
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
            if !self.0.folder.has_answers() && self.0.folder.record().is_none() {
                // Nothing was ever kept here, so there is no reason to start the owner.
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
            let figures = self
                .report(OwnerRequest::Figures, REPORT.max(self.0.patience))
                .await;
            figures.unwrap_or_else(|| TierFigures {
                limit_bytes: Some(self.0.limit),
                note: Some("its owner cannot be reached".to_owned()),
                ..TierFigures::of(CacheHit::Disk)
            })
        })
    }

    fn clear(&self) -> Later<'_, Option<Freed>> {
        Box::pin(self.report(OwnerRequest::Clear, WALK))
    }

    fn verify(&self) -> Later<'_, Option<Verified>> {
        Box::pin(self.report(OwnerRequest::Verify, WALK))
    }
}

#[cfg(test)]
mod tests;
