//! The keys: one table.
//!
//! Owns: what every key does where; dispatch, the help screen and the `[keys]` section all read this table.
//! Refuses: doing it.
//! Invariant: within one place no key means two things.

mod action;
mod binding;
mod chord;
mod table;

use std::collections::BTreeMap;

pub(crate) use action::{Action, Edit};
pub(crate) use binding::{KeyBinding, KeyContext};
pub(crate) use chord::{Chord, NotAKey};
pub(crate) use table::TABLE;

/// A `[keys]` section that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeymapError {
    #[error("keys.{name}: no such action; did you mean `{nearest}`?")]
    UnknownAction { name: String, nearest: &'static str },
    #[error("keys.{name}: {source}")]
    NotAKey {
        name: String,
        #[source]
        source: NotAKey,
    },
    #[error("keys.{name}: {key} already means `{other}` {place}; give that one another key first", place = place.title())]
    Taken {
        name: String,
        key: Chord,
        other: &'static str,
        place: KeyContext,
    },
}

/// The table with the user's changes.
#[derive(Debug, Clone)]
pub(crate) struct Keymap {
    rows: Vec<(&'static KeyBinding, Vec<Chord>)>,
}

impl Keymap {
    /// The built-in table with these rows' keys replaced (an empty list takes the keys away).
    pub(crate) fn new(overrides: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        let mut rows = Vec::with_capacity(TABLE.len());
        for row in TABLE {
            rows.push((row, parse(row.name, row.keys.iter().copied())?));
        }
        for (name, keys) in overrides {
            let Some(slot) = rows.iter_mut().find(|(row, _)| row.name == name.as_str()) else {
                return Err(KeymapError::UnknownAction {
                    name: name.clone(),
                    nearest: nearest(name),
                });
            };
            slot.1 = parse(name, keys.iter().map(String::as_str))?;
        }
        let map = Self { rows };
        map.check(overrides)?;
        Ok(map)
    }

    /// What `chord` does in the first of `places` that knows it.
    pub(crate) fn find(&self, places: &[KeyContext], chord: Chord) -> Option<Action> {
        places.iter().find_map(|place| {
            self.rows
                .iter()
                .find(|(row, keys)| row.place == *place && keys.contains(&chord))
                .map(|(row, _)| row.action)
        })
    }

    /// The first key of a row, for hints; empty when it has none.
    pub(crate) fn key(&self, name: &str) -> String {
        let row = self.rows.iter().find(|(row, _)| row.name == name);
        row.and_then(|(_, keys)| keys.first())
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// The rows with their keys in words, in the order of the table.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static KeyBinding, String)> {
        self.rows.iter().map(|(row, keys)| {
            (
                *row,
                keys.iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        })
    }

    fn check(&self, overrides: &BTreeMap<String, Vec<String>>) -> Result<(), KeymapError> {
        for (i, (row, keys)) in self.rows.iter().enumerate() {
            for (other, taken) in &self.rows[..i] {
                let Some(key) = keys
                    .iter()
                    .find(|key| other.place == row.place && taken.contains(key))
                else {
                    continue;
                };
                // Blame the row that the user changed.
                let (name, other) = if overrides.contains_key(row.name) {
                    (row.name, other.name)
                } else {
                    (other.name, row.name)
                };
                return Err(KeymapError::Taken {
                    name: name.to_owned(),
                    key: *key,
                    other,
                    place: row.place,
                });
            }
        }
        Ok(())
    }
}

fn parse<'a>(name: &str, keys: impl Iterator<Item = &'a str>) -> Result<Vec<Chord>, KeymapError> {
    keys.map(|key| {
        key.parse().map_err(|source| KeymapError::NotAKey {
            name: name.to_owned(),
            source,
        })
    })
    .collect()
}

fn nearest(name: &str) -> &'static str {
    TABLE
        .iter()
        .map(|row| row.name)
        .min_by(|a, b| {
            strsim::normalized_damerau_levenshtein(b, name)
                .total_cmp(&strsim::normalized_damerau_levenshtein(a, name))
        })
        .unwrap_or("send")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_sound() {
        let map = Keymap::new(&BTreeMap::new()).unwrap();
        for row in TABLE {
            assert!(
                TABLE.iter().filter(|other| other.name == row.name).count() == 1,
                "{} twice",
                row.name
            );
            assert!(!row.help.is_empty() && row.help.len() < 60, "{}", row.name);
            assert!(
                row.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{}",
                row.name
            );
        }
        assert_eq!(map.rows().count(), TABLE.len());
    }

    fn with(name: &str, keys: &[&str]) -> Result<Keymap, KeymapError> {
        Keymap::new(&BTreeMap::from([(
            name.to_owned(),
            keys.iter().map(|k| (*k).to_owned()).collect(),
        )]))
    }

    #[test]
    fn bindings_can_be_changed() {
        let map = with("models", &["Ctrl-O"]).unwrap();
        assert_eq!(
            map.find(&[KeyContext::Anywhere], "Ctrl-O".parse().unwrap()),
            Some(Action::Models)
        );
        assert_eq!(
            map.find(&[KeyContext::Anywhere], "Alt-P".parse().unwrap()),
            None
        );
        assert_eq!(map.key("models"), "Ctrl-O");
        assert_eq!(with("models", &[]).unwrap().key("models"), "");
    }

    #[test]
    fn a_bad_keys_section_names_the_mend() {
        for (name, keys, message) in [
            (
                "modles",
                &["F5"][..],
                "keys.modles: no such action; did you mean `models`?",
            ),
            (
                "models",
                &["Hyper-X"],
                "keys.models: `Hyper-X` is no key; write it as Enter, F2, y, Ctrl-P, Alt-Up or Shift-Tab",
            ),
            (
                "models",
                &["F3"],
                "keys.models: F3 already means `panel` anywhere; give that one another key first",
            ),
        ] {
            assert_eq!(with(name, keys).unwrap_err().to_string(), message);
        }
    }
}
