//! The log: a rotating file that only its owner can read, never the screen.
//!
//! Owns: the file and its rotation, and the rule that only this crate's events are written.
//! Refuses: prompts and keys; no event of this crate carries one.
//! Invariant: nothing is opened before the first event; a log that cannot be written is silently done without.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Size at which the log is set aside, in bytes.
const ROTATE_AT: u64 = 5 << 20;
/// Logs set aside that are kept.
const KEPT: u32 = 3;

/// Sends this crate's events to `folder/chat-agent.log`. `verbosity` 0: information, 1: debug, 2: everything.
pub(super) fn start(folder: &Path, verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let file = Mutex::new(LogFile {
        folder: folder.to_path_buf(),
        open: None,
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(file);
    // Other crates may log what they were handed, prompts and headers included.
    let only_ours = Targets::new().with_target("chat_agent", level);
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(only_ours))
        .try_init();
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
}
