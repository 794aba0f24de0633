//! Markdown as lines for the screen.
//!
//! Owns: the look of every block and inline element, and [`AnswerText`], which lays out a text that is still growing.
//! Refuses: text that is not safe (it takes [`SafeText`](crate::chat::SafeText), or makes its input safe itself), colours of its own, HTML.
//! Invariant: a text laid out piece by piece ends as the same lines as the text laid out at once; work per piece is
//! linear in the tail that is not settled; nothing here recurses, whatever the depth of the input.
//!
//! ```text
//! stream.rs   lines of source -> segments that can no longer change (a fence, or blocks up to a safe boundary)
//! layout.rs   one segment -> pulldown-cmark events -> lines     table.rs, code.rs, prefix.rs: parts of that
//! ```
//!
//! Segments are parsed apart, so a link reference is resolved only inside its own; definitions are shown as text,
//! so that no address is ever hidden.

mod code;
mod laid_out;
mod layout;
mod prefix;
mod stream;
mod table;

#[cfg(test)]
use crate::chat::SafeText;
#[cfg(test)]
use crate::tui::theme::Palette;

pub(crate) use code::CodeBlock;
#[cfg(test)]
pub(crate) use laid_out::LaidOutText;
pub(crate) use stream::AnswerText;

#[cfg(test)]
/// Lays out a whole text in lines of at most `width` cells.
pub(crate) fn lay_out(text: &SafeText, width: usize, palette: Palette) -> LaidOutText {
    let mut answer = AnswerText::from_safe(text.clone());
    answer.set_view(width, palette);
    answer.into_page()
}

#[cfg(test)]
mod tests;
