//! Whether chat.db is whole.
//!
//! Owns: [`check`].
//! Refuses: repairs.
//! Invariant: nothing is written.

use super::{Db, ScopeSums, StoreError};

/// Reads the whole file and reports the first thing that does not fit together: pages, indexes, sums of money.
pub fn check(db: &Db) -> Result<(), StoreError> {
    let found: String = db
        .conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        ScopeSums(db).check_totals()
    } else {
        Err(StoreError::Damaged(found))
    }
}
