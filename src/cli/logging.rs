//! The log: a rotating file that only its owner can read, never the screen.
//!
//! Owns: the file and its rotation, and the rule that only this crate's events are written.
//! Refuses: prompts and keys; no event of this crate carries one.
//! Invariant: nothing is opened before the first event; the program goes on without a log that cannot be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use super::args::LOG_VARIABLE;
use crate::chat::{Failure, FailureKind};

/// Size at which the log is set aside, in bytes.
const ROTATE_AT: u64 = 5 << 20;
/// Logs set aside that are kept.
const KEPT: u32 = 3;

/// This crate, as events name it.
const OURS: &str = "chat_agent";

/// Which of this crate's events are written.
#[derive(Debug)]
pub(super) struct LogFilter(Targets);

impl LogFilter {
    /// What `-v` asks for. 0: information, 1: debug, 2: everything.
    pub(super) fn of_verbosity(verbosity: u8) -> Self {
        let level = match verbosity {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        Self(Targets::new().with_target(OURS, level))
    }

    /// What the variable asks for when it is set, else what `-v` does.
    pub(super) fn new(variable: Option<&str>, verbosity: u8) -> Result<Self, Failure> {
        let Some(text) = variable else {
            return Ok(Self::of_verbosity(verbosity));
        };
        let mut targets = Targets::new();
        for part in text.split(',').map(str::trim) {
            let (module, level) = part.split_once('=').unwrap_or((OURS, part));
            // Other crates may log what they were handed, prompts and headers included.
            let ours = module == OURS || module.starts_with("chat_agent::");
            let wrong = |what: &str| {
                Failure::new(FailureKind::Usage, format!("{LOG_VARIABLE}: {what}")).hint(HINT)
            };
            if !ours {
                return Err(wrong(&format!("{module:?} is no module of this program")));
            }
            // An empty text would be read as a level.
            let level = Some(level).filter(|level| !level.is_empty());
            let level: LevelFilter = level
                .and_then(|level| level.parse().ok())
                .ok_or_else(|| wrong(&format!("{part:?} names no level")))?;
            targets = targets.with_target(module, level);
        }
        Ok(Self(targets))
    }
}

const HINT: &str = "levels are off, error, warn, info, debug and trace; `chat_agent::gateway=debug,info` sets one \
                    for a module and one for the rest";

/// Sends this crate's events to `folder/chat-agent.log`.
pub(super) fn start(folder: &Path, filter: LogFilter) {
    let _ = subscriber(folder, filter).try_init();
}

/// Each line names the spans that it belongs to, so that the lines of one exchange can be told from those of another.
fn subscriber(
    folder: &Path,
    LogFilter(targets): LogFilter,
) -> impl tracing::Subscriber + Send + Sync {
    let file = Mutex::new(LogFile {
        folder: folder.to_path_buf(),
        open: None,
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(file);
    tracing_subscriber::registry().with(layer.with_filter(targets))
}

struct LogFile {
    folder: PathBuf,
    open: Option<(File, u64)>,
}

impl LogFile {
    fn path(&self, age: u32) -> PathBuf {
        let name = if age == 0 {
            "chat-agent.log".to_owned()
        } else {
            format!("chat-agent.log.{age}")
        };
        self.folder.join(name)
    }

    fn file(&mut self) -> io::Result<&mut (File, u64)> {
        if self
            .open
            .as_ref()
            .is_some_and(|(_, size)| *size >= ROTATE_AT)
        {
            self.open = None;
            for age in (0..KEPT).rev() {
                let _ = fs::rename(self.path(age), self.path(age + 1));
            }
        }
        if self.open.is_none() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(self.path(0))?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
        }
        self.open
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (file, size) = self.file()?;
        let written = file.write(line)?;
        *size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_log_rotates_and_is_private() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("log");
        let mut log = LogFile {
            folder: folder.clone(),
            open: None,
        };
        assert!(!folder.exists(), "nothing is opened before the first line");
        let line = vec![b'x'; 1 << 20];
        for _ in 0..30 {
            log.write_all(&line).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "chat-agent.log",
                "chat-agent.log.1",
                "chat-agent.log.2",
                "chat-agent.log.3"
            ]
        );
        let mode = fs::metadata(folder.join("chat-agent.log"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// What the log holds after events of two modules and of a foreign crate.
    fn logged(variable: Option<&str>, verbosity: u8) -> String {
        let home = tempfile::tempdir().unwrap();
        let filter = LogFilter::new(variable, verbosity).unwrap();
        tracing::subscriber::with_default(subscriber(home.path(), filter), || {
            let exchange = tracing::info_span!(target: "chat_agent::gateway", "exchange", id = 7);
            let _entered = exchange.enter();
            tracing::trace!(target: "chat_agent::gateway", "g-trace");
            tracing::debug!(target: "chat_agent::gateway", "g-debug");
            tracing::info!(target: "chat_agent::store", "s-info");
            tracing::debug!(target: "chat_agent::store", "s-debug");
            tracing::error!(target: "hyper", "a header");
        });
        fs::read_to_string(home.path().join("chat-agent.log")).unwrap_or_default()
    }

    #[test]
    fn the_variable_beats_the_flag_and_foreign_events_are_never_written() {
        for (variable, verbosity, expected) in [
            (None, 0, "s-info"),
            (None, 1, "g-debug s-info s-debug"),
            (None, 2, "g-trace g-debug s-info s-debug"),
            (Some("warn"), 2, ""),
            (Some("off"), 2, ""),
            (Some("DEBUG"), 0, "g-debug s-info s-debug"),
            (Some("chat_agent::gateway=debug"), 0, "g-debug"),
            (
                Some("chat_agent::gateway=trace, info"),
                0,
                "g-trace g-debug s-info",
            ),
        ] {
            let log = logged(variable, verbosity);
            let words = ["g-trace", "g-debug", "s-info", "s-debug", "a header"];
            let found: Vec<_> = words
                .into_iter()
                .filter(|word| log.contains(word))
                .collect();
            assert_eq!(found.join(" "), expected, "{variable:?} {verbosity}\n{log}");
        }
    }

    #[test]
    fn a_line_names_its_spans() {
        let log = logged(None, 1);
        let line = log.lines().find(|line| line.contains("g-debug")).unwrap();
        assert!(
            line.contains("exchange{id=7}: chat_agent::gateway: g-debug"),
            "{line}"
        );
    }

    #[test]
    fn a_wrong_variable_is_an_error_with_a_hint() {
        for (text, cause) in [
            ("loud", "\"loud\" names no level"),
            ("chat_agent::gateway=", "names no level"),
            ("debug,,", "\"\" names no level"),
            ("hyper=trace", "\"hyper\" is no module of this program"),
            ("chat_agents=info", "\"chat_agents\" is no module"),
        ] {
            let failure = LogFilter::new(Some(text), 0).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Usage);
            let said = failure.to_string();
            assert!(
                said.contains(cause) && said.contains(LOG_VARIABLE),
                "{said}"
            );
            assert!(said.contains("levels are off, error"), "{said}");
        }
    }
}
