//! The keys of a configuration file.
//!
//! Owns: the key table, from which reading, unknown-key faults, `config show` and the check of the example are made;
//! and the walk over a document.
//! Refuses: the disk, the environment and the flags; this is text in, settings out.
//! Invariant: a name that is not in the table is a fault; of several faults the first in the file is reported.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::compound::{BindingsKind, EntryKind, HeadersKind, SourceKind, free_table, unknown};
use super::error::{ConfigFault, SpannedValue, quoted};
use super::kind::{
    AliasKind, BaseUrlKind, ChoiceKind, DollarsKind, DurationKind, EncodingNameKind, FileNameKind,
    FlagKind, FullNameKind, LabelKind, ListKind, MaybeKind, OneOfKind, ParallelKind, PositiveKind,
    ProviderNameKind, RateKind, RedisUrlKind, RungKind, ShareKind, SizeKind, TargetKind, TextKind,
    TokensKind, TriesKind, ValueKind,
};
use super::{Config, ModelEntry, OnLimit, ProviderConfig, RedisConfig, Theme, agreement, rules};
use crate::chat::{Effort, ModelId, ServiceTier};

/// One setting of a `T`.
pub(super) struct KeySpec<T: 'static> {
    pub(crate) name: &'static str,
    read: fn(&mut T, &SpannedValue) -> Result<(), ConfigFault>,
    /// As TOML on one line; `None` when it is not set.
    pub(crate) show: fn(&T) -> Option<String>,
}

/// The keys of one table: name, field, kind.
macro_rules! keys {
    ($of:ty: $($name:literal, $($field:ident).+, $kind:ty;)*) => {
        &[$(KeySpec::<$of> {
            name: $name,
            read: |target, item| <$kind as ValueKind>::read(item).map(|value| target.$($field).+ = value),
            show: |target| <$kind as ValueKind>::show(&target.$($field).+),
        }),*]
    };
}

/// What a `[section]` holds.
pub(super) enum Shape {
    Keys(&'static [KeySpec<Config>]),
    /// Short names chosen by the user, to models.
    Aliases,
    Redis,
    Providers,
    Models,
    /// Actions to keys.
    Bindings,
}

pub(super) static TOP: &[KeySpec<Config>] = keys! { Config:
    "model", model, ChoiceKind;
    "favourites", favourites, ListKind<ChoiceKind>;
    "system", system, MaybeKind<TextKind>;
};

pub(super) static SECTIONS: &[(&str, Shape)] = &[
    ("aliases", Shape::Aliases),
    (
        "budget",
        Shape::Keys(keys! { Config:
            "per_request", budget.per_request, MaybeKind<DollarsKind>;
            "per_session", budget.per_session, MaybeKind<DollarsKind>;
            "per_day", budget.per_day, MaybeKind<DollarsKind>;
            "per_month", budget.per_month, MaybeKind<DollarsKind>;
            "on_limit", budget.on_limit, OneOfKind<OnLimit>;
            "alerts", budget.alerts, ListKind<ShareKind>;
        }),
    ),
    (
        "router",
        Shape::Keys(keys! { Config:
            "ladder", router.ladder, ListKind<RungKind>;
            "pace", router.pace, FlagKind;
        }),
    ),
    (
        "cache",
        Shape::Keys(keys! { Config:
            "enabled", cache.enabled, FlagKind;
            "ttl", cache.ttl, DurationKind;
            "sampled", cache.sampled, FlagKind;
            "memory", cache.memory, SizeKind;
            "disk", cache.disk, SizeKind;
            "patience", cache.patience, DurationKind;
        }),
    ),
    ("redis", Shape::Redis),
    (
        "limits",
        Shape::Keys(keys! { Config:
            "concurrency", limits.concurrency, ParallelKind;
            "max_output", limits.max_output, TokensKind;
            "connect_timeout", limits.connect_timeout, DurationKind;
            "first_token_timeout", limits.first_token_timeout, DurationKind;
            "idle_timeout", limits.idle_timeout, DurationKind;
            "retries", limits.retries, TriesKind;
        }),
    ),
    (
        "network",
        Shape::Keys(
            keys! { Config: "extra_ca_file", network.extra_ca_file, MaybeKind<FileNameKind>; },
        ),
    ),
    (
        "slo",
        Shape::Keys(keys! { Config:
            "mean_latency", slo.mean_latency, DurationKind;
            "p95_latency", slo.p95_latency, DurationKind;
            "error_rate", slo.error_rate, RateKind;
            "cpu", slo.cpu, ShareKind;
            "memory", slo.memory, ShareKind;
            "requests_per_second", slo.requests_per_second, PositiveKind;
        }),
    ),
    ("providers", Shape::Providers),
    ("models", Shape::Models),
    (
        "ui",
        Shape::Keys(keys! { Config:
            "theme", ui.theme, OneOfKind<Theme>;
            "panel", ui.panel, FlagKind;
            "mouse", ui.mouse, FlagKind;
            "notify", ui.notify, FlagKind;
        }),
    ),
    ("keys", Shape::Bindings),
];

pub(super) static REDIS: &[KeySpec<RedisConfig>] = keys! { RedisConfig:
    "url", url, RedisUrlKind;
    "secret", secret, MaybeKind<SourceKind>;
    "budget_group", budget_group, MaybeKind<LabelKind>;
    "per_day", per_day, MaybeKind<DollarsKind>;
    "per_month", per_month, MaybeKind<DollarsKind>;
    "cluster", cluster, FlagKind;
    "prefix", prefix, LabelKind;
    "patience", patience, DurationKind;
};

pub(super) static PROVIDER: &[KeySpec<ProviderConfig>] = keys! { ProviderConfig:
    "name", name, ProviderNameKind;
    "base_urls", base_urls, ListKind<BaseUrlKind>;
    "keys", keys, ListKind<EntryKind>;
    "headers", headers, HeadersKind;
    "allow_http", allow_http, FlagKind;
};

pub(super) static MODEL: &[KeySpec<ModelEntry>] = keys! { ModelEntry:
    "id", id, FullNameKind;
    "input", input, MaybeKind<DollarsKind>;
    "cached_input", cached_input, MaybeKind<DollarsKind>;
    "cache_write", cache_write, MaybeKind<DollarsKind>;
    "output", output, MaybeKind<DollarsKind>;
    "free", free, FlagKind;
    "confirmed", confirmed, FlagKind;
    "service_tier", service_tier, MaybeKind<OneOfKind<ServiceTier>>;
    "context", context, MaybeKind<TokensKind>;
    "max_output", max_output, MaybeKind<TokensKind>;
    "encoding", encoding, MaybeKind<EncodingNameKind>;
    "tools", tools, MaybeKind<FlagKind>;
    "vision", vision, MaybeKind<FlagKind>;
    "reasoning", reasoning, MaybeKind<FlagKind>;
    "efforts", efforts, MaybeKind<ListKind<OneOfKind<Effort>>>;
    "alias", alias, MaybeKind<AliasKind>;
    "per_day", per_day, MaybeKind<DollarsKind>;
    "per_month", per_month, MaybeKind<DollarsKind>;
};

/// The built-in settings changed by what the text says, and the dotted names of what it said, each with the byte at
/// which its value starts.
pub(super) fn read(text: &str) -> Result<(Config, BTreeMap<String, usize>), ConfigFault> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let starts_at = |error: &toml::de::Error| error.span().map_or(text.len(), |span| span.start);
    if let Some(error) = errors.iter().min_by_key(|error| starts_at(error)) {
        return Err(ConfigFault::new(starts_at(error), error.message()));
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
                |cause| ConfigFault::new(key.span().start, cause),
            ));
        }
    }
    agreement::across(&config, root, &mut walk.faults);
    match walk.faults.into_iter().min_by_key(|fault| fault.at) {
        Some(first) => Err(first),
        None => Ok((config, walk.said)),
    }
}

