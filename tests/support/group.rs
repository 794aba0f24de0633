//! Machines of one group, each a data folder of its own, with one Redis and one scripted server.
//!
//! Owns: [`Group`]: their configuration, running many processes on them, and what they say of the group.
//! Refuses: to say what is right.
//! Invariant: a request costs exactly $0.10 and reserves as much, unless the server is replaced.

use std::process::{Child, Stdio};

use serde_json::Value;

use super::home::{Home, Output, run};
use super::redis::RedisServer;
use super::scene::KEY;
use super::server::{Answer, Gate, Script, Server};

pub const DIME: [&str; 6] = ["ask", "-m", "mine/m", "--max-output", "1000", "hi"];

/// Machines of one group: a request costs exactly $0.10, and reserves as much.
pub struct Group {
    pub redis: RedisServer,
    pub server: Server,
    pub machines: Vec<Home>,
}

impl Group {
    /// `limits` stands under `[redis]`.
    pub fn of(machines: usize, limits: &str) -> Self {
        let server =
            Server::start(Script::always(Answer::text("abcd").usage(10, 1000)).keys([KEY]));
        let group = Self {
            redis: RedisServer::start(),
            server,
            machines: (0..machines).map(|_| Home::new()).collect(),
        };
        for machine in &group.machines {
            group.configure(machine, limits);
        }
        group
    }

    pub fn configure(&self, machine: &Home, limits: &str) {
        // A busy machine is no slow Redis, except where that is the matter.
        let patience = if limits.contains("patience") {
            ""
        } else {
            "patience = \"30s\"\n"
        };
        machine.config(&format!(
            "[cache]\nenabled = false\n[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\n\
             keys = [{{ env = \"KEY\" }}]\n[[models]]\nid = \"mine/m\"\ninput = 0\noutput = 100\ncontext = 100000\n\
             max_output = 1000\n[redis]\nurl = \"{}\"\nbudget_group = \"team\"\n{patience}{limits}\n",
            self.server.base_url(),
            self.redis.url(),
        ));
    }

    /// From now on the first request waits at this gate for the end of its answer.
    pub fn holding_the_first(&mut self, gate: &Gate, limits: &str) {
        let answer = || Answer::text("abcd").usage(10, 1000);
        self.server =
            Server::start(Script::each([answer().gate_after(0, gate), answer()]).keys([KEY]));
        for machine in &self.machines {
            self.configure(machine, limits);
        }
    }

    pub fn command(&self, machine: usize, args: &[&str]) -> std::process::Command {
        let mut command = self.machines[machine].chat_agent();
        command.env("KEY", KEY).args(args);
        command
    }

    #[track_caller]
    pub fn run(&self, machine: usize, args: &[&str]) -> Output {
        run(
            self.command(machine, args),
            b"",
            std::time::Duration::from_mins(1),
        )
    }

    #[track_caller]
    pub fn dimes(&self, machine: usize, count: usize) {
        for _ in 0..count {
            self.run(machine, &DIME).assert_code(0);
        }
    }

    pub fn begin(&self, machine: usize) -> Child {
        let mut command = self.command(machine, &DIME);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The exit status of one that was begun. Many at one ledger wait long on a busy machine: a process that waited in vain for its
    /// lock has sent nothing and tries again, as a user would.
    pub fn end(&self, machine: usize, mut child: Child) -> Option<i32> {
        loop {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.code() != Some(1) || !said.contains("chat.db locked") {
                return output.status.code();
            }
            child = self.begin(machine);
        }
    }

    /// So many processes on each machine at once; how many were answered, and how many refused by a budget.
    pub fn storm(&self, each: usize) -> (usize, usize) {
        let count = self.machines.len();
        let all: Vec<Child> = (0..each * count).map(|n| self.begin(n % count)).collect();
        let codes: Vec<_> = all
            .into_iter()
            .enumerate()
            .map(|(n, child)| self.end(n % count, child))
            .collect();
        let of = |code| codes.iter().filter(|found| **found == Some(code)).count();
        assert_eq!(of(0) + of(3), codes.len(), "{codes:?}");
        (of(0), of(3))
    }

    pub fn show(&self, machine: usize) -> Value {
        self.run(machine, &["budget", "show", "--json"])
            .assert_code(0)
            .json()
    }

    #[track_caller]
    pub fn refused(&self, machine: usize, words: &str) {
        let output = self.run(machine, &DIME);
        output.assert_code(3);
        assert!(
            output.stderr.contains(words) && output.stderr.trim().lines().count() == 1,
            "{output:#?}"
        );
    }
}
