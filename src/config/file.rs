//! What a configuration file may say.
//!
//! Owns: the key table, from which reading, unknown-key faults, `config show` and the check of the example are made;
//! and the walk over a document.
//! Refuses: the disk, the environment and the flags; this is text in, settings out.
//! Invariant: a name that is not in the table is a fault; of several faults the first in the file is reported.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::compound::{Bindings, Entry, Headers, Source, free_table, unknown};
use super::error::{Fault, quoted};
use super::kind::{
    Alias, BaseUrl, Choice, Dollars, DurationKind, EncodingName, FileName, Flag, FullName, Item,
    Kind, Label, List, Maybe, OneOf, Parallel, Positive, ProviderName, Rate, RedisUrl, Share, Size,
    Target, Text, Tokens, Tries,
};
use super::ladder::Rung;
use super::{Config, ModelEntry, OnLimit, Provider, Redis, Theme, rules};
use crate::chat::{Effort, ModelId, ServiceTier};

/// One setting of a `T`.
pub(super) struct Key<T: 'static> {
    pub name: &'static str,
    read: fn(&mut T, &Item) -> Result<(), Fault>,
    /// As TOML on one line; `None` when it is not set.
    pub show: fn(&T) -> Option<String>,
}

/// The keys of one table: name, field, kind.
macro_rules! keys {
    ($of:ty: $($name:literal, $($field:ident).+, $kind:ty;)*) => {
        &[$(Key::<$of> {
            name: $name,
            read: |target, item| <$kind as Kind>::read(item).map(|value| target.$($field).+ = value),
            show: |target| <$kind as Kind>::show(&target.$($field).+),
        }),*]
    };
}

