//! What is wrong with the configuration, and where.
//!
//! Owns: [`ConfigError`] (what a user sees) and `ConfigFault` (the same before the file's name is known).
//! Refuses: values. A value may be a secret, so an error names what was expected and where, never the value itself.
//! Invariant: the text is one line that starts with the location.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use crate::chat::{Failure, FailureKind};

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultLocation {
    /// `line` and `column` count from 1, a column is a character.
    Line {
        file: PathBuf,
        line: usize,
        column: usize,
    },
    /// The file as a whole.
    File(PathBuf),
    /// A variable or a flag, by name.
    Named(&'static str),
}

/// One fault of the configuration: `FILE:LINE:COLUMN: cause`, or `NAME: cause` for a variable or a flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {cause}")]
pub struct ConfigError {
    location: FaultLocation,
    cause: String,
    hint: Option<String>,
    kind: FailureKind,
}

impl ConfigError {
    pub(super) fn new(location: FaultLocation, cause: impl AsRef<str>) -> Self {
        Self {
            location,
            cause: one_line(cause.as_ref()),
            hint: None,
            kind: FailureKind::Usage,
        }
    }

    /// A fault of the file as a whole.
    pub(super) fn file(path: &Path, cause: impl AsRef<str>) -> Self {
        Self::new(FaultLocation::File(path.to_owned()), cause)
    }

    /// The file could not be written.
    pub(super) fn storage(path: &Path, error: &std::io::Error) -> Self {
        Self {
            kind: FailureKind::Storage,
            ..Self::file(path, format!("cannot be written: {error}"))
        }
    }

    pub(super) fn with_hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(one_line(hint.as_ref()));
        self
    }

    /// What the user can do about it, when the sentence itself does not say.
    #[cfg(test)]
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::new(error.kind, error.to_string());
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl fmt::Display for FaultLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => {
                write!(f, "{}:{line}:{column}", one_line(&file.to_string_lossy()))
            }
            Self::File(file) => f.write_str(&one_line(&file.to_string_lossy())),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// A value of the file, with its position: what a fault points at.
pub(super) type SpannedValue<'i> = Spanned<DeValue<'i>>;

/// A fault at a byte of the text that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigFault {
    pub(crate) at: usize,
    pub(crate) cause: String,
}

impl ConfigFault {
    pub(crate) fn new(at: usize, cause: impl Into<String>) -> Self {
        Self {
            at,
            cause: cause.into(),
        }
    }

    /// The error that the user sees: the byte becomes a line and a column of `file`, whose content is `text`.
    pub(crate) fn into_error(self, file: &Path, text: &[u8]) -> ConfigError {
        let (line, column) = line_and_column(self.at, text);
        ConfigError::new(
            FaultLocation::Line {
                file: file.to_owned(),
                line,
                column,
            },
            self.cause,
        )
    }
}

/// Line and column of a byte, both counted from 1.
pub(super) fn line_and_column(at: usize, text: &[u8]) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.split(|&byte| byte == b'\n').count();
    let line_text = before
        .rsplit(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    // Continuation bytes of UTF-8 do not count as columns.
    (
        line,
        line_text
            .iter()
            .filter(|&&byte| byte & 0xC0 != 0x80)
            .count()
            + 1,
    )
}

/// The most similar valid name as the end of a sentence, or all valid names when none is similar.
pub(super) fn suggestion<'a>(
    written: &str,
    valid: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    let lower = written.to_lowercase();
    let distance = |name: &str| {
        // A prefix counts as a near match.
        let begins = lower.len() >= 3 && name.starts_with(&lower);
        if begins {
            1
        } else {
            strsim::damerau_levenshtein(&lower, name)
        }
    };
    let nearest = valid.clone().into_iter().min_by_key(|name| distance(name));
    match nearest {
        // A very long word would make every name look near.
        Some(name) if written.len() <= 64 && distance(name) <= name.len().div_ceil(2).min(4) => {
            format!("; did you mean `{name}`?")
        }
        _ => format!(
            "; valid are {}",
            valid.into_iter().collect::<Vec<_>>().join(", ")
        ),
    }
}

/// A name from the file, safe to put into a sentence: one line, visible, at most 60 characters.
pub(super) fn quoted(name: &str) -> String {
    let mut text: String = one_line(name).chars().take(60).collect();
    if text.len() < one_line(name).len() {
        text.push('…');
    }
    format!("`{text}`")
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}
