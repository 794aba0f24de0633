//! A home whose provider is the scripted server: what nearly every test of the command line begins with.
//!
//! Owns: [`Scene`], the key that belongs to its server, and the words that many tests share.
//! Refuses: to say what is right; it only runs the program and hands back what came of it.
//! Invariant: the key reaches the program by its environment only, never by a file or an argument.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::PATIENCE;
use super::home::{Home, Output, run, spawn};
use super::server::{Answer, Prices, Script, Server};

pub const KEY: &str = "sk-scene-4f9d2c71b8a3e650-zq7w";

pub struct Scene {
    pub home: Home,
    pub server: Server,
}

impl Scene {
    pub fn new(script: Script) -> Self {
        Self::with(script, "")
    }

    /// `toml` follows the provider: root keys do not fit there, tables do.
    pub fn with(script: Script, toml: &str) -> Self {
        let (home, server) = (Home::new(), Server::start(script.keys([KEY])));
        let scene = Self { home, server };
        scene.config(toml);
        scene
    }

    /// One that always answers `text`.
    pub fn saying(text: &str) -> Self {
        Self::new(Script::always(Answer::text(text)))
    }

    /// Points `openai` at the server; its prices are the catalogue's, and confirmed to be right there.
    pub fn config(&self, toml: &str) {
        let confirmed = ["gpt-5", "gpt-5-mini", "gpt-5-nano", "o3-mini"]
            .map(|name| format!("[[models]]\nid = \"openai/{name}\"\nconfirmed = true\n"))
            .concat();
        // A busy machine is no slow disk.
        let patience = "[cache]\npatience = \"10s\"\n";
        let toml = if toml.contains("[cache]\n") {
            toml.replace("[cache]\n", patience)
        } else {
            format!("{toml}\n{patience}")
        };
        self.home.config(&format!(
            "[[providers]]\nname = \"openai\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n{confirmed}{toml}",
            self.server.base_url(),
        ));
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.chat_agent();
        command.env("OPENAI_API_KEY", KEY).args(args);
        command
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        self.piped(args, "")
    }

    /// With something on standard input.
    #[track_caller]
    pub fn piped(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Output {
        run(self.command(args), stdin.as_ref(), Duration::from_secs(30))
    }

    /// Runs, and wants status 0.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        output.assert_code(0);
        output
    }

    /// Runs, wants status 0, and reads standard output as JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.ok(args).json()
    }

    /// Runs, wants this status and exactly one line on standard error, and returns the line.
    #[track_caller]
    pub fn refused(&self, code: i32, args: &[&str]) -> String {
        one_error(&self.run(args), code)
    }

    /// Starts the program and leaves it running; standard input is closed.
    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }
}

/// The status and the one line on standard error.
#[track_caller]
pub fn one_error(output: &Output, code: i32) -> String {
    output.assert_code(code);
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    assert!(
        output.stderr.ends_with('\n') && !output.stderr.contains("panicked"),
        "{output:#?}"
    );
    assert!(!output.stderr.contains(KEY), "{output:#?}");
    output.stderr.trim_end().to_owned()
}

/// The catalogue's prices of the models that tests ask, in US dollars per million tokens.
pub fn prices() -> Prices {
    Prices::new()
        .model("gpt-5", "1.25", "0.125", "10")
        .model("gpt-5-mini", "0.25", "0.025", "2")
        .model("gpt-5-nano", "0.05", "0.005", "0.4")
        .model("o3-mini", "1.1", "0.55", "4.4")
}

/// A program under way; it does not outlive the test.
pub struct Running {
    child: Child,
    read: Vec<u8>,
}

impl Running {
    /// Standard input is closed.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            child: spawn(&mut command),
            read: Vec::new(),
        }
    }

    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Blocks until standard output has brought this text; fails when the program ends before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&self.read).contains(text) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {text:?} in {:?}",
                self.text()
            );
            let n = self
                .child
                .stdout
                .as_mut()
                .unwrap()
                .read(&mut piece)
                .unwrap();
            assert!(n > 0, "ended before {text:?}: {:?}", self.text());
            self.read.extend_from_slice(&piece[..n]);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// As the reader of a pipe that has seen enough.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }

    /// Blocks until it has ended, without reading its output.
    #[track_caller]
    pub fn wait_unread(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it never ends");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets it run to its end.
    pub fn end(mut self) -> Output {
        let mut stderr = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_end(&mut self.read).unwrap();
        }
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_end(&mut stderr)
            .unwrap();
        let status = self.child.wait().unwrap();
        Output {
            status,
            stdout: self.text(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Harmless when it has ended: it was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
