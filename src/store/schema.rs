//! The shape of chat.db and how an older one is brought up to it.
//!
//! Owns: the marks that make the file ours, the formats, the steps between them.
//! Refuses: a file of another program, a newer format, and a change in several commits.
//! Invariant: after `bring_up` the file has exactly the newest format, also when several processes did the same at once.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::StoreError;

/// `chat` in ASCII: tells `file` and us whose database this is.
const APPLICATION: i64 = 0x6368_6174;
/// Step n leads from format n to format n + 1.
const STEPS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];
/// The format this version writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful")]
pub(super) const FORMAT: i64 = STEPS.len() as i64;

/// Checks whose file this is and takes the steps that are missing, in one commit.
pub(super) fn bring_up(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    if look(conn, path)? {
        return Ok(());
    }
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    // Another process may have been quicker while we waited for the lock.
    if !is_current(&tx, path)? {
        let found = usize::try_from(number(&tx, "user_version")?).unwrap_or_default();
        for step in STEPS.iter().skip(found) {
            tx.execute_batch(step)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(tx.commit()?)
}

/// Refuses a file that is not ours or too new, before anything is changed. Says whether it has the newest format.
pub(super) fn look(conn: &Connection, path: &Path) -> Result<bool, StoreError> {
    // In one snapshot: another process may just be making the file.
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Deferred)?;
    is_current(&tx, path)
}

fn is_current(conn: &Connection, path: &Path) -> Result<bool, StoreError> {
    let (application, found) = (
        number(conn, "application_id")?,
        number(conn, "user_version")?,
    );
    if application == APPLICATION {
        return match found {
            FORMAT => Ok(true),
            1.. if found < FORMAT => Ok(false),
            _ if found > FORMAT => Err(StoreError::Newer {
                found,
                known: FORMAT,
            }),
            _ => Err(StoreError::Damaged(format!("format {found}"))),
        };
    }
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && found == 0 && tables == 0 {
        Ok(false)
    } else {
        Err(StoreError::Foreign(path.to_owned()))
    }
}

fn number(conn: &Connection, pragma: &str) -> Result<i64, StoreError> {
    Ok(conn.pragma_query_value(None, pragma, |row| row.get(0))?)
}
