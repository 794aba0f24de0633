//! Finding a key where the user said it is.
//!
//! Owns: variables, files and commands as sources, with their limits.
//! Refuses: shells, files that other users can read, sources without an end. Nothing is read before it is needed.
//! Invariant: an error names the source and the fix, and never contains what was read.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::key_command::run;
use super::keyring;
use super::mask::Mask;
use super::secret::{KEY_CAP, KeyError, Secret};
use crate::config::{Env, KeySource};

/// How long a key command may take. It may ask another program, but not the user.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// The key in a source; `None` for a variable that is not set or empty.
pub(crate) async fn load(source: &KeySource, env: &Env) -> Result<Option<Secret>, KeyError> {
    match source {
        KeySource::Env(name) => {
            let value = env.get(name).filter(|value| !value.is_empty());
            value
                .map(|value| Secret::parse(value.as_bytes(), name))
                .transpose()
        }
        KeySource::File(path) => {
            let path = at_home(path, env);
            let shown = path.display().to_string();
            let read = tokio::task::spawn_blocking(move || from_file(&path)).await;
            read.map_err(|error| KeyError::Unreadable {
                path: shown,
                cause: error.to_string(),
            })?
            .map(Some)
        }
        KeySource::Command(command) => from_command(command, COMMAND_LIMIT).await.map(Some),
        KeySource::Keyring(name) => keyring::load(name, keyring::TOOL, None, COMMAND_LIMIT)
            .await
            .map(Some),
    }
}

/// Expands `~/x` to the home folder, as a shell would.
fn at_home(path: &Path, env: &Env) -> PathBuf {
    match (path.strip_prefix("~"), env.get("HOME")) {
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.to_owned(),
    }
}

fn from_file(path: &Path) -> Result<Secret, KeyError> {
    let shown = path.display().to_string();
    let unreadable = |cause: String| KeyError::Unreadable {
        path: shown.clone(),
        cause,
    };
    // Check the type before opening: opening a pipe would wait for its other end.
    let found = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !found.is_file() {
        return Err(unreadable("it is not a regular file".to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        if found.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::TooOpen { path: shown });
        }
        // The owner can change the mode, so a file of another user is not protected by it.
        if ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
            return Err(KeyError::NotYours { path: shown });
        }
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    file.take(2 * KEY_CAP as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string()))?;
    Secret::parse(&bytes, &shown)
}

async fn from_command(command: &str, limit: Duration) -> Result<Secret, KeyError> {
    let argv = shlex::split(command).ok_or_else(|| KeyError::Command {
        program: name_of(command),
        cause: "has a quote that never ends".into(),
    })?;
    let Some((program, arguments)) = argv.split_first() else {
        return Err(KeyError::Command {
            program: String::new(),
            cause: "is empty: write a program and its words".into(),
        });
    };
    let failed = |cause: String| KeyError::Command {
        program: Mask::default().excerpt(program),
        cause,
    };
    let output = run(program, arguments, limit)
        .await
        .map_err(|cause| failed(cause.words))?;
    if let Some(status) = &output.failed {
        let said = output.complaint();
        return Err(failed(format!(
            "failed ({status}){}{said}",
            if said.is_empty() { "" } else { ": " }
        )));
    }
    Secret::parse(
        &output.stdout,
        &format!("the output of `{}`", Mask::default().excerpt(program)),
    )
}

