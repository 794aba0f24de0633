//! The chat screen on a scripted server, with prices that are easy to check by hand.
//!
//! Owns: a provider `mock` with two priced models, and how a test opens the screen, types and sends.
//! Refuses: what is expected; that is each test's own.
//! Invariant: `auto` has one rung that fits, so a test knows which model answers.

use std::process::Command;

use super::home::Home;
use super::server::{Pico, Prices, Script, Server};
use super::terminal::{Nature, Terminal};

/// The key that the server's owner gave out.
pub const KEY: &str = "sk-mock-0123456789abcdef-w3rt";

/// A server, a home that knows it, and what it charges.
pub struct Place {
    pub server: Server,
    pub home: Home,
}

impl Place {
    pub fn new(script: Script) -> Self {
        Self::with(script, "")
    }

    /// `extra`: more lines of the configuration, in sections of their own.
    pub fn with(script: Script, extra: &str) -> Self {
        let server = Server::start(script.keys([KEY]));
        let home = Home::new();
        home.config(&config(&server.base_url(), extra));
        Self { server, home }
    }

    /// The chat screen as a command.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.chat_agent();
        command.env("MOCK_KEY", KEY).args(args);
        command
    }

    /// Opens the screen and waits until it knows the price of nothing.
    #[track_caller]
    pub fn open(&self, args: &[&str], cols: u16, rows: u16) -> Terminal {
        let terminal = Terminal::spawn(&self.command(args), cols, rows);
        terminal.wait_for("→ large");
        terminal
    }

    #[track_caller]
    pub fn open_in(&self, nature: Nature, args: &[&str], cols: u16, rows: u16) -> Terminal {
        let terminal = Terminal::spawn_in(nature, &self.command(args), cols, rows);
        terminal.wait_for("→ large");
        terminal
    }

    /// What the server has charged so far.
    pub fn bill(&self) -> Pico {
        let prices = Prices::new()
            .model("large", "2", "0.5", "8")
            .model("small", "0.2", "0.05", "0.8");
        self.server.bill(&prices).total()
    }
}

fn config(base_url: &str, extra: &str) -> String {
    format!(
        r#"[router]
ladder = ["mock/large", "mock/small"]
[[providers]]
name = "mock"
base_urls = ["{base_url}"]
keys = [{{ env = "MOCK_KEY" }}]
[[models]]
id = "mock/large"
input = 2.0
cached_input = 0.5
output = 8.0
context = 128000
max_output = 16384
encoding = "o200k_base"
[[models]]
id = "mock/small"
input = 0.2
cached_input = 0.05
output = 0.8
context = 128000
max_output = 16384
encoding = "o200k_base"
{extra}
"#
    )
}

/// Types a prompt, sees it on the screen, sends it.
#[track_caller]
pub fn say(terminal: &Terminal, prompt: &str) {
    terminal.send(prompt);
    terminal.wait_for(prompt);
    terminal.key("Enter");
}

/// Waits until no answer is under way and the panel has its figures.
#[track_caller]
pub fn settled(terminal: &Terminal) {
    terminal.wait_for("Enter send");
}
