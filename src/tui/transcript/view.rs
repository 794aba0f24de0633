//! The room that items are laid out for.

use crate::tui::theme::Palette;

/// How wide, and in which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) width: usize,
    pub(super) palette: Palette,
}

impl View {
    /// The column for the mark of the selected message; none on a very narrow screen.
    pub(super) fn gutter(self) -> usize {
        usize::from(self.width >= 4)
    }

    /// Bodies stand to the right of their heads, where there is room.
    pub(super) fn indent(self) -> usize {
        if self.width >= 32 { 2 } else { 0 }
    }

    pub(super) fn head_width(self) -> usize {
        self.width.saturating_sub(self.gutter()).max(1)
    }

    pub(super) fn body_width(self) -> usize {
        self.head_width().saturating_sub(self.indent()).max(1)
    }
}
