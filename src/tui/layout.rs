//! Where everything stands on the screen.
//!
//! Owns: how the rows are shared out, and when there is room for the panel.
//! Refuses: drawing; knowing what stands in a part.
//! Invariant: the parts do not overlap. What is needed to write comes first; the rest gets what is left.

use ratatui::layout::Rect;

/// From here on there is room for the panel.
const WITH_PANEL: u16 = 100;
/// Queued prompts shown; the others are counted.
pub(crate) const QUEUE_ROWS: usize = 3;

/// The parts of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScreenLayout {
    pub(crate) header: Option<Rect>,
    /// The transcript, or what an empty chat says.
    pub(crate) body: Rect,
    pub(crate) panel: Option<Rect>,
    /// The panel's most wanted figures, where there is no panel.
    pub(crate) status: Option<Rect>,
    pub(crate) rule: Option<Rect>,
    pub(crate) queue: Rect,
    pub(crate) input: Rect,
    pub(crate) receipt: Rect,
    pub(crate) hint: Option<Rect>,
}

impl ScreenLayout {
    /// Shares out `area` for an input of so many rows and so many queued prompts.
    pub(crate) fn new(area: Rect, input_rows: u16, queued: usize, panel_on: bool) -> Self {
        let mut rows = FreeRows {
            area,
            top: area.y,
            bottom: area.bottom(),
        };
        let small = area.height < 10;
        let hint = (!small).then(|| rows.take_bottom(1));
        let receipt = rows.take_bottom(1);
        let input = rows.take_bottom(input_rows);
        let queue = rows.take_bottom(queue_rows(queued, rows.left()));
        let rule = (!small).then(|| rows.take_bottom(1));
        let with_panel = panel_on && area.width >= WITH_PANEL && rows.left() >= 4;
        let header = (rows.left() >= 3).then(|| rows.take_top(1));
        let status = (!with_panel && rows.left() >= 3).then(|| rows.take_bottom(1));
        let mut body = rows.rest();
        let panel = with_panel.then(|| {
            let width = (area.width * 2 / 5).clamp(40, 48);
            let panel = Rect {
                x: area.right() - width,
                width,
                ..body
            };
            // A free column, so that a figure at the end of a line does not touch the panel.
            body.width -= width + 1;
            panel
        });
        Self {
            header,
            body,
            panel,
            status,
            rule,
            queue,
            input,
            receipt,
            hint,
        }
    }
}

/// Rows the queue takes of those that are left.
fn queue_rows(queued: usize, left: u16) -> u16 {
    let rows = queued.min(QUEUE_ROWS + 1);
    if left < 6 {
        0
    } else {
        u16::try_from(rows).unwrap_or(0)
    }
}

/// Rows handed out from both ends.
struct FreeRows {
    area: Rect,
    top: u16,
    bottom: u16,
}

impl FreeRows {
    fn left(&self) -> u16 {
        self.bottom - self.top
    }

    fn take_bottom(&mut self, height: u16) -> Rect {
        let height = height.min(self.left());
        self.bottom -= height;
        Rect {
            y: self.bottom,
            height,
            ..self.area
        }
    }

    fn take_top(&mut self, height: u16) -> Rect {
        let height = height.min(self.left());
        self.top += height;
        Rect {
            y: self.top - height,
            height,
            ..self.area
        }
    }

    fn rest(&self) -> Rect {
        Rect {
            y: self.top,
            height: self.left(),
            ..self.area
        }
    }
}
