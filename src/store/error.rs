//! What can go wrong with the store, each with a cause and a hint.
//!
//! Owns: [`StoreError`], and the reading of SQLite's codes into it.
//! Refuses: to hide an error by making the file anew or by going on without it.
//! Invariant: a message is one line and holds no text of a chat and no key.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::chat::{Failure, FailureKind};

/// The store could not do what was asked; nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} - {}", self.cause(), self.hint())]
pub enum StoreError {
    /// Another process held the lock for longer than we wait.
    Locked,
    /// The disk is full.
    Full,
    /// The file may not be written to.
    ReadOnly(PathBuf),
    /// Not a database, or one whose pages do not fit together.
    Damaged(String),
    /// A sound database that belongs to another program.
    Foreign(PathBuf),
    /// The path holds a folder, a link, a pipe.
    NotAFile(PathBuf),
    /// Written by a newer version of this program.
    Newer {
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The folder or file cannot be made, opened, read or written.
    Io(String),
    /// An amount of money outside what the ledger can hold exactly.
    Money,
    /// No chat has this id.
    NoSession(String),
    /// The start of an id fits this many chats.
    AmbiguousSession(String, usize),
    /// No message has this id.
    NoMessage(String),
    /// The answer is no longer streaming.
    NotStreaming(String),
    /// No charge has this id.
    NoCharge(String),
    /// Settled or released before.
    NotOpen(String),
    /// The row breaks a rule of the schema: an id used twice, a parent that does not exist.
    Rule(String),
    /// The caller cancelled the write.
    GivenUp,
    /// The thread that owns the connection has ended.
    Closed,
}

impl StoreError {
    /// What happened.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Locked => "another program has kept chat.db locked for five seconds".to_owned(),
            Self::Full => "the disk that holds chat.db is full".to_owned(),
            Self::ReadOnly(path) => format!("{} cannot be written to", path.display()),
            Self::Damaged(what) => format!("chat.db is damaged or no database ({what})"),
            Self::Foreign(path) => format!("{} is the database of another program", path.display()),
            Self::NotAFile(path) => format!("{} is not a regular file", path.display()),
            Self::Newer { found, known } => {
                format!("chat.db has format {found}, and this version knows formats up to {known}")
            }
            Self::Io(what) => format!("chat.db cannot be used: {what}"),
            Self::Money => "an amount of money is negative or too large for the ledger".to_owned(),
            Self::NoSession(id) => format!("no chat has the id {id:?}"),
            Self::AmbiguousSession(id, n) => {
                format!("{n} chats have an id that starts with {id:?}")
            }
            Self::NoMessage(id) => format!("no message of this chat has the id {id:?}"),
            Self::NotStreaming(id) => format!("answer {id:?} has ended or never began"),
            Self::NoCharge(id) => format!("the ledger has no charge {id:?}"),
            Self::NotOpen(id) => format!("charge {id:?} was settled or released before"),
            Self::Rule(what) => format!("chat.db refused a row: {what}"),
            Self::GivenUp => "it was stopped before it could be written".to_owned(),
            Self::Closed => "the store has been closed".to_owned(),
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Locked => "end whatever holds it (a backup, a database browser) and try again",
            Self::Full => "free some space and try again; nothing was lost",
            Self::ReadOnly(_) => {
                "make it writable for you, or choose another folder with --data-dir"
            }
            Self::Damaged(_) => {
                "nothing was changed; put back a backup or move chat.db* aside, or choose another folder with --data-dir"
            }
            Self::Foreign(_) | Self::NotAFile(_) => {
                "nothing was changed; move it aside or choose another folder with --data-dir"
            }
            Self::Newer { .. } => {
                "install the newer version again, or choose another folder with --data-dir"
            }
            Self::Io(_) => {
                "check the folder, its rights and the room on its disk, or choose another one with --data-dir"
            }
            Self::Money => "check the prices in [[models]]",
            Self::NoSession(_) => "`chat-agent sessions list` shows the ids",
            Self::AmbiguousSession(..) => "type more of it",
            Self::NoMessage(_) => "open the chat again to see its messages",
            Self::NotStreaming(_) | Self::Rule(_) => {
                "this is a fault of the program; please report it"
            }
            Self::NoCharge(_) | Self::NotOpen(_) => "`chat-agent budget show` lists the open ones",
            Self::GivenUp => "ask again",
            Self::Closed => "start the program again",
        }
    }

    /// A damaged cell, named by where it stood.
    pub(super) fn cell(what: &str) -> Self {
        Self::Damaged(format!("an unreadable {what}"))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match &error {
            E::SqliteFailure(code, text) => {
                let text = text.clone().unwrap_or_else(|| code.to_string());
                match code.code {
                    ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::FileLockingProtocolFailed => Self::Locked,
                    ErrorCode::DiskFull => Self::Full,
                    ErrorCode::ReadOnly => Self::ReadOnly(PathBuf::from("chat.db")),
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged(text),
                    // A sum that leaves the range of integers becomes a float, and the ledger takes none.
                    _ if text.contains("integer overflow")
                        || text.contains("cannot store REAL value") =>
                    {
                        Self::Money
                    }
                    ErrorCode::ConstraintViolation => Self::Rule(text),
                    _ => Self::Io(text),
                }
            }
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..) => Self::cell("cell"),
            _ => Self::Io(error.to_string()),
        }
    }
}

/// A name that leads to no chat is the user's mistake, not the store's.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::NoSession(_) | StoreError::AmbiguousSession(..) => FailureKind::Usage,
            _ => FailureKind::Storage,
        };
        Self::new(kind, error.cause()).hint(error.hint())
    }
}
