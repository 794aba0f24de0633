//! Which client fetches which answer.
//!
//! Owns: one holder for each digest, and those who wait for it.
//! Refuses: time; a lease ends with its holder's word or its connection.
//! Invariant: whoever waits is told when the lease ends, in whatever way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use super::super::frame::Answer;
use crate::chat::request::Digest;

/// Waiters for one answer; one more is told nothing and goes ahead by itself.
const WAITERS: usize = 1024;
/// Answers under way; for more of them nobody leads.
const LEASES: usize = 4096;

/// A client: its number, and the way to it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) number: u64,
    pub(super) frames: mpsc::Sender<Vec<u8>>,
}

struct Lease {
    holder: u64,
    /// The client, and the id of its question.
    waiting: Vec<(mpsc::Sender<Vec<u8>>, u64)>,
}

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<Digest, Lease>>);

impl Leases {
    /// What the client is told at once.
    pub(super) fn join(&self, digest: Digest, client: &Client, id: u64) -> Answer {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = leases.get_mut(&digest) {
            if lease.waiting.len() >= WAITERS {
                return Answer::Missing;
            }
            lease.waiting.push((client.frames.clone(), id));
            return Answer::Follow;
        }
        if leases.len() >= LEASES {
            return Answer::Missing;
        }
        leases.insert(
            digest,
            Lease {
                holder: client.number,
                waiting: Vec::new(),
            },
        );
        Answer::Lead
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
                    Lease {
                        holder: 0,
                        waiting: Vec::new(),
                    },
                )));
                false
            }
        });
    }
}

fn wake(lease: Option<Lease>) {
    for (frames, id) in lease.into_iter().flat_map(|lease| lease.waiting) {
        // Who does not read its frames is about to be turned out, and that ends its waiting too.
        let _ = frames.try_send(Answer::Over.frame(id));
    }
}