/// What is collected while a document is read.
#[derive(Default)]
struct Walk {
    faults: Vec<ConfigFault>,
    /// Dotted names of the settings found; entries of a list are numbered from 0.
    said: BTreeMap<String, usize>,
}

impl Walk {
    fn one<T>(&mut self, key: &KeySpec<T>, target: &mut T, item: &SpannedValue, prefix: &str) {
        self.said
            .insert(format!("{prefix}{}", key.name), item.span().start);
        self.faults.extend((key.read)(target, item).err());
    }

    fn section(&mut self, name: &str, shape: &Shape, config: &mut Config, item: &SpannedValue) {
        match shape {
            Shape::Keys(keys) => self.table(keys, &[], config, item, name),
            Shape::Aliases => {
                config.aliases = free_table::<TargetKind>(item, rules::alias, &mut self.faults);
                self.said.extend(
                    config
                        .aliases
                        .keys()
                        .map(|alias| (format!("{name}.{alias}"), item.span().start)),
                );
            }
            Shape::Bindings => {
                config.keys = free_table::<BindingsKind>(item, rules::label, &mut self.faults);
                self.said.extend(
                    config
                        .keys
                        .keys()
                        .map(|action| (format!("{name}.{action}"), item.span().start)),
                );
            }
            Shape::Redis => {
                let mut redis = RedisConfig::at(String::new());
                self.table(REDIS, &["url"], &mut redis, item, name);
                config.redis = Some(redis);
            }
            Shape::Providers => {
                config.providers = self.list(PROVIDER, "name", ProviderConfig::default, item, name);
            }
            Shape::Models => {
                let blank = || ModelEntry::new(ModelId::new("", ""));
                config.models = self.list(MODEL, "id", blank, item, name);
            }
        }
    }

    fn list<T>(
        &mut self,
        keys: &[KeySpec<T>],
        required: &str,
        blank: fn() -> T,
        item: &SpannedValue,
        name: &str,
    ) -> Vec<T> {
        let Some(items) = item.get_ref().as_array() else {
            self.faults.push(ConfigFault::new(
                item.span().start,
                format!("expected a list: write [[{name}]] for each entry"),
            ));
            return Vec::new();
        };
        let read = |(index, item): (usize, &SpannedValue)| {
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
        keys: &[KeySpec<T>],
        required: &[&str],
        target: &mut T,
        item: &SpannedValue,
        path: &str,
    ) {
        let section = path.split('.').next().unwrap_or(path);
        let Some(table) = item.get_ref().as_table() else {
            self.faults.push(ConfigFault::new(
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
                    |cause| ConfigFault::new(key.span().start, cause),
                )),
            }
        }
        for missing in required.iter().filter(|name| table.get(**name).is_none()) {
            self.faults.push(ConfigFault::new(
                item.span().start,
                format!("[{section}] needs a line `{missing} = …`"),
            ));
        }
    }
}

/// The fault of a known name in the wrong table: in TOML every line belongs to the last `[section]` above it.
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
