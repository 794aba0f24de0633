//! The rules for single values, and for values that must agree.
//!
//! Owns: the rules for names, addresses and headers; the rules that look at two settings; masking of addresses.
//! Refuses: quoting a value in an error; it may be a secret in the wrong place.
//! Invariant: a rule is a pure function of what is written; nothing is looked up or resolved.

use toml::de::DeTable;
use url::{Host, Url};

use super::error::{ConfigFault, SpannedValue, suggestion};
use super::{Config, ProviderConfig};
use crate::chat::{ModelId, Usd};

/// The encodings that `[[models]]` may name.
pub const ENCODINGS: [&str; 5] = [
    "o200k_base",
    "cl100k_base",
    "o200k_harmony",
    "p50k_base",
    "r50k_base",
];

pub(super) const FULL_NAME: &str =
    "a model's full name such as \"openai/gpt-5-mini\" (`provider/model`)";

/// What a secret is shown as.
pub(super) const STARS: &str = "********";

type Check = Result<(), String>;

fn ensure(holds: bool, cause: &str) -> Check {
    if holds { Ok(()) } else { Err(cause.to_owned()) }
}

/// "; did you mean …" when the word is close to one of a short list, else nothing: the list is shown already.
pub(super) fn nearest<'a>(
    written: &str,
    valid: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    let tail = suggestion(written, valid);
    if tail.contains("did you mean") {
        tail
    } else {
        String::new()
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

pub(super) fn label(text: &str) -> Check {
    ensure(
        !text.trim().is_empty() && !text.contains('\0'),
        "expected a text that is not empty",
    )
}

pub(super) fn choice(text: &str) -> Check {
    ensure(
        is_name(text),
        "expected a model's name: no spaces, not empty",
    )
}

pub(super) fn full_name(text: &str) -> Check {
    let legal = is_name(text) && text.parse::<ModelId>().is_ok();
    if legal {
        Ok(())
    } else {
        Err(format!("expected {FULL_NAME}"))
    }
}

pub(super) fn alias(text: &str) -> Check {
    ensure(
        is_name(text) && !text.contains('/') && text != "auto",
        "expected an alias without spaces or `/`, other than `auto`",
    )
}

pub(super) fn provider_name(text: &str) -> Check {
    ensure(
        is_name(text) && !text.contains('/'),
        "expected a provider's name without spaces or `/`",
    )
}

pub(super) fn encoding(text: &str) -> Check {
    if ENCODINGS.contains(&text) {
        return Ok(());
    }
    Err(format!(
        "expected one of {}{}",
        ENCODINGS.join(", "),
        nearest(text, ENCODINGS)
    ))
}

/// A variable's name; a key pasted in its place has other characters, or is longer than any name.
pub(super) fn variable(name: &str) -> Check {
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.len() <= 128;
    ensure(
        legal,
        "expected the name of an environment variable such as \"OPENAI_API_KEY\", never the key itself",
    )
}

pub(super) fn base_url(text: &str) -> Check {
    const WHAT: &str = "expected an http or https address such as \"https://api.openai.com/v1\"";
    let url = Url::parse(text).map_err(|_| WHAT.to_owned())?;
    ensure(
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && text.trim() == text,
        WHAT,
    )?;
    ensure(
        url.username().is_empty() && url.password().is_none() && !has_user_part(text),
        "an address holds no user name or password: put the key under `keys`",
    )?;
    ensure(
        url.query().is_none() && url.fragment().is_none(),
        "an address ends before `?` and `#`: what follows would be lost when a path is added",
    )
}

/// The parser drops an empty user part (`https://@host`); the mistake is the same.
fn has_user_part(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
}

pub(super) fn redis_url(text: &str) -> Check {
    const WHAT: &str =
        "expected a redis://, rediss:// or unix:// address such as \"redis://127.0.0.1:6379\"";
    let url = Url::parse(text).map_err(|_| WHAT.to_owned())?;
    let legal = match url.scheme() {
        // The path is empty or the number of a database.
        "redis" | "rediss" => {
            let database = url.path().trim_matches('/');
            url.host_str().is_some_and(|host| !host.is_empty())
                && database.bytes().all(|byte| byte.is_ascii_digit())
        }
        "unix" | "redis+unix" => url.path().len() > 1,
        _ => false,
    };
    ensure(legal && text.trim() == text, WHAT)
}

/// An address with user name, password and query (a Unix socket's password stands there) replaced by stars.
pub(super) fn masked_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return STARS.to_owned();
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user && (url.set_password(None).is_err() || url.set_username(STARS).is_err()) {
        return format!("{}://{STARS}", url.scheme());
    }
    if url.query().is_some() {
        url.set_query(Some(STARS));
    }
    if url.fragment().is_some() {
        url.set_fragment(Some(STARS));
    }
    if has_user || url.query().is_some() || url.fragment().is_some() {
        url.into()
    } else {
        text.to_owned()
    }
}

pub(super) fn header_name(name: &str) -> Check {
    let legal = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    ensure(
        legal,
        "expected a header's name: letters, digits and `-`, such as \"X-Title\"",
    )
}

pub(super) fn header_value(text: &str) -> Check {
    let legal = text
        .bytes()
        .all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
    ensure(
        legal,
        "expected a header's value of printable ASCII characters, without line breaks",
    )
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