/// What a `[section]` holds.
pub(super) enum Shape {
    Keys(&'static [Key<Config>]),
    /// Names of the user's own to models.
    Aliases,
    Redis,
    Providers,
    Models,
    /// Actions to keys.
    Bindings,
}

pub(super) static TOP: &[Key<Config>] = keys! { Config:
    "model", model, Choice;
    "favourites", favourites, List<Choice>;
    "system", system, Maybe<Text>;
};

pub(super) static SECTIONS: &[(&str, Shape)] = &[
    ("aliases", Shape::Aliases),
    (
        "budget",
        Shape::Keys(keys! { Config:
            "per_request", budget.per_request, Maybe<Dollars>;
            "per_session", budget.per_session, Maybe<Dollars>;
            "per_day", budget.per_day, Maybe<Dollars>;
            "per_month", budget.per_month, Maybe<Dollars>;
            "on_limit", budget.on_limit, OneOf<OnLimit>;
            "alerts", budget.alerts, List<Share>;
        }),
    ),
    (
        "router",
        Shape::Keys(keys! { Config:
            "ladder", router.ladder, List<Rung>;
            "pace", router.pace, Flag;
        }),
    ),
    (
        "cache",
        Shape::Keys(keys! { Config:
            "enabled", cache.enabled, Flag;
            "ttl", cache.ttl, DurationKind;
            "sampled", cache.sampled, Flag;
            "memory", cache.memory, Size;
            "disk", cache.disk, Size;
            "patience", cache.patience, DurationKind;
        }),
    ),
    ("redis", Shape::Redis),
    (
        "limits",
        Shape::Keys(keys! { Config:
            "concurrency", limits.concurrency, Parallel;
            "max_output", limits.max_output, Tokens;
            "connect_timeout", limits.connect_timeout, DurationKind;
            "first_token_timeout", limits.first_token_timeout, DurationKind;
            "idle_timeout", limits.idle_timeout, DurationKind;
            "retries", limits.retries, Tries;
        }),
    ),
    (
        "network",
        Shape::Keys(keys! { Config: "extra_ca_file", network.extra_ca_file, Maybe<FileName>; }),
    ),
    (
        "slo",
        Shape::Keys(keys! { Config:
            "mean_latency", slo.mean_latency, DurationKind;
            "p95_latency", slo.p95_latency, DurationKind;
            "error_rate", slo.error_rate, Rate;
            "cpu", slo.cpu, Share;
            "memory", slo.memory, Share;
            "requests_per_second", slo.requests_per_second, Positive;
        }),
    ),
    ("providers", Shape::Providers),
    ("models", Shape::Models),
    (
        "ui",
        Shape::Keys(keys! { Config:
            "theme", ui.theme, OneOf<Theme>;
            "panel", ui.panel, Flag;
            "mouse", ui.mouse, Flag;
            "notify", ui.notify, Flag;
        }),
    ),
    ("keys", Shape::Bindings),
];

pub(super) static REDIS: &[Key<Redis>] = keys! { Redis:
    "url", url, RedisUrl;
    "secret", secret, Maybe<Source>;
    "budget_group", budget_group, Maybe<Label>;
    "per_day", per_day, Maybe<Dollars>;
    "per_month", per_month, Maybe<Dollars>;
    "cluster", cluster, Flag;
    "prefix", prefix, Label;
    "patience", patience, DurationKind;
};

pub(super) static PROVIDER: &[Key<Provider>] = keys! { Provider:
    "name", name, ProviderName;
    "base_urls", base_urls, List<BaseUrl>;
    "keys", keys, List<Entry>;
    "headers", headers, Headers;
    "allow_http", allow_http, Flag;
};

pub(super) static MODEL: &[Key<ModelEntry>] = keys! { ModelEntry:
    "id", id, FullName;
    "input", input, Maybe<Dollars>;
    "cached_input", cached_input, Maybe<Dollars>;
    "cache_write", cache_write, Maybe<Dollars>;
    "output", output, Maybe<Dollars>;
    "free", free, Flag;
    "confirmed", confirmed, Flag;
    "service_tier", service_tier, Maybe<OneOf<ServiceTier>>;
    "context", context, Maybe<Tokens>;
    "max_output", max_output, Maybe<Tokens>;
    "encoding", encoding, Maybe<EncodingName>;
    "tools", tools, Maybe<Flag>;
    "vision", vision, Maybe<Flag>;
    "reasoning", reasoning, Maybe<Flag>;
    "efforts", efforts, Maybe<List<OneOf<Effort>>>;
    "alias", alias, Maybe<Alias>;
    "per_day", per_day, Maybe<Dollars>;
    "per_month", per_month, Maybe<Dollars>;
};

/// The built-in settings changed by what the text says, and the dotted names of what it said, each with the byte at
/// which its value starts.
pub(super) fn read(text: &str) -> Result<(Config, BTreeMap<String, usize>), Fault> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let starts_at = |error: &toml::de::Error| error.span().map_or(text.len(), |span| span.start);
    if let Some(error) = errors.iter().min_by_key(|error| starts_at(error)) {
        return Err(Fault::new(starts_at(error), error.message()));
    }
    let root = root.get_ref();
    let mut walk = Walk::default();
    let mut config = Config::default();
    for (key, item) in root {
        let name = key.get_ref().as_ref();
        if let Some(found) = TOP.iter().find(|known| known.name == name) {
            walk.one(found, &mut config, item, "");
        } else if let Some((section, shape)) = SECTIONS.iter().find(|(section, _)| *section == name)
        {
            walk.section(section, shape, &mut config, item);
        } else {
            walk.faults.push(misplaced(name, "").map_or_else(
                || {
                    unknown(
                        key,
                        "",
                        TOP.iter()
                            .map(|key| key.name)
                            .chain(SECTIONS.iter().map(|(name, _)| *name)),
                    )
                },
                |cause| Fault::new(key.span().start, cause),
            ));
        }
    }
    rules::across(&config, root, &mut walk.faults);
    match walk.faults.into_iter().min_by_key(|fault| fault.at) {
        Some(first) => Err(first),
        None => Ok((config, walk.said)),
    }
}

/// What is gathered on the way through a document.
#[derive(Default)]
struct Walk {
    faults: Vec<Fault>,
    /// Dotted names of the settings found; entries of a list are numbered from 0.
    said: BTreeMap<String, usize>,
}

impl Walk {
    fn one<T>(&mut self, key: &Key<T>, target: &mut T, item: &Item, prefix: &str) {
        self.said
            .insert(format!("{prefix}{}", key.name), item.span().start);
        self.faults.extend((key.read)(target, item).err());
    }

