//! Chats as a list: titles, drafts, deletion, and the prompts of all of them.
//!
//! Owns: the rows of `sessions`.
//! Refuses: asking a model for a title; money (a chat that is deleted keeps its charges in the ledger).
//! Invariant: a chat without a message is a draft and is never listed.

use rusqlite::{Row, params};
use unicode_segmentation::UnicodeSegmentation;

use super::cells::{json, unsigned, usd};
use super::{Db, StoreError, owner};
use crate::chat::{Effort, Selection, SessionId, Timestamp};
use crate::protocol::SessionRow;

/// The longest title made here, in characters.
const TITLE: usize = 60;

/// What a chat is asked with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatSetting {
    /// A pinned model, or `auto`.
    pub selection: Selection,
    /// How hard the model reasons.
    pub effort: Option<Effort>,
    /// The system message.
    pub system: Option<String>,
}

/// Whether the program that left this mark still runs.
fn is_being_written(mark: Option<&str>) -> bool {
    mark.is_some_and(|mark| owner::life(mark) == owner::Life::Alive)
}

/// A title from a prompt: its first line that says something, at most 60 characters, cut between graphemes.
pub(crate) fn title_of(prompt: &str) -> String {
    let line = prompt
        .lines()
        .find(|line| line.chars().any(|c| !c.is_whitespace() && !c.is_control()));
    let clean: String = line
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if clean.chars().count() <= TITLE {
        return clean;
    }
    let mut room = TITLE - 1;
    let kept = clean.graphemes(true).take_while(|grapheme| {
        let length = grapheme.chars().count();
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    });
    format!("{}…", kept.collect::<String>().trim_end())
}

/// The columns of a [`SessionRow`], for a query over `sessions`.
pub(super) const ROW: &str = "sessions.id, sessions.title, sessions.updated,
    (SELECT count(*) FROM messages WHERE messages.session = sessions.id),
    (SELECT coalesce(sum(settled + reserved), 0) FROM totals WHERE scope = 'session' AND place = sessions.id),
    (SELECT coalesce(sum(estimated + (reserved > 0)), 0) > 0 FROM totals WHERE scope = 'session' AND place = sessions.id),
    (SELECT coalesce(sum(unknown), 0) > 0 FROM totals WHERE scope = 'session' AND place = sessions.id)";

pub(super) fn session_row(
    row: &Row<'_>,
    snippet: Option<String>,
) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: SessionId::from_text(row.get::<_, String>(0)?),
        title: row.get(1)?,
        at: Timestamp(row.get(2)?),
        messages: unsigned(row.get(3)?),
        cost: usd(row.get(4)?),
        estimated: row.get(5)?,
        unknown: row.get(6)?,
        snippet,
    })
}

/// The rows of `sessions`.
pub struct ChatList<'a>(pub &'a Db);

