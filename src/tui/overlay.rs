//! The dialogs.
//!
//! Owns: which dialog is open and what it holds.
//! Refuses: keys and drawing.
//! Invariant: a selection points at a row, or there is no row.

use super::field::Field;
use super::picker::Picker;
use super::slash;
use crate::chat::{Effort, MessageId};
use crate::protocol::{AtLimit, Quote, Raise, SessionRow, WayOut};

#[derive(Debug, Default)]
pub(crate) enum Overlay {
    #[default]
    None,
    /// Something to read: help, budget, cost, why.
    Page(TextPage),
    /// Commands, filtered by what is typed.
    Palette(Commands),
    Picker(Box<Picker>),
    Sessions(Sessions),
    /// Earlier messages of the user, to go back to.
    Rewind(Rewind),
    HistorySearch(Search),
    /// A prompt does not fit a limit.
    Limit(Box<Limit>),
    /// How hard to think.
    Effort(Levels),
}

/// Moves a selection by `by` in a list of `len`.
pub(crate) fn moved(selected: usize, by: isize, len: usize) -> usize {
    selected
        .saturating_add_signed(by)
        .min(len.saturating_sub(1))
}

#[derive(Debug)]
pub(crate) struct TextPage {
    pub(crate) title: &'static str,
    /// Left column and text; an empty left column continues, an empty text heads a section.
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) scroll: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Commands {
    pub(crate) field: Field,
    pub(crate) selected: usize,
}

impl Commands {
    /// The commands whose names begin with, else hold, the first word typed.
    pub(crate) fn matches(&self) -> Vec<&'static slash::SlashCommand> {
        let word = self.field.as_str().split(' ').next().unwrap_or("");
        let begin = slash::TABLE.iter().filter(|row| row.name.starts_with(word));
        let hold = slash::TABLE
            .iter()
            .filter(|row| !row.name.starts_with(word) && row.name.contains(word));
        begin.chain(hold).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) field: Field,
    pub(crate) rows: Option<Vec<SessionRow>>,
    pub(crate) selected: usize,
}

/// The efforts that the model in use takes.
#[derive(Debug)]
pub(crate) struct Levels {
    /// `None`: as the model does by itself.
    pub(crate) rows: Vec<Option<Effort>>,
    pub(crate) selected: usize,
}

impl Levels {
    /// The one in use is selected.
    pub(crate) fn new(levels: &[Effort], now: Option<Effort>) -> Self {
        let rows: Vec<_> = [None]
            .into_iter()
            .chain(levels.iter().copied().map(Some))
            .collect();
        let selected = rows.iter().position(|level| *level == now).unwrap_or(0);
        Self { rows, selected }
    }
}

#[derive(Debug)]
pub(crate) struct Rewind {
    /// Newest first.
    pub(crate) rows: Vec<(MessageId, String)>,
    pub(crate) selected: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) field: Field,
    pub(crate) hit: Option<(usize, String)>,
}

/// A prompt that does not fit a limit, and the ways out.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) at: AtLimit,
    /// The question came from the input, and stands there again.
    pub(crate) drafted: bool,
    /// A place in [`Limit::ways`].
    pub(crate) selected: usize,
}

/// A line of the dialog.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LimitOption<'a> {
    Cheaper(&'a Quote),
    Raise(Raise),
    Cancel,
}

impl LimitOption<'_> {
    /// The key that takes it; `None`: Esc.
    pub(crate) fn key(&self) -> Option<char> {
        match self {
            Self::Cheaper(_) => Some('1'),
            Self::Raise(_) => Some('2'),
            Self::Cancel => None,
        }
    }

    /// What the core is told; `None`: nothing.
    pub(crate) fn out(&self) -> Option<WayOut> {
        match self {
            Self::Cheaper(quote) => Some(WayOut::Cheaper(quote.model.clone())),
            Self::Raise(raise) => Some(WayOut::Raise(*raise)),
            Self::Cancel => None,
        }
    }
}

impl Limit {
    /// The cheaper model is offered first. Where there is none, Enter cancels: a limit is raised by its own key only.
    pub(crate) fn new(at: AtLimit, drafted: bool) -> Self {
        let mut limit = Self {
            at,
            drafted,
            selected: 0,
        };
        if limit.at.cheaper.is_none() {
            limit.selected = limit.ways().len() - 1;
        }
        limit
    }

    pub(crate) fn ways(&self) -> Vec<LimitOption<'_>> {
        let cheaper = self.at.cheaper.iter().map(LimitOption::Cheaper);
        cheaper
            .chain(self.at.raise.map(LimitOption::Raise))
            .chain([LimitOption::Cancel])
            .collect()
    }
}
