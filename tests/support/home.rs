//! A home without a past, for one run of the program.
//!
//! Owns: [`Home`]: a folder that is HOME and every XDG folder, and the environment that points there.
//! Refuses: the caller's environment: none of its keys, proxies or locale gets in.
//! Invariant: nothing outside the folder is named by the environment, except PATH.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a run may take.
const DEADLINE: Duration = Duration::from_secs(30);

pub struct Home {
    dir: TempDir,
}

/// What a run of the program left.
#[derive(Debug, Clone)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The exit status; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {self:#?}"))
    }

    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self:#?}");
        self
    }
}

impl Home {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::Builder::new()
            .prefix("chat-agent-test-")
            .tempdir()
            .expect("a temporary folder");
        let home = Self { dir };
        for name in ["config", "data", "state", "cache", "run", "tmp", "work"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
        }
        // The platform's rule for the runtime folder.
        std::fs::set_permissions(home.path().join("run"), PermissionsExt::from_mode(0o700))
            .unwrap();
        home
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The folder in which the program runs.
    pub fn work_dir(&self) -> PathBuf {
        self.path().join("work")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data/chat-agent")
    }

    pub fn config_file(&self) -> PathBuf {
        self.path().join("config/chat-agent/config.toml")
    }

    /// Writes the configuration file where the program looks for it by itself.
    pub fn config(&self, toml: &str) -> &Self {
        std::fs::create_dir_all(self.config_file().parent().unwrap()).unwrap();
        std::fs::write(self.config_file(), toml).unwrap();
        self
    }

    /// Writes a file into the working folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work_dir().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The sealed environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let inside = |name: &str| {
            self.path()
                .join(name)
                .to_str()
                .expect("a temporary folder in UTF-8")
                .to_owned()
        };
        [
            (
                "PATH",
                std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned()),
            ),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "xterm-256color".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("HOME", inside("")),
            ("TMPDIR", inside("tmp")),
            ("XDG_CONFIG_HOME", inside("config")),
            ("XDG_DATA_HOME", inside("data")),
            ("XDG_STATE_HOME", inside("state")),
            ("XDG_CACHE_HOME", inside("cache")),
            ("XDG_RUNTIME_DIR", inside("run")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Any program, sealed in.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.environment())
            .current_dir(self.work_dir());
        command
    }

    /// The program under test, sealed in.
    pub fn chat_agent(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_chat-agent"))
    }

    /// Runs the program under test to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Output {
        let mut command = self.chat_agent();
        command.args(args);
        run(command, stdin.as_ref(), DEADLINE)
    }
}

/// Runs a command to its end, or to its death at the deadline, which fails the test.
#[track_caller]
pub fn run(mut command: Command, stdin: &[u8], deadline: Duration) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(&mut command);
    let mut input = child.stdin.take().unwrap();
    let (stdout, stderr) = (
        collect(child.stdout.take().unwrap()),
        collect(child.stderr.take().unwrap()),
    );
    let status = std::thread::scope(|scope| {
        // It may end without having read everything.
        scope.spawn(move || drop(input.write_all(stdin)));
        wait_at_most(&mut child, deadline)
    });
    // A child of its own may still hold the pipes; it has as long, and who reads them may be slow.
    let longest = deadline.max(DEADLINE);
    let text = |bytes: mpsc::Receiver<Vec<u8>>| {
        String::from_utf8_lossy(
            &bytes
                .recv_timeout(longest)
                .expect("the output ends with the program"),
        )
        .into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let Some(status) = status else {
        panic!(
            "{command:?} did not end within {deadline:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
    };
    Output {
        status,
        stdout,
        stderr,
    }
}

/// Starts it. A program that was just written may still be open for writing in a child that another test has started.
pub fn spawn(command: &mut Command) -> Child {
    let end = Instant::now() + DEADLINE;
    loop {
        let starting = super::starting();
        let started = command.spawn();
        drop(starting);
        match started {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < end => {
                std::thread::yield_now();
            }
            child => return child.expect("the program starts"),
        }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// `None`: it had to be killed.
fn wait_at_most(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let pid = rustix::process::Pid::from_child(child);
    let (over, told) = mpsc::sync_channel::<()>(1);
    std::thread::scope(|scope| {
        let watchdog = scope.spawn(move || {
            let late = told.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                // Not yet waited for, so the number still is this child's.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            late
        });
        let mut seen = child.wait();
        if seen
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::Interrupted)
        {
            seen = child.wait();
        }
        drop(over);
        let late = watchdog.join().unwrap();
        (!late).then(|| seen.expect("the child can be waited for"))
    })
}
