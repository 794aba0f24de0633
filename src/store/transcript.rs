//! Messages: how a question and its answer are stored while they happen, and how a chat is read.
//!
//! Owns: the tree of messages, streaming answers, the branch in view.
//! Refuses: to erase; a rewind or a second answer makes a new branch, and the old one stays.
//! Invariant: the text of an answer is its row followed by its parts in order; parts exist only while it streams.

use rusqlite::{OptionalExtension, Row, named_params, params};

use super::cells::{from_json, json, parse};
use super::{Begin, ChatList, ChatSetting, Db, ExchangeLog, PACE, StoreError, owner, title_of};
use crate::chat::{Effort, MessageId, Role, Selection, SessionId, Timestamp};
use crate::protocol::{AnswerFacts, Entry};

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Complete,
    /// By the network, a limit, the user, or the death of the process. What arrived is there.
    Cut,
    Failed,
}

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Cut => "cut",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageState {
    /// A living process is still at it.
    Streaming,
    Ended(Ending),
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    pub entry: Entry,
    pub(crate) parent: Option<MessageId>,
    pub(crate) state: MessageState,
}

/// A chat with the branch in view, oldest message first.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    pub(crate) id: SessionId,
    pub(crate) title: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) setting: ChatSetting,
    /// What was being written in it; empty when another running program has it in hand.
    pub(crate) draft: String,
    pub messages: Vec<ChatMessage>,
}

/// The messages of chats.
pub struct ChatLog<'a>(pub &'a Db);

