//! The nouns: plain data that every room speaks.
//!
//! Owns: identifiers, money, messages, requests, replies, usage, time and the text sanitiser.
//! Refuses: input and output of any kind, and every import from another room of this crate.
//! Invariant: a value of these types is valid by construction; nothing here can block, fail on I/O or panic.

pub mod failure;
pub mod fingerprint;
pub mod id;
pub mod message;
pub mod money;
pub mod random;
pub mod reply;
pub mod request;
pub mod scope;
pub mod text;
pub mod tier;
pub mod time;
pub mod usage;

pub use failure::{Failure, FailureKind};
pub use fingerprint::fingerprint;
pub use id::{MessageId, ModelId, Selection, SessionId};
pub use message::{Message, Role};
pub use money::{Cost, CostKind, Usd};
pub use random::Random;
pub use reply::{Delta, Finish, Reply};
pub use request::{Effort, Overflow, Params, Request};
pub use scope::Scope;
pub use text::{SafeText, Sanitiser};
pub use tier::ServiceTier;
pub use time::{Clock, Timestamp, Uptime, span};
pub use usage::{Usage, UsageSource};
