//! The layout of the tables in the binary. The build script compiles this file too: it writes them, `ranks` and `classes`
//! read them.
//!
//! Every rank table is open addressing with linear probing: from [`home`] on, until the key or an empty slot. Behind the
//! slots are [`TAIL`] more that only take what overflows, so that no search has to turn round at the end.

/// Bits of a rank; no public vocabulary has more than 2^18 tokens.
pub(crate) const RANK_BITS: u32 = 18;
/// Longest token, in bytes, that lies in a slot itself.
pub(crate) const SHORT: usize = 7;
/// Slots behind each table; the last of them is empty.
pub(crate) const TAIL: usize = 64;
/// Bits of a long token's hash that are kept beside its offset, so that a search skips other tokens without reading them.
pub(crate) const MARK_BITS: u32 = 11;

/// 2^64 divided by the golden ratio: the high half of a product with it depends on every bit of the factor.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Where the search for `key` starts in a table of this many slots.
#[inline]
pub(crate) fn home(key: u64, slots: usize) -> usize {
    let high = key.wrapping_mul(SPREAD) >> 32;
    ((high * slots as u64) >> 32) as u32 as usize
}

/// Two neighbours that may merge, as one key.
#[inline]
pub(crate) fn pair_key(left: u32, right: u32) -> u64 {
    u64::from(left) << RANK_BITS | u64::from(right)
}

/// A token of at most [`SHORT`] bytes, as one key that is never zero: its bytes in the order of the text, then its length.
#[inline]
pub(crate) fn short_key(token: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..token.len()].copy_from_slice(token);
    u64::from_le_bytes(word) | (token.len() as u64) << 56
}

/// The hash of a longer token.
#[inline]
pub(crate) fn long_key(token: &[u8]) -> u64 {
    let (words, rest) = token.as_chunks::<8>();
    let hash = words
        .iter()
        .fold(0, |hash, word| mixed(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mixed(mixed(hash, u64::from_le_bytes(last)), token.len() as u64)
}

#[inline]
fn mixed(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(SPREAD)
}

/// The part of a long token's hash that its slot keeps.
#[inline]
pub(crate) fn mark(long_key: u64) -> u32 {
    (long_key >> (64 - MARK_BITS)) as u32
}

/// The classes of characters that the patterns tell apart; each character has one of them, and one only.
/// `Lu` and `Lt`.
pub(crate) const UPPER: u8 = 1;
/// `Ll`.
pub(crate) const LOWER: u8 = 2;
/// `Lm` and `Lo`, which a pattern takes for either case.
pub(crate) const CASELESS: u8 = 4;
/// `M`.
pub(crate) const ACCENT: u8 = 8;
/// `N`.
pub(crate) const NUMBER: u8 = 16;
/// `\s`, but for the next class.
pub(crate) const BLANK: u8 = 32;
/// Carriage return and line feed.
pub(crate) const BREAK: u8 = 64;
/// All the rest.
pub(crate) const OTHER: u8 = 128;