    fn section(&mut self, name: &str, shape: &Shape, config: &mut Config, item: &Item) {
        match shape {
            Shape::Keys(keys) => self.table(keys, &[], config, item, name),
            Shape::Aliases => {
                config.aliases = free_table::<Target>(item, rules::alias, &mut self.faults);
                self.said.extend(
                    config
                        .aliases
                        .keys()
                        .map(|alias| (format!("{name}.{alias}"), item.span().start)),
                );
            }
            Shape::Bindings => {
                config.keys = free_table::<Bindings>(item, rules::label, &mut self.faults);
                self.said.extend(
                    config
                        .keys
                        .keys()
                        .map(|action| (format!("{name}.{action}"), item.span().start)),
                );
            }
            Shape::Redis => {
                let mut redis = Redis::at(String::new());
                self.table(REDIS, &["url"], &mut redis, item, name);
                config.redis = Some(redis);
            }
            Shape::Providers => {
                config.providers = self.list(PROVIDER, "name", Provider::default, item, name)
            }
            Shape::Models => {
                let blank = || ModelEntry::new(ModelId::new("", ""));
                config.models = self.list(MODEL, "id", blank, item, name);
            }
        }
    }

    fn list<T>(
        &mut self,
        keys: &[Key<T>],
        required: &str,
        blank: fn() -> T,
        item: &Item,
        name: &str,
    ) -> Vec<T> {
        let Some(items) = item.get_ref().as_array() else {
            self.faults.push(Fault::new(
                item.span().start,
                format!("expected a list: write [[{name}]] for each entry"),
            ));
            return Vec::new();
        };
        let read = |(index, item): (usize, &Item)| {
            let mut entry = blank();
            self.table(
                keys,
                &[required],
                &mut entry,
                item,
                &format!("{name}.{index}"),
            );
            entry
        };
        items.iter().enumerate().map(read).collect()
    }

    fn table<T>(
        &mut self,
        keys: &[Key<T>],
        required: &[&str],
        target: &mut T,
        item: &Item,
        path: &str,
    ) {
        let section = path.split('.').next().unwrap_or(path);
        let Some(table) = item.get_ref().as_table() else {
            self.faults.push(Fault::new(
                item.span().start,
                format!("expected a table: write [{section}] on a line of its own"),
            ));
            return;
        };
        for (key, item) in table {
            let name = key.get_ref().as_ref();
            match keys.iter().find(|known| known.name == name) {
                Some(found) => self.one(found, target, item, &format!("{path}.")),
                None => self.faults.push(misplaced(name, section).map_or_else(
                    || {
                        unknown(
                            key,
                            &format!(" in [{section}]"),
                            keys.iter().map(|key| key.name),
                        )
                    },
                    |cause| Fault::new(key.span().start, cause),
                )),
            }
        }
        for missing in required.iter().filter(|name| table.get(**name).is_none()) {
            self.faults.push(Fault::new(
                item.span().start,
                format!("[{section}] needs a line `{missing} = …`"),
            ));
        }
    }
}

/// A name that is right, but in the wrong table: TOML puts every line under the last `[section]` above it.
fn misplaced(name: &str, section: &str) -> Option<String> {
    let homes = SECTIONS
        .iter()
        .filter(|(home, shape)| *home != section && shape.names().contains(&name));
    let homes: Vec<_> = homes.map(|(home, _)| format!("[{home}]")).collect();
    if !section.is_empty() && TOP.iter().any(|key| key.name == name) {
        return Some(format!(
            "unknown key {} in [{section}]; it stands above the first [section]",
            quoted(name)
        ));
    }
    let inside = if section.is_empty() {
        String::new()
    } else {
        format!(" in [{section}]")
    };
    (!homes.is_empty()).then(|| {
        format!(
            "unknown key {}{inside}; it stands in {}",
            quoted(name),
            homes.join(" or ")
        )
    })
}

impl Shape {
    /// The names that may stand in it; none when the user chooses them.
    pub(super) fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Keys(keys) => keys.iter().map(|key| key.name).collect(),
            Self::Redis => REDIS.iter().map(|key| key.name).collect(),
            Self::Providers => PROVIDER.iter().map(|key| key.name).collect(),
            Self::Models => MODEL.iter().map(|key| key.name).collect(),
            Self::Aliases | Self::Bindings => Vec::new(),
        }
    }
}
