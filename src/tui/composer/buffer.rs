//! The text being written, and where the cursor stands in it.
//!
//! Owns: the draft as one string, the cursor, what was cut last, the way back (undo).
//! Refuses: layout and keys.
//! Invariant: the cursor stands on a grapheme boundary; a key costs a move of the tail of the text and nothing more,
//! so a megabyte pasted stays quick to edit.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::rows::Edited;
use crate::tui::keymap::Edit;

/// Steps that can be undone.
const UNDO: usize = 500;

/// One replacement, as it can be taken back.
#[derive(Debug, Clone)]
struct UndoStep {
    at: usize,
    removed: String,
    inserted: usize,
    cursor: usize,
    /// A letter typed, or several in a row.
    typed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    text: String,
    cursor: usize,
    cut: String,
    undo: Vec<UndoStep>,
}

impl Buffer {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Byte offset of the cursor.
    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Moves the cursor to the grapheme boundary at or before `at`.
    pub(crate) fn set_cursor(&mut self, at: usize) {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        self.cursor = if self.is_boundary(at) {
            at
        } else {
            self.left(at)
        };
    }

    /// Replaces everything; the cursor goes to the end.
    pub(crate) fn set(&mut self, text: &str) -> Edited {
        let all = 0..self.text.len();
        self.replace(all, text)
    }

    pub(crate) fn insert(&mut self, text: &str) -> Edited {
        self.replace(self.cursor..self.cursor, text)
    }

    /// Carries out an edit key. `None`: the text is as it was.
    pub(crate) fn edit(&mut self, edit: Edit) -> Option<Edited> {
        let at = self.cursor;
        let (line_start, line_end) = self.line(at);
        match edit {
            Edit::Left => self.cursor = self.left(at),
            Edit::Right => self.cursor = self.right(at),
            Edit::WordLeft => self.cursor = self.word_left(at),
            Edit::WordRight => self.cursor = self.word_right(at),
            Edit::LineStart => self.cursor = line_start,
            Edit::LineEnd => self.cursor = line_end,
            Edit::Backspace => return self.remove(self.left(at)..at, false),
            Edit::Delete => return self.remove(at..self.right(at), false),
            Edit::KillWordLeft => return self.remove(self.word_left(at)..at, true),
            Edit::KillWordRight => return self.remove(at..self.word_right(at), true),
            // On the line's end the break itself goes, as in readline's multi-line relatives.
            Edit::KillToEnd => {
                return self.remove(
                    at..if at == line_end {
                        self.right(at)
                    } else {
                        line_end
                    },
                    true,
                );
            }
            Edit::KillToStart => {
                return self.remove(
                    if at == line_start {
                        self.left(at)
                    } else {
                        line_start
                    }..at,
                    true,
                );
            }
            Edit::Yank => {
                let cut = std::mem::take(&mut self.cut);
                let edited = (!cut.is_empty()).then(|| self.insert(&cut));
                self.cut = cut;
                return edited;
            }
            Edit::Undo => return self.take_back(),
        }
        None
    }

