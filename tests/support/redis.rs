//! A real redis-server for one test, on a free port and in a folder of its own.
//!
//! Owns: [`RedisServer`]: starting, stopping, pausing and emptying it, and a plain connection to look inside.
//! Refuses: the crate under test, and any server that was there before.
//! Invariant: it ends with its guard; nothing is written outside its folder.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::PATIENCE;

pub struct RedisServer {
    folder: TempDir,
    port: u16,
    /// Where it speaks TLS; 0: nowhere.
    tls_port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more options of its command line, such as `--requirepass x`.
    #[track_caller]
    pub fn with(options: &[&str]) -> Self {
        Self::begin(options, false)
    }

    /// One that also speaks TLS, with a certificate of `tests/data/tls`.
    #[track_caller]
    pub fn tls(certificate: &str, options: &[&str]) -> Self {
        let file = |kind: &str| {
            format!(
                "{}/tests/data/tls/{certificate}.{kind}",
                env!("CARGO_MANIFEST_DIR")
            )
        };
        let (cert, key) = (file("pem"), file("key"));
        let of_tls = [
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "no",
        ];
        Self::begin(&[&of_tls, options].concat(), true)
    }

    /// One node that holds every slot of a cluster.
    #[track_caller]
    pub fn cluster() -> Self {
        let server = Self::with(&["--cluster-enabled", "yes"]);
        server.settle_cluster();
        server
    }

    /// Gives it every slot, and waits until it serves them.
    #[track_caller]
    pub fn settle_cluster(&self) {
        assert_eq!(
            self.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]),
            ["OK"]
        );
        let end = Instant::now() + PATIENCE;
        while !self.tell(&["CLUSTER", "INFO"])[0].contains("cluster_state:ok") {
            assert!(Instant::now() < end, "the cluster does not come up");
            std::thread::yield_now();
        }
    }

    #[track_caller]
    fn begin(options: &[&str], tls: bool) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let folder = tempfile::Builder::new()
            .prefix("chat-agent-redis-")
            .tempdir()
            .unwrap();
        // Another process may take the port between finding and binding it.
        let free = || {
            TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
        };
        let mut server = Self {
            folder,
            port: 0,
            tls_port: 0,
            options,
            child: None,
        };
        for _ in 0..5 {
            (server.port, server.tls_port) = (free(), if tls { free() } else { 0 });
            if server.try_again() {
                return server;
            }
        }
        panic!(
            "redis-server does not start: {}",
            std::fs::read_to_string(server.folder.path().join("log")).unwrap()
        );
    }

    /// Where it speaks TLS, by the name that its certificate may have.
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it at the same address, with what it kept, which is nothing.
    #[track_caller]
    pub fn again(&mut self) {
        assert!(self.try_again(), "redis-server does not start again");
    }

    #[track_caller]
    fn try_again(&mut self) -> bool {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        if self.tls_port != 0 {
            command.args(["--tls-port", &self.tls_port.to_string()]);
        }
        let child = command
            .args([
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(&self.options)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("these tests need a real Redis: install redis-server (the package is `redis-server` or `redis`): {error}")
        });
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.is_at_its_port(child.id()) {
                self.child = Some(child);
                return true;
            }
            std::thread::yield_now();
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Whether this very process answers there: another process may have taken the port, and then this one is about to end.
    fn is_at_its_port(&self, pid: u32) -> bool {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let said = (&stream)
            .write_all(b"INFO server\r\nQUIT\r\n")
            .and_then(|()| {
                let mut said = String::new();
                (&stream).read_to_string(&mut said).map(|_| said)
            });
        said.is_ok_and(|said| said.lines().any(|line| line == format!("process_id:{pid}")))
    }

    /// Dead at once, with all it held.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// It stands still and keeps its connections.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// One command in Redis's own inline form; gives the lines of its answer as they came, arrays flattened.
    #[track_caller]
    pub fn tell(&self, words: &[&str]) -> Vec<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = Vec::new();
        write!(request, "*{}\r\n", words.len()).unwrap();
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        (&stream).write_all(&request).unwrap();
        let (mut answer, mut reader) = (Vec::new(), BufReader::new(stream));
        let mut open = 1usize;
        while open > 0 {
            open -= 1;
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let (kind, rest) = line.trim_end().split_at(1);
            match kind {
                "*" => open += rest.parse::<usize>().unwrap_or(0),
                "$" => {
                    let Ok(length) = rest.parse::<usize>() else {
                        answer.push(String::new());
                        continue;
                    };
                    let mut bytes = vec![0; length + 2];
                    reader.read_exact(&mut bytes).unwrap();
                    bytes.truncate(length);
                    answer.push(String::from_utf8_lossy(&bytes).into_owned());
                }
                _ => answer.push(rest.to_owned()),
            }
        }
        answer
    }

    pub fn keys(&self) -> Vec<String> {
        self.tell(&["KEYS", "*"])
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
