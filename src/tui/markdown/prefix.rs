//! What stands to the left of a line: quote bars, list markers, hanging indents.
//!
//! Owns: [`Prefix`].
//! Refuses: growing past half the width, however deep the nesting; deeper levels are shown at the last indent.
//! Invariant: building the prefix of a line costs at most the width.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::wrap;

#[derive(Debug)]
struct ContainerPrefix {
    /// On the first line.
    marker: Span<'static>,
    /// On every other line; as wide as the marker.
    rest: Span<'static>,
    fresh: bool,
}

/// The open containers, as far as they are shown.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    levels: Vec<ContainerPrefix>,
    /// For each open container whether it is shown.
    shown: Vec<bool>,
    cells: usize,
    most: usize,
}

impl Prefix {
    /// For lines of `width` cells.
    pub(super) fn new(width: usize) -> Self {
        Self {
            most: width / 2,
            ..Self::default()
        }
    }

    /// The cells it takes.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    /// Opens a container with `marker` on its first line and, on the others, `rest` or as many spaces.
    pub(super) fn open(&mut self, marker: String, rest: Option<&'static str>, style: Style) {
        let cells = wrap::width(&marker);
        let shown = self.cells + cells <= self.most;
        self.shown.push(shown);
        if shown {
            self.cells += cells;
            let rest = rest.map_or_else(
                || Span::raw(" ".repeat(cells)),
                |rest| Span::styled(rest, style),
            );
            self.levels.push(ContainerPrefix {
                marker: Span::styled(marker, style),
                rest,
                fresh: true,
            });
        }
    }

    /// Puts `marker` in the place of the innermost one. False: it is not shown, has been used, or there is no room.
    pub(super) fn replace_marker(&mut self, marker: &'static str) -> bool {
        let Some(level) = self
            .levels
            .last_mut()
            .filter(|level| level.fresh && self.shown.last() == Some(&true))
        else {
            return false;
        };
        let cells = self.cells - wrap::width(&level.marker.content) + wrap::width(marker);
        if cells > self.most {
            return false;
        }
        self.cells = cells;
        level.rest = Span::raw(" ".repeat(wrap::width(marker)));
        level.marker.content = marker.into();
        true
    }

    /// Whether the innermost container is shown and no line of it has been.
    pub(super) fn is_fresh(&self) -> bool {
        self.shown.last() == Some(&true) && self.levels.last().is_some_and(|level| level.fresh)
    }

    pub(super) fn close(&mut self) {
        if self.shown.pop() == Some(true)
            && let Some(level) = self.levels.pop()
        {
            self.cells -= wrap::width(&level.marker.content);
        }
    }

    /// `line` behind the prefix. Uses the markers up.
    pub(super) fn line(&mut self, line: Line<'static>) -> Line<'static> {
        let mut spans = Vec::with_capacity(self.levels.len() + line.spans.len());
        for level in &mut self.levels {
            let part = if level.fresh {
                &level.marker
            } else {
                &level.rest
            };
            spans.push(part.clone());
            level.fresh = false;
        }
        spans.extend(line.spans);
        Line::from(spans)
    }

    /// A blank line between two blocks: only the bars of quotes that go on.
    pub(super) fn blank(&self) -> Line<'static> {
        let going_on = self.levels.iter().take_while(|level| !level.fresh);
        let mut spans: Vec<_> = going_on.map(|level| level.rest.clone()).collect();
        while spans
            .last()
            .is_some_and(|span| span.content.trim().is_empty())
        {
            spans.pop();
        }
        Line::from(spans)
    }
}
