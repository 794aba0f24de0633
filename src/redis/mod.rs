//! What machines share: one Redis, asked in a hurry and trusted with nothing.
//!
//! Owns: the connection and its time limits, the circuit that keeps a broken server out of the way, the seal of what lies
//! there, the cool-downs that machines tell each other, and the claims of what one of them does for all.
//! Refuses: to be waited for; what a request can do without, it does without after [`PATIENCE`].
//! Invariant: nothing read from there is believed unless it is sealed or is only about waiting; the money of a group is
//! booked in the ledger of each machine, and Redis holds no more than the shares of each (`budget::shared`).

mod claims;
mod connection;
mod cooldowns;
mod failure;
mod gate;
mod open;
mod seal;
mod sweep;
mod waiting;

pub use claims::{Claim, Claimed, Foreign};
pub use connection::{PATIENCE, Redis, Settings};
pub use cooldowns::{Cooldowns, Cooling, LONGEST, Told};
pub use failure::Away;
pub use open::Roots;
pub use seal::Seal;
pub use sweep::Swept;
pub use waiting::Waiting;
