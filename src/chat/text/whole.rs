//! Whole texts made safe in one call.

use super::{SafeText, Sanitiser};

/// Makes a whole text safe.
pub(crate) fn sanitise(raw: &str) -> SafeText {
    let mut sanitiser = Sanitiser::default();
    let mut safe = sanitiser.push(raw);
    safe.push(&sanitiser.finish());
    safe
}

/// Makes a text safe that must stand on one line: a title, a name, an error.
pub(crate) fn one_line(raw: &str) -> SafeText {
    sanitise(raw).one_line()
}

/// Makes a text safe, puts it on one line and cuts it to `width` cells, the last one `…` when something was left off.
pub(crate) fn truncate(raw: &str, width: usize) -> SafeText {
    one_line(raw).truncate(width)
}
