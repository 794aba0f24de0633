//! A row of the table of keys, and where it holds.

use super::action::Action;

/// Where a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KeyContext {
    /// Everywhere but in a dialog, after the place itself.
    Anywhere,
    /// The input.
    Input,
    /// The input while nothing stands in it and an offer waits for a word.
    Offer,
    /// The input while nothing stands in it.
    EmptyInput,
    Transcript,
    Panel,
    /// Any dialog.
    Dialog,
    /// The model picker, before the other dialog keys.
    Picker,
}

impl KeyContext {
    pub(crate) const ALL: [Self; 8] = [
        Self::Anywhere,
        Self::Input,
        Self::EmptyInput,
        Self::Offer,
        Self::Transcript,
        Self::Panel,
        Self::Picker,
        Self::Dialog,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Input => "in the input",
            Self::EmptyInput => "first in an empty input",
            Self::Offer => "in an empty input, when no provider can be reached",
            Self::Transcript => "in the transcript",
            Self::Panel => "in the panel",
            Self::Dialog => "in a dialog",
            Self::Picker => "in the model picker",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyBinding {
    /// The name in `[keys]`.
    pub(crate) name: &'static str,
    pub(crate) place: KeyContext,
    pub(crate) action: Action,
    pub(crate) keys: &'static [&'static str],
    pub(crate) help: &'static str,
}