impl ChatList<'_> {
    /// The chats last used, newest first. `cost` counts what is still reserved as spent.
    pub fn list_sessions(&self, limit: usize) -> Result<Vec<SessionRow>, StoreError> {
        let sql = format!(
            "SELECT {ROW} FROM sessions WHERE EXISTS (SELECT 1 FROM messages WHERE session = sessions.id)
             ORDER BY updated DESC, seq DESC LIMIT ?1"
        );
        let mut query = self.0.conn.prepare_cached(&sql)?;
        query
            .query_and_then([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                session_row(row, None)
            })?
            .collect()
    }

    /// The chat last used.
    pub(crate) fn latest_session(&self) -> Result<Option<SessionId>, StoreError> {
        Ok(self.list_sessions(1)?.pop().map(|row| row.id))
    }

    /// The chat whose id this is, or the only one whose id starts so.
    pub(crate) fn find_session(&self, prefix: &str) -> Result<SessionId, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT id FROM sessions WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id <> ?1, id",
        )?;
        let ids = query
            .query_map([prefix], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        match ids.as_slice() {
            _ if prefix.is_empty() => Err(StoreError::NoSession(String::new())),
            [] => Err(StoreError::NoSession(prefix.to_owned())),
            [first, ..] if first == prefix => Ok(SessionId::from_text(first)),
            [only] => Ok(SessionId::from_text(only)),
            many => Err(StoreError::AmbiguousSession(prefix.to_owned(), many.len())),
        }
    }

    pub(crate) fn rename_session(&self, id: &SessionId, title: &str) -> Result<(), StoreError> {
        let rows = self.0.write(|db| {
            Ok(db
                .conn
                .prepare_cached("UPDATE sessions SET title = ?2 WHERE id = ?1")?
                .execute([id.as_str(), title])?)
        })?;
        some(rows, id)
    }

    /// Erases the words of a chat. What it cost stays in the ledger: deleting gives no money back.
    pub(crate) fn delete_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let rows = self.0.write(|db| {
            db.conn.execute(
                "UPDATE sessions SET head = NULL WHERE id = ?1",
                [id.as_str()],
            )?;
            Ok(db
                .conn
                .execute("DELETE FROM sessions WHERE id = ?1", [id.as_str()])?)
        })?;
        some(rows, id)
    }

    /// Sets what the next turns of this chat are asked with. Does nothing for a chat that is not stored yet.
    pub(crate) fn set_setting(
        &self,
        id: &SessionId,
        setting: &ChatSetting,
    ) -> Result<(), StoreError> {
        let selection = json(&setting.selection)?;
        self.0.write(|db| {
            db.conn
                .prepare_cached(
                    "UPDATE sessions SET selection = ?2, effort = ?3, system = ?4 WHERE id = ?1",
                )?
                .execute(params![
                    id.as_str(),
                    selection,
                    setting.effort.map(Effort::as_str),
                    setting.system
                ])?;
            Ok(())
        })
    }

    /// Keeps a draft, or deletes it when it is empty. It survives the death of this process, not a power cut.
    pub(crate) fn save_draft(
        &self,
        id: &SessionId,
        setting: &ChatSetting,
        draft: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.write_soon(|db| {
            if draft.is_empty() {
                db.conn
                    .prepare_cached(
                        "DELETE FROM sessions WHERE id = ?1
                         AND NOT EXISTS (SELECT 1 FROM messages WHERE session = sessions.id)",
                    )?
                    .execute([id.as_str()])?;
            } else {
                ChatList(db).upsert_session(id, setting, "", at)?;
            }
            db.conn
                .prepare_cached(
                    "UPDATE sessions SET draft = ?2, updated = CASE ?2 WHEN '' THEN updated ELSE ?3 END,
                       draft_owner = ?4 WHERE id = ?1",
                )?
                .execute(params![id.as_str(), draft, at.0, db.owner])?;
            Ok(())
        })
    }

    /// Moves the newest abandoned draft into this chat and returns it. A draft that another running program is writing
    /// stays where it is.
    pub(crate) fn adopt_draft(
        &self,
        into: &SessionId,
        setting: &ChatSetting,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.0.write_soon(|db| {
            let mut query = db.conn.prepare_cached(
                "SELECT id, draft, draft_owner FROM sessions WHERE draft <> '' ORDER BY updated DESC, seq DESC",
            )?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let (from, draft, mark): (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                if is_being_written(mark.as_deref()) {
                    continue;
                }
                ChatList(db).save_draft(&SessionId::from_text(from), setting, "", at)?;
                ChatList(db).save_draft(into, setting, &draft, at)?;
                return Ok(Some(draft));
            }
            Ok(None)
        })
    }

    /// Makes the chat or takes over its setting. A title is set only while there is none, so a later renaming stays.
    pub(super) fn upsert_session(
        &self,
        id: &SessionId,
        setting: &ChatSetting,
        title: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0
            .conn
            .prepare_cached(
                "INSERT INTO sessions (id, title, created, updated, selection, effort, system)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET selection = ?4, effort = ?5, system = ?6,
                   title = CASE title WHEN '' THEN ?2 ELSE title END",
            )?
            .execute(params![
                id.as_str(),
                title,
                at.0,
                json(&setting.selection)?,
                setting.effort.map(Effort::as_str),
                setting.system
            ])?;
        Ok(())
    }

    /// The newest prompts of all chats, each once, newest last.
    pub(crate) fn prompt_history(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut query = self
            .0
            .conn
            .prepare_cached("SELECT text FROM messages WHERE role = 'user' ORDER BY seq DESC")?;
        let mut rows = query.query([])?;
        let (mut seen, mut found) = (std::collections::HashSet::new(), Vec::new());
        while found.len() < limit {
            let Some(row) = rows.next()? else { break };
            let text: String = row.get(0)?;
            if seen.insert(text.clone()) {
                found.push(text);
            }
        }
        found.reverse();
        Ok(found)
    }
}

fn some(rows: usize, id: &SessionId) -> Result<(), StoreError> {
    if rows == 0 {
        Err(StoreError::NoSession(id.to_string()))
    } else {
        Ok(())
    }
}
