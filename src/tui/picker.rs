//! The model picker.
//!
//! Owns: the rows, the fuzzy filter and the selection.
//! Refuses: prices; they come with the rows.
//! Invariant: `d` and `f` act while nothing is typed and no `/` opened the filter; else every letter filters.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::field::Field;
use crate::chat::Selection;
use crate::protocol::ModelRow;

pub(crate) struct Picker {
    pub(crate) field: Field,
    /// `/` was typed: `d` and `f` are letters.
    pub(crate) typing: bool,
    rows: Option<Vec<ModelRow>>,
    shown: Vec<usize>,
    pub(crate) selected: usize,
    matcher: Matcher,
}

impl std::fmt::Debug for Picker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picker")
            .field("field", &self.field)
            .field("shown", &self.shown)
            .finish()
    }
}

impl Picker {
    pub(crate) fn new(filter: &str) -> Self {
        Self {
            field: Field::new(filter),
            typing: false,
            rows: None,
            shown: Vec::new(),
            selected: 0,
            matcher: Matcher::new(Config::DEFAULT),
        }
    }

    /// The rows have come; the one in use is selected unless something is typed.
    pub(crate) fn fill(&mut self, rows: Vec<ModelRow>, in_use: &Selection) {
        let keep = self.current().map_or(in_use.clone(), |row| row.id.clone());
        self.rows = Some(rows);
        self.filter();
        let at = self.visible().position(|row| row.id == keep);
        if self.field.as_str().is_empty() {
            self.selected = at.unwrap_or(0);
        }
    }

    pub(crate) fn loaded(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether what the last answer would have cost is known of any model.
    pub(crate) fn knows_last(&self) -> bool {
        self.rows.iter().flatten().any(|row| row.last_usd.is_some())
    }

    pub(crate) fn visible(&self) -> impl ExactSizeIterator<Item = &ModelRow> {
        let rows = self.rows.as_deref().unwrap_or_default();
        self.shown.iter().map(move |i| &rows[*i])
    }

    pub(crate) fn current(&self) -> Option<&ModelRow> {
        self.visible().nth(self.selected)
    }

    /// Marks the selected row as favourite or not, until the core says so too.
    pub(crate) fn toggle_favourite(&mut self) {
        let Some(at) = self.shown.get(self.selected) else {
            return;
        };
        if let Some(row) = self.rows.as_mut().and_then(|rows| rows.get_mut(*at)) {
            row.favourite = !row.favourite;
        }
    }

    /// The field has changed.
    pub(crate) fn filter(&mut self) {
        self.selected = 0;
        let rows = self.rows.as_deref().unwrap_or_default();
        let pattern = Pattern::parse(
            self.field.as_str(),
            CaseMatching::Ignore,
            Normalization::Smart,
        );
        let mut scored: Vec<(u32, usize)> = Vec::new();
        let mut buffer = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let name = row.id.to_string();
            if let Some(score) = pattern.score(Utf32Str::new(&name, &mut buffer), &mut self.matcher)
            {
                scored.push((score, i));
            }
        }
        // Usable before unusable; then the better match; then the order of the core.
        scored
            .sort_by_key(|(score, i)| (rows[*i].unusable.is_some(), std::cmp::Reverse(*score), *i));
        if self.field.as_str().is_empty() {
            scored.sort_by_key(|(_, i)| *i);
        }
        self.shown = scored.into_iter().map(|(_, i)| i).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::sample;

    #[test]
    fn a_few_letters_find_the_model() {
        for (typed, first) in [
            ("", "auto"),
            ("5mini", "openai/gpt-5-mini"),
            ("claude", "anthropic/claude-sonnet"),
            ("GPT", "openai/gpt-5"),
        ] {
            let mut picker = Picker::new(typed);
            picker.fill(sample::models(), &Selection::Auto);
            assert_eq!(picker.current().unwrap().id.to_string(), first, "{typed:?}");
        }
        let mut none = Picker::new("zzz");
        none.fill(sample::models(), &Selection::Auto);
        assert!(none.current().is_none());
    }
}
