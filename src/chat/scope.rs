//! What a limit is over.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a limit is over, narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One question, with all the attempts made for it.
    Request,
    /// One run of the program (`--max-usd`).
    Run,
    /// One chat.
    Session,
    /// One key of a provider, over a day and over a month; likewise one model.
    KeyDay,
    /// A key in a calendar month.
    KeyMonth,
    /// A model on a calendar day.
    ModelDay,
    /// A model in a calendar month.
    ModelMonth,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
    /// A group of machines, over a day and over a month in UTC.
    GroupDay,
    /// The group in a month of UTC.
    GroupMonth,
}

impl Scope {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 11] = [
        Self::Request,
        Self::Run,
        Self::Session,
        Self::KeyDay,
        Self::KeyMonth,
        Self::ModelDay,
        Self::ModelMonth,
        Self::Day,
        Self::Month,
        Self::GroupDay,
        Self::GroupMonth,
    ];

    /// Whether a group of machines shares the limit.
    pub(crate) fn is_group(self) -> bool {
        matches!(self, Self::GroupDay | Self::GroupMonth)
    }

    /// As it stands in reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Run => "run",
            Self::Session => "session",
            Self::KeyDay => "key day",
            Self::KeyMonth => "key month",
            Self::ModelDay => "model day",
            Self::ModelMonth => "model month",
            Self::Day => "day",
            Self::Month => "month",
            Self::GroupDay => "group day",
            Self::GroupMonth => "group month",
        }
    }

    /// As it stands in a sentence about what is left of it: `$4.83 left today`.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Request => "for one request",
            Self::Run => "in this run",
            Self::Session => "in this chat",
            Self::KeyDay => "today for this key",
            Self::KeyMonth => "this month for this key",
            Self::ModelDay => "today for this model",
            Self::ModelMonth => "this month for this model",
            Self::Day => "today",
            Self::Month => "this month",
            Self::GroupDay => "today for the group",
            Self::GroupMonth => "this month for the group",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
