//! Earlier prompts, and the way through them.
//!
//! Owns: the prompts of all chats, what was put aside with Ctrl-C, and where Up and Down stand.
//! Refuses: the draft; it is handed in and handed back.
//! Invariant: walking through history loses nothing: the draft and every changed entry wait until something is sent.

use std::collections::BTreeMap;

/// Entries kept; the store keeps the rest.
const KEPT: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct History {
    entries: Vec<String>,
    /// Entry shown now; `None`: the draft.
    at: Option<usize>,
    draft: String,
    changed: BTreeMap<usize, String>,
    /// What Ctrl-C put aside last and was not sent since.
    aside: Option<String>,
}

impl History {
    /// Prompts of the store, newest last; what was put aside here stays.
    pub(crate) fn load(&mut self, prompts: &[String]) {
        let aside = self.aside.clone();
        self.entries = prompts[prompts.len().saturating_sub(KEPT)..].to_vec();
        self.entries.extend(aside);
        self.reset();
    }

    /// A prompt was sent.
    pub(crate) fn sent(&mut self, prompt: &str) {
        if self.aside.as_deref() == Some(prompt) {
            self.aside = None;
        }
        self.push(prompt);
    }

    /// The draft was put aside.
    pub(crate) fn put_aside(&mut self, draft: &str) {
        self.aside = Some(draft.to_owned());
        self.push(draft);
    }

    pub(crate) fn aside(&self) -> Option<&str> {
        self.aside.as_deref()
    }

    /// The entry before the one shown, instead of `current`.
    pub(crate) fn earlier(&mut self, current: &str) -> Option<String> {
        let to = match self.at {
            None => self.entries.len().checked_sub(1)?,
            Some(at) => at.checked_sub(1)?,
        };
        self.keep(current);
        self.at = Some(to);
        Some(self.shown(to))
    }

    /// The entry after the one shown; after the last, the draft.
    pub(crate) fn later(&mut self, current: &str) -> Option<String> {
        let at = self.at?;
        self.keep(current);
        if at + 1 < self.entries.len() {
            self.at = Some(at + 1);
            return Some(self.shown(at + 1));
        }
        self.at = None;
        Some(std::mem::take(&mut self.draft))
    }

    /// The newest entry older than `before` that holds `needle`, ignoring case: its number and text.
    pub(crate) fn search(&self, needle: &str, before: Option<usize>) -> Option<(usize, &str)> {
        let needle = needle.to_lowercase();
        let end = before.unwrap_or(self.entries.len()).min(self.entries.len());
        let hit = (0..end)
            .rev()
            .find(|i| self.entries[*i].to_lowercase().contains(&needle))?;
        Some((hit, &self.entries[hit]))
    }

    fn push(&mut self, prompt: &str) {
        self.entries.retain(|entry| entry != prompt);
        self.entries.push(prompt.to_owned());
        if self.entries.len() > KEPT {
            self.entries.remove(0);
        }
        self.reset();
    }

    fn keep(&mut self, current: &str) {
        match self.at {
            None => current.clone_into(&mut self.draft),
            Some(at) if self.entries[at] != current => {
                self.changed.insert(at, current.to_owned());
            }
            Some(_) => {}
        }
    }

    fn shown(&self, at: usize) -> String {
        self.changed.get(&at).unwrap_or(&self.entries[at]).clone()
    }

    fn reset(&mut self) {
        self.at = None;
        self.draft.clear();
        self.changed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_and_down_lose_nothing() {
        let mut h = History::default();
        h.load(&["one".into(), "two".into()]);
        assert_eq!(h.earlier("draft").as_deref(), Some("two"));
        assert_eq!(h.earlier("two, changed").as_deref(), Some("one"));
        assert_eq!(h.earlier("one"), None, "at the oldest");
        assert_eq!(h.later("one").as_deref(), Some("two, changed"));
        assert_eq!(h.later("two, changed").as_deref(), Some("draft"));
        assert_eq!(h.later("draft"), None);
    }

    #[test]
    fn what_was_put_aside_is_the_newest_until_it_is_sent() {
        let mut h = History::default();
        h.load(&["one".into()]);
        h.put_aside("half a thought");
        assert_eq!(h.earlier("").as_deref(), Some("half a thought"));
        h.load(&["one".into(), "two".into()]);
        assert_eq!(
            h.earlier("").as_deref(),
            Some("half a thought"),
            "opening another chat keeps it"
        );
        h.sent("half a thought");
        assert_eq!(h.aside(), None);
    }

    #[test]
    fn search_walks_back_and_ignores_case() {
        let mut h = History::default();
        h.load(&["Borrow one".into(), "clone".into(), "borrow two".into()]);
        assert_eq!(h.search("BORROW", None), Some((2, "borrow two")));
        assert_eq!(h.search("borrow", Some(2)), Some((0, "Borrow one")));
        assert_eq!(h.search("borrow", Some(0)), None);
    }
}
