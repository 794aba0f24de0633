//! Damaged files: never a panic, always one line with a place.

use proptest::prelude::*;

use super::super::EXAMPLE;
use super::Home;
use super::example::everything as example_with_everything;

#[derive(Debug, Clone)]
enum Damage {
    Delete(usize, usize),
    Insert(usize, Vec<u8>),
    Flip(usize, u8),
    /// A line moved elsewhere.
    Move(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..20_000usize;
    prop_oneof![
        (at.clone(), 1..40usize).prop_map(|(at, count)| Damage::Delete(at, count)),
        (at.clone(), proptest::collection::vec(any::<u8>(), 1..6))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at.clone(), "[\\[\\]{}=\"',.#\n0-9e_-]{1,4}")
            .prop_map(|(at, text)| Damage::Insert(at, text.into_bytes())),
        (at.clone(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (at.clone(), at).prop_map(|(from, to)| Damage::Move(from, to)),
    ]
}

fn apply(text: &mut Vec<u8>, damage: Damage) {
    let length = text.len().max(1);
    match damage {
        Damage::Delete(at, count) => {
            drop(text.drain(at % length..(at % length + count).min(text.len())));
        }
        Damage::Insert(at, bytes) => drop(text.splice(at % length..at % length, bytes)),
        Damage::Flip(at, bits) => text[at % length] ^= bits,
        Damage::Move(from, to) => {
            let mut lines: Vec<Vec<u8>> = text
                .split(|&byte| byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            let line = lines.remove(from % lines.len());
            lines.insert(to % (lines.len() + 1), line);
            *text = lines.join(&b'\n');
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_loads_or_says_where(
        whole in any::<bool>(),
        damages in proptest::collection::vec(damage(), 1..5),
    ) {
        let mut text = if whole { example_with_everything() } else { EXAMPLE.to_owned() }.into_bytes();
        for damage in damages {
            apply(&mut text, damage);
        }
        let home = Home::with(&text);
        if let Err(error) = home.load() {
            let line = error.to_string();
            let place = line.strip_prefix(&format!("{}:", home.file().display())).unwrap_or_default();
            let mut parts = place.splitn(3, ':');
            let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
            let (row, column) = (number(), number());
            let rows: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
            prop_assert!(row >= 1 && column >= 1 && row <= rows.len(), "{line}");
            prop_assert!(column <= rows[row - 1].len() + 1, "{line}");
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}
