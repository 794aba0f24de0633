//! The public byte-pair encodings, by name.
//!
//! Owns: [`Encoding`].
//! Refuses: counting, and which model uses which encoding; the latter is in the catalogue.
//! Invariant: the names are those that OpenAI's own tokenizer gives them.

use std::fmt;
use std::str::FromStr;

/// A public encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// GPT-4o and later.
    O200kBase,
    /// GPT-4 and GPT-3.5.
    Cl100kBase,
    /// gpt-oss.
    O200kHarmony,
    /// Codex and text-davinci-003.
    P50kBase,
    /// GPT-3.
    R50kBase,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 5] = [
        Self::O200kBase,
        Self::Cl100kBase,
        Self::O200kHarmony,
        Self::P50kBase,
        Self::R50kBase,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::Cl100kBase => "cl100k_base",
            Self::O200kHarmony => "o200k_harmony",
            Self::P50kBase => "p50k_base",
            Self::R50kBase => "r50k_base",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.as_str() == s)
            .ok_or(UnknownEncoding)
    }
}

/// The text names no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encoding is one of o200k_base, cl100k_base, o200k_harmony, p50k_base, r50k_base")]
pub struct UnknownEncoding;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_the_error_lists_them_all() {
        for encoding in Encoding::ALL {
            assert_eq!(encoding.as_str().parse(), Ok(encoding));
            assert!(UnknownEncoding.to_string().contains(encoding.as_str()));
        }
        assert_eq!("o200k".parse::<Encoding>(), Err(UnknownEncoding));
    }
}
