//! What leasing gives: a lease that was granted, and the figures of a group.
//!
//! Owns: [`Grant`] and [`GroupFigures`].
//! Refuses: to talk to Redis.
//! Invariant: a grant counts from the commit on in which [`Grant::record`] writes it.

use crate::chat::Usd;
use crate::store::{Allowance, Db, GroupLeases, StoreError};

/// At most one such part of a limit is leased at a time.
pub(super) const SLICES: i64 = 64;
/// A lease covers this many requests like the last one.
pub(super) const REQUESTS: i64 = 4;

/// A lease that Redis has granted; it counts from [`Grant::record`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(super) id: String,
    pub(super) nano: i64,
    pub(super) epoch: String,
}

impl Grant {
    /// Writes it to the ledger, in the commit that spends from it. Does nothing if it was given up in the meantime.
    pub fn record(&self, db: &Db) -> Result<(), StoreError> {
        GroupLeases(db)
            .record_lease(&self.id, self.nano, &self.epoch)
            .map(drop)
    }
}

/// What a group has leased, according to Redis and to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupFigures {
    /// What all machines have leased, according to Redis.
    pub(crate) day: Usd,
    pub(crate) month: Usd,
    /// The part of the other machines.
    pub(crate) others: Allowance,
    /// What this machine has leased this month: according to Redis, and to its own ledger.
    pub(crate) mine_in_redis: Usd,
    pub(crate) mine_in_ledger: Usd,
    /// Known machines that have not reported since Redis lost its memory or was started again.
    pub(crate) silent: Vec<String>,
}

pub(super) fn usd(nano: i64) -> Usd {
    Usd::from_pico(i128::from(nano) * 1000)
}
