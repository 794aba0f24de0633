//! Keys from the keyring of the system.
//!
//! Owns: the system's tool for it, its arguments, and the meaning of its answers (also of an empty one).
//! Refuses: to store anything, and to ask the user; the desktop may do that in its own window.
//! Invariant: the tool runs as a key command does: no shell, no input, at most 10 seconds and 8 KiB.

use std::time::Duration;

use super::key_command::run;
use super::mask::Mask;
use super::secret::{KeyError, Secret};

/// The tool of a system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    program: &'static str,
    look_up: fn(&str, &str) -> Vec<String>,
    /// The command that stores a key.
    store: fn(&str, &str) -> String,
    /// How to install the tool.
    install: &'static str,
}

/// libsecret's tool, for GNOME Keyring, KWallet and KeePassXC.
const SECRET_TOOL: Tool = Tool {
    program: "secret-tool",
    look_up: |service, account| {
        ["lookup", "service", service, "account", account]
            .map(str::to_owned)
            .to_vec()
    },
    store: |service, account| {
        format!("secret-tool store --label={service} service {service} account {account}")
    },
    install: "install it (libsecret-tools), or take the key from a variable, a file or a command",
};

const SECURITY: Tool = Tool {
    program: "security",
    look_up: |service, account| {
        ["find-generic-password", "-s", service, "-a", account, "-w"]
            .map(str::to_owned)
            .to_vec()
    },
    store: |service, account| format!("security add-generic-password -s {service} -a {account} -w"),
    install: "take the key from a variable, a file or a command",
};

/// The tool of this system.
pub(super) const TOOL: Tool = if cfg!(target_os = "macos") {
    SECURITY
} else {
    SECRET_TOOL
};

/// The key under `service/account`. Tests pass their own `program` in place of the tool.
pub(crate) async fn load(
    name: &str,
    tool: Tool,
    program: Option<&str>,
    limit: Duration,
) -> Result<Secret, KeyError> {
    let shown = Mask::default().excerpt(name);
    let failed = |cause: String, fix: String| KeyError::Keyring {
        name: shown.clone(),
        cause,
        fix,
    };
    let halves = name
        .rsplit_once('/')
        .filter(|(service, account)| !service.is_empty() && !account.is_empty());
    let Some((service, account)) = halves else {
        return Err(failed(
            "the name has no two halves".to_owned(),
            "write keyring = \"service/account\"".to_owned(),
        ));
    };
    let program = program.unwrap_or(tool.program);
    let output = match run(program, &(tool.look_up)(service, account), limit).await {
        Ok(output) => output,
        Err(cause) if cause.not_found => {
            return Err(failed(
                format!("there is no `{}` here", tool.program),
                tool.install.to_owned(),
            ));
        }
        Err(cause) => {
            return Err(failed(
                format!("`{}` {}", tool.program, cause.words),
                "see that it is unlocked".to_owned(),
            ));
        }
    };
    let store = || {
        format!(
            "put it there: `{}`",
            (tool.store)(&quoted(service), &quoted(account))
        )
    };
    if output.failed.is_none() && !output.stdout.trim_ascii().is_empty() {
        return Secret::parse(&output.stdout, &format!("the keyring ({shown})"));
    }
    let said = output.complaint();
    let lower = said.to_lowercase();
    // secret-tool prints nothing for a missing entry; security prints a message.
    if said.is_empty() || lower.contains("could not be found") {
        return Err(failed("it is not in there".to_owned(), store()));
    }
    let fix = if lower.contains("lock") && !lower.contains("autolaunch") {
        "unlock the keyring and send again"
    } else {
        "see that the keyring runs in this session, or take the key from a variable, a file or a command"
    };
    Err(failed(said, fix.to_owned()))
}

/// Quoted for a shell where necessary.
fn quoted(word: &str) -> String {
    let word = Mask::default().excerpt(word);
    if word
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.@:/".contains(&b))
    {
        return word;
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_meaning_of_what_the_tool_prints() {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("tool");
        for (name, script, expected) in [
            (
                "chat-agent/openai",
                "printf 'sk-test-1234'",
                Ok("sk-test-1234"),
            ),
            (
                "a/b",
                "echo \"sk-$*\" | tr ' ' '-'",
                Ok("sk-lookup-service-a-account-b"),
            ),
            ("https://x.example/me", "echo sk-$5", Ok("sk-me")),
            (
                "chat-agent/openai",
                "exit 1",
                Err("store --label=chat-agent service chat-agent account openai`"),
            ),
            (
                "my service/it's",
                "exit 1",
                Err("service 'my service' account 'it'\\''s'`"),
            ),
            ("chat-agent/openai", "true", Err("not in there")),
            (
                "a/b",
                "echo 'secret-tool: Cannot get secret of a locked object' >&2; exit 1",
                Err("unlock the keyring"),
            ),
            (
                "a/b",
                "echo 'Cannot autolaunch D-Bus without X11 $DISPLAY' >&2; exit 1",
                Err("runs in this session"),
            ),
            (
                "a/b",
                "echo 'The specified item could not be found in the keychain.' >&2; exit 44",
                Err("not in there"),
            ),
            (
                "a/b",
                "echo sk-canary-1; echo sk-canary-2",
                Err("white space"),
            ),
            ("a/b", "exec sleep 60", Err("did not end within")),
            ("a/b", "head -c 20000 /dev/zero", Err("more than 8 KiB")),
            ("a", "echo sk-canary-1", Err("service/account")),
            ("/b", "echo sk-canary-1", Err("service/account")),
        ] {
            // Written by a child: a file that this process writes cannot be run while another test starts a program.
            let write = std::process::Command::new("sh")
                .args([
                    "-c",
                    "printf '#!/bin/sh\n%s\n' \"$1\" > \"$2\" && chmod 700 \"$2\"",
                    "sh",
                    script,
                ])
                .arg(&tool)
                .status();
            assert!(write.unwrap().success());
            let limit = if script.contains("sleep") {
                Duration::from_millis(200)
            } else {
                Duration::from_mins(1)
            };
            match (
                load(name, SECRET_TOOL, tool.to_str(), limit).await,
                expected,
            ) {
                (Ok(secret), Ok(key)) => assert_eq!(secret.expose(), key),
                (Err(error), Err(part)) => {
                    let text = error.to_string();
                    assert!(
                        text.contains(part) && !text.contains("canary") && !text.contains('\n'),
                        "{text}"
                    );
                }
                (result, _) => panic!("{name} {script}: {result:?}"),
            }
        }
        let missing = folder.path().join("no-such-tool");
        let none = load("a/b", SECRET_TOOL, missing.to_str(), Duration::from_mins(1))
            .await
            .unwrap_err();
        assert!(
            none.to_string()
                .contains("there is no `secret-tool` here; install it"),
            "{none}"
        );
    }

    #[test]
    fn the_commands_for_macos() {
        let asked = (SECURITY.look_up)("chat-agent", "openai");
        assert_eq!(
            asked,
            [
                "find-generic-password",
                "-s",
                "chat-agent",
                "-a",
                "openai",
                "-w"
            ]
        );
        assert!((SECURITY.store)("s", "a").starts_with("security add-generic-password -s s -a a"));
    }
}