impl ChatLog<'_> {
    /// Stores the prompt, the empty answer and the exchange, and moves the chat's head there. By itself only for an
    /// answer that costs nothing because it lies in a cache; what is sent goes through `budget::Budget::begin_exchange`,
    /// which adds the reservation to the same commit.
    pub(crate) fn begin_exchange(&self, begin: &Begin) -> Result<(), StoreError> {
        self.0.write(|db| {
            if !begin.messages {
                return ExchangeLog(db).insert_exchange(begin);
            }
            let title = begin.prompt.as_ref().map(|p| title_of(&p.text)).unwrap_or_default();
            ChatList(db).upsert_session(&begin.session, &begin.setting, &title, begin.at)?;
            if let Some(parent) = &begin.parent {
                ChatLog(db).require_message(&begin.session, parent)?;
            }
            if let Some(prompt) = &begin.prompt {
                let parent = begin.parent.as_ref();
                ChatLog(db).insert(begin, &prompt.id, parent, Role::User, &prompt.text)?;
            }
            let asked = begin.prompt.as_ref().map(|p| &p.id).or(begin.parent.as_ref());
            ChatLog(db).insert(begin, &begin.answer, asked, Role::Assistant, "")?;
            // A sent prompt is no draft any more. A retry leaves the draft alone.
            db.conn.prepare_cached(
                "UPDATE sessions SET head = ?2, updated = ?3, draft = CASE WHEN ?4 THEN '' ELSE draft END WHERE id = ?1",
            )?
            .execute(params![
                begin.session.as_str(),
                begin.answer.as_str(),
                begin.at.0,
                begin.prompt.is_some()
            ])?;
            if let Some(level) = begin.pace {
                db.remember(PACE, &level)?;
            }
            ExchangeLog(db).insert_exchange(begin)
        })
    }

    fn insert(
        &self,
        begin: &Begin,
        id: &MessageId,
        parent: Option<&MessageId>,
        role: Role,
        text: &str,
    ) -> Result<(), StoreError> {
        let streams = role == Role::Assistant;
        self.0
            .conn
            .prepare_cached(
                "INSERT INTO messages (id, session, parent, role, text, at, state, owner)
                 VALUES (:id, :session, :parent, :role, :text, :at, :state, :owner)",
            )?
            .execute(named_params! {
                ":id": id.as_str(),
                ":session": begin.session.as_str(),
                ":parent": parent.map(MessageId::as_str),
                ":role": role.as_str(),
                ":text": text,
                ":at": begin.at.0,
                ":state": if streams { "streaming" } else { "complete" },
                ":owner": streams.then_some(&self.0.owner),
            })?;
        Ok(())
    }

    pub(super) fn require_message(
        &self,
        session: &SessionId,
        id: &MessageId,
    ) -> Result<(), StoreError> {
        let known = self
            .0
            .conn
            .prepare_cached("SELECT 1 FROM messages WHERE id = ?1 AND session = ?2")?
            .exists(params![id.as_str(), session.as_str()])?;
        if known {
            Ok(())
        } else {
            Err(StoreError::NoMessage(id.to_string()))
        }
    }

    /// Adds a piece to a streaming answer. It costs the same however long the answer is already, and does not wait for
    /// the disk: a piece survives the death of the process, not a power cut.
    pub(crate) fn append_answer(
        &self,
        answer: &MessageId,
        text: &str,
        reasoning: &str,
    ) -> Result<(), StoreError> {
        self.0.write_soon(|db| {
            let rows = db
                .conn
                .prepare_cached(
                    "INSERT INTO answer_parts (message, text, reasoning)
                     SELECT seq, ?2, ?3 FROM messages WHERE id = ?1 AND state = 'streaming'",
                )?
                .execute(params![answer.as_str(), text, reasoning])?;
            if rows == 1 {
                Ok(())
            } else {
                Err(StoreError::NotStreaming(answer.to_string()))
            }
        })
    }

    /// Ends a streaming answer: its parts become its text.
    pub(crate) fn finish_answer(
        &self,
        answer: &MessageId,
        ending: Ending,
        facts: Option<&AnswerFacts>,
    ) -> Result<(), StoreError> {
        let facts = facts.map(json).transpose()?;
        self.0.write(|db| {
            let seq: Option<i64> = db
                .conn
                .prepare_cached("SELECT seq FROM messages WHERE id = ?1 AND state = 'streaming'")?
                .query_row([answer.as_str()], |row| row.get(0))
                .optional()?;
            let seq = seq.ok_or_else(|| StoreError::NotStreaming(answer.to_string()))?;
            ChatLog(db).fold(seq, ending, facts.as_deref())
        })
    }

    fn fold(&self, seq: i64, ending: Ending, facts: Option<&str>) -> Result<(), StoreError> {
        let (text, reasoning) = self.parts(seq)?;
        self.0.conn
            .prepare_cached(
                "UPDATE messages SET text = ?2, reasoning = ?3, state = ?4, facts = ?5, owner = NULL WHERE seq = ?1",
            )?
            .execute(params![seq, text, reasoning, ending.as_str(), facts])?;
        self.0
            .conn
            .prepare_cached("DELETE FROM answer_parts WHERE message = ?1")?
            .execute([seq])?;
        Ok(())
    }

    /// What has arrived of a streaming answer: text and reasoning.
    fn parts(&self, seq: i64) -> Result<(String, String), StoreError> {
        let (mut text, mut reasoning) = (String::new(), String::new());
        let mut query = self.0.conn.prepare_cached(
            "SELECT text, reasoning FROM answer_parts WHERE message = ?1 ORDER BY seq",
        )?;
        let mut rows = query.query([seq])?;
        while let Some(row) = rows.next()? {
            text.push_str(
                row.get_ref(0)?
                    .as_str()
                    .map_err(|_| StoreError::cell("part"))?,
            );
            reasoning.push_str(
                row.get_ref(1)?
                    .as_str()
                    .map_err(|_| StoreError::cell("part"))?,
            );
        }
        Ok((text, reasoning))
    }

    /// Finishes the answers of processes that have died: what arrived becomes their text, and they count as cut. Search
    /// needs this, reading does not. Returns their number, and writes nothing when there are none.
    pub(crate) fn fold_dead_streams(&self) -> Result<usize, StoreError> {
        let dead = || -> Result<Vec<i64>, StoreError> {
            let mut query = self
                .0
                .conn
                .prepare_cached("SELECT seq, owner FROM messages WHERE state = 'streaming'")?;
            let rows =
                query.query_and_then([], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))?;
            let rows = rows.collect::<Result<Vec<(i64, Option<String>)>, _>>()?;
            let ended = |mark: &str| owner::life(mark) == owner::Life::Dead;
            Ok(rows
                .into_iter()
                .filter(|(_, mark)| mark.as_deref().is_none_or(ended))
                .map(|(seq, _)| seq)
                .collect())
        };
        if dead()?.is_empty() {
            return Ok(0);
        }
        self.0.write(|db| {
            let seqs = dead()?;
            seqs.iter()
                .try_for_each(|seq| ChatLog(db).fold(*seq, Ending::Cut, None))?;
            Ok(seqs.len())
        })
    }

    /// A chat, with the messages from its root to its head. An answer whose process has died shows what had arrived and
    /// counts as cut; nothing is written.
    pub fn chat(&self, id: &SessionId) -> Result<Chat, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "SELECT title, created, updated, selection, effort, system, draft, draft_owner FROM sessions WHERE id = ?1",
        )?;
        let mut rows = query.query([id.as_str()])?;
        let row = rows
            .next()?
            .ok_or_else(|| StoreError::NoSession(id.to_string()))?;
        let selection: Selection = from_json(&row.get::<_, String>("selection")?, "selection")?;
        let effort: Option<String> = row.get("effort")?;
        let effort = effort
            .map(|name| parse::<Effort>(&name, "effort"))
            .transpose()?;
        let mark: Option<String> = row.get("draft_owner")?;
        let elsewhere = mark
            .is_some_and(|mark| mark != self.0.owner && owner::life(&mark) == owner::Life::Alive);
        Ok(Chat {
            id: id.clone(),
            title: row.get("title")?,
            created: Timestamp(row.get("created")?),
            updated: Timestamp(row.get("updated")?),
            setting: ChatSetting {
                selection,
                effort,
                system: row.get("system")?,
            },
            draft: if elsewhere {
                String::new()
            } else {
                row.get("draft")?
            },
            messages: self.branch(id)?,
        })
    }

    fn branch(&self, session: &SessionId) -> Result<Vec<ChatMessage>, StoreError> {
        let mut query = self.0.conn.prepare_cached(
            "WITH RECURSIVE branch (depth, id) AS (
               SELECT 0, head FROM sessions WHERE id = ?1 AND head IS NOT NULL
               UNION ALL
               SELECT depth + 1, parent FROM branch JOIN messages USING (id) WHERE parent IS NOT NULL
             )
             SELECT messages.* FROM branch JOIN messages USING (id) ORDER BY depth DESC",
        )?;
        let messages = query.query_and_then([session.as_str()], |row| self.message(row))?;
        messages.collect()
    }

    fn message(&self, row: &Row<'_>) -> Result<ChatMessage, StoreError> {
        let (mut text, mut reasoning): (String, String) = (row.get("text")?, row.get("reasoning")?);
        let state = match row.get::<_, String>("state")?.as_str() {
            "complete" => MessageState::Ended(Ending::Complete),
            "cut" => MessageState::Ended(Ending::Cut),
            "failed" => MessageState::Ended(Ending::Failed),
            "streaming" => {
                (text, reasoning) = self.parts(row.get("seq")?)?;
                let mark: Option<String> = row.get("owner")?;
                match mark.map(|mark| owner::life(&mark)) {
                    Some(owner::Life::Alive) => MessageState::Streaming,
                    _ => MessageState::Ended(Ending::Cut),
                }
            }
            _ => return Err(StoreError::cell("state")),
        };
        let facts: Option<String> = row.get("facts")?;
        let id: String = row.get("id")?;
        // Unreadable facts must not keep a chat from opening.
        let answer = facts.and_then(|json| {
            from_json(&json, "facts")
                .inspect_err(|_| tracing::warn!(%id, "the facts of an answer are unreadable"))
                .ok()
        });
        let entry = Entry {
            id: MessageId::from_text(id),
            role: role(&row.get::<_, String>("role")?)?,
            text,
            reasoning,
            at: Timestamp(row.get("at")?),
            answer,
        };
        Ok(ChatMessage {
            entry,
            parent: row
                .get::<_, Option<String>>("parent")?
                .map(MessageId::from_text),
            state,
        })
    }

    /// Shows the branch that ends in this message again.
    pub(crate) fn show_branch(
        &self,
        session: &SessionId,
        tip: &MessageId,
    ) -> Result<(), StoreError> {
        self.0.write(|db| {
            ChatLog(db).require_message(session, tip)?;
            db.conn
                .prepare_cached("UPDATE sessions SET head = ?2 WHERE id = ?1")?
                .execute([session.as_str(), tip.as_str()])?;
            Ok(())
        })
    }

    /// Goes back to before this message of the user, and gives its text. The branch that is left stays stored.
    pub(crate) fn rewind(
        &self,
        session: &SessionId,
        prompt: &MessageId,
        at: Timestamp,
    ) -> Result<String, StoreError> {
        self.0.write(|db| {
            let found: Option<(Option<String>, String)> = db
                .conn
                .prepare_cached("SELECT parent, text FROM messages WHERE id = ?1 AND session = ?2 AND role = 'user'")?
                .query_row(params![prompt.as_str(), session.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (parent, text) = found.ok_or_else(|| StoreError::NoMessage(prompt.to_string()))?;
            db.conn.prepare_cached("UPDATE sessions SET head = ?2, updated = ?3 WHERE id = ?1")?.execute(params![
                session.as_str(),
                parent,
                at.0
            ])?;
            Ok(text)
        })
    }
}

pub(super) fn role(name: &str) -> Result<Role, StoreError> {
    match name {
        "system" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        _ => Err(StoreError::cell("role")),
    }
}
