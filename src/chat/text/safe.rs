//! [`SafeText`]: text that has passed the gate.

use std::fmt;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Text that may be written to a terminal or a pipe. Lines end in `\n`; there is no other control character but the tab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct SafeText(pub(super) String);

impl SafeText {
    /// Our own words.
    pub(crate) fn from_static(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the next piece of the same stream, or a text that stands by itself.
    pub(crate) fn push(&mut self, next: &Self) {
        self.0.push_str(&next.0);
    }

    /// This text on one line: line breaks and tabs become spaces, none at the ends.
    #[must_use]
    pub(crate) fn one_line(&self) -> Self {
        Self(self.0.trim().replace(['\n', '\t'], " "))
    }

    /// The start of this text that fits into `width` cells, with `…` as its last cell when something was left off.
    /// Never cuts a grapheme in two. A line break ends the text.
    #[must_use]
    pub(crate) fn truncate(&self, width: usize) -> Self {
        let line = self.0.split('\n').next().unwrap_or("");
        let (mut used, mut room_for_mark) = (0, 0);
        for (at, cluster) in line.grapheme_indices(true) {
            used += if cluster == "\t" { 1 } else { cluster.width() };
            if used > width {
                let mark = if width == 0 { "" } else { "…" };
                return Self(format!("{}{mark}", &line[..room_for_mark]));
            }
            if used < width {
                room_for_mark = at + cluster.len();
            }
        }
        Self(line.to_owned())
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for SafeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> Self {
        text.0
    }
}
