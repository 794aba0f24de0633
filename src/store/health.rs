//! Whether a model's server works: the requests of the last minutes, and how many of them it failed.
//!
//! Owns: the mark on a charge whose request failed by the server's fault, and the count of such.
//! Refuses: to judge; the caller decides what is a fault of the server, and `router` what follows from it.
//! Invariant: requests under way are not counted; a look reads a bounded number of rows.

use std::time::Duration;

use rusqlite::params;

use super::{Db, StoreError};
use crate::chat::id::AttemptId;
use crate::chat::{ModelId, Timestamp};

/// How far back a failure matters.
const RECENT: Duration = Duration::from_mins(10);
/// Requests looked at.
const REQUESTS: i64 = 20;

/// The last requests to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Health {
    pub(crate) requests: u64,
    /// How many of them the server failed.
    pub(crate) failed: u64,
}

/// How servers did their work.
pub(crate) struct ServerHealth<'a>(pub &'a Db);

impl ServerHealth<'_> {
    /// Marks an attempt as failed by the server's fault. Call it inside the [`Db::write`] that closes its charge.
    pub(crate) fn blame_server(&self, attempt: &AttemptId) -> Result<(), StoreError> {
        self.0
            .conn
            .prepare_cached("UPDATE charges SET server_failed = 1 WHERE attempt = ?1")?
            .execute([attempt.as_str()])?;
        Ok(())
    }

    /// How the last requests to a model went: at most 20, from the last 10 minutes.
    pub(crate) fn health(&self, model: &ModelId, now: Timestamp) -> Result<Health, StoreError> {
        let since = now
            .0
            .saturating_sub(i64::try_from(RECENT.as_millis()).unwrap_or(i64::MAX));
        let sql = "SELECT count(*), coalesce(sum(server_failed), 0) FROM (
                     SELECT server_failed FROM charges
                     WHERE model = ?1 AND taken_at > ?2 AND state <> 'held' ORDER BY taken_at DESC LIMIT ?3)";
        Ok(self.0.conn.prepare_cached(sql)?.query_row(
            params![model.to_string(), since, REQUESTS],
            |row| {
                Ok(Health {
                    requests: row.get::<_, u32>(0)?.into(),
                    failed: row.get::<_, u32>(1)?.into(),
                })
            },
        )?)
    }
}
