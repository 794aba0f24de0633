//! The nouns: plain data that every room speaks.
//!
//! Owns: identifiers, money, messages, requests, replies, usage, time and the text sanitiser.
//! Refuses: input and output of any kind, and every import from another room of this crate.
//! Invariant: a value of these types is valid by construction; nothing here can block, fail on I/O or panic.

pub(crate) mod failure;
pub(crate) mod fingerprint;
pub mod id;
pub(crate) mod message;
pub(crate) mod money;
pub(crate) mod random;
pub(crate) mod reply;
pub mod request;
pub(crate) mod scope;
pub(crate) mod text;
pub(crate) mod tier;
pub(crate) mod time;
pub(crate) mod usage;

pub use failure::{Failure, FailureKind};
pub(crate) use fingerprint::fingerprint;
pub use id::{MessageId, ModelId, Selection, SessionId};
pub use message::{Message, Role};
pub use money::{Cost, CostKind, Usd};
pub use random::Random;
pub use reply::{Delta, Finish, Reply};
pub(crate) use request::Effort;
pub use request::{Overflow, Params, Request};
pub use scope::Scope;
pub(crate) use text::{SafeText, Sanitiser};
pub(crate) use tier::ServiceTier;
pub use time::{Clock, Timestamp};
pub(crate) use time::{Uptime, span};
pub use usage::Usage;
pub(crate) use usage::UsageSource;
