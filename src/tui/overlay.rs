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
pub enum Overlay {
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
pub fn moved(selected: usize, by: isize, len: usize) -> usize {
    selected
        .saturating_add_signed(by)
        .min(len.saturating_sub(1))
}

#[derive(Debug)]
pub struct TextPage {
    pub title: &'static str,
    /// Left column and text; an empty left column continues, an empty text heads a section.
    pub lines: Vec<(String, String)>,
    pub scroll: usize,
}

#[derive(Debug, Default)]
pub struct Commands {
    pub field: Field,
    pub selected: usize,
}

impl Commands {
    /// The commands whose names begin with, else hold, the first word typed.
    pub fn matches(&self) -> Vec<&'static slash::SlashCommand> {
        let word = self.field.as_str().split(' ').next().unwrap_or("");
        let begin = slash::TABLE.iter().filter(|row| row.name.starts_with(word));
        let hold = slash::TABLE
            .iter()
            .filter(|row| !row.name.starts_with(word) && row.name.contains(word));
        begin.chain(hold).collect()
    }
}

#[derive(Debug, Default)]
pub struct Sessions {
    pub field: Field,
    pub rows: Option<Vec<SessionRow>>,
    pub selected: usize,
}

/// The efforts that the model in use takes.
#[derive(Debug)]
pub struct Levels {
    /// `None`: as the model does by itself.
    pub rows: Vec<Option<Effort>>,
    pub selected: usize,
}

impl Levels {
    /// The one in use is selected.
    pub fn new(levels: &[Effort], now: Option<Effort>) -> Self {
        let rows: Vec<_> = [None]
            .into_iter()
            .chain(levels.iter().copied().map(Some))
            .collect();
        let selected = rows.iter().position(|level| *level == now).unwrap_or(0);
        Self { rows, selected }
    }
}

#[derive(Debug)]
pub struct Rewind {
    /// Newest first.
    pub rows: Vec<(MessageId, String)>,
    pub selected: usize,
}

#[derive(Debug, Default)]
pub struct Search {
    pub field: Field,
    pub hit: Option<(usize, String)>,
}

/// A prompt that does not fit a limit, and the ways out.
#[derive(Debug)]
pub struct Limit {
    pub at: AtLimit,
    /// The question came from the input, and stands there again.
    pub drafted: bool,
    /// A place in [`Limit::ways`].
    pub selected: usize,
}

/// A line of the dialog.
#[derive(Debug, Clone, Copy)]
pub enum LimitOption<'a> {
    Cheaper(&'a Quote),
    Raise(Raise),
    Cancel,
}

impl LimitOption<'_> {
    /// The key that takes it; `None`: Esc.
    pub fn key(&self) -> Option<char> {
        match self {
            Self::Cheaper(_) => Some('1'),
            Self::Raise(_) => Some('2'),
            Self::Cancel => None,
        }
    }

    /// What the core is told; `None`: nothing.
    pub fn out(&self) -> Option<WayOut> {
        match self {
            Self::Cheaper(quote) => Some(WayOut::Cheaper(quote.model.clone())),
            Self::Raise(raise) => Some(WayOut::Raise(*raise)),
            Self::Cancel => None,
        }
    }
}

impl Limit {
    /// The cheaper model is offered first. Where there is none, Enter cancels: a limit is raised by its own key only.
    pub fn new(at: AtLimit, drafted: bool) -> Self {
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

    pub fn ways(&self) -> Vec<LimitOption<'_>> {
        let cheaper = self.at.cheaper.iter().map(LimitOption::Cheaper);
        cheaper
            .chain(self.at.raise.map(LimitOption::Raise))
            .chain([LimitOption::Cancel])
            .collect()
    }
}
