//! The environment variables, read once.
//!
//! Owns: [`Env`], the snapshot from which every other part of the program reads variables.
//! Refuses: interpreting values; the caller does.
//! Invariant: the process environment is read in [`Env::from_process`] only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::error::{ConfigError, FaultLocation};

/// The environment as it was at the start. It holds API keys, so `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env {
    variables: BTreeMap<String, String>,
    /// Names of variables whose value is not UTF-8.
    unreadable: BTreeSet<String>,
    folders: Option<(PathBuf, PathBuf)>,
}

impl Env {
    /// This process's variables and the platform's folders for it.
    pub(crate) fn from_process() -> Self {
        let mut env = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(env.variables.insert(name, value)),
                Err(_) => drop(env.unreadable.insert(name)),
            }
        }
        env.folders = directories::ProjectDirs::from("", "", "chat-agent")
            .map(|dirs| (dirs.config_dir().to_owned(), dirs.data_dir().to_owned()));
        env
    }

    /// A made-up environment without a home folder.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            variables,
            ..Self::default()
        }
    }

    /// The same with these as the platform's configuration and data folder.
    #[must_use]
    pub fn with_folders(self, config: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self {
            folders: Some((config.into(), data.into())),
            ..self
        }
    }

    /// The platform's configuration and data folder for this program, when there is a home folder.
    pub(super) fn folders(&self) -> Option<&(PathBuf, PathBuf)> {
        self.folders.as_ref()
    }

    /// The same with a variable whose value is not UTF-8.
    #[cfg(test)]
    pub(super) fn with_unreadable(mut self, name: &str) -> Self {
        self.unreadable.insert(name.to_owned());
        self
    }

    /// A variable's value. An empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// One of the program's own variables: a value that cannot be read is a fault, not an absence.
    pub(super) fn own(&self, name: &'static str) -> Result<Option<&str>, ConfigError> {
        if self.unreadable.contains(name) {
            return Err(ConfigError::new(
                FaultLocation::Named(name),
                "the value is not UTF-8; use the flag instead",
            ));
        }
        Ok(self.get(name))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("names", &self.variables.keys())
            .field("folders", &self.folders)
            .finish()
    }
}
