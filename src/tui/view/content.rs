//! What a dialog shows, whichever it is.

use ratatui::text::Line;

/// What a dialog shows.
pub struct Content {
    pub title: String,
    /// The mark before the field and what stands in it; `None`: there is no field.
    pub field: Option<(&'static str, String)>,
    pub head: Option<Line<'static>>,
    pub rows: Vec<Line<'static>>,
    pub selected: Option<usize>,
    /// The first row on view; without a selection.
    pub scroll: usize,
}
