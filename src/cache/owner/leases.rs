//! Which client fetches which answer.
//!
//! Owns: one holder for each digest, and those who wait for it.
//! Refuses: time; a lease ends with its holder's word or its connection.
//! Invariant: every waiting client is told when the lease ends, in whatever way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::cache::frame::OwnerReply;
use crate::chat::request::Digest;

/// Waiters for one answer; one more is told nothing and goes ahead by itself.
const WAITERS: usize = 1024;
/// Leases at a time; beyond that every client fetches for itself.
const LEASES: usize = 4096;

/// A client: its number, and the way to it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) number: u64,
    pub(super) frames: mpsc::Sender<Vec<u8>>,
}

struct ClientLease {
    holder: u64,
    /// The client, and the id of its question.
    waiting: Vec<(mpsc::Sender<Vec<u8>>, u64)>,
}

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<Digest, ClientLease>>);

impl Leases {
    /// What the client is told at once.
    pub(super) fn join(&self, digest: Digest, client: &Client, id: u64) -> OwnerReply {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = leases.get_mut(&digest) {
            if lease.waiting.len() >= WAITERS {
                return OwnerReply::Missing;
            }
            lease.waiting.push((client.frames.clone(), id));
            return OwnerReply::Follow;
        }
        if leases.len() >= LEASES {
            return OwnerReply::Missing;
        }
        leases.insert(
            digest,
            ClientLease {
                holder: client.number,
                waiting: Vec::new(),
            },
        );
        OwnerReply::Lead
    }

    /// The holder is done with it.
    pub(super) fn leave(&self, digest: Digest, client: &Client) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leases
            .get(&digest)
            .is_some_and(|lease| lease.holder == client.number)
        {
            wake(leases.remove(&digest));
        }
    }

    /// The holder is gone.
    pub(super) fn gone(&self, client: &Client) {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|_, lease| {
            lease
                .waiting
                .retain(|(frames, _)| !frames.same_channel(&client.frames));
            lease.holder != client.number || {
                wake(Some(std::mem::replace(
                    lease,
                    ClientLease {
                        holder: 0,
                        waiting: Vec::new(),
                    },
                )));
                false
            }
        });
    }
}

fn wake(lease: Option<ClientLease>) {
    for (frames, id) in lease.into_iter().flat_map(|lease| lease.waiting) {
        // A client that does not read its frames is about to be disconnected, which ends its wait too.
        let _ = frames.try_send(OwnerReply::Over.frame(id));
    }
}
