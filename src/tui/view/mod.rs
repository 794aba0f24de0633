//! Drawing the state.
//!
//! Owns: what is drawn into which part of the screen.
//! Refuses: changing anything but what a frame measures (scroll positions, the layout).
//! Invariant: any size draws; foreign text is drawn only as safe text.
//!
//! ```text
//!  title                                                        auto → gpt-5-mini   header
//!  transcript                                              │ panel                  (from 100 columns)
//!  what is offered after a failure
//!  status line                                                                      (without the panel)
//! ───────────────────────────────────────────────────────────────────────────────
//!  queued prompts
//!  › input, at most a third of the height
//!  → receipt
//!  hints, or a notice
//! ```

mod content;
mod dialog;
mod input;
mod limit;
mod lists;
mod panel;
mod rescue;
mod screen;
mod status;
mod welcome;
mod wire;
pub(crate) mod words;

pub(crate) use screen::{Extent, draw};
