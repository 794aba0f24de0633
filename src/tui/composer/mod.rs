//! The input: text, rows, history, and what its keys do.
//!
//! Owns: the draft until it is sent.
//! Refuses: sending; counting.
//! Invariant: every change of the text is told to the rows and to the draft's revision.
//!
//! Not `ratatui-textarea`: it lays out the whole text on every key (7 to 10 ms a key at one megabyte, growing with the
//! text), moves by characters instead of graphemes, and keeps rows in 16 bits.

mod buffer;
mod history;
mod rows;

pub(crate) use rows::{RowWindow, shown};

use self::buffer::Buffer;
use self::history::History;
use self::rows::SoftWrap;
use super::keymap::Edit;

#[derive(Debug, Default)]
pub(crate) struct Composer {
    buffer: Buffer,
    rows: SoftWrap,
    pub(crate) history: History,
    /// The column that Up and Down aim at.
    goal: Option<usize>,
    /// Goes up with every change of the text, and when the price may have changed.
    rev: u64,
    /// Goes up with every change of the text.
    edits: u64,
}

impl Composer {
    pub(crate) fn text(&self) -> &str {
        self.buffer.text()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.text().is_empty()
    }

    /// Nothing but white space stands here.
    pub(crate) fn is_blank(&self) -> bool {
        self.buffer.text().trim().is_empty()
    }

    pub(crate) fn rev(&self) -> u64 {
        self.rev
    }

    pub(crate) fn edits(&self) -> u64 {
        self.edits
    }

    /// Counts as changed although the text is the same: whatever the price depends on has changed.
    pub(crate) fn touch(&mut self) {
        self.rev += 1;
    }

    pub(crate) fn insert(&mut self, text: &str) {
        let edit = self.buffer.insert(text);
        self.changed(edit);
    }

    /// Pasted text: line ends of other systems become ours.
    pub(crate) fn paste(&mut self, text: &str) {
        if text.contains('\r') {
            self.insert(&text.replace("\r\n", "\n").replace('\r', "\n"));
        } else {
            self.insert(text);
        }
    }

    /// Puts `text` before what stands here, if anything does.
    pub(crate) fn restore(&mut self, text: &str) {
        if self.is_blank() {
            self.set(text);
        } else {
            let both = format!("{}\n\n{}", text.trim_end(), self.text());
            self.set(&both);
        }
    }

    pub(crate) fn set(&mut self, text: &str) {
        let edit = self.buffer.set(text);
        self.changed(edit);
    }

    pub(crate) fn take(&mut self) -> String {
        let text = self.text().to_owned();
        self.set("");
        self.buffer = Buffer::default();
        text
    }

    pub(crate) fn edit(&mut self, edit: Edit) {
        self.goal = None;
        if let Some(edit) = self.buffer.edit(edit) {
            self.changed(edit);
        }
    }

    /// Turns a backslash before the cursor into a line break; `false` when there is none.
    pub(crate) fn break_at_backslash(&mut self) -> bool {
        let before = &self.text()[..self.buffer.cursor()];
        // Two backslashes are one meant as such.
        if !before.ends_with('\\') || before.ends_with("\\\\") {
            return false;
        }
        self.edit(Edit::Backspace);
        self.insert("\n");
        true
    }

    /// A row up, or from the first row an earlier prompt. `false`: there is none.
    pub(crate) fn up(&mut self) -> bool {
        self.vertical(false) || {
            let entry = self.history.earlier(self.buffer.text());
            self.show(entry)
        }
    }

    /// A row down, or from the last row a later prompt.
    pub(crate) fn down(&mut self) -> bool {
        self.vertical(true) || {
            let entry = self.history.later(self.buffer.text());
            self.show(entry)
        }
    }

    /// The rows to show.
    pub(crate) fn window(&mut self, width: usize, height: usize) -> RowWindow {
        self.rows
            .window(self.buffer.text(), self.buffer.cursor(), width, height)
    }

    fn vertical(&mut self, down: bool) -> bool {
        let (text, cursor) = (self.buffer.text(), self.buffer.cursor());
        let goal = match self.goal {
            Some(goal) => goal,
            None => self.rows.column(text, cursor),
        };
        let Some(to) = self.rows.vertical(text, cursor, goal, down) else {
            return false;
        };
        self.buffer.set_cursor(to);
        self.goal = Some(goal);
        true
    }

    fn show(&mut self, entry: Option<String>) -> bool {
        let Some(text) = entry else { return false };
        self.set(&text);
        true
    }

    fn changed(&mut self, edit: rows::Edited) {
        self.rows.edited(edit);
        self.goal = None;
        self.rev += 1;
        self.edits += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_moves_within_the_text_before_it_leaves_it() {
        let mut c = Composer::default();
        c.history.load(&["old".into()]);
        c.insert("first line\nx\nthird line");
        c.window(40, 10);
        assert!(c.up() && c.up());
        c.insert("|");
        assert_eq!(
            c.text(),
            "first line|\nx\nthird line",
            "the column is kept across the short line"
        );
        assert!(c.up());
        assert_eq!(c.text(), "old");
        assert!(c.down());
        assert_eq!(c.text(), "first line|\nx\nthird line");
    }

    #[test]
    fn a_backslash_before_enter_breaks_the_line() {
        for (before, breaks, after) in [
            ("a\\", true, "a\n"),
            ("a\\\\", false, "a\\\\"),
            ("a", false, "a"),
        ] {
            let mut c = Composer::default();
            c.insert(before);
            assert_eq!((c.break_at_backslash(), c.text()), (breaks, after));
        }
    }

    #[test]
    fn pasted_line_ends_become_ours() {
        let mut c = Composer::default();
        c.paste("a\r\nb\rc\n");
        assert_eq!(c.text(), "a\nb\nc\n");
    }
}
