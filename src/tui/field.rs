//! A line typed in a dialog.

use unicode_segmentation::UnicodeSegmentation;

/// A line typed in a dialog.
#[derive(Debug, Default, Clone)]
pub(crate) struct Field(String);

impl Field {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.0.extend(text.chars().map(|c| {
            if c == '\n' || c == '\r' || c == '\t' {
                ' '
            } else {
                c
            }
        }));
    }

    /// Takes the last grapheme away; `false`: there was none.
    pub(crate) fn pop(&mut self) -> bool {
        let Some((at, _)) = self.0.grapheme_indices(true).next_back() else {
            return false;
        };
        self.0.truncate(at);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
