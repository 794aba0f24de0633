//! The vocabularies: which byte strings are tokens, and which two neighbours merge into which.
//!
//! Owns: the tables that the build script wrote, one set for each vocabulary.
//! Refuses: special tokens; none is in the tables.
//! Invariant: nothing is done at start. The tables are part of the binary, and only the pages that a text needs are
//! ever read from it.

use super::Encoding;
use super::layout::{MARK_BITS, RANK_BITS, SHORT, TAIL, home, long_key, mark, pair_key, short_key};

/// The rank of two neighbours that do not merge: behind all that do, signed or not.
pub(crate) const NONE: u32 = i32::MAX.cast_unsigned();

/// One vocabulary.
pub(crate) struct Ranks {
    /// The rank of each single byte.
    bytes: &'static [[u8; 4]],
    /// For each token the two that merge into it last, and its rank.
    pairs: &'static [[u8; 8]],
    /// The tokens of at most [`SHORT`] bytes.
    short: &'static [[u8; 8]],
    /// Where in `text` each of the other tokens is: its length, then its bytes.
    long: &'static [[u8; 4]],
    text: &'static [u8],
}

macro_rules! table {
    ($name:literal, $kind:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".", $kind))
    };
}

macro_rules! vocabulary {
    ($name:literal) => {
        Ranks {
            bytes: table!($name, "bytes").as_chunks().0,
            pairs: table!($name, "pairs").as_chunks().0,
            short: table!($name, "short").as_chunks().0,
            long: table!($name, "long").as_chunks().0,
            text: table!($name, "text"),
        }
    };
}

static O200K: Ranks = vocabulary!("o200k");
static CL100K: Ranks = vocabulary!("cl100k");
static P50K: Ranks = vocabulary!("p50k");
static R50K: Ranks = vocabulary!("r50k");

/// The vocabulary of an encoding.
pub(crate) fn ranks(encoding: Encoding) -> &'static Ranks {
    match encoding {
        // Harmony adds special tokens only.
        Encoding::O200kBase | Encoding::O200kHarmony => &O200K,
        Encoding::Cl100kBase => &CL100K,
        Encoding::P50kBase => &P50K,
        Encoding::R50kBase => &R50K,
    }
}

impl Ranks {
    /// The rank of one byte; every byte is a token.
    #[inline]
    pub(crate) fn byte(&self, byte: u8) -> u32 {
        u32::from_le_bytes(self.bytes[usize::from(byte)])
    }

    /// The rank of the token that two neighbours merge into, or [`NONE`].
    #[inline]
    pub(crate) fn merged(&self, left: u32, right: u32) -> u32 {
        let key = pair_key(left, right);
        let home = home(key, self.pairs.len() - TAIL);
        for slot in &self.pairs[home..] {
            let entry = u64::from_le_bytes(*slot);
            if entry >> RANK_BITS == key {
                return (entry & ((1 << RANK_BITS) - 1)) as u32;
            }
            if entry == 0 {
                break;
            }
        }
        NONE
    }

    /// Whether these bytes, at least one, are a token.
    #[inline]
    pub(crate) fn holds(&self, piece: &[u8]) -> bool {
        if piece.len() <= SHORT {
            self.holds_short(short_key(piece))
        } else {
            self.holds_long(piece)
        }
    }

    #[inline]
    fn holds_short(&self, key: u64) -> bool {
        let home = home(key, self.short.len() - TAIL);
        let slots = self.short[home..]
            .iter()
            .map(|slot| u64::from_le_bytes(*slot));
        slots
            .take_while(|entry| *entry != 0)
            .any(|entry| entry == key)
    }

    fn holds_long(&self, piece: &[u8]) -> bool {
        // The length of a token is kept in a byte.
        let Ok(length) = u8::try_from(piece.len()) else {
            return false;
        };
        let key = long_key(piece);
        let home = home(key, self.long.len() - TAIL);
        let slots = self.long[home..]
            .iter()
            .map(|slot| u32::from_le_bytes(*slot));
        slots.take_while(|entry| *entry != 0).any(|entry| {
            let place = (entry >> MARK_BITS) as usize;
            let token = || self.text.get(place + 1..=place + piece.len());
            entry & ((1 << MARK_BITS) - 1) == mark(key)
                && self.text[place] == length
                && token() == Some(piece)
        })
    }
}
