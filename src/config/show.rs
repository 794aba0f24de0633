//! `config show`: the settings in force, as a file, with where each comes from.
//!
//! Owns: the rendering of a [`Config`] as TOML.
//! Refuses: secrets; what may be one is stars, and a key source is shown as it was written.
//! Invariant: what is rendered is a legal configuration file that reads back to the same settings.

use std::fmt::Write;

use super::compound::BindingsKind;
use super::file::{KeySpec, MODEL, PROVIDER, REDIS, SECTIONS, Shape, TOP};
use super::kind::{TargetKind, ValueKind};
use super::{Config, Loaded, Origin, Provenance, value};

/// One line of what is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EffectiveSetting {
    /// Dotted, entries of a list numbered from 0: `budget.per_day`, `providers.0.name`.
    pub(crate) key: String,
    /// As TOML; secrets are stars.
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// The settings in force, one by one in the order of the file; those that are not set are left out.
pub(crate) fn settings(loaded: &Loaded) -> Vec<EffectiveSetting> {
    page(&loaded.config.masked(), &loaded.provenance).settings
}

/// The settings in force as TOML; each line ends in a comment that says where it comes from. Settings that are not set
/// have no line.
pub(crate) fn show(loaded: &Loaded) -> String {
    render(&loaded.config.masked(), &loaded.provenance)
}

/// The same for any settings, secrets included.
pub(super) fn render(config: &Config, provenance: &Provenance) -> String {
    page(config, provenance).text
}

fn page<'a>(config: &Config, provenance: &'a Provenance) -> SettingsPage<'a> {
    let mut page = SettingsPage {
        text: String::new(),
        settings: Vec::new(),
        provenance,
    };
    page.table(TOP, config, "");
    for (name, shape) in SECTIONS {
        match shape {
            Shape::Keys(keys) => {
                page.header(&format!("[{name}]"));
                page.table(keys, config, name);
            }
            Shape::Aliases => {
                page.header("[aliases]");
                for (alias, model) in &config.aliases {
                    page.line(name, alias, TargetKind::show(model));
                }
            }
            Shape::Bindings => {
                page.header("[keys]");
                for (action, keys) in &config.keys {
                    page.line(name, action, BindingsKind::show(keys));
                }
            }
            Shape::Redis => {
                if let Some(redis) = &config.redis {
                    page.header("[redis]");
                    page.table(REDIS, redis, name);
                }
            }
            Shape::Providers => page.list(PROVIDER, &config.providers, name),
            Shape::Models => page.list(MODEL, &config.models, name),
        }
    }
    page
}

struct SettingsPage<'a> {
    text: String,
    settings: Vec<EffectiveSetting>,
    provenance: &'a Provenance,
}

impl SettingsPage<'_> {
    fn header(&mut self, header: &str) {
        let _ = writeln!(self.text, "\n{header}");
    }

    fn list<T>(&mut self, keys: &[KeySpec<T>], entries: &[T], name: &str) {
        for (index, entry) in entries.iter().enumerate() {
            self.header(&format!("[[{name}]]"));
            self.table(keys, entry, &format!("{name}.{index}"));
        }
    }

    fn table<T>(&mut self, keys: &[KeySpec<T>], entry: &T, path: &str) {
        for key in keys {
            self.line(path, key.name, (key.show)(entry));
        }
    }

    fn line(&mut self, path: &str, name: &str, shown: Option<String>) {
        let Some(shown) = shown else { return };
        let dotted = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        let origin = self.provenance.of(&dotted);
        let _ = writeln!(self.text, "{} = {shown}  # {origin}", value::key(name));
        self.settings.push(EffectiveSetting {
            key: dotted,
            value: shown,
            origin,
        });
    }
}
