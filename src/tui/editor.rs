//! The draft in the user's own editor.
//!
//! Owns: the file that the editor gets, from its making to its removal.
//! Refuses: the terminal; the caller has left it.
//! Invariant: only the user can read the file, and it is gone when this is dropped.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::{Child, Command};

#[derive(Debug)]
pub(crate) struct Editing {
    path: PathBuf,
    child: Child,
}

impl Editing {
    /// Writes `text` to a file in `scratch` and starts `editor` (a shell word list) on it.
    pub(crate) fn start(editor: &str, scratch: &Path, text: &str) -> io::Result<Self> {
        let stamp = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let path = scratch.join(format!("chat-agent-{}-{stamp}.md", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let spawned = file.write_all(text.as_bytes()).and_then(|()| {
            Command::new("sh")
                .arg("-c")
                .arg(format!("{editor} \"$1\""))
                .arg("sh")
                .arg(&path)
                .spawn()
        });
        match spawned {
            Ok(child) => Ok(Self { path, child }),
            Err(problem) => {
                // The first failure is the one to tell.
                let _ = fs::remove_file(&path);
                Err(problem)
            }
        }
    }

    /// Waits for the editor to end. Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// What the user left in the file.
    pub(crate) fn result(&self, ended: io::Result<ExitStatus>) -> Result<String, String> {
        match ended {
            Ok(status) if status.success() => {}
            Ok(status) => {
                return Err(format!(
                    "the editor ended with {status}; the draft is as it was"
                ));
            }
            Err(problem) => {
                return Err(format!(
                    "the editor was lost: {problem}; the draft is as it was"
                ));
            }
        }
        fs::read_to_string(&self.path).map_err(|problem| {
            format!("cannot read what the editor left: {problem}; the draft is as it was")
        })
    }
}

impl Drop for Editing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_editor_gets_the_draft_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        for (editor, result) in [
            ("sed -i s/one/two/", Ok("two words".to_owned())),
            (
                "false",
                Err("the editor ended with exit status: 1; the draft is as it was".to_owned()),
            ),
        ] {
            let mut editing = Editing::start(editor, folder.path(), "one words").unwrap();
            let ended = editing.ended().await;
            assert_eq!(editing.result(ended), result);
            drop(editing);
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                0,
                "no file is left"
            );
        }
    }
}
