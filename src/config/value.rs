//! Values as people write them: durations, sizes and strings, from text and back.
//!
//! Owns: `"7d"`, `"1h30m"`, `"64MiB"`, `"512 MB"`, and the quoting of strings.
//! Refuses: positions and documents; this is text in, value out.
//! Invariant: what is written here reads back to the same value.

use std::fmt::Write;
use std::time::Duration;

/// Units of time in milliseconds, longest first.
const SPANS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration: beyond this a deadline could leave the range of the clock.
const LONGEST_MS: u64 = 3650 * 86_400_000;

/// Units of size in bytes; the first that divides a size is the one it is written in.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// `250ms`, `5s`, `1h30m`, `7d`: whole numbers with a unit (w d h m s ms), the longer unit first; at most 3650d.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0u64;
    let mut units = SPANS.iter();
    while !rest.is_empty() {
        let (count, after) = leading_number(rest)?;
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        // The iterator is never rewound: each unit stands once, and after the longer ones.
        let (_, length) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(count.checked_mul(*length)?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty() && total <= LONGEST_MS).then(|| Duration::from_millis(total))
}

/// A duration in the form that [`parse_duration`] reads; parts of a millisecond are dropped.
pub(super) fn duration(length: Duration) -> String {
    let mut left = u64::try_from(length.as_millis()).unwrap_or(LONGEST_MS);
    let mut text = String::new();
    // People say 7 days, not 1 week.
    for (unit, size) in &SPANS[1..] {
        if left >= *size {
            let _ = write!(text, "{}{unit}", left / size);
            left %= size;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// `64MiB`, `512 MB`, `0 B`: a whole number and a unit, in any case; the result in bytes.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let (count, unit) = leading_number(text.trim())?;
    let (_, size) = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    // No file and no memory is larger than a signed count of bytes.
    count
        .checked_mul(*size)
        .filter(|&bytes| i64::try_from(bytes).is_ok())
}

/// A size in the form that [`parse_bytes`] reads.
pub(super) fn bytes(count: u64) -> String {
    match SIZES
        .iter()
        .find(|(_, size)| count >= *size && count.is_multiple_of(*size))
    {
        Some((unit, size)) => format!("{}{unit}", count / size),
        None => "0B".to_owned(),
    }
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest.trim_start()))
}

/// A TOML basic string on one line. What a terminal would not show as itself is escaped.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || is_hidden(c) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Line separators, bidirectional marks, zero-width characters and tags.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

/// A key: bare when TOML lets it be, else quoted.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { quote(name) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, ms) in [
            ("250ms", 250),
            ("5s", 5000),
            ("60s", 60_000),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
            ("1w", 604_800_000),
            ("2 s", 2000),
            ("0s", 0),
            ("3650d", LONGEST_MS),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for bad in [
            "",
            " ",
            "5",
            "s",
            "5x",
            "-5s",
            "1.5s",
            "5s1h",
            "5s5s",
            "5S",
            "3651d",
            "99999999999999999999d",
            "5s!",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("512 MB", 512_000_000),
            ("1GiB", 1 << 30),
            ("100kB", 100_000),
            ("100KB", 100_000),
            ("4kib", 4096),
            ("0B", 0),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "64",
            "MiB",
            "64M",
            "-1B",
            "1.5GiB",
            "64 Mi B",
            "99999999999999999999B",
            "10000000000GB",
        ] {
            assert_eq!(parse_bytes(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0..=LONGEST_MS, count in 0..=u64::try_from(i64::MAX).unwrap()) {
            prop_assert_eq!(parse_duration(&duration(Duration::from_millis(ms))), Some(Duration::from_millis(ms)));
            prop_assert_eq!(parse_bytes(&bytes(count)), Some(count));
        }
    }
}
