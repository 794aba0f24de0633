//! Tests of the room as a whole.

mod editing;
mod example;
mod faults;
mod fuzz;
mod layers;
mod roundtrip;

use std::path::PathBuf;

use super::{Config, ConfigError, Env, Loaded, Overrides, load};

/// A folder of its own with a configuration file that says `text`.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn with(text: impl AsRef<[u8]>) -> Self {
        let home = Self::new();
        // The one file that the example names and that has to be there.
        std::fs::write(
            home.folder.path().join("company-ca.pem"),
            "-----BEGIN CERTIFICATE-----",
        )
        .unwrap();
        std::fs::write(home.file(), text).unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn env(&self, pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().copied())
            .with_folders(self.folder.path(), self.folder.path().join("data"))
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        load(&Overrides::default(), &self.env(&[]))
    }

    /// The error without the folder's name.
    fn fault(&self) -> String {
        let text = self
            .load()
            .expect_err("this file must not load")
            .to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn config(text: &str) -> Config {
    Home::with(text)
        .load()
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .config
}
