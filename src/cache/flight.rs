//! Single flight: of all who want the same answer at the same time, one fetches it.
//!
//! Owns: who leads and who follows, in this process and, through the tiers' leases, beyond it.
//! Refuses: to fetch; whoever leads does that, and may fail.
//! Invariant: a leader that goes away in any manner wakes its followers; a follower that goes away harms nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::tier::{Later, Lease};
use super::{Cache, Entry, Hit};
use crate::chat::Timestamp;
use crate::chat::request::Digest;
use crate::protocol::CacheHit;

/// What a leader tells: nothing yet, or the answer. The end of the channel without one is failure.
type Told = Option<Arc<Entry>>;

/// What to do about an answer that is not in the cache.
pub enum Flight {
    /// Fetch it. Everybody else who wants it waits for this guard.
    Lead(LeadGuard),
    /// Somebody fetches it already.
    Follow(Follower),
}

/// The answers being fetched by this process, or waited for.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Digest, watch::Receiver<Told>>>);

/// The place in front of an answer. Leaving it wakes all who stand behind.
struct Seat {
    flights: Arc<Flights>,
    digest: Digest,
    told: watch::Sender<Told>,
}

impl Drop for Seat {
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
    seat: Seat,
    cache: Cache,
    /// Freed when this guard is gone, and after what it has put.
    _leases: Vec<Box<dyn Send + Sync>>,
}

impl LeadGuard {
    /// Keeps the answer and hands it to everybody who waits.
    pub fn put(self, entry: &Entry) {
        self.cache.put(self.seat.digest, entry);
        self.seat.told.send_replace(Some(Arc::new(entry.clone())));
    }
}

/// A place in the queue for an answer. Dropping it cancels nobody else.
pub struct Follower(Behind);

enum Behind {
    /// The leader is in this process.
    Here {
        told: watch::Receiver<Told>,
        ttl: Duration,
    },
    /// It is elsewhere. Whoever else wants the answer here, or within reach of these leases, stands behind this one.
    Elsewhere {
        seat: Seat,
        over: Later<'static, ()>,
        cache: Cache,
        leases: Vec<Box<dyn Send + Sync>>,
    },
}

impl Follower {
    /// The answer, when the leader has it; `None`: it failed, or may not keep it, so look in the cache. `now`: the age of
    /// the answer is reckoned from it.
    pub async fn wait(self, now: Timestamp) -> Option<Hit> {
        match self.0 {
            Behind::Here { mut told, ttl } => {
                let entry = told.wait_for(Option::is_some).await.ok()?.clone()?;
                Some(Hit::new(Entry::clone(&entry), CacheHit::Memory, ttl, now))
            }
            Behind::Elsewhere {
                seat,
                over,
                cache,
                leases,
            } => {
                over.await;
                // Found out there, it is put here as well, and then the leases end.
                let hit = cache.get(seat.digest, now).await?;
                drop(leases);
                seat.told.send_replace(Some(Arc::new(hit.entry.clone())));
                Some(hit)
            }
        }
    }
}

impl Cache {
    /// Decides who fetches the answer to a question that is not in the cache. Waits no longer than a look-up does.
    pub async fn join(&self, digest: Digest) -> Flight {
        let seat = match self.flights.sit_down(digest) {
            Ok(seat) => seat,
            Err(told) => {
                return Flight::Follow(Follower(Behind::Here {
                    told,
                    ttl: self.ttl,
                }));
            }
        };
        let mut leases = Vec::new();
        let waiting = self.waiting.clone().unwrap_or_default();
        for tier in self.tiers.iter() {
            match tier.lease(digest, &waiting).await {
                Lease::Unknown => {}
                Lease::Lead(lease) => leases.push(lease),
                Lease::Follow(over) => {
                    // Whoever has waited for an answer has not waited for Redis: they look for it with patience of its own.
                    let cache = Self {
                        waiting: None,
                        ..self.clone()
                    };
                    return Flight::Follow(Follower(Behind::Elsewhere {
                        seat,
                        over,
                        cache,
                        leases,
                    }));
                }
            }
        }
        Flight::Lead(LeadGuard {
            seat,
            cache: self.clone(),
            _leases: leases,
        })
    }
}

impl Flights {
    /// The seat if it is free, else what its holder tells.
    fn sit_down(self: &Arc<Self>, digest: Digest) -> Result<Seat, watch::Receiver<Told>> {
        let mut flying = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = flying.get(&digest) {
            return Err(told.clone());
        }
        let (told, receiver) = watch::channel(None);
        flying.insert(digest, receiver);
        Ok(Seat {
            flights: Arc::clone(self),
            digest,
            told,
        })
    }
}
