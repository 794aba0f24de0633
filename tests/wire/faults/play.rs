//! A row, played: servers, a home without a past, and the program itself.
//!
//! Owns: the configuration of a run, its standard streams, and what is left of it: [`Seen`].
//! Refuses: to judge.
//! Invariant: a run that does not end is ended at the deadline, and says so.

use std::fmt::Write as _;
use std::io::{PipeReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::faults::row::{Books, Row};
use crate::support::closed::Closed;
use crate::support::home::{Home, Output, run};
use crate::support::scene::{self, KEY};
use crate::support::server::{Prices, Request, Server};

pub const OTHER_KEY: &str = "sk-other-51c7e0d9f2b84a36-qk8x";
const DEADLINE: Duration = Duration::from_mins(3);
/// As much as a page holds.
const PAGE: [u8; 4096] = [b'.'; 4096];

/// What was left of a row.
pub struct Seen {
    pub output: Output,
    pub report: Value,
    /// What would be held for the model that the row books at its hold.
    pub hold: Value,
    /// `budget show --json` afterwards.
    pub budget: Value,
    pub servers: Vec<Server>,
    pub traps: Vec<Server>,
    pub took: Duration,
    /// The most memory that the last run held, in KiB.
    pub peak: Option<u64>,
}

impl Seen {
    /// All chat requests at all servers, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        let mut all: Vec<Request> = self.servers.iter().flat_map(Server::chats).collect();
        all.sort_by_key(|request| request.arrived);
        all
    }

    /// Neither stream has a character that a terminal would obey, or that hides.
    pub fn shows_no_attack(&self) -> Result<(), String> {
        let obeyed = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{e0000}'..='\u{e007f}')
        };
        for (name, text) in [
            ("output", &self.output.stdout),
            ("error", &self.output.stderr),
        ] {
            if let Some(c) = text.chars().find(|c| obeyed(*c)) {
                return Err(format!("{c:?} on standard {name}"));
            }
        }
        Ok(())
    }

    pub fn attempts(&self) -> Vec<Value> {
        self.report["attempts"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

/// What the servers take.
pub fn prices() -> Prices {
    scene::prices()
        .model("gpt-4o-mini", "0.15", "0.075", "0.6")
        .model("backup", "1", "1", "4")
}

/// Plays a row, and leaves of the row what judges it.
pub fn play(row: &mut Row) -> Seen {
    let home = Home::new();
    let began = Instant::now();
    let (servers, _nobody) = start(row, &home);
    let hold = hold(row, &home);
    let mut last = None;
    for n in 0..row.times {
        let question = format!("question {n}");
        let mut args = vec!["ask", &question, "--json"];
        args.extend(&row.args);
        let command = ask(&home, args);
        last = Some(if row.heavy {
            watched(command)
        } else {
            (run(command, b"", DEADLINE), None)
        });
    }
    let (output, peak) = last.expect("a row asks at least once");
    let took = began.elapsed();
    let report = serde_json::from_str(&output.stdout).unwrap_or(Value::Null);
    let budget = serde_json::from_str(&home.run(&["budget", "show", "--json"], "").stdout)
        .unwrap_or(Value::Null);
    Seen {
        output,
        report,
        hold,
        budget,
        servers,
        traps: std::mem::take(&mut row.traps),
        took,
        peak,
    }
}

fn ask(home: &Home, args: Vec<&str>) -> Command {
    let mut command = home.chat_agent();
    command
        .env("OPENAI_API_KEY", KEY)
        .env("OTHER_API_KEY", OTHER_KEY)
        .args(args);
    command
}

/// What is held for a model, asked of an estimate: a report names only the last model that was tried.
fn hold(row: &Row, home: &Home) -> Value {
    let (Books::Full(_, model) | Books::FullAndBill(_, model)) = row.books else {
        return Value::Null;
    };
    let mut args = vec!["ask", "question 0", "--estimate", "--json"];
    args.extend(&row.args);
    let named = args
        .iter()
        .position(|arg| *arg == "-m")
        .expect("every row names a model");
    args[named + 1] = model;
    let estimate = run(ask(home, args), b"", DEADLINE);
    serde_json::from_str(&estimate.stdout).map_or(Value::Null, |quote: Value| {
        quote["estimate"]["worst_usd"].clone()
    })
}

/// Starts the servers of a row, takes the addresses without a listener, and writes the configuration that names them.
fn start(row: &mut Row, home: &Home) -> (Vec<Server>, Vec<Closed>) {
    let mut toml = String::new();
    let (mut servers, mut closed_ports) = (Vec::new(), Vec::new());
    for (name, script) in row.servers.drain(..) {
        let (variable, key) = if name == "openai" {
            ("OPENAI_API_KEY", KEY)
        } else {
            ("OTHER_API_KEY", OTHER_KEY)
        };
        let url = if let Some(script) = script {
            let server = Server::start(script.owned_by(key));
            let url = server.base_url();
            servers.push(server);
            url
        } else {
            let closed = Closed::new();
            let url = closed.base_url();
            closed_ports.push(closed);
            url
        };
        writeln!(toml, "[[providers]]\nname = {name:?}\nbase_urls = [{url:?}]\nkeys = [{{ env = {variable:?} }}]")
            .unwrap();
    }
    for name in ["gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-4o-mini"] {
        writeln!(toml, "[[models]]\nid = \"openai/{name}\"\nconfirmed = true").unwrap();
    }
    toml.push_str("[[models]]\nid = \"other/backup\"\ninput = 1.0\noutput = 4.0\n");
    // A provider that is not configured has no models.
    let toml = if toml.contains("\"other\"") {
        toml
    } else {
        toml.replace(
            "[[models]]\nid = \"other/backup\"\ninput = 1.0\noutput = 4.0\n",
            "",
        )
    };
    home.config(&(toml + &row.toml));
    (servers, closed_ports)
}

/// Runs it, and reads its greatest memory while it waits to say what went wrong: its standard error is full until then.
fn watched(mut command: Command) -> (Output, Option<u64>) {
    let (complaints, full) = std::io::pipe().unwrap();
    let filled = fill(&full);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(full)
        .spawn()
        .expect("the program starts");
    // It holds the other end of the pipe.
    drop(command);
    let stdout = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || sender.send(one_line(stdout)));
    let stdout = receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        let _ = child.kill();
        "it did not end".to_owned()
    });
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    });
    let stderr = rest(complaints, filled);
    (
        Output {
            status: child.wait().unwrap(),
            stdout,
            stderr,
        },
        peak,
    )
}

/// Fills a pipe, and says with how much.
fn fill(mut pipe: &std::io::PipeWriter) -> usize {
    let mut filled = 0;
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    while poll(&mut [PollFd::new(&pipe, PollFlags::OUT)], Some(&now)).unwrap() > 0 {
        pipe.write_all(&PAGE).unwrap();
        filled += PAGE.len();
    }
    filled
}

fn rest(mut complaints: PipeReader, filled: usize) -> String {
    let mut bytes = Vec::new();
    complaints.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[filled.min(bytes.len())..]).into_owned()
}

/// Up to the end of the first line, or of everything.
fn one_line(mut from: impl Read) -> String {
    let (mut all, mut piece) = (Vec::new(), vec![0; 65536]);
    while !all.ends_with(b"\n") {
        match from.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(n) => all.extend_from_slice(&piece[..n]),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}
