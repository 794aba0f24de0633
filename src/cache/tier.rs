//! What the cache needs from each place that keeps answers.
//!
//! Owns: [`Tier`], what every place must be able to do, and the figures it can be asked for.
//! Refuses: to know an answer; a tier carries bytes, [`super::CachedAnswer`] reads and checks them.
//! Invariant: fails open. A tier has no errors: what goes wrong is a miss, and a sentence in [`Tier::trouble`].

use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chat::request::Digest;
use crate::protocol::CacheHit;
use crate::redis::Waiting;

/// An entry as it is carried and kept. See [`super::CachedAnswer::encode`].
pub type Bytes = Arc<[u8]>;

/// What an asynchronous method of a tier gives. Dropping it cancels the wait, and nothing else.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place where answers are kept, under the digest of the request.
pub trait Tier: Send + Sync {
    /// What a hit here is called.
    fn name(&self) -> CacheHit;

    /// The newest bytes kept under this digest. Waits as long as the tier thinks right, which must be short; for a tier of
    /// several machines all calls with one `waiting` count together.
    fn get<'a>(&'a self, digest: Digest, waiting: &'a Waiting) -> Later<'a, Option<Bytes>>;

    /// Adds a version; it is the newest from now on. Returns at once, the work goes on behind.
    fn put(&self, digest: Digest, bytes: &Bytes);

    /// Forgets every version. Returns at once.
    fn remove(&self, digest: Digest);

    /// What went wrong since the last call, in words for the user; each trouble is told once.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Waits, for a short while, until everything that was put is where it belongs.
    fn close(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }

    /// Asks whether another process or machine is fetching this answer right now.
    fn lease<'a>(&'a self, digest: Digest, waiting: &'a Waiting) -> Later<'a, Lease> {
        let _ = (digest, waiting);
        Box::pin(async { Lease::Unknown })
    }

    /// How full it is.
    fn figures(&self) -> Later<'_, TierFigures>;

    /// Forgets everything; of what others can see, only what this user's secret opens. `None`: it could not be reached.
    fn clear(&self) -> Later<'_, Option<Freed>>;

    /// Reads every entry and removes those that are damaged. `None`: it could not be reached, or it checks each entry
    /// whenever it is read.
    fn verify(&self) -> Later<'_, Option<Verified>> {
        Box::pin(async { None })
    }
}

/// Who fetches an answer.
pub enum Lease {
    /// The tier cannot tell, or is away: go ahead.
    Unknown,
    /// It is for the asker to fetch. Dropping the guard lets the next one.
    Lead(Box<dyn Send + Sync>),
    /// Another one fetches it; this ends when that one has put it, failed, or died.
    Follow(Later<'static, ()>),
}

/// How full a tier is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierFigures {
    pub(crate) tier: CacheHit,
    /// Entries kept; `None`: not known.
    pub entries: Option<u64>,
    /// Bytes of the entries.
    pub live_bytes: Option<u64>,
    /// Bytes they take up where they lie; for memory the same.
    pub kept_bytes: Option<u64>,
    /// What the user allows.
    pub(crate) limit_bytes: Option<u64>,
    /// The process that holds it, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its state in a few words, such as why it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl TierFigures {
    /// Nothing known yet.
    pub fn of(tier: CacheHit) -> Self {
        Self {
            tier,
            entries: None,
            live_bytes: None,
            kept_bytes: None,
            limit_bytes: None,
            owner: None,
            note: None,
        }
    }
}

/// The process that holds a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: u32,
    pub(crate) uptime_s: u64,
    /// Processes connected to it now.
    pub clients: u64,
}

/// What clearing gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Freed {
    pub(crate) entries: u64,
    /// Bytes on disk, or in memory; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
}

/// What reading every entry found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verified {
    pub(crate) good: u64,
    /// Removed, because they were damaged, incomplete, or of another version of the program.
    pub(crate) removed: u64,
}
