//! The colours of the screen, by role.
//!
//! Owns: [`Palette`].
//! Refuses: anything but the 16 ANSI colours, so that the terminal's own scheme decides how they look.
//! Invariant: no other module of the screen names a colour.

use ratatui::style::{Color, Modifier, Style};

/// A style for each role. The plain palette tells roles apart by bold, underline and reverse alone (`NO_COLOR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Ordinary text: the terminal's own foreground.
    pub(crate) text: Style,
    /// What may be overlooked: frames, marks, notes.
    pub(crate) dim: Style,
    /// What should be found first: the model in use, the active field.
    pub(crate) accent: Style,
    pub(crate) code: Style,
    pub(crate) quote: Style,
    pub(crate) heading: Style,
    pub(crate) link: Style,
    /// The user's own words.
    pub(crate) user: Style,
    pub(crate) error: Style,
    pub(crate) warning: Style,
    pub(crate) good: Style,
    /// The selected row or message.
    pub(crate) selection: Style,
    /// Whether roles are told apart by marks in the text (back quotes around code), since there is no colour to do so.
    pub(crate) marks: bool,
}

impl Palette {
    /// For a dark background.
    pub fn dark() -> Self {
        let fg = |color| Style::new().fg(color);
        Self {
            text: Style::new(),
            dim: fg(Color::DarkGray),
            accent: fg(Color::Cyan),
            code: fg(Color::LightYellow),
            quote: fg(Color::Gray).add_modifier(Modifier::ITALIC),
            heading: fg(Color::LightCyan).add_modifier(Modifier::BOLD),
            link: fg(Color::LightBlue).add_modifier(Modifier::UNDERLINED),
            user: fg(Color::LightGreen),
            error: fg(Color::LightRed),
            warning: fg(Color::Yellow),
            good: fg(Color::Green),
            selection: fg(Color::Black).bg(Color::Cyan),
            marks: false,
        }
    }

    /// For a light background.
    pub(crate) fn light() -> Self {
        let fg = |color| Style::new().fg(color);
        Self {
            text: Style::new(),
            dim: fg(Color::DarkGray),
            accent: fg(Color::Blue),
            code: fg(Color::Magenta),
            quote: fg(Color::DarkGray).add_modifier(Modifier::ITALIC),
            heading: fg(Color::Blue).add_modifier(Modifier::BOLD),
            link: fg(Color::Blue).add_modifier(Modifier::UNDERLINED),
            user: fg(Color::Green),
            error: fg(Color::Red),
            warning: fg(Color::Magenta),
            good: fg(Color::Green),
            selection: fg(Color::White).bg(Color::Blue),
            marks: false,
        }
    }

    /// Without any colour.
    pub(crate) fn plain() -> Self {
        let (text, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
        Self {
            text,
            dim: text,
            accent: bold,
            code: text,
            quote: text,
            heading: bold,
            link: Style::new().add_modifier(Modifier::UNDERLINED),
            user: bold,
            error: bold,
            warning: bold,
            good: text,
            selection: Style::new().add_modifier(Modifier::REVERSED),
            marks: true,
        }
    }
}
