//! The chat screen.
//!
//! Owns: the terminal while it runs, the keys, what is shown; ratatui and crossterm live here only.
//! Refuses: every decision about models and money; those arrive as [`crate::protocol::Event`]s.
//! Invariant: state changes in `update` alone, which is pure; with nothing happening nothing is drawn and nothing wakes.
//!
//! One turn of the loop in [`run()`]: something arrives -> `update` changes the `app` and names effects ->
//! the effects are carried out -> `frame` says whether it is time to draw -> `view` draws.

mod app;
mod burst;
mod clipboard;
mod composer;
mod draft;
mod editor;
mod exit;
mod field;
mod format;
mod frame;
mod input;
pub(crate) mod keymap;
mod layout;
mod msg;
mod options;
mod overlay;
mod picker;
mod price_alert;
mod prices;
mod replies;
mod rescue;
mod run;
mod scrollback;
mod slash;
mod terminal;
mod timer;
mod uneven;
mod update;
mod view;
mod wire;

pub mod canvas;
pub(crate) mod markdown;
pub mod theme;
pub mod transcript;
pub(crate) mod wrap;

#[cfg(test)]
mod tests;

pub(crate) use exit::Exit;
pub(crate) use options::Options;
pub(crate) use run::run;
