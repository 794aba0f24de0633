//! Built-in values, then the file, then the environment, then the flags: the later one wins.
//!
//! Owns: [`load`], where the files are ([`Locations`]), where each setting came from ([`Provenance`]).
//! Refuses: the process environment; it reads the [`Env`] snapshot that it is given.
//! Invariant: the same overrides, snapshot and file give the same result.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::env::Env;
use super::error::{ConfigError, ConfigFault, FaultLocation, line_and_column};
use super::{Config, file, network, rules};

const CONFIG: &str = "CHAT_AGENT_CONFIG";
const DATA_DIR: &str = "CHAT_AGENT_DATA_DIR";
const MODEL: &str = "CHAT_AGENT_MODEL";

/// A configuration is a few kilobytes; a larger file is something else.
const LARGEST: u64 = 256 * 1024;

/// What the flags of the command line say about settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`.
    pub config_file: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--model`.
    pub model: Option<String>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--system`.
    pub system: Option<String>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Default,
    File,
    Env,
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Env => "environment",
            Self::Flag => "flag",
        })
    }
}

/// Dotted key (`budget.per_day`, `providers.0.name`) to where its value comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Provenance {
    origins: BTreeMap<String, Origin>,
    /// Line and column of the values in `[[models]]`, which the catalogue judges later.
    places: BTreeMap<String, (usize, usize)>,
}

impl Provenance {
    pub(crate) fn of(&self, key: &str) -> Origin {
        self.origins.get(key).copied().unwrap_or(Origin::Default)
    }

    /// Everything that is not built in.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Origin)> {
        self.origins
            .iter()
            .map(|(key, origin)| (key.as_str(), *origin))
    }

    fn set(&mut self, key: &str, origin: Origin) {
        self.origins.insert(key.to_owned(), origin);
    }
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locations {
    /// As named by flag or variable, else in the platform's folder.
    pub(crate) config_file: PathBuf,
    /// Whether there is such a file.
    pub(crate) config_found: bool,
    /// Absolute.
    pub(crate) data_dir: PathBuf,
}

/// The settings in force, and where each came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: Config,
    pub(crate) locations: Locations,
    pub(crate) provenance: Provenance,
}

impl Loaded {
    /// A fault of an entry of `[[models]]` that only the catalogue can see, at the key that it is about; at the entry
    /// when it has no such key.
    pub(crate) fn fault_in_model(&self, index: usize, key: &str, cause: &str) -> ConfigError {
        let place = |key: &str| self.provenance.places.get(&format!("models.{index}.{key}"));
        let file = self.locations.config_file.clone();
        match place(key).or_else(|| place("id")) {
            Some(&(line, column)) => {
                ConfigError::new(FaultLocation::Line { file, line, column }, cause)
            }
            None => ConfigError::file(&file, cause),
        }
    }
}

/// Reads the file, if there is one, and lays the environment and the flags over it.
pub fn load(overrides: &Overrides, env: &Env) -> Result<Loaded, ConfigError> {
    let (mut locations, named) = find(overrides, env)?;
    let mut provenance = Provenance::default();
    let mut config = Config::default();
    match read_file(&locations.config_file)? {
        Some(text) => {
            locations.config_found = true;
            let said;
            (config, said) = file::read(&text)
                .map_err(|f| f.into_error(&locations.config_file, text.as_bytes()))?;
            for (key, at) in &said {
                provenance.set(key, Origin::File);
                if key.starts_with("models.") {
                    provenance
                        .places
                        .insert(key.clone(), line_and_column(*at, text.as_bytes()));
                }
            }
            let at = said
                .get("network.extra_ca_file")
                .copied()
                .unwrap_or_default();
            network::resolve(&mut config.network, &locations.config_file, env).map_err(
                |cause| {
                    ConfigFault::new(at, cause).into_error(&locations.config_file, text.as_bytes())
                },
            )?;
        }
        None if named => return Err(missing(&locations.config_file)),
        None => {}
    }
    if let Some(model) = env.own(MODEL)? {
        choose(&mut config, &mut provenance, model, MODEL, Origin::Env)?;
    }
    apply(overrides, &mut config, &mut provenance)?;
    Ok(Loaded {
        config,
        locations,
        provenance,
    })
}

