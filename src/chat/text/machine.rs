//! The sanitiser as a machine that takes one character after the other.
//!
//! Owns: [`Sanitiser`] and every rule that looks at a neighbour.
//! Refuses: looking ahead; what cannot be decided yet is held back (at most seven characters) until it can.
//! Invariant: however a text is split into pieces, the outputs put together are the output for the whole.
//!
//! The rules that need context:
//! - `\r\n` is a line break; a lone `\r` is shown as `␍`.
//! - U+FE0E and U+FE0F stay directly after a visible character.
//! - U+200D stays between two emoji, at most [`MOST_JOINS`] times in a row.
//! - U+200C and U+200D stay directly after a letter or mark of a script that joins (see `class`).
//! - At most [`MOST_MARKS`] characters without a width of their own stay on one base; a longer run ends in `⟪+N⟫`.
//! - The three flags that Unicode spells with tags stay; any other tag is shown.

use super::SafeText;
use super::class::{CharClass, Substitute, class, is_joining_script};

/// Combining marks, presentation selectors and script joiners that one base may carry.
pub(super) const MOST_MARKS: u8 = 8;
/// Joiners in one emoji sequence; the longest in use has three.
const MOST_JOINS: u8 = 8;
/// England, Scotland and Wales: the subdivision flags in general use.
const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// What stands before the next character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    /// A line's start or a blank: nothing to change the look of.
    #[default]
    Nothing,
    /// A visible character, nothing on it yet.
    Base { emoji: bool, black_flag: bool },
    /// A selector after an emoji: a joiner may still follow.
    DressedEmoji,
    /// A mark, selector or joiner: neither selector nor joiner may follow, unless the script joins.
    Extended,
}

/// What was read and cannot be written yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Pending {
    #[default]
    Nothing,
    /// A carriage return.
    Return,
    /// A joiner after an emoji.
    Joiner,
    /// Letters of a flag, so far a prefix of one of [`FLAGS`].
    Flag(String),
}

/// Makes a stream of text safe, piece by piece.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sanitiser {
    held: Pending,
    before: Before,
    /// The last character written belongs to a script that joins.
    joining: bool,
    marks: u8,
    joins: u8,
    /// Marks left off the current base.
    surplus: usize,
    altered: usize,
    out: String,
}

