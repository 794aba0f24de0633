//! What machines share: one Redis, with a limit on every wait, and not trusted.
//!
//! Owns: the connection and its time limits, the circuit breaker, the seal of shared answers, the cool-downs that machines
//! share, and the claims of work that one machine does for all.
//! Refuses: to hold a request up; it goes on without optional data after [`PATIENCE`].
//! Invariant: nothing read from Redis is used unless it is sealed or only concerns waiting. The money of a group is booked
//! in the ledger of each machine; Redis has only the leases (`budget::GroupBudget`).

mod claims;
mod connection;
mod cooldowns;
mod failure;
mod gate;
mod open;
mod seal;
mod settings;
mod sweep;
mod waiting;

pub(crate) use claims::{Claim, Claimed, Foreign};
pub use connection::Redis;
pub use cooldowns::{Cooldowns, Cooling};
pub(crate) use cooldowns::{LONGEST, PeerReport};
pub use failure::Away;
pub use seal::Seal;
pub use settings::{PATIENCE, RedisSettings};
pub(crate) use sweep::sweep;
pub use waiting::Waiting;