/// Where the files are, whether or not they exist or can be read: for `config path` and `config init`.
pub(crate) fn locate(overrides: &Overrides, env: &Env) -> Result<Locations, ConfigError> {
    find(overrides, env).map(|(locations, _)| locations)
}

/// The locations, and whether the configuration file was named by the user.
fn find(overrides: &Overrides, env: &Env) -> Result<(Locations, bool), ConfigError> {
    let named = match &overrides.config_file {
        Some(path) => Some(path.clone()),
        None => env.own(CONFIG)?.map(PathBuf::from),
    };
    let data_dir = match &overrides.data_dir {
        Some(path) => Some(path.clone()),
        None => env.own(DATA_DIR)?.map(PathBuf::from),
    };
    let homeless = |what: &str, flag: &'static str| {
        let cause = format!(
            "no home folder is known, so there is no place for {what}: name one with {flag}"
        );
        ConfigError::new(FaultLocation::Named(flag), cause)
    };
    let is_named = named.is_some();
    let config_file = named
        .or_else(|| env.folders().map(|(config, _)| config.join("config.toml")))
        .ok_or_else(|| homeless("the configuration", "--config"))?;
    let data_dir = data_dir
        .or_else(|| env.folders().map(|(_, data)| data.clone()))
        .ok_or_else(|| homeless("data", "--data-dir"))?;
    let data_dir = std::path::absolute(&data_dir).map_err(|error| {
        ConfigError::new(
            FaultLocation::Named("--data-dir"),
            format!("not a folder's name: {error}"),
        )
    })?;
    let config_found = config_file.exists();
    Ok((
        Locations {
            config_file,
            config_found,
            data_dir,
        },
        is_named,
    ))
}

fn choose(
    config: &mut Config,
    provenance: &mut Provenance,
    model: &str,
    place: &'static str,
    origin: Origin,
) -> Result<(), ConfigError> {
    rules::choice(model).map_err(|cause| ConfigError::new(FaultLocation::Named(place), cause))?;
    model.clone_into(&mut config.model);
    provenance.set("model", origin);
    Ok(())
}

fn apply(
    overrides: &Overrides,
    config: &mut Config,
    provenance: &mut Provenance,
) -> Result<(), ConfigError> {
    if let Some(model) = &overrides.model {
        choose(config, provenance, model, "--model", Origin::Flag)?;
    }
    if overrides.no_cache {
        config.cache.enabled = false;
        provenance.set("cache.enabled", Origin::Flag);
    }
    if let Some(system) = &overrides.system {
        config.system = Some(system.clone());
        provenance.set("system", Origin::Flag);
    }
    Ok(())
}

pub(super) fn missing(path: &Path) -> ConfigError {
    ConfigError::file(path, "there is no such file")
        .with_hint("`chat-agent config init` writes one; a file named by --config or CHAT_AGENT_CONFIG must exist")
}

/// The text of the file without a byte order mark; `None` when there is no such file.
pub(super) fn read_file(path: &Path) -> Result<Option<String>, ConfigError> {
    let fails =
        |error: &std::io::Error| ConfigError::file(path, format!("cannot be read: {error}"));
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(fails(&error)),
    };
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(ConfigError::file(path, "is a folder; name the file in it"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fails(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::file(
            path,
            "is larger than 256 KiB, so it is not a configuration file",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ConfigFault::new(at, "this byte is not UTF-8 text: save the file as UTF-8")
            .into_error(path, error.as_bytes())
    })?;
    Ok(Some(
        text.strip_prefix('\u{FEFF}')
            .map_or_else(|| text.clone(), str::to_owned),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_not_utf8_is_named_in_the_error() {
        for name in [CONFIG, DATA_DIR, MODEL] {
            let env = Env::default()
                .with_unreadable(name)
                .with_folders("/none", "/none");
            let error = load(&Overrides::default(), &env).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{name}: the value is not UTF-8; use the flag instead")
            );
        }
    }
}
