//! A name server that never answers: a stop is a stop all the same, costs nothing, and the program ends.
//!
//! The program runs in a name space of its own in which `/etc/resolv.conf` names a name server of the test's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the small functions of tests are tests"
)]

use crate::support;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::PATIENCE;
use support::home::Home;
use support::scene::{KEY, Running};
use support::terminal::{Status, Terminal};

/// Longer than any wait in these tests: three questions to the name server of half a minute each.
const RESOLVER: &str = "timeout:30 attempts:3";

/// A home whose provider has a name that is never resolved.
struct Nowhere {
    home: Home,
    server: UdpSocket,
}

impl Nowhere {
    fn new() -> Self {
        // An address for each test of this process, on the one port that resolvers know.
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let last = NEXT.fetch_add(1, SeqCst);
        let middle = u8::try_from(std::process::id() % 250).unwrap_or(0) + 1;
        let address = SocketAddr::from(([127, 53, middle, last], 53));
        let server = UdpSocket::bind(address).unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let home = Home::new();
        home.file("resolv.conf", format!("nameserver {}\n", address.ip()));
        let nowhere = Self { home, server };
        nowhere.patient("200s");
        nowhere
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

fn an_ask_that_is_interrupted_ends_although_the_resolver_does_not() {
    let nowhere = Nowhere::new();
    let mut running = Running::start(nowhere.command(&["ask", "hi"]));
    nowhere.asked();
    running.signal(Signal::INT);
    // Has a deadline that comes long before the resolver gives up.
    running.wait_unread();
    assert_eq!(running.end().code(), Some(130));
    nowhere.assert_nothing_is_booked();
}

fn looking_up_a_host_counts_against_the_time_that_a_connection_may_take() {
    let nowhere = Nowhere::new();
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

fn esc_stops_a_question_while_its_host_is_looked_up_and_the_screen_closes() {
    let nowhere = Nowhere::new();
    let terminal = Terminal::spawn(&nowhere.command(&[]), 100, 30);
    terminal.wait_for("→ gpt-5-mini");
    terminal.send("why?");
    terminal.wait_for("why?");
    terminal.key("Enter");
    // By the connection made ahead, and by the question when that has begun to wait.
    nowhere.asked();
    terminal.wait_gone("Enter send");
    // Long before the resolver gives up, or this fails.
    terminal.key("Esc");
    terminal.wait_for("Enter send");
    // What was stopped before it was stored is the draft again, and Ctrl-D quits an empty one.
    terminal.key("Ctrl-C");
    terminal.key("Ctrl-D");
    assert_eq!(terminal.wait_exit(), Status::Exited(0));
    nowhere.assert_nothing_is_booked();
}

tests![
    an_ask_that_is_interrupted_ends_although_the_resolver_does_not,
    looking_up_a_host_counts_against_the_time_that_a_connection_may_take,
    esc_stops_a_question_while_its_host_is_looked_up_and_the_screen_closes,
];
