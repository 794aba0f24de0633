//! `sessions`: past chats.

use std::fmt::Write;

use serde::Serialize;

use super::args::{SessionsAction, Shared};
use super::table::table;
use super::{output, setup};
use crate::chat::text::{one_line, sanitise};
use crate::chat::{Failure, FailureKind, Role, Timestamp, Usd};
use crate::config::Env;
use crate::store::{
    ChargeScope, Chat, ChatHit, ChatList, ChatLog, ChatMessage, ChatSearch, Db, ScopeSums,
};

#[derive(Serialize)]
struct ListedChat {
    session: String,
    title: String,
    at: String,
    messages: u64,
    /// Spent and still reserved; null: something of unknown price is in it.
    cost_usd: Option<Usd>,
    /// The part of it whose price is known.
    known_usd: Usd,
    estimated: bool,
}

#[derive(Serialize)]
struct HitRow {
    session: String,
    title: String,
    at: String,
    /// `user`, `assistant`, or `title` for a hit in the chat's name.
    role: &'static str,
    text: String,
}

#[derive(Serialize)]
struct MessageRow<'a> {
    id: &'a str,
    role: &'static str,
    at: String,
    text: &'a str,
    answer: &'a Option<crate::protocol::AnswerFacts>,
}

pub(super) fn run(shared: &Shared, action: Option<SessionsAction>) -> Result<u8, Failure> {
    let loaded = setup::load(shared, &Env::from_process())?;
    let db = Db::open(&loaded.locations.data_dir)?;
    match action.unwrap_or(SessionsAction::List { limit: 50 }) {
        SessionsAction::List { limit } => {
            let rows = listed(&db, limit)?;
            output::done(if shared.json {
                output::json(&rows)
            } else {
                output::report(&list(&rows))
            })
        }
        SessionsAction::Show { id } => {
            let chat = found(&db, &id)?;
            output::done(if shared.json {
                output::json(&page(&chat))
            } else {
                output::report(&transcript(&chat))
            })
        }
        SessionsAction::Search { query, limit } => {
            let hits = ChatSearch(&db)
                .search(&query.join(" "), limit)
                .map_err(Failure::from)?;
            let rows: Vec<HitRow> = hits.into_iter().map(hit).collect();
            output::done(if shared.json {
                output::json(&rows)
            } else {
                output::report(&hit_list(&rows))
            })
        }
        SessionsAction::Rename { id, title } => {
            let title = one_line(&title.join(" "));
            if title.is_empty() {
                return Err(Failure::new(FailureKind::Usage, "a chat needs a title")
                    .hint("write it after the id"));
            }
            let chat = found(&db, &id)?;
            ChatList(&db)
                .rename_session(&chat.id, title.as_str())
                .map_err(Failure::from)?;
            Ok(0)
        }
        SessionsAction::Delete { id } => {
            let chat = found(&db, &id)?;
            ChatList(&db)
                .delete_session(&chat.id)
                .map_err(Failure::from)?;
            Ok(0)
        }
    }
}

/// The newest chats, each with what it cost.
fn listed(db: &Db, limit: usize) -> Result<Vec<ListedChat>, Failure> {
    let mut rows = Vec::new();
    for row in ChatList(db).list_sessions(limit).map_err(Failure::from)? {
        let sum = ScopeSums(db)
            .sum(ChargeScope::Session(&row.id))
            .map_err(Failure::from)?;
        rows.push(ListedChat {
            session: row.id.to_string(),
            title: row.title,
            at: instant(row.at),
            messages: row.messages,
            cost_usd: (sum.unknown == 0).then_some(row.cost),
            known_usd: row.cost,
            estimated: sum.estimated || sum.reserved > Usd::ZERO,
        });
    }
    Ok(rows)
}

fn found(db: &Db, prefix: &str) -> Result<Chat, Failure> {
    let id = ChatList(db).find_session(prefix).map_err(Failure::from)?;
    ChatLog(db).chat(&id).map_err(Failure::from)
}

/// An instant as RFC 3339 in UTC.
pub(super) fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|t| t.to_string())
        .unwrap_or_default()
}

fn local(at: &str) -> String {
    let zoned = at
        .parse::<jiff::Timestamp>()
        .map(|t| t.to_zoned(jiff::tz::TimeZone::system()));
    zoned
        .map(|z| z.strftime("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default()
}

fn list(rows: &[ListedChat]) -> String {
    let line = |row: &ListedChat| {
        vec![
            row.session.clone(),
            local(&row.at),
            row.messages.to_string(),
            cost(row),
            one_line(&row.title).as_str().to_owned(),
        ]
    };
    table(
        &["session", "last used", ">messages", ">cost", "title"],
        &rows.iter().map(line).collect::<Vec<_>>(),
    )
}

/// `~` for an estimate in it, `+ n/a` for an unknown beside it.
fn cost(row: &ListedChat) -> String {
    let mark = if row.estimated { "~" } else { "" };
    match row.cost_usd {
        None if row.known_usd == Usd::ZERO => "n/a".to_owned(),
        None => format!("{mark}${} + n/a", row.known_usd.short()),
        Some(usd) => format!("{mark}${}", usd.short()),
    }
}

fn hit(hit: ChatHit) -> HitRow {
    HitRow {
        session: hit.session.to_string(),
        title: hit.title,
        at: instant(hit.at),
        role: hit.role.map_or("title", Role::as_str),
        text: hit.text,
    }
}

fn hit_list(rows: &[HitRow]) -> String {
    let line = |row: &HitRow| {
        vec![
            row.session.clone(),
            local(&row.at),
            row.role.to_owned(),
            one_line(&row.title).as_str().to_owned(),
            one_line(&row.text).as_str().to_owned(),
        ]
    };
    table(
        &["session", "when", "who", "title", "text"],
        &rows.iter().map(line).collect::<Vec<_>>(),
    )
}

fn page(chat: &Chat) -> serde_json::Value {
    let message = |m: &ChatMessage| {
        serde_json::to_value(MessageRow {
            id: m.entry.id.as_str(),
            role: m.entry.role.as_str(),
            at: instant(m.entry.at),
            text: &m.entry.text,
            answer: &m.entry.answer,
        })
        .unwrap_or_default()
    };
    serde_json::json!({
        "session": chat.id,
        "title": chat.title,
        "at": instant(chat.updated),
        "messages": chat.messages.iter().map(message).collect::<Vec<_>>(),
    })
}

/// The chat as Markdown.
fn transcript(chat: &Chat) -> String {
    let mut out = format!("# {}\n", one_line(&chat.title).as_str());
    for message in &chat.messages {
        let who = match &message.entry.answer {
            Some(facts) => format!("{} · {}", facts.model, facts.cost),
            None => message.entry.role.as_str().to_owned(),
        };
        let text = sanitise(&message.entry.text);
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "\n## {}\n\n{}",
            one_line(&who).as_str(),
            text.as_str().trim_end()
        );
    }
    out
}
