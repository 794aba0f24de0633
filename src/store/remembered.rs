//! Small states that outlive a process.
//!
//! Owns: one JSON value for each name.
//! Refuses: anything that must never be lost, and anything that grows.
//! Invariant: a value that cannot be read any more is as good as none; it is written anew the next time.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cells::json;
use super::{Db, StoreError};

impl Db {
    /// The value of this name; `None` before the first.
    pub fn remembered<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let sql = "SELECT value FROM remembered WHERE name = ?1";
        let text: Option<String> = self
            .conn
            .prepare_cached(sql)?
            .query_row([name], |row| row.get(0))
            .optional()?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Gives the name this value.
    pub fn remember<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
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