impl Sanitiser {
    /// The safe form of what can be decided so far.
    pub(crate) fn push(&mut self, raw: &str) -> SafeText {
        self.out.reserve(raw.len());
        let mut rest = raw;
        while let Some(c) = rest.chars().next() {
            let plain = if self.is_idle() { plain_run(rest) } else { 0 };
            if plain > 0 {
                let (run, tail) = rest.split_at(plain);
                self.out.push_str(run);
                self.settle(Self::after(run.chars().next_back().unwrap_or(' ')));
                rest = tail;
            } else {
                self.take(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        SafeText(std::mem::take(&mut self.out))
    }

    /// What was held back. The sanitiser is then as new, but for its count.
    pub(crate) fn finish(&mut self) -> SafeText {
        self.release();
        self.end_marks();
        self.settle(Before::Nothing);
        SafeText(std::mem::take(&mut self.out))
    }

    /// How many characters were made visible or left off so far; line breaks of another form do not count.
    pub(crate) fn altered(&self) -> usize {
        self.altered
    }

    fn is_idle(&self) -> bool {
        self.held == Pending::Nothing && self.surplus == 0
    }

    /// The state after a plain character.
    fn after(c: char) -> Before {
        if matches!(c, ' ' | '\t' | '\n') {
            Before::Nothing
        } else {
            Before::Base {
                emoji: false,
                black_flag: false,
            }
        }
    }

    fn settle(&mut self, before: Before) {
        self.before = before;
        self.joining = false;
        (self.marks, self.joins) = (0, 0);
    }

    fn take(&mut self, c: char) {
        match std::mem::take(&mut self.held) {
            Pending::Nothing => {}
            Pending::Return if c == '\n' => {}
            Pending::Joiner if class(c) == (CharClass::Base { emoji: true }) => {
                self.out.push('\u{200D}');
                self.base(c, true);
                return;
            }
            Pending::Flag(letters) if self.flag_goes_on(&letters, c) => return,
            held => {
                self.held = held;
                self.release();
            }
        }
        self.decide(c);
    }

    fn decide(&mut self, c: char) {
        let class = class(c);
        if !matches!(
            class,
            CharClass::Mark | CharClass::Presentation | CharClass::Joiner | CharClass::NonJoiner
        ) {
            self.end_marks();
        }
        match class {
            CharClass::Base { emoji } => {
                // A skin tone belongs to the emoji before it: the sequence goes on.
                if !matches!(c, '\u{1F3FB}'..='\u{1F3FF}') {
                    self.joins = 0;
                }
                self.base(c, emoji);
            }
            CharClass::Blank => self.plain(c),
            CharClass::Break => self.plain('\n'),
            CharClass::Return => self.held = Pending::Return,
            CharClass::Mark => self.mark(c),
            CharClass::Presentation => match self.before {
                Before::Base { emoji, .. } => {
                    self.mark(c);
                    if emoji {
                        self.before = Before::DressedEmoji;
                    }
                }
                _ => self.hidden(c),
            },
            CharClass::Joiner | CharClass::NonJoiner if self.joining => self.mark(c),
            CharClass::Joiner if self.takes_joiner() => {
                self.joins += 1;
                self.held = Pending::Joiner;
            }
            CharClass::Tag
                if self.before
                    == (Before::Base {
                        emoji: true,
                        black_flag: true,
                    }) =>
            {
                if !self.flag_goes_on("", c) {
                    self.show(c, Substitute::Code);
                }
            }
            CharClass::Joiner | CharClass::NonJoiner => self.hidden(c),
            CharClass::Tag => self.show(c, Substitute::Code),
            CharClass::Visible(shown) => self.show(c, shown),
        }
    }

    fn takes_joiner(&self) -> bool {
        let emoji = matches!(
            self.before,
            Before::Base { emoji: true, .. } | Before::DressedEmoji
        );
        emoji && self.surplus == 0 && self.joins < MOST_JOINS
    }

    fn plain(&mut self, c: char) {
        self.out.push(c);
        self.settle(Before::Nothing);
    }

    fn base(&mut self, c: char, emoji: bool) {
        self.out.push(c);
        self.marks = 0;
        self.joining = is_joining_script(c);
        self.before = Before::Base {
            emoji,
            black_flag: c == '\u{1F3F4}',
        };
    }

    /// Writes a character that sits on the one before, or counts it as surplus.
    fn mark(&mut self, c: char) {
        if self.marks == MOST_MARKS {
            self.surplus += 1;
            self.altered += 1;
            return;
        }
        self.marks += 1;
        self.out.push(c);
        self.before = Before::Extended;
        self.joining = is_joining_script(c);
    }

    /// A selector or joiner out of place: part of a surplus if there is one, else shown.
    fn hidden(&mut self, c: char) {
        if self.surplus > 0 {
            self.surplus += 1;
            self.altered += 1;
        } else {
            self.show(c, Substitute::Code);
        }
    }

    fn end_marks(&mut self) {
        if self.surplus > 0 {
            self.name(&format!("+{}", self.surplus));
            self.surplus = 0;
            self.settle(Self::after('⟫'));
        }
    }

    fn name(&mut self, name: &str) {
        self.out.push('⟪');
        self.out.push_str(name);
        self.out.push('⟫');
    }

    fn show(&mut self, c: char, shown: Substitute) {
        match shown {
            Substitute::Picture(picture) => self.out.push(picture),
            Substitute::Name(name) => self.name(name),
            Substitute::Code => self.name(&format!("U+{:04X}", c as u32)),
        }
        self.altered += 1;
        self.settle(Self::after('⟫'));
    }

    /// Takes `c` as the next letter of a flag, or as its end. False: it is neither.
    fn flag_goes_on(&mut self, letters: &str, c: char) -> bool {
        let Some(letter) = (c as u32)
            .checked_sub(0xE0000)
            .and_then(char::from_u32)
            .filter(|l| *l <= '\u{7F}')
        else {
            self.held = Pending::Flag(letters.to_owned());
            return false;
        };
        let spelled = format!("{letters}{letter}");
        if letter == '\u{7F}' && FLAGS.contains(&letters) {
            self.out.extend(
                spelled
                    .chars()
                    .filter_map(|l| char::from_u32(0xE0000 + l as u32)),
            );
            self.before = Before::DressedEmoji;
            return true;
        }
        let goes_on = FLAGS.iter().any(|flag| flag.starts_with(&spelled));
        self.held = match (goes_on, letters) {
            (true, _) => Pending::Flag(spelled),
            (false, "") => Pending::Nothing,
            (false, _) => Pending::Flag(letters.to_owned()),
        };
        goes_on
    }

    /// Writes what was held, now that nothing can complete it.
    fn release(&mut self) {
        match std::mem::take(&mut self.held) {
            Pending::Nothing => {}
            Pending::Return => self.show('\r', Substitute::Picture('␍')),
            Pending::Joiner => self.show('\u{200D}', Substitute::Code),
            Pending::Flag(letters) => {
                for letter in letters
                    .chars()
                    .filter_map(|l| char::from_u32(0xE0000 + l as u32))
                {
                    self.show(letter, Substitute::Code);
                }
            }
        }
    }
}

/// How many bytes from the start are printable ASCII, line feed or tab.
fn plain_run(text: &str) -> usize {
    text.bytes()
        .position(|b| !matches!(b, b' '..=b'~' | b'\n' | b'\t'))
        .unwrap_or(text.len())
}
