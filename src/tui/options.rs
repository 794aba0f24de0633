//! What the chat screen is started with.
//!
//! Owns: [`Options`] and what holds where the caller says nothing.
//! Refuses: reading the configuration or the environment.
//! Invariant: the options do not change while the screen runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::chat::Timestamp;

/// What the chat screen is started with.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// `auto`, `dark` or `light`.
    pub(crate) theme: String,
    /// The value of `COLORFGBG`, by which some terminals say how dark they are.
    pub(crate) colorfgbg: Option<String>,
    /// Draw without colours (`NO_COLOR`).
    pub(crate) no_color: bool,
    /// Show the panel where it fits.
    pub(crate) panel: bool,
    /// Capture the mouse (the terminal's own selection does not work then).
    pub(crate) mouse: bool,
    /// Send alerts as a desktop notification, with the bell, while the window has no focus.
    pub(crate) notify: bool,
    /// A time of day in the user's zone, as `14:32`.
    pub(crate) time_of_day: fn(Timestamp) -> String,
    /// Ask the terminal to tell Shift-Enter from Enter (the kitty keyboard protocol); harmless where unknown.
    pub(crate) kitty: bool,
    /// `[keys]`: action name to keys.
    pub(crate) keys: BTreeMap<String, Vec<String>>,
    /// Sent as soon as the chat is open.
    pub(crate) prompt: Option<String>,
    /// `$VISUAL` or `$EDITOR`, a shell word list.
    pub(crate) editor: Option<String>,
    /// Where the draft is put while an editor has it.
    pub(crate) scratch: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: "auto".to_owned(),
            colorfgbg: None,
            no_color: false,
            panel: true,
            mouse: false,
            notify: false,
            time_of_day: utc,
            kitty: true,
            keys: BTreeMap::new(),
            prompt: None,
            editor: None,
            scratch: PathBuf::from("."),
        }
    }
}

/// The time of day in UTC, for a caller without a time zone.
fn utc(at: Timestamp) -> String {
    let minutes = at.0.div_euclid(60_000).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}
