//! Where the view stands in the chat.
//!
//! Owns: the anchor, the lines of a screen, scrolling, selecting, and which items keep their lines.
//! Refuses: laying out what is neither shown nor passed by.
//! Invariant: an anchor at the end stays at the end; any other stays at its line.

use std::collections::VecDeque;

use ratatui::text::Line;

use super::item::Item;
use super::view::View;
use crate::tui::theme::Palette;

/// Items beside those on the screen that keep their lines, at most, and the lines they may hold together.
const WARM_ITEMS: usize = 32;
const WARM_LINES: usize = 20_000;

/// What part of a screen is left free when a streaming answer moves up, as one in so many, and the most lines.
const STEP: usize = 4;
const MOST_STEP: usize = 8;

/// A line of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct LineIndex {
    pub(super) item: usize,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// The last line is the last on the screen.
    End,
    /// This is the first line on the screen.
    Top(LineIndex),
}

#[cfg(test)]
/// For a scroll bar, in lines. Items that have not been near the view count with an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScrollPosition {
    pub(crate) above: usize,
    pub(crate) total: usize,
}

/// The items of a chat and the part of them that is on the screen.
#[derive(Debug)]
pub(super) struct ScrolledItems {
    pub(super) items: Vec<Item>,
    pub(super) view: View,
    anchor: Anchor,
    /// The line at the top of the last screen, and its height.
    pub(super) top: LineIndex,
    page: usize,
    /// The view is at the end with some room below, which what comes fills before all moves up again.
    pub(super) roomy: bool,
    /// The last item on the last screen.
    bottom: usize,
    pub(super) selected: Option<usize>,
    /// The sum of the heights.
    pub(super) total: usize,
    /// Items that hold lines, the one longest unseen first.
    warm: VecDeque<usize>,
}

impl ScrolledItems {
    pub(super) fn new(width: usize, palette: Palette) -> Self {
        Self {
            items: Vec::new(),
            view: View {
                width: width.max(1),
                palette,
            },
            anchor: Anchor::End,
            top: LineIndex::default(),
            page: 0,
            roomy: false,
            bottom: 0,
            selected: None,
            total: 0,
            warm: VecDeque::new(),
        }
    }

    /// Takes every item away; the view keeps its size.
    pub(super) fn clear(&mut self) {
        *self = Self {
            page: self.page,
            ..Self::new(self.view.width, self.view.palette)
        };
    }

    pub(super) fn push(&mut self, item: Item) {
        self.total += item.height;
        self.items.push(item);
    }

    /// The view follows: its place is made anew when it is shown.
    pub(super) fn drop_last(&mut self) {
        let Some(item) = self.items.pop() else { return };
        let at = self.items.len();
        self.total -= item.height;
        self.warm.retain(|warm| *warm != at);
        self.selected = self.selected.filter(|selected| *selected != at);
        self.bottom = self.bottom.min(at.saturating_sub(1));
        if self.top.item >= at {
            self.top = self.clamp(self.top);
        }
    }

    /// Lays the chat out for another width or palette, each item when it is next shown.
    pub(super) fn set_view(&mut self, width: usize, palette: Palette) {
        let view = View {
            width: width.max(1),
            palette,
        };
        if view == self.view {
            return;
        }
        let kept = match self.anchor {
            Anchor::Top(place) => Some((
                place,
                self.items
                    .get(place.item)
                    .map_or(1, |item| item.height.max(1)),
            )),
            Anchor::End => None,
        };
        for at in std::mem::take(&mut self.warm) {
            self.items[at].forget();
        }
        if view.width != self.view.width {
            self.items.iter_mut().for_each(|item| item.estimate(view));
            self.total = self.items.iter().map(|item| item.height).sum();
        }
        self.view = view;
        self.roomy = false;
        if let Some((place, height)) = kept {
            // The same share of the item above the view as before.
            self.lay_out(place.item);
            let line = self
                .items
                .get(place.item)
                .map_or(0, |item| place.line * item.height / height);
            self.anchor = Anchor::Top(LineIndex { line, ..place });
        }
    }

