//! What a dialog shows, whichever it is.

use ratatui::text::Line;

/// What a dialog shows.
pub(crate) struct Content {
    pub(crate) title: String,
    /// The mark before the field and what stands in it; `None`: there is no field.
    pub(crate) field: Option<(&'static str, String)>,
    pub(crate) head: Option<Line<'static>>,
    pub(crate) rows: Vec<Line<'static>>,
    pub(crate) selected: Option<usize>,
    /// The first row on view; without a selection.
    pub(crate) scroll: usize,
}
