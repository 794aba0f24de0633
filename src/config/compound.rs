//! The kinds of value that are tables, or may be: key sources, headers, bindings, names of the user's own.
//!
//! Owns: their reading and writing, in file order; the fault of an unknown name.
//! Refuses: plain values (kind has them) and the sections of the file (the key table has them).
//! Invariant: as for every kind: what is written reads back the same, and a fault never quotes a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Fault, quoted, suggestion};
use super::kind::{Item, Kind, Label, List, expected, text};
use super::{KeySource, rules, value};

/// The key/value pairs of a table in file order.
fn pairs<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<Cow<'i, str>>, &'a Item<'i>)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

/// Where a key is found: a table with exactly one of four names.
pub(super) struct Source;

impl Kind for Source {
    type Of = KeySource;

    fn read(item: &Item) -> Result<KeySource, Fault> {
        const WHAT: &str = "one of { env = \"NAME\" }, { command = \"…\" }, { keyring = \"…\" }, { file = \"…\" }; \
                            a key itself never stands here";
        const NAMES: [&str; 4] = ["env", "command", "keyring", "file"];
        let Some(table) = item.get_ref().as_table() else { return expected(item, WHAT) };
        let pairs = pairs(table);
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !NAMES.contains(&key.get_ref().as_ref())) {
            let cause = format!("unknown kind of key source{}", rules::nearest(key.get_ref(), NAMES));
            return Err(Fault::new(key.span().start, cause));
        }
        match pairs.as_slice() {
            [(key, value)] => {
                let written = Label::read(value)?;
                match key.get_ref().as_ref() {
                    "env" => match rules::variable(&written) {
                        Ok(()) => Ok(KeySource::Env(written)),
                        Err(cause) => Err(Fault::new(value.span().start, cause)),
                    },
                    "command" => Ok(KeySource::Command(written)),
                    "keyring" => Ok(KeySource::Keyring(written)),
                    _ => Ok(KeySource::File(PathBuf::from(written))),
                }
            }
            [_, (second, _), ..] => {
                Err(Fault::new(second.span().start, format!("two key sources in one: expected {WHAT}")))
            }
            [] => expected(item, WHAT),
        }
    }

    fn show(value: &KeySource) -> Option<String> {
        let (name, text) = match value {
            KeySource::Env(text) => ("env", text.as_str()),
            KeySource::Command(text) => ("command", text.as_str()),
            KeySource::Keyring(text) => ("keyring", text.as_str()),
            KeySource::File(path) => ("file", path.to_str()?),
        };
        Some(format!("{{ {name} = {} }}", value::quote(text)))
    }
}

/// HTTP headers.
pub(super) struct Headers;

impl Kind for Headers {
    type Of = BTreeMap<String, String>;

    fn read(item: &Item) -> Result<Self::Of, Fault> {
        let Some(table) = item.get_ref().as_table() else {
            return expected(item, "headers such as { \"X-Title\" = \"chat-agent\" }");
        };
        let mut headers = Self::Of::new();
        for (key, value) in pairs(table) {
            let name = key.get_ref().as_ref();
            rules::header_name(name).map_err(|cause| Fault::new(key.span().start, cause))?;
            if headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(Fault::new(key.span().start, format!("the header {} is set twice", quoted(name))));
            }
            let content = text(value, "a header's value in quotes")?;
            rules::header_value(content).map_err(|cause| Fault::new(value.span().start, cause))?;
            headers.insert(name.to_owned(), content.to_owned());
        }
        Ok(headers)
    }

    fn show(value: &Self::Of) -> Option<String> {
        let pairs: Vec<_> = value.iter().map(|(k, v)| format!("{} = {}", value::key(k), value::quote(v))).collect();
        Some(if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) })
    }
}

/// The keys bound to an action: one, or a list.
pub(super) struct Bindings;

impl Kind for Bindings {
    type Of = Vec<String>;

    fn read(item: &Item) -> Result<Vec<String>, Fault> {
        match item.get_ref() {
            DeValue::String(_) => Label::read(item).map(|key| vec![key]),
            DeValue::Array(_) => List::<Label>::read(item),
            _ => expected(item, "a key such as \"alt-p\", or a list of keys"),
        }
    }

    fn show(value: &Vec<String>) -> Option<String> {
        List::<Label>::show(value)
    }
}

/// A table whose names the user chooses, read entry by entry in file order; every fault is kept.
pub(super) fn free_table<K: Kind>(
    item: &Item,
    name_rule: fn(&str) -> Result<(), String>,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, K::Of> {
    let mut entries = BTreeMap::new();
    let Some(table) = item.get_ref().as_table() else {
        faults.push(Fault::new(item.span().start, "expected a table"));
        return entries;
    };
    for (key, item) in pairs(table) {
        if let Err(cause) = name_rule(key.get_ref()) {
            faults.push(Fault::new(key.span().start, cause));
        }
        match K::read(item) {
            Ok(value) => {
                entries.insert(key.get_ref().to_string(), value);
            }
            Err(fault) => faults.push(fault),
        }
    }
    entries
}

/// The fault of a name that is not in the table at hand.
pub(super) fn unknown<'a>(
    key: &Spanned<Cow<'_, str>>,
    inside: &str,
    valid: impl IntoIterator<Item = &'a str> + Clone,
) -> Fault {
    let name = key.get_ref();
    Fault::new(key.span().start, format!("unknown key {}{inside}{}", quoted(name), suggestion(name, valid)))
}