    /// The lines of a screen `height` lines high; fewer when the chat is shorter.
    pub(super) fn visible(&mut self, height: usize) -> Vec<Line<'static>> {
        self.page = height;
        let mut lines = Vec::with_capacity(height);
        if let Anchor::Top(top) = self.anchor {
            self.top = self.clamp(top);
            self.anchor = Anchor::Top(self.top);
            if self.collect(height, &mut lines) {
                self.anchor = Anchor::End;
            }
        }
        if self.anchor == Anchor::End {
            lines.clear();
            self.top = self.follow(height);
            self.collect(height, &mut lines);
        }
        self.cool_down();
        lines
    }

    /// The top of a view at the end. While an answer streams, what is on the screen moves up by several lines at once:
    /// by one at a time it is hard to read, and much to write to the terminal.
    fn follow(&mut self, height: usize) -> LineIndex {
        let full = self.up(self.end(), height);
        let roomiest = self.up(self.end(), height - (height / STEP).min(MOST_STEP));
        let stands = self.roomy && full <= self.top && self.top <= roomiest;
        let streams = self.items.last().is_some_and(Item::streams);
        if stands {
            return self.top;
        }
        self.roomy = streams && full != LineIndex::default();
        if self.roomy { roomiest } else { full }
    }

    /// Moves the view by lines: negative towards the start.
    pub(super) fn scroll(&mut self, by: isize) {
        let top = self.resolve();
        let place = if by < 0 {
            self.up(top, by.unsigned_abs())
        } else {
            self.down(top, by.unsigned_abs())
        };
        // A view at the end that is told to go further down stays there.
        if by < 0 || self.anchor != Anchor::End {
            self.anchor = Anchor::Top(place);
        }
    }

    /// Moves the view by screens, less two lines.
    pub(super) fn scroll_pages(&mut self, by: isize) {
        let page = isize::try_from(self.page.saturating_sub(2).max(1)).unwrap_or(isize::MAX);
        self.scroll(by.saturating_mul(page));
    }

    pub(super) fn scroll_to_start(&mut self) {
        self.anchor = Anchor::Top(LineIndex::default());
    }

    /// Follows the end again, from where the view stands.
    pub(super) fn follow_end(&mut self) {
        self.anchor = Anchor::End;
    }

    pub(super) fn scroll_to_end(&mut self) {
        self.roomy = false;
        self.anchor = Anchor::End;
    }

    /// Whether the view follows what comes.
    pub(super) fn is_at_end(&self) -> bool {
        self.anchor == Anchor::End
    }

    #[cfg(test)]
    pub(super) fn position(&self) -> ScrollPosition {
        let above: usize = self.items[..self.top.item.min(self.items.len())]
            .iter()
            .map(|item| item.height)
            .sum();
        ScrollPosition {
            above: above + self.top.line,
            total: self.total,
        }
    }

    /// Selects the next message; the first one on the screen if none is selected.
    pub(super) fn select_next(&mut self) {
        let from = self
            .selected
            .map_or_else(|| self.resolve().item, |at| at + 1);
        let next = (from..self.items.len()).find(|at| self.items[*at].is_message());
        self.select(next.or(self.selected));
    }

    /// Selects the message before; the last one if none is selected.
    pub(super) fn select_previous(&mut self) {
        let to = self.selected.unwrap_or(self.items.len());
        let previous = (0..to).rev().find(|at| self.items[*at].is_message());
        self.select(previous.or(self.selected));
    }

    fn select(&mut self, at: Option<usize>) {
        self.selected = at;
        let Some(at) = at else { return };
        let top = self.resolve();
        let start = LineIndex { item: at, line: 0 };
        self.lay_out(at);
        let height = self.items[at].height;
        if start < top || height >= self.page {
            self.anchor = Anchor::Top(start);
        } else {
            // The lowest top at which all of the message is in view.
            let lowest = self.up(
                LineIndex {
                    item: at,
                    line: height,
                },
                self.page,
            );
            if lowest > top {
                self.anchor = Anchor::Top(lowest);
            }
        }
    }

    /// The first line of the view as it stands now.
    fn resolve(&mut self) -> LineIndex {
        match self.anchor {
            Anchor::End if self.roomy => self.clamp(self.top),
            Anchor::End => self.up(self.end(), self.page),
            Anchor::Top(place) => self.clamp(place),
        }
    }

    /// Behind the last line.
    fn end(&self) -> LineIndex {
        LineIndex {
            item: self.items.len(),
            line: 0,
        }
    }

    fn clamp(&mut self, place: LineIndex) -> LineIndex {
        let Some(last) = self.items.len().checked_sub(1) else {
            return LineIndex::default();
        };
        let item = place.item.min(last);
        self.lay_out(item);
        LineIndex {
            item,
            line: place.line.min(self.items[item].height - 1),
        }
    }

    /// `lines` above `from`, or the start.
    fn up(&mut self, from: LineIndex, lines: usize) -> LineIndex {
        let (mut at, mut left) = (from, lines);
        while left > at.line {
            left -= at.line;
            let Some(item) = at.item.checked_sub(1) else {
                return LineIndex::default();
            };
            self.lay_out(item);
            at = LineIndex {
                item,
                line: self.items[item].height,
            };
        }
        LineIndex {
            line: at.line - left,
            ..at
        }
    }

    /// `lines` below `from`, or the last line.
    fn down(&mut self, from: LineIndex, lines: usize) -> LineIndex {
        let mut at = LineIndex {
            line: from.line.saturating_add(lines),
            ..from
        };
        while at.item < self.items.len() {
            self.lay_out(at.item);
            let height = self.items[at.item].height;
            if at.line < height || at.item + 1 == self.items.len() {
                break;
            }
            at = LineIndex {
                item: at.item + 1,
                line: at.line - height,
            };
        }
        self.clamp(at)
    }

    /// The lines from the top on. True: the end of the chat is among them.
    fn collect(&mut self, height: usize, out: &mut Vec<Line<'static>>) -> bool {
        let mut at = self.top;
        while out.len() < height && at.item < self.items.len() {
            self.lay_out(at.item);
            let selected = self.selected == Some(at.item);
            self.bottom = at.item;
            let item = &mut self.items[at.item];
            let to = at.line + (height - out.len());
            item.lines(at.line, to, selected, self.view, out);
            if to < item.height {
                return false;
            }
            at = LineIndex {
                item: at.item + 1,
                line: 0,
            };
        }
        at.item >= self.items.len()
    }

    /// Makes the height of an item exact, and remembers that it holds lines.
    pub(super) fn lay_out(&mut self, at: usize) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        let before = item.height;
        item.lay_out(self.view);
        self.total = self.total - before + item.height;
        if self.warm.back() != Some(&at) {
            self.warm.retain(|other| *other != at);
            self.warm.push_back(at);
        }
        // Passing by ten thousand items must not keep all their lines.
        while self.warm.len() > 4 * WARM_ITEMS.max(self.page) {
            self.warm
                .pop_front()
                .into_iter()
                .for_each(|at| self.items[at].forget());
        }
    }

    /// Lets items go that have not been on the screen for long.
    fn cool_down(&mut self) {
        let mut lines: usize = self.warm.iter().map(|at| self.items[*at].height).sum();
        while self.warm.len() > self.page.max(WARM_ITEMS) || lines > WARM_LINES {
            let shown = self.top.item..=self.bottom;
            let Some(at) = self.warm.front().copied().filter(|at| !shown.contains(at)) else {
                break;
            };
            self.warm.pop_front();
            lines -= self.items[at].height;
            self.items[at].forget();
        }
    }
}
