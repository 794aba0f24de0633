//! The one gate for foreign text: nothing a model, a file or a server says reaches a terminal but through here.
//!
//! Owns: [`SafeText`], the functions that make one, and the streaming [`Sanitiser`].
//! Refuses: styling; it only decides which characters may be shown and how the others are made visible.
//! Invariant: a `SafeText` holds no control character but line feed and tab, no bidirectional control, nothing invisible.
//!
//! The policy, character by character, is the table in `class.rs`; what depends on the neighbours is in `machine.rs`.

mod class;
mod machine;

use std::fmt;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

pub use machine::Sanitiser;

/// Text that may be written to a terminal or a pipe. Lines end in `\n`; there is no other control character but the tab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SafeText(String);

impl SafeText {
    /// Our own words.
    pub fn from_static(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the next piece of the same stream, or a text that stands by itself.
    pub fn push(&mut self, next: &Self) {
        self.0.push_str(&next.0);
    }

    /// The lines, without their line feeds.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.lines()
    }

    /// This text on one line: line breaks and tabs become spaces, none at the ends.
    #[must_use]
    pub fn one_line(&self) -> Self {
        Self(self.0.trim().replace(['\n', '\t'], " "))
    }

    /// The start of this text that fits into `width` cells, with `…` as its last cell when something was left off.
    /// Never cuts a grapheme in two. A line break ends the text.
    #[must_use]
    pub fn truncate(&self, width: usize) -> Self {
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

/// Whether a character, taken alone, may reach a terminal as itself; for texts that escape the others.
pub fn is_plain(c: char) -> bool {
    use class::CharClass;
    matches!(
        class::class(c),
        CharClass::Base { .. } | CharClass::Blank | CharClass::Mark | CharClass::Presentation
    )
}

/// Makes a whole text safe.
pub fn sanitise(raw: &str) -> SafeText {
    let mut sanitiser = Sanitiser::default();
    let mut safe = sanitiser.push(raw);
    safe.push(&sanitiser.finish());
    safe
}

/// Makes a text safe that must stand on one line: a title, a name, an error.
pub fn one_line(raw: &str) -> SafeText {
    sanitise(raw).one_line()
}

/// Makes a text safe, puts it on one line and cuts it to `width` cells, the last one `…` when something was left off.
pub fn truncate(raw: &str, width: usize) -> SafeText {
    one_line(raw).truncate(width)
}

#[cfg(test)]
mod tests;
