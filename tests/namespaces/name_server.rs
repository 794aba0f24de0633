//! A name server that never answers: a stop is a stop all the same, costs nothing, and the program ends.
//!
//! The program runs in a name space of its own in which `/etc/resolv.conf` names a name server of the test's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the small functions of tests are tests"
)]
#![allow(clippy::print_stdout, reason = "a figure, and why there is none")]

use crate::support;

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::PATIENCE;
use support::home::Home;
use support::scene::KEY;
use support::terminal::{Status, Terminal};

/// Longer than anybody here waits: three questions to the name server of half a minute each.
const RESOLVER: &str = "timeout:30 attempts:3";

/// A home whose provider has a name that nobody resolves.
struct Nowhere {
    home: Home,
    server: UdpSocket,
}

impl Nowhere {
    /// `None`: this machine allows neither the port nor the name space.
    fn new() -> Option<Self> {
        // An address for each test of this process, on the one port that resolvers know.
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let allowed = Command::new("unshare")
            .args(["-Urm", "true"])
            .status()
            .is_ok_and(|status| status.success());
        let last = NEXT.fetch_add(1, SeqCst);
        let middle = u8::try_from(std::process::id() % 250).unwrap_or(0) + 1;
        let address = SocketAddr::from(([127, 53, middle, last], 53));
        let Some(server) = UdpSocket::bind(address).ok().filter(|_| allowed) else {
            println!("no name server and no name space here");
            return None;
        };
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let home = Home::new();
        home.file("resolv.conf", format!("nameserver {}\n", address.ip()));
        let nowhere = Self { home, server };
        nowhere.patient("200s");
        Some(nowhere)
    }

    /// How long a connection may take, and how often it is tried.
    fn patient(&self, time: &str) {
        self.home.config(&format!(
            "model = \"openai/gpt-5-mini\"\n[limits]\nconnect_timeout = \"{time}\"\nfirst_token_timeout = \"200s\"\n\
             retries = 1\n[[providers]]\nname = \"openai\"\nbase_urls = [\"https://api.nowhere.example/v1\"]\n\
             keys = [{{ env = \"OPENAI_API_KEY\" }}]\n[[models]]\nid = \"openai/gpt-5-mini\"\nconfirmed = true\n"
        ));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command("unshare");
        let line = "mount --bind resolv.conf /etc/resolv.conf && exec \"$PROGRAM\" \"$@\"";
        command
            .args(["-Urm", "sh", "-c", line, "sh"])
            .args(args)
            .env("PROGRAM", env!("CARGO_BIN_EXE_chat-agent"));
        command
            .env("OPENAI_API_KEY", KEY)
            .env("RES_OPTIONS", RESOLVER);
        command
    }

    /// Blocks until the name server was asked for the provider.
    fn asked(&self) {
        let mut question = [0; 512];
        loop {
            let n = self
                .server
                .recv(&mut question)
                .expect("the name server is asked");
            if question[..n].windows(7).any(|name| name == b"nowhere") {
                return;
            }
        }
    }

    fn assert_nothing_is_booked(&self) {
        let budget: Value = self.home.run(&["budget", "show", "--json"], "").json();
        assert_eq!(budget["open"], json!([]));
        let day = budget["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|scope| scope["scope"] == "day")
            .unwrap();
        assert_eq!(
            (&day["settled_usd"], &day["reserved_usd"]),
            (&json!("0"), &json!("0")),
            "{budget}"
        );
    }
}

#[test]
fn an_ask_that_is_interrupted_ends_although_the_resolver_does_not() {
    let Some(nowhere) = Nowhere::new() else {
        return;
    };
    let mut command = nowhere.command(&["ask", "hi"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    nowhere.asked();
    let began = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(
        began.elapsed() < PATIENCE,
        "it waited for the name server: {:?}",
        began.elapsed()
    );
    nowhere.assert_nothing_is_booked();
}

#[test]
fn looking_up_a_host_counts_against_the_time_that_a_connection_may_take() {
    let Some(nowhere) = Nowhere::new() else {
        return;
    };
    nowhere.patient("300ms");
    let output = support::home::run(nowhere.command(&["ask", "hi", "--json"]), b"", PATIENCE);
    output.assert_code(1);
    let report: Value = output.json();
    assert_eq!(
        (
            &report["error"]["kind"],
            report["attempts"].as_array().unwrap().len()
        ),
        (&json!("unavailable"), 2)
    );
    assert!(
        output
            .stderr
            .contains("api.nowhere.example cannot be reached: "),
        "{output:?}"
    );
    nowhere.assert_nothing_is_booked();
}

#[test]
fn esc_stops_a_question_while_its_host_is_looked_up_and_the_screen_closes() {
    let Some(nowhere) = Nowhere::new() else {
        return;
    };
    let terminal = Terminal::spawn(&nowhere.command(&[]), 100, 30);
    terminal.wait_for("→ gpt-5-mini");
    terminal.send("why?");
    terminal.wait_for("why?");
    terminal.key("Enter");
    // By the connection made ahead, and by the question when that has begun to wait.
    nowhere.asked();
    terminal.wait_gone("Enter send");
    let mut best = Duration::MAX;
    for n in 0..10 {
        let began = Instant::now();
        terminal.key("Esc");
        terminal.wait_for("Enter send");
        best = best.min(began.elapsed());
        if best < Duration::from_millis(100) {
            break;
        }
        // A busy machine tries again.
        assert!(n < 9, "Esc takes {best:?} at best");
        terminal.key("Ctrl-C");
        terminal.send("why?");
        terminal.key("Enter");
        terminal.wait_gone("Enter send");
    }
    println!(
        "Esc while a host is looked up: {} ms to the screen",
        best.as_millis()
    );
    let began = Instant::now();
    // What was stopped before it was stored is the draft again, and Ctrl-D quits an empty one.
    terminal.key("Ctrl-C");
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    assert!(
        began.elapsed() < PATIENCE,
        "it waited for the name server: {:?}",
        began.elapsed()
    );
    nowhere.assert_nothing_is_booked();
}
