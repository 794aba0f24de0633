//! What keys can do.

use crate::protocol::Degraded;

/// What a key can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Send,
    NewLine,
    Escape,
    Interrupt,
    DeleteOrQuit,
    NextModel,
    PreviousModel,
    Models,
    Escalate,
    Continue,
    /// A way out when no provider can be reached.
    Take(Degraded),
    LeaveOffer,
    TogglePanel,
    ToggleMouse,
    Commands,
    Help,
    Previous,
    Next,
    SearchHistory,
    TakeBack,
    PageUp,
    PageDown,
    Top,
    Bottom,
    NextFocus,
    PreviousFocus,
    LineDown,
    LineUp,
    NextMessage,
    PreviousMessage,
    ToggleReasoning,
    CopyMessage,
    CopyAll,
    CopyBlock(u8),
    Editor,
    Redraw,
    Suspend,
    Edit(Edit),
    Accept,
    Complete,
    Erase,
    ClearField,
    SetDefault,
    ToggleFavourite,
}

/// What a key can do to the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    Backspace,
    Delete,
    KillWordLeft,
    KillWordRight,
    KillToEnd,
    KillToStart,
    Yank,
    Undo,
}
