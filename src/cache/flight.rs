//! Single flight: of all who want the same answer at the same time, one fetches it.
//!
//! Owns: who leads and who follows, in this process and, through the tiers' leases, beyond it.
//! Refuses: to fetch; the leader does that, and may fail.
//! Invariant: a leader that ends in any way wakes its followers; a follower that ends changes nothing for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::entry::CachedAnswer;
use super::tier::{Later, Lease};
use super::tiers::{AnswerHit, Tiers};
use crate::chat::Timestamp;
use crate::chat::request::Digest;
use crate::protocol::CacheHit;

/// What a leader publishes: nothing yet, or the answer. A channel that ends without one means failure.
type FlightResult = Option<Arc<CachedAnswer>>;

/// What to do about an answer that is not in the cache.
pub enum Flight {
    /// Fetch it. Every other request for it waits for this guard.
    Lead(LeadGuard),
    /// Another request fetches it already.
    Follow(Follower),
}

/// The answers being fetched by this process, or waited for.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Digest, watch::Receiver<FlightResult>>>);

/// The right to lead within this process. Dropping it wakes the followers.
struct FlightSlot {
    flights: Arc<Flights>,
    digest: Digest,
    answer: watch::Sender<FlightResult>,
}

impl Drop for FlightSlot {
    fn drop(&mut self) {
        self.flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.digest);
    }
}

/// The duty to fetch an answer. Dropping it without [`LeadGuard::put`] lets the next one try.
pub struct LeadGuard {
    slot: FlightSlot,
    tiers: Tiers,
    /// Freed when this guard is gone, and after what it has put.
    _leases: Vec<Box<dyn Send + Sync>>,
}

impl LeadGuard {
    /// Keeps the answer and hands it to all followers.
    pub fn put(self, entry: &CachedAnswer) {
        self.tiers.put(self.slot.digest, entry);
        self.slot.answer.send_replace(Some(Arc::new(entry.clone())));
    }
}

/// Waits for an answer that another request fetches. Dropping it cancels no other wait.
pub struct Follower(Leader);

enum Leader {
    /// The leader is in this process.
    Here {
        answer: watch::Receiver<FlightResult>,
        ttl: Duration,
    },
    /// It is in another process. Other requests for the answer, here or in reach of these leases, follow this one.
    Elsewhere {
        slot: FlightSlot,
        over: Later<'static, ()>,
        tiers: Tiers,
        leases: Vec<Box<dyn Send + Sync>>,
    },
}

impl Follower {
    /// The answer, when the leader has it; `None`: the leader failed or may not keep it, so look in the cache. `now`: for
    /// the age of the answer.
    pub async fn wait(self, now: Timestamp) -> Option<AnswerHit> {
        match self.0 {
            Leader::Here { mut answer, ttl } => {
                let entry = answer.wait_for(Option::is_some).await.ok()?.clone()?;
                Some(AnswerHit::new(
                    CachedAnswer::clone(&entry),
                    CacheHit::Memory,
                    ttl,
                    now,
                ))
            }
            Leader::Elsewhere {
                slot,
                over,
                tiers,
                leases,
            } => {
                over.await;
                // The look-up copies it to this process's tiers; only then do the leases end.
                let hit = tiers.look(slot.digest, now, |_| true).await?;
                drop(leases);
                slot.answer.send_replace(Some(Arc::new(hit.entry.clone())));
                Some(hit)
            }
        }
    }
}

impl Flights {
    /// Decides who fetches the answer to a question that no tier has. Waits no longer than a look-up does.
    pub(super) async fn join(self: &Arc<Self>, tiers: &Tiers, digest: Digest) -> Flight {
        let slot = match self.take_slot(digest) {
            Ok(slot) => slot,
            Err(answer) => {
                return Flight::Follow(Follower(Leader::Here {
                    answer,
                    ttl: tiers.ttl,
                }));
            }
        };
        let mut leases = Vec::new();
        let waiting = tiers.waiting.clone().unwrap_or_default();
        for tier in tiers.all.iter() {
            match tier.lease(digest, &waiting).await {
                Lease::Unknown => {}
                Lease::Lead(lease) => leases.push(lease),
                Lease::Follow(over) => {
                    // The wait for an answer was no wait for Redis, so the look-up afterwards gets its own patience.
                    let tiers = Tiers {
                        waiting: None,
                        ..tiers.clone()
                    };
                    return Flight::Follow(Follower(Leader::Elsewhere {
                        slot,
                        over,
                        tiers,
                        leases,
                    }));
                }
            }
        }
        Flight::Lead(LeadGuard {
            slot,
            tiers: tiers.clone(),
            _leases: leases,
        })
    }

    /// The slot if it is free, else the channel of its holder.
    fn take_slot(
        self: &Arc<Self>,
        digest: Digest,
    ) -> Result<FlightSlot, watch::Receiver<FlightResult>> {
        let mut flying = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = flying.get(&digest) {
            return Err(answer.clone());
        }
        let (answer, receiver) = watch::channel(None);
        flying.insert(digest, receiver);
        Ok(FlightSlot {
            flights: Arc::clone(self),
            digest,
            answer,
        })
    }
}
