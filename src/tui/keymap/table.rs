//! The table of keys.
//!
//! Owns: [`TABLE`] and the names of what can be done.
//! Refuses: dispatch.
//! Invariant: every action has a row, so that the help screen is whole.

use super::action::{Action, Edit};
use super::binding::KeyBinding;
use super::binding::KeyContext::{
    Anywhere, Dialog, EmptyInput, Input, Offer, Panel, Picker, Transcript,
};
use crate::protocol::Degraded;

macro_rules! table {
    ($($name:literal $place:ident $action:expr, [$($key:literal),*], $help:literal;)*) => {
        /// Every binding. `name` is the key in `[keys]`.
        pub(crate) const TABLE: &[KeyBinding] = &[$(KeyBinding { name: $name, place: $place, action: $action, keys: &[$($key),*], help: $help }),*];
    };
}

table! {
    "send" Input Action::Send, ["Enter"], "send; while an answer streams: queue";
    "new-line" Input Action::NewLine, ["Shift-Enter", "Alt-Enter", "Ctrl-J"], "new line (also a backslash, then Enter)";
    "stop" Anywhere Action::Escape, ["Esc"], "stop the answer; twice on an empty input: edit earlier";
    "interrupt" Anywhere Action::Interrupt, ["Ctrl-C"], "stop; else put the draft aside; else, twice, quit";
    "quit" Input Action::DeleteOrQuit, ["Ctrl-D"], "quit on an empty input, else delete forward";
    "next-model" Anywhere Action::NextModel, ["F2"], "next favourite model";
    "previous-model" Anywhere Action::PreviousModel, ["Shift-F2"], "previous favourite model";
    "models" Anywhere Action::Models, ["Alt-P"], "choose a model";
    "escalate" Anywhere Action::Escalate, ["Alt-E"], "ask the last question again, one rung up";
    "continue" Anywhere Action::Continue, ["Alt-C"], "go on with an answer that was cut at its cap";
    "take-kept" Anywhere Action::Take(Degraded::Kept), ["Alt-1"], "no provider: take the answer that was kept";
    "take-guide" Anywhere Action::Take(Degraded::Guide), ["Alt-2"], "no provider: ask the built-in guide";
    "take-again" Anywhere Action::Take(Degraded::Again), ["Alt-3"], "no provider: try again";
    "panel" Anywhere Action::TogglePanel, ["F3"], "panel on, off";
    "mouse" Anywhere Action::ToggleMouse, ["F9"], "mouse on, off";
    "commands" Anywhere Action::Commands, ["Ctrl-P"], "commands";
    "slash" EmptyInput Action::Commands, ["/"], "commands";
    "help" Anywhere Action::Help, ["F1"], "this page";
    "question" EmptyInput Action::Help, ["?"], "this page";
    "offer-kept" Offer Action::Take(Degraded::Kept), ["1"], "take the answer that was kept";
    "offer-guide" Offer Action::Take(Degraded::Guide), ["2"], "ask the built-in guide";
    "offer-again" Offer Action::Take(Degraded::Again), ["3", "Enter"], "try again";
    "offer-leave" Offer Action::LeaveOffer, ["Esc"], "leave it";
    "previous" Input Action::Previous, ["Up"], "a line up; from the first line: earlier prompts";
    "next" Input Action::Next, ["Down"], "a line down; from the last line: later prompts";
    "search-history" Input Action::SearchHistory, ["Ctrl-R"], "search earlier prompts";
    "take-back" Anywhere Action::TakeBack, ["Alt-Up"], "take back what was queued last";
    "page-up" Anywhere Action::PageUp, ["PgUp"], "scroll up";
    "page-down" Anywhere Action::PageDown, ["PgDn"], "scroll down";
    "top" Anywhere Action::Top, ["Ctrl-Home"], "to the beginning";
    "bottom" Anywhere Action::Bottom, ["Ctrl-End"], "to the end";
    "focus" Anywhere Action::NextFocus, ["Tab"], "focus: input, transcript, panel";
    "focus-back" Anywhere Action::PreviousFocus, ["Shift-Tab"], "focus, the other way round";
    "editor" Anywhere Action::Editor, ["Ctrl-G"], "edit the draft in $VISUAL or $EDITOR";
    "redraw" Anywhere Action::Redraw, ["Ctrl-L"], "redraw";
    "suspend" Anywhere Action::Suspend, ["Ctrl-Z"], "suspend; `fg` comes back";
    "left" Input Action::Edit(Edit::Left), ["Left", "Ctrl-B"], "left";
    "right" Input Action::Edit(Edit::Right), ["Right", "Ctrl-F"], "right";
    "word-left" Input Action::Edit(Edit::WordLeft), ["Alt-B", "Ctrl-Left", "Alt-Left"], "a word left";
    "word-right" Input Action::Edit(Edit::WordRight), ["Alt-F", "Ctrl-Right", "Alt-Right"], "a word right";
    "line-start" Input Action::Edit(Edit::LineStart), ["Ctrl-A", "Home"], "to the start of the line";
    "line-end" Input Action::Edit(Edit::LineEnd), ["Ctrl-E", "End"], "to the end of the line";
    "backspace" Input Action::Edit(Edit::Backspace), ["Backspace", "Ctrl-H", "Shift-Backspace"], "delete back";
    "delete" Input Action::Edit(Edit::Delete), ["Delete"], "delete forward";
    "kill-word-left" Input Action::Edit(Edit::KillWordLeft), ["Ctrl-W", "Alt-Backspace"], "cut a word back";
    "kill-word-right" Input Action::Edit(Edit::KillWordRight), ["Alt-D"], "cut a word forward";
    "kill-to-end" Input Action::Edit(Edit::KillToEnd), ["Ctrl-K"], "cut to the end of the line";
    "kill-to-start" Input Action::Edit(Edit::KillToStart), ["Ctrl-U"], "cut to the start of the line";
    "yank" Input Action::Edit(Edit::Yank), ["Ctrl-Y"], "put back what was cut last";
    "undo" Input Action::Edit(Edit::Undo), ["Ctrl-_", "Ctrl-7", "Ctrl-/"], "undo";
    "line-down" Transcript Action::LineDown, ["j", "Down"], "down";
    "line-up" Transcript Action::LineUp, ["k", "Up"], "up";
    "first" Transcript Action::Top, ["g", "Home"], "to the beginning";
    "last" Transcript Action::Bottom, ["G", "End"], "to the end";
    "next-message" Transcript Action::NextMessage, ["J", "n"], "next message";
    "previous-message" Transcript Action::PreviousMessage, ["K", "p"], "previous message";
    "reasoning" Transcript Action::ToggleReasoning, ["r", "Ctrl-O"], "fold, unfold the reasoning";
    "copy-message" Transcript Action::CopyMessage, ["y"], "copy the message";
    "copy-all" Transcript Action::CopyAll, ["Y"], "copy the whole chat";
    "copy-one" Transcript Action::CopyBlock(1), ["1"], "copy code block 1";
    "copy-two" Transcript Action::CopyBlock(2), ["2"], "copy code block 2";
    "copy-three" Transcript Action::CopyBlock(3), ["3"], "copy code block 3";
    "copy-four" Transcript Action::CopyBlock(4), ["4"], "copy code block 4";
    "copy-five" Transcript Action::CopyBlock(5), ["5"], "copy code block 5";
    "copy-six" Transcript Action::CopyBlock(6), ["6"], "copy code block 6";
    "copy-seven" Transcript Action::CopyBlock(7), ["7"], "copy code block 7";
    "copy-eight" Transcript Action::CopyBlock(8), ["8"], "copy code block 8";
    "copy-nine" Transcript Action::CopyBlock(9), ["9"], "copy code block 9";
    "transcript-help" Transcript Action::Help, ["?"], "this page";
    "to-input" Transcript Action::Accept, ["Enter", "i"], "back to the input";
    "panel-down" Panel Action::LineDown, ["j", "Down"], "down";
    "panel-up" Panel Action::LineUp, ["k", "Up"], "up";
    "panel-to-input" Panel Action::Accept, ["Enter", "i"], "back to the input";
    "accept" Dialog Action::Accept, ["Enter"], "take it";
    "close" Dialog Action::Escape, ["Esc"], "close";
    "close-hard" Dialog Action::Interrupt, ["Ctrl-C"], "stop the answer; else close";
    "down" Dialog Action::LineDown, ["Down", "Ctrl-N"], "down";
    "up" Dialog Action::LineUp, ["Up", "Ctrl-P"], "up";
    "dialog-page-up" Dialog Action::PageUp, ["PgUp"], "a page up";
    "dialog-page-down" Dialog Action::PageDown, ["PgDn"], "a page down";
    "complete" Dialog Action::Complete, ["Tab"], "complete";
    "erase" Dialog Action::Erase, ["Backspace", "Ctrl-H"], "erase in the field";
    "clear-field" Dialog Action::ClearField, ["Ctrl-U", "Ctrl-W"], "empty the field";
    "older" Dialog Action::SearchHistory, ["Ctrl-R"], "the next older match";
    "dialog-redraw" Dialog Action::Redraw, ["Ctrl-L"], "redraw";
    "dialog-suspend" Dialog Action::Suspend, ["Ctrl-Z"], "suspend";
    "default-model" Picker Action::SetDefault, ["Ctrl-D"], "default of new chats (`d` while nothing is typed)";
    "favourite-model" Picker Action::ToggleFavourite, ["Ctrl-F"], "favourite (`f` while nothing is typed)";
}
