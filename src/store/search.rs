//! Full text search over messages and titles.
//!
//! Owns: turning the user's words into a query, hits and their snippets.
//! Refuses: query syntax; the user's text is searched for literally.
//! Invariant: no text makes a search fail.

use rusqlite::{Row, params};

use super::sessions::{ROW, session_row};
use super::transcript::role;
use super::{Db, StoreError};
use crate::chat::{Role, SessionId, Timestamp};
use crate::protocol::SessionRow;

/// Words beyond this many do not narrow a search further.
const WORDS: usize = 32;
/// Characters shown before and after a hit that was found without the index.
const AROUND: usize = 60;

/// One place where the words were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChatHit {
    pub(crate) session: SessionId,
    pub(crate) title: String,
    pub(crate) at: Timestamp,
    /// Who said it; `None`: the title of the chat.
    pub(crate) role: Option<Role>,
    /// The text around the hit, without marks.
    pub(crate) text: String,
}

/// How a text is looked for.
#[derive(Debug, PartialEq, Eq)]
enum SearchTerms {
    /// With the index: every word, the last one as the start of a word.
    Words(String),
    /// Letter by letter: signs, emoji, and scripts that put no space between words.
    Letters(String),
    Nothing,
}

fn plan(query: &str) -> SearchTerms {
    let query = query.replace('\0', " ");
    let query = query.trim();
    if query.is_empty() {
        return SearchTerms::Nothing;
    }
    let words: Vec<&str> = query
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(WORDS)
        .collect();
    if words.is_empty() || query.chars().any(unspaced) {
        return SearchTerms::Letters(query.to_owned());
    }
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    SearchTerms::Words(format!("{}*", quoted.join(" ")))
}

/// Scripts that are written without spaces: Thai to Khmer, kana, Han.
fn unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

const BY_WORDS: &str = "
    SELECT s.id, s.title, m.at, m.role, snippet(message_words, 0, '', '', '…', 24), rank AS weight, m.seq AS age
      FROM message_words JOIN messages m ON m.seq = message_words.rowid JOIN sessions s ON s.id = m.session
      WHERE message_words MATCH ?1
    UNION ALL
    SELECT s.id, s.title, s.updated, NULL, s.title, rank, s.seq
      FROM title_words JOIN sessions s ON s.seq = title_words.rowid WHERE title_words MATCH ?1 AND s.head IS NOT NULL
    ORDER BY weight, age DESC LIMIT ?2";

const BY_LETTERS: &str = "
    SELECT s.id, s.title, m.at, m.role, m.text, m.seq AS age
      FROM messages m JOIN sessions s ON s.id = m.session WHERE instr(lower(m.text), lower(?1)) > 0
    UNION ALL
    SELECT s.id, s.title, s.updated, NULL, s.title, s.seq
      FROM sessions s WHERE instr(lower(s.title), lower(?1)) > 0 AND s.head IS NOT NULL
    ORDER BY age DESC LIMIT ?2";

/// The search over messages and titles.
pub(crate) struct ChatSearch<'a>(pub &'a Db);

impl ChatSearch<'_> {
    /// Where these words were said: all of them in one message or title, best first.
    pub(crate) fn search(&self, query: &str, limit: usize) -> Result<Vec<ChatHit>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (sql, text, letters) = match plan(query) {
            SearchTerms::Nothing => return Ok(Vec::new()),
            SearchTerms::Words(words) => (BY_WORDS, words, None),
            SearchTerms::Letters(text) => (BY_LETTERS, text.clone(), Some(text)),
        };
        let mut statement = self.0.conn.prepare_cached(sql)?;
        statement
            .query_and_then(params![text, limit], |row| hit(row, letters.as_deref()))?
            .collect()
    }

    /// The chats where these words were said, each once, with the best hit as snippet.
    pub(crate) fn search_sessions(
        &self,
        query: &str,
        limit: usize,
    ) -> Result<Vec<SessionRow>, StoreError> {
        // A chat may have many hits; this many are looked through for `limit` different chats.
        let hits = self.search(query, limit.saturating_mul(20))?;
        let mut statement = self
            .0
            .conn
            .prepare_cached(&format!("SELECT {ROW} FROM sessions WHERE id = ?1"))?;
        let mut found: Vec<SessionRow> = Vec::new();
        for hit in hits {
            if found.len() >= limit {
                break;
            }
            if found.iter().all(|row| row.id != hit.session) {
                let mut rows = statement.query([hit.session.as_str()])?;
                if let Some(row) = rows.next()? {
                    found.push(session_row(row, Some(hit.text))?);
                }
            }
        }
        Ok(found)
    }
}

fn hit(row: &Row<'_>, letters: Option<&str>) -> Result<ChatHit, StoreError> {
    let speaker: Option<String> = row.get(3)?;
    let text: String = row.get(4)?;
    Ok(ChatHit {
        session: SessionId::from_text(row.get::<_, String>(0)?),
        title: row.get(1)?,
        at: Timestamp(row.get(2)?),
        role: speaker.map(|name| role(&name)).transpose()?,
        text: letters.map_or(text.clone(), |needle| around(&text, needle)),
    })
}

/// The text near the first place where `needle` stands (letters of ASCII in either case, as SQLite compares).
fn around(text: &str, needle: &str) -> String {
    let place = text
        .to_ascii_lowercase()
        .find(&needle.to_ascii_lowercase())
        .unwrap_or(0);
    let (before, after) = text.split_at(place);
    let start = before
        .char_indices()
        .rev()
        .nth(AROUND - 1)
        .map_or(0, |(at, _)| at);
    let end = after
        .char_indices()
        .nth(AROUND + needle.chars().count())
        .map_or(text.len(), |(at, _)| place + at);
    let mark = |cut: bool| if cut { "…" } else { "" };
    format!(
        "{}{}{}",
        mark(start > 0),
        &text[start..end],
        mark(end < text.len())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_never_syntax() {
        let words = |text: &str| SearchTerms::Words(text.to_owned());
        let letters = |text: &str| SearchTerms::Letters(text.to_owned());
        for (typed, planned) in [
            ("borrow check", words(r#""borrow" "check"*"#)),
            (r#"say "hi""#, words(r#""say" """hi"""*"#)),
            ("NEAR(a b)", words(r#""NEAR(a" "b)"*"#)),
            ("a OR -b", words(r#""a" "OR" "-b"*"#)),
            ("title:x*", words(r#""title:x*"*"#)),
            ("a -> b", words(r#""a" "b"*"#)),
            ("->", letters("->")),
            ("\"", letters("\"")),
            ("🦀", letters("🦀")),
            ("借用", letters("借用")),
            ("a\0b", words(r#""a" "b"*"#)),
            (" \0 ", SearchTerms::Nothing),
            ("", SearchTerms::Nothing),
        ] {
            assert_eq!(plan(typed), planned, "{typed:?}");
        }
    }

    #[test]
    fn a_snippet_is_cut_between_characters() {
        assert_eq!(around("short 🦀 text", "🦀"), "short 🦀 text");
        let long = format!("{}🦀{}", "ä".repeat(100), "ö".repeat(100));
        assert_eq!(
            around(&long, "🦀"),
            format!("…{}🦀{}…", "ä".repeat(60), "ö".repeat(60))
        );
    }
}
