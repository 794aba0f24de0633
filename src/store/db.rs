//! The connection: how chat.db is found, made, opened and written to.
//!
//! Owns: [`Db`]: rights, settings, transactions, and the table of small values that outlive a process (`remembered`).
//! Refuses: to replace a file that it cannot read; to follow a link.
//! Invariant: each method of `Db` and of its views is all or nothing, by itself and inside a larger [`Db::write`].

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cells::json;
use super::{StoreError, owner, schema};

/// The name of the file inside the data folder.
pub(crate) const FILE: &str = "chat.db";
/// The length of the smallest database there is: one page of the smallest size.
const SMALLEST: u64 = 512;
/// Pages of the log after which it is folded into the file: about ten questions.
const LONGEST_LOG: u32 = 250;
/// How long a lock of another process is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Statements that stay prepared: more than a question needs. With fewer (16 by default) each is prepared again for every
/// question, which takes longer than running it.
const STATEMENTS: usize = 256;

/// One connection to chat.db. What is read and written over it stands in a view for each subject, such as
/// [`super::Ledger`] and [`super::ChatLog`]: `Ledger(db).settle(..)`.
pub struct Db {
    pub(super) conn: Connection,
    /// This process, as written into the answers it streams.
    pub(super) owner: String,
    /// How many `write`s are under way, one inside the other.
    depth: Cell<u32>,
}

impl Db {
    /// Opens chat.db in this folder. Both are made when they are missing: the folder for the user alone (0700), the
    /// file too (0600).
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        prepare(folder, &path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&path, flags).map_err(|e| at(&path, e.into()))?;
        settle_in(&conn, &path).map_err(|e| at(&path, e))?;
        Ok(Self {
            conn,
            owner: owner::this_process(),
            depth: Cell::new(0),
        })
    }

    /// Runs `f` in one transaction that is synced to disk before this returns: all of it, or nothing when `f` fails.
    /// Inside another `write`, `f` becomes a part of that one.
    pub fn write<T>(
        &self,
        f: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _inside = Inside::enter(&self.depth);
        if self.conn.is_autocommit() {
            let whole = || {
                let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
                let out = f(self)?;
                tx.commit()?;
                Ok(out)
            };
            return whole().map_err(|error| at(Path::new(self.conn.path().unwrap_or(FILE)), error));
        }
        let point = format!("part{}", self.depth.get());
        self.conn.execute_batch(&format!("SAVEPOINT {point}"))?;
        let out = f(self);
        if out.is_err() {
            self.conn.execute_batch(&format!("ROLLBACK TO {point}"))?;
        }
        self.conn.execute_batch(&format!("RELEASE {point}"))?;
        out
    }

    /// As [`Self::write`], but without waiting for the disk: it survives the death of this process, not a power cut.
    pub(super) fn write_soon<T>(
        &self,
        f: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !self.conn.is_autocommit() {
            return self.write(f);
        }
        self.conn.execute_batch("PRAGMA synchronous = NORMAL")?;
        let out = self.write(f);
        self.conn.execute_batch("PRAGMA synchronous = FULL")?;
        out
    }

    /// The value of this name; `None` before the first.
    pub(crate) fn remembered<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let sql = "SELECT value FROM remembered WHERE name = ?1";
        let text: Option<String> = self
            .conn
            .prepare_cached(sql)?
            .query_row([name], |row| row.get(0))
            .optional()?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Gives the name this value.
    pub(crate) fn remember<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        let sql = "INSERT INTO remembered (name, value) VALUES (?1, ?2)
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        let value = json(value)?;
        self.write(|db| {
            Ok(db
                .conn
                .prepare_cached(sql)?
                .execute(params![name, value])
                .map(drop)?)
        })
    }
}

/// Counts the writes under way, also when a panic leaves one of them.
struct Inside<'a>(&'a Cell<u32>);

impl<'a> Inside<'a> {
    fn enter(depth: &'a Cell<u32>) -> Self {
        depth.set(depth.get() + 1);
        Self(depth)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Makes folder and file if need be, and takes other users' rights to the file away.
fn prepare(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly(path.to_owned())
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(format!("{}: {error}", path.display())),
    };
    if !folder.is_dir() {
        make_folder(folder).map_err(io)?;
    }
    // Checked before the file: a process that makes a new one writes to the file first and then to the log.
    let log = fs::metadata(folder.join(format!("{FILE}-wal"))).is_ok_and(|log| log.len() > 0);
    if log && !path.exists() {
        return Err(orphaned());
    }
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    let found = fs::symlink_metadata(path).map_err(io)?;
    if !found.is_file() {
        return Err(StoreError::NotAFile(path.to_owned()));
    }
    if found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(io)?;
    }
    // SQLite takes whatever is shorter than a page for an empty database and would write over it.
    match found.len() {
        0 if log => Err(orphaned()),
        1..SMALLEST => Err(StoreError::Damaged(format!(
            "it holds only {} bytes",
            found.len()
        ))),
        _ => Ok(()),
    }
}

/// Makes the folder and those above it, and syncs their names to disk. SQLite does so for the files inside.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.exists())
        .collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    for parent in missing.iter().filter_map(|path| path.parent()) {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn orphaned() -> StoreError {
    StoreError::Damaged(format!(
        "it is missing or empty, but its log {FILE}-wal is not"
    ))
}

pub(super) fn settle_in(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    conn.busy_timeout(PATIENCE)?;
    if conn.is_readonly("main")? {
        return Err(StoreError::ReadOnly(path.to_owned()));
    }
    // Pages for a rollback to a savepoint stay in memory; otherwise they would go to the system's folder for temporary
    // files.
    conn.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;",
    )?;
    // Check whose file it is before the first change to it.
    schema::look(conn, path)?;
    enter_wal(conn)?;
    // The log is folded into the file while writing, not at the end, where a single question would wait for the disk
    // once more. It is kept short because the first process that opens it reads all of it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    schema::bring_up(conn, path)
}

/// Turns write-ahead logging on. When two processes do so at once, SQLite refuses one of them without waiting.
fn enter_wal(conn: &Connection) -> Result<(), StoreError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mode = conn.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        match mode.map_err(StoreError::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(StoreError::Io(format!(
                    "this disk allows no write-ahead log, only {mode:?}"
                )));
            }
            Err(StoreError::Locked) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Puts the full path into an error that knows only the file. A full disk causes many different errors, so a disk
/// without free blocks is taken for the cause.
fn at(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::ReadOnly(_) => StoreError::ReadOnly(PathBuf::from(path)),
        StoreError::Io(_) if rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail == 0) => {
            StoreError::Full
        }
        other => other,
    }
}
