//! The kinds of value that are or may be tables: key sources, headers, key bindings, tables with names of the user.
//!
//! Owns: their reading and writing, in file order; the fault of an unknown name.
//! Refuses: plain values (`kind` has them) and the sections of the file (the key table has them).
//! Invariant: what is written reads back the same, and a fault never quotes a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigFault, SpannedValue, quoted, suggestion};
use super::kind::{DollarsKind, LabelKind, ListKind, ValueKind, expected, text};
use super::{KeyEntry, KeySource, rules, value};

/// The key/value pairs of a table in file order.
fn pairs<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(&'a Spanned<Cow<'i, str>>, &'a SpannedValue<'i>)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

const SOURCES: [&str; 4] = ["env", "command", "keyring", "file"];
const LIMITS: [&str; 2] = ["per_day", "per_month"];
const A_SOURCE: &str = "one of { env = \"NAME\" }, { command = \"…\" }, { keyring = \"…\" }, { file = \"…\" }; \
                        a key itself never stands here";

/// Where a key is found: a table with exactly one of four names.
pub(super) struct SourceKind;

impl SourceKind {
    /// The only key source in a table that may also have the keys `also`.
    fn of(item: &SpannedValue, also: &[&'static str]) -> Result<KeySource, ConfigFault> {
        let Some(table) = item.get_ref().as_table() else {
            return expected(item, A_SOURCE);
        };
        let pairs = pairs(table);
        let known = |name: &str| SOURCES.contains(&name) || also.contains(&name);
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !known(key.get_ref().as_ref())) {
            let names: Vec<_> = SOURCES.iter().chain(also).copied().collect();
            let cause = format!(
                "unknown kind of key source{}",
                rules::nearest(key.get_ref(), names)
            );
            return Err(ConfigFault::new(key.span().start, cause));
        }
        let sources: Vec<_> = pairs
            .iter()
            .filter(|(key, _)| SOURCES.contains(&key.get_ref().as_ref()))
            .collect();
        match sources.as_slice() {
            [(key, value)] => {
                let written = LabelKind::read(value)?;
                match key.get_ref().as_ref() {
                    "env" => match rules::variable(&written) {
                        Ok(()) => Ok(KeySource::Env(written)),
                        Err(cause) => Err(ConfigFault::new(value.span().start, cause)),
                    },
                    "command" => Ok(KeySource::Command(written)),
                    "keyring" => Ok(KeySource::Keyring(written)),
                    _ => Ok(KeySource::File(PathBuf::from(written))),
                }
            }
            [_, (second, _), ..] => Err(ConfigFault::new(
                second.span().start,
                format!("two key sources in one: expected {A_SOURCE}"),
            )),
            [] => expected(item, A_SOURCE),
        }
    }

    fn shown(value: &KeySource) -> Option<String> {
        let (name, text) = match value {
            KeySource::Env(text) => ("env", text.as_str()),
            KeySource::Command(text) => ("command", text.as_str()),
            KeySource::Keyring(text) => ("keyring", text.as_str()),
            KeySource::File(path) => ("file", path.to_str()?),
        };
        Some(format!("{name} = {}", value::quote(text)))
    }
}

impl ValueKind for SourceKind {
    type Of = KeySource;

    fn read(item: &SpannedValue) -> Result<KeySource, ConfigFault> {
        Self::of(item, &[])
    }

    fn show(value: &KeySource) -> Option<String> {
        Some(format!("{{ {} }}", Self::shown(value)?))
    }
}

/// A key of a provider: where it is found, and what may be spent with it.
pub(super) struct EntryKind;

impl ValueKind for EntryKind {
    type Of = KeyEntry;

    fn read(item: &SpannedValue) -> Result<KeyEntry, ConfigFault> {
        let source = SourceKind::of(item, &LIMITS)?;
        let limit = |name| {
            item.get_ref()
                .as_table()
                .and_then(|table| table.get(name))
                .map(DollarsKind::read)
                .transpose()
        };
        let [per_day, per_month] = LIMITS;
        Ok(KeyEntry {
            source,
            per_day: limit(per_day)?,
            per_month: limit(per_month)?,
        })
    }

    fn show(value: &KeyEntry) -> Option<String> {
        let limits = LIMITS.into_iter().zip([&value.per_day, &value.per_month]);
        let limits = limits.filter_map(|(name, usd)| {
            Some(format!(", {name} = {}", DollarsKind::show(usd.as_ref()?)?))
        });
        Some(format!(
            "{{ {}{} }}",
            SourceKind::shown(&value.source)?,
            limits.collect::<String>()
        ))
    }
}

/// HTTP headers.
pub(super) struct HeadersKind;

impl ValueKind for HeadersKind {
    type Of = BTreeMap<String, String>;

    fn read(item: &SpannedValue) -> Result<Self::Of, ConfigFault> {
        let Some(table) = item.get_ref().as_table() else {
            return expected(item, "headers such as { \"X-Title\" = \"chat-agent\" }");
        };
        let mut headers = Self::Of::new();
        for (key, value) in pairs(table) {
            let name = key.get_ref().as_ref();
            rules::header_name(name).map_err(|cause| ConfigFault::new(key.span().start, cause))?;
            if headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(ConfigFault::new(
                    key.span().start,
                    format!("the header {} is set twice", quoted(name)),
                ));
            }
            let content = text(value, "a header's value in quotes")?;
            rules::header_value(content)
                .map_err(|cause| ConfigFault::new(value.span().start, cause))?;
            headers.insert(name.to_owned(), content.to_owned());
        }
        Ok(headers)
    }

    fn show(value: &Self::Of) -> Option<String> {
        let pairs: Vec<_> = value
            .iter()
            .map(|(k, v)| format!("{} = {}", value::key(k), value::quote(v)))
            .collect();
        Some(if pairs.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", pairs.join(", "))
        })
    }
}

/// The keys bound to an action: one, or a list.
pub(super) struct BindingsKind;

impl ValueKind for BindingsKind {
    type Of = Vec<String>;

    fn read(item: &SpannedValue) -> Result<Vec<String>, ConfigFault> {
        match item.get_ref() {
            DeValue::String(_) => LabelKind::read(item).map(|key| vec![key]),
            DeValue::Array(_) => ListKind::<LabelKind>::read(item),
            _ => expected(item, "a key such as \"alt-p\", or a list of keys"),
        }
    }

    fn show(value: &Vec<String>) -> Option<String> {
        ListKind::<LabelKind>::show(value)
    }
}

/// A table whose names the user chooses, read entry by entry in file order; every fault is kept.
pub(super) fn free_table<K: ValueKind>(
    item: &SpannedValue,
    name_rule: fn(&str) -> Result<(), String>,
    faults: &mut Vec<ConfigFault>,
) -> BTreeMap<String, K::Of> {
    let mut entries = BTreeMap::new();
    let Some(table) = item.get_ref().as_table() else {
        faults.push(ConfigFault::new(item.span().start, "expected a table"));
        return entries;
    };
    for (key, item) in pairs(table) {
        if let Err(cause) = name_rule(key.get_ref()) {
            faults.push(ConfigFault::new(key.span().start, cause));
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
) -> ConfigFault {
    let name = key.get_ref();
    ConfigFault::new(
        key.span().start,
        format!(
            "unknown key {}{inside}{}",
            quoted(name),
            suggestion(name, valid)
        ),
    )
}