    /// Start and end of the line (between line breaks) around `at`.
    pub(crate) fn line(&self, at: usize) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |i| i + 1);
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |i| at + i);
        (start, end)
    }

    fn remove(&mut self, range: Range<usize>, keep: bool) -> Option<Edited> {
        if range.is_empty() {
            return None;
        }
        if keep {
            self.text[range.clone()].clone_into(&mut self.cut);
        }
        Some(self.replace(range, ""))
    }

    fn replace(&mut self, range: Range<usize>, text: &str) -> Edited {
        let removed = self.text[range.clone()].to_owned();
        let edited = Edited {
            at: range.start,
            removed: range.len(),
            inserted: text.len(),
            breaks: removed.contains('\n') || text.contains('\n'),
        };
        self.note(UndoStep {
            at: range.start,
            removed,
            inserted: text.len(),
            cursor: self.cursor,
            typed: range.is_empty() && text.chars().count() == 1,
        });
        self.text.replace_range(range.clone(), text);
        self.cursor = range.start + text.len();
        // What was inserted may have joined with what follows into one grapheme.
        if !self.is_boundary(self.cursor) {
            self.cursor = self.right(self.cursor);
        }
        edited
    }

    /// Letters typed in a row are one step.
    fn note(&mut self, step: UndoStep) {
        if let Some(last) = self.undo.last_mut()
            && step.typed
            && last.typed
            && last.at + last.inserted == step.at
            && !self.text[..step.at].ends_with([' ', '\n'])
        {
            last.inserted += step.inserted;
            return;
        }
        if self.undo.len() == UNDO {
            self.undo.remove(0);
        }
        self.undo.push(step);
    }

    fn take_back(&mut self) -> Option<Edited> {
        let UndoStep {
            at,
            removed,
            inserted,
            cursor,
            ..
        } = self.undo.pop()?;
        let range = at..at + inserted;
        let breaks = removed.contains('\n') || self.text[range.clone()].contains('\n');
        let edited = Edited {
            at,
            removed: inserted,
            inserted: removed.len(),
            breaks,
        };
        self.text.replace_range(range, &removed);
        self.set_cursor(cursor);
        Some(edited)
    }

    fn is_boundary(&self, at: usize) -> bool {
        GraphemeCursor::new(at, self.text.len(), true)
            .is_boundary(&self.text, 0)
            .unwrap_or(true)
    }

    fn left(&self, at: usize) -> usize {
        GraphemeCursor::new(at, self.text.len(), true)
            .prev_boundary(&self.text, 0)
            .ok()
            .flatten()
            .unwrap_or(0)
    }

    fn right(&self, at: usize) -> usize {
        GraphemeCursor::new(at, self.text.len(), true)
            .next_boundary(&self.text, 0)
            .ok()
            .flatten()
            .unwrap_or(self.text.len())
    }

    fn word_left(&self, at: usize) -> usize {
        let mut start = at;
        let mut inside = false;
        for (i, grapheme) in self.text[..at].grapheme_indices(true).rev() {
            let word = is_word(grapheme);
            if inside && !word {
                break;
            }
            inside |= word;
            start = i;
        }
        start
    }

    fn word_right(&self, at: usize) -> usize {
        let mut end = at;
        let mut inside = false;
        for grapheme in self.text[at..].graphemes(true) {
            let word = is_word(grapheme);
            if inside && !word {
                break;
            }
            inside |= word;
            end += grapheme.len();
        }
        end
    }
}

fn is_word(grapheme: &str) -> bool {
    grapheme
        .chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `|` marks the cursor.
    fn buffer(marked: &str) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.insert(&marked.replacen('|', "", 1));
        buffer.set_cursor(marked.find('|').unwrap());
        buffer
    }

    fn marked(buffer: &Buffer) -> String {
        let (before, after) = buffer.text().split_at(buffer.cursor());
        format!("{before}|{after}")
    }

    #[test]
    fn readline_keys_edit_as_readline_does() {
        for (before, edit, after) in [
            ("one two|", Edit::KillWordLeft, "one |"),
            ("one two  |", Edit::KillWordLeft, "one |"),
            ("one| two", Edit::KillWordRight, "one|"),
            ("a\nbc|d", Edit::KillToEnd, "a\nbc|"),
            ("a|\nb", Edit::KillToEnd, "a|b"),
            ("a\nbc|d", Edit::KillToStart, "a\n|d"),
            ("a\n|b", Edit::KillToStart, "a|b"),
            ("a\nbc|d", Edit::LineStart, "a\n|bcd"),
            ("a|b\nc", Edit::LineEnd, "ab|\nc"),
            ("foo(bar|)", Edit::WordLeft, "foo(|bar)"),
            ("foo|(bar)", Edit::WordRight, "foo(bar|)"),
            ("👩‍👩‍👧|x", Edit::Backspace, "|x"),
            ("|e\u{301}x", Edit::Delete, "|x"),
            ("x|👍🏽", Edit::Right, "x👍🏽|"),
            ("|", Edit::Backspace, "|"),
        ] {
            let mut buffer = buffer(before);
            buffer.edit(edit);
            assert_eq!(marked(&buffer), after, "{before} {edit:?}");
        }
    }

    #[test]
    fn what_was_cut_comes_back_and_undo_takes_steps_back() {
        let mut b = buffer("one two|");
        b.edit(Edit::KillWordLeft);
        b.edit(Edit::LineStart);
        b.edit(Edit::Yank);
        assert_eq!(marked(&b), "two|one ");
        b.edit(Edit::Undo);
        b.edit(Edit::Undo);
        assert_eq!(marked(&b), "one two|");
        for c in ["x", "y", "z"] {
            b.insert(c);
        }
        b.edit(Edit::Undo);
        assert_eq!(b.text(), "one two", "typed letters are one step");
    }
}
