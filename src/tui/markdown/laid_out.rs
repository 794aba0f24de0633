//! Markdown as lines.

use ratatui::text::Line;

use super::code::CodeBlock;

/// Laid out markdown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LaidOutText {
    pub(crate) lines: Vec<Line<'static>>,
    /// The blocks of code in order; the screen numbers them from 1.
    pub(crate) code_blocks: Vec<CodeBlock>,
}

impl LaidOutText {
    /// A blank line between two blocks.
    pub(super) fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
    }
}
