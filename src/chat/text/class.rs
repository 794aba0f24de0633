//! The class of each character for the sanitiser, without context.
//!
//! Owns: the table of what may be shown, and the names under which the rest is shown.
//! Refuses: context; whether a joiner or a variation selector may stay depends on its neighbours, see `machine`.
//! Invariant: no character that this table calls hidden or bidirectional is ever written to the output as itself.

use unicode_width::UnicodeWidthChar;

/// What the sanitiser does with a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharClass {
    /// Shown as it is; starts a new cell. Holds whether it is an emoji.
    Base { emoji: bool },
    /// Space or tab.
    Blank,
    /// A line break in any of its forms but CR.
    Break,
    /// Carriage return: part of a line break, or made visible.
    Return,
    /// A combining mark.
    Mark,
    /// U+FE0E, U+FE0F: text or emoji presentation.
    Presentation,
    /// U+200D.
    Joiner,
    /// U+200C.
    NonJoiner,
    /// U+E0020 to U+E007F: spells a flag after U+1F3F4.
    Tag,
    /// Made visible under its picture or name.
    Visible(Substitute),
}

/// How a character that may not be written is shown instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Substitute {
    /// One visible character: `␛`.
    Picture(char),
    /// A known abbreviation: `⟪RLO⟫`.
    Name(&'static str),
    /// The code point: `⟪U+200B⟫`.
    Code,
}

/// The class of `c`.
pub(super) fn class(c: char) -> CharClass {
    match c {
        ' ' | '\t' | '\u{A0}' => CharClass::Blank,
        '!'..='~' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' => {
            CharClass::Base { emoji: false }
        }
        '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => CharClass::Break,
        '\r' => CharClass::Return,
        '\0'..='\u{1F}' => CharClass::Visible(Substitute::Picture(
            char::from_u32(0x2400 + c as u32).unwrap_or('␀'),
        )),
        '\u{7F}' => CharClass::Visible(Substitute::Picture('␡')),
        '\u{200C}' => CharClass::NonJoiner,
        '\u{200D}' => CharClass::Joiner,
        '\u{FE0E}' | '\u{FE0F}' => CharClass::Presentation,
        '\u{E0020}'..='\u{E007F}' => CharClass::Tag,
        _ => match bidi_name(c) {
            Some(name) => CharClass::Visible(Substitute::Name(name)),
            None if is_hidden(c) => CharClass::Visible(Substitute::Code),
            None if c.width().unwrap_or(0) == 0 => CharClass::Mark,
            None => CharClass::Base { emoji: is_emoji(c) },
        },
    }
}

/// The usual abbreviation of a bidirectional control.
pub(super) fn bidi_name(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{061C}' => "ALM",
        '\u{200E}' => "LRM",
        '\u{200F}' => "RLM",
        '\u{202A}' => "LRE",
        '\u{202B}' => "RLE",
        '\u{202C}' => "PDF",
        '\u{202D}' => "LRO",
        '\u{202E}' => "RLO",
        '\u{2066}' => "LRI",
        '\u{2067}' => "RLI",
        '\u{2068}' => "FSI",
        '\u{2069}' => "PDI",
        _ => return None,
    })
}

/// C1 controls, and everything that takes no ink of its own and changes nothing that a reader could see:
/// zero-width characters, fillers, deprecated format controls, tags, variation selectors but the two for emoji,
/// invisible operators and notation controls, noncharacters.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9F}' | '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{3164}'
        | '\u{FDD0}'..='\u{FDEF}' | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
        || c as u32 & 0xFFFE == 0xFFFE
}

/// Whether a character, taken alone, may reach a terminal as itself; for texts that escape the others.
pub(crate) fn is_plain(c: char) -> bool {
    matches!(
        class(c),
        CharClass::Base { .. } | CharClass::Blank | CharClass::Mark | CharClass::Presentation
    )
}

/// Characters that can take part in an emoji sequence: the pictographic blocks and the few symbols used in one.
/// Wider than Unicode's list (it costs a joiner between two arrows), never narrower.
fn is_emoji(c: char) -> bool {
    matches!(c,
        '\u{A9}' | '\u{AE}' | '\u{203C}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21FF}'
        | '\u{2300}'..='\u{23FF}' | '\u{24C2}' | '\u{25A0}'..='\u{27BF}' | '\u{2900}'..='\u{297F}'
        | '\u{2B00}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}' | '\u{3297}' | '\u{3299}' | '\u{1F000}'..='\u{1FAFF}')
}

/// Scripts in which a joiner or non-joiner after a letter changes its shape: Arabic and its relatives, the Indic
/// scripts and those of South-East Asia, Mongolian, Tibetan, Tifinagh, Old Turkic, Adlam. By block, letters and marks alike.
pub(super) fn is_joining_script(c: char) -> bool {
    matches!(c,
        '\u{5D0}'..='\u{5EA}' | '\u{620}'..='\u{8FF}' | '\u{900}'..='\u{DFF}' | '\u{F00}'..='\u{109F}'
        | '\u{1700}'..='\u{18AF}' | '\u{1A00}'..='\u{1AAF}' | '\u{1B00}'..='\u{1C4F}' | '\u{1CD0}'..='\u{1CFF}'
        | '\u{2D30}'..='\u{2D7F}' | '\u{A800}'..='\u{A8FF}' | '\u{A930}'..='\u{AAFF}' | '\u{ABC0}'..='\u{ABFF}'
        | '\u{FB50}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10A00}'..='\u{10A5F}'
        | '\u{10AC0}'..='\u{10AFF}' | '\u{10C00}'..='\u{10C4F}' | '\u{10D00}'..='\u{10D3F}'
        | '\u{11000}'..='\u{11FFF}' | '\u{1E900}'..='\u{1E95F}')
}