fn name_of(command: &str) -> String {
    Mask::default().excerpt(command.split_whitespace().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn variables() {
        let env = Env::from_pairs([("SET", " sk-test-1234\n"), ("EMPTY", ""), ("BAD", "a b")]);
        let of = |name: &str| KeySource::Env(name.to_owned());
        assert_eq!(
            load(&of("SET"), &env).await.unwrap().unwrap().expose(),
            "sk-test-1234"
        );
        assert_eq!(load(&of("EMPTY"), &env).await.unwrap(), None);
        assert_eq!(load(&of("MISSING"), &env).await.unwrap(), None);
        assert!(
            load(&of("BAD"), &env)
                .await
                .unwrap_err()
                .to_string()
                .contains("BAD")
        );
        let keyring = load(&KeySource::Keyring("no halves".into()), &env)
            .await
            .unwrap_err();
        assert!(keyring.to_string().contains("service/account"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8], mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let good = write("good", b"\xef\xbb\xbfsk-test-1234\r\n", 0o600);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&good, &link).unwrap();
        for (path, expected) in [
            (good, Ok("sk-test-1234")),
            (link, Ok("sk-test-1234")),
            (PathBuf::from("~/good"), Ok("sk-test-1234")),
            (write("open", b"sk-canary-1234", 0o644), Err("chmod 600")),
            (write("empty", b"", 0o600), Err("empty")),
            (
                write("nul", b"sk-canary\0", 0o600),
                Err("control character"),
            ),
            (write("huge", &vec![b'k'; 1 << 20], 0o600), Err("8 KiB")),
            (folder.path().join("missing"), Err("cannot read")),
            (folder.path().to_owned(), Err("not a regular file")),
        ] {
            let env = Env::from_pairs([("HOME", folder.path().to_str().unwrap())]);
            match (load(&KeySource::File(path.clone()), &env).await, expected) {
                (Ok(Some(secret)), Ok(key)) => assert_eq!(secret.expose(), key),
                (Err(error), Err(part)) => {
                    let text = error.to_string();
                    assert!(text.contains(part) && !text.contains("canary"), "{text}");
                }
                (result, _) => panic!("{}: {result:?}", path.display()),
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn commands() {
        for (command, expected) in [
            ("printf 'sk-test-1234\\n'", Ok("sk-test-1234")),
            (
                "sh -c \"echo sk-'x'-1234; echo noise >&2\"",
                Ok("sk-x-1234"),
            ),
            (
                "sh -c 'echo; printf \"\\033[31mlocked\\nsecond\" >&2; exit 3'",
                Err("exit status: 3): [31mlocked"),
            ),
            ("sh -c 'echo sk-canary-1; exit 1'", Err("failed")),
            ("true", Err("empty")),
            ("head -c 20000 /dev/zero", Err("more than 8 KiB")),
            ("sleep 60", Err("did not end within")),
            ("cat", Err("empty")),
            ("no-such-program-here", Err("cannot be started")),
            ("printf 'open", Err("quote that never ends")),
            ("", Err("is empty")),
        ] {
            let limit = if command.starts_with("sleep") {
                Duration::from_millis(200)
            } else {
                Duration::from_mins(1)
            };
            match (from_command(command, limit).await, expected) {
                (Ok(secret), Ok(key)) => assert_eq!(secret.expose(), key),
                (Err(error), Err(part)) => {
                    let text = error.to_string();
                    let clean = !text.contains("canary")
                        && !text.contains('\n')
                        && !text.contains('\u{1b}');
                    assert!(text.contains(part) && clean, "{text}");
                }
                (result, _) => panic!("{command}: {result:?}"),
            }
        }
    }

    #[test]
    fn words_without_a_shell() {
        for (command, words) in [
            ("op read op://a/b", Some(vec!["op", "read", "op://a/b"])),
            (
                "  a   'b c' \"d e\" f\\ g ",
                Some(vec!["a", "b c", "d e", "f g"]),
            ),
            ("a '' \"\"", Some(vec!["a", "", ""])),
            (
                "a $(b) ; c | d",
                Some(vec!["a", "$(b)", ";", "c", "|", "d"]),
            ),
            (
                "a 'b\\c' \"d\\\"e\" x'y'z",
                Some(vec!["a", "b\\c", "d\"e", "xyz"]),
            ),
            ("a 'b", None),
            ("a \\", None),
        ] {
            assert_eq!(
                shlex::split(command),
                words.map(|words| words.into_iter().map(str::to_owned).collect()),
                "{command}"
            );
        }
    }
}
