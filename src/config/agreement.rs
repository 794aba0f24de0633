//! The rules over several settings.
//!
//! Owns: which settings must not contradict each other, and plain http that needs permission.
//! Refuses: rules for single values (`rules` has them).
//! Invariant: a fault is reported at the key that must change, and never quotes a value.

use toml::de::DeTable;
use url::{Host, Url};

use super::error::{ConfigFault, SpannedValue};
use super::{Config, ProviderConfig};
use crate::chat::Usd;

/// The rules over several settings. `root` is the document that `config` was read from; entries of a list stand at
/// the same index in both.
pub(super) fn across(config: &Config, root: &DeTable, faults: &mut Vec<ConfigFault>) {
    let tables = |name: &str| -> Vec<&DeTable> {
        let list = root.get(name).and_then(|item| item.get_ref().as_array());
        list.map(|items| {
            items
                .iter()
                .filter_map(|item| item.get_ref().as_table())
                .collect()
        })
        .unwrap_or_default()
    };
    let mut names = Vec::new();
    for (provider, table) in config.providers.iter().zip(tables("providers")) {
        check_unique(
            &mut names,
            &provider.name,
            at(table, "name"),
            "another provider has this name",
            faults,
        );
        plain_http(provider, table, faults);
    }
    let mut ids = Vec::new();
    let mut targets = config.aliases.clone();
    for (entry, table) in config.models.iter().zip(tables("models")) {
        let id = if entry.id.model().is_empty() {
            String::new()
        } else {
            entry.id.to_string()
        };
        check_unique(
            &mut ids,
            &id,
            at(table, "id"),
            "another [[models]] entry has this id",
            faults,
        );
        if let Some(alias) = entry.alias.as_deref()
            && *targets
                .entry(alias.to_owned())
                .or_insert_with(|| id.clone())
                != id
        {
            push(
                at(table, "alias"),
                "this alias names another model already",
                faults,
            );
        }
        let prices = [
            entry.input,
            entry.cached_input,
            entry.cache_write,
            entry.output,
        ];
        if entry.free && prices.iter().flatten().any(|price| *price > Usd::ZERO) {
            push(
                at(table, "free"),
                "`free = true` contradicts the prices beside it: leave one of them out",
                faults,
            );
        }
    }
}

/// Where the value of a key starts.
fn at(table: &DeTable, key: &str) -> Option<usize> {
    table.get(key).map(|item: &SpannedValue| item.span().start)
}

fn push(at: Option<usize>, cause: &str, faults: &mut Vec<ConfigFault>) {
    faults.extend(at.map(|at| ConfigFault::new(at, cause)));
}

/// Reports a name that was seen before. An empty name already has a fault of its own.
fn check_unique(
    seen: &mut Vec<String>,
    name: &str,
    at: Option<usize>,
    cause: &str,
    faults: &mut Vec<ConfigFault>,
) {
    if !name.is_empty() && seen.iter().any(|known| known == name) {
        push(at, cause, faults);
    }
    seen.push(name.to_owned());
}

fn plain_http(provider: &ProviderConfig, table: &DeTable, faults: &mut Vec<ConfigFault>) {
    let items = table
        .get("base_urls")
        .and_then(|item: &SpannedValue| item.get_ref().as_array());
    if provider.allow_http {
        return;
    }
    for item in items.into_iter().flat_map(|items| items.iter()) {
        if item.get_ref().as_str().is_some_and(is_open) {
            let cause = "plain http shows the key to everyone on the way: use https, or set `allow_http = true`";
            push(Some(item.span().start), cause, faults);
        }
    }
}

/// Whether an address speaks plain http to a host that is not this machine.
fn is_open(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    url.scheme() == "http"
        && !match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
}
