//! A scripted OpenAI-compatible server on 127.0.0.1: plain threads and sockets, byte-exact, no HTTP library on purpose.
//!
//! Owns: [`Server`], the [`Script`] it follows, and the log, the rules and the bill of all requests.
//! Refuses: the code under test, and counting tokens: a script says how many there are.
//! Invariant: chat requests meet the script's answers in the order in which they arrive.

pub mod answer;
pub mod bill;
mod connection;
pub mod gate;
pub mod log;
pub mod openai;
pub mod rules;
pub mod step;

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::Value;

pub use answer::Answer;
pub use bill::{Bill, Pico, Prices, Tokens};
pub use gate::Gate;
pub use log::{Outcome, Request};
pub use rules::{Keys, Rules};
pub use step::Step;

use self::connection::{Connection, Raw};
use self::log::{Line, Log};
use self::step::Plan;
use super::PATIENCE;

type Choose = Box<dyn Fn(&Request) -> Option<Answer> + Send>;

/// What to answer, and what to expect.
pub struct Script {
    answers: VecDeque<Answer>,
    played: usize,
    choose: Option<Choose>,
    default: Answer,
    rules: Rules,
    models: Vec<String>,
}

impl Script {
    /// Every chat request gets this answer.
    pub fn always(default: Answer) -> Self {
        let rules = Rules::default();
        Self {
            answers: VecDeque::new(),
            played: 0,
            choose: None,
            default,
            rules,
            models: vec!["scripted".to_owned()],
        }
    }

    /// These answers in turn; later requests get the last one again.
    pub fn each(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: VecDeque<Answer> = answers.into_iter().collect();
        let default = answers
            .back()
            .cloned()
            .expect("a script has at least one answer");
        Self {
            answers,
            ..Self::always(default)
        }
    }

    /// What comes after the answers in turn.
    #[must_use]
    pub fn otherwise(mut self, default: Answer) -> Self {
        self.default = default;
        self
    }

    /// Asked first; `None` leaves the request to the script.
    #[must_use]
    pub fn choose(mut self, choose: impl Fn(&Request) -> Option<Answer> + Send + 'static) -> Self {
        self.choose = Some(Box::new(choose));
        self
    }

    /// Only this key may come, unless the rules say something else of keys.
    #[must_use]
    pub fn owned_by(mut self, key: &str) -> Self {
        if matches!(self.rules.keys, Keys::Any) {
            self.rules.keys = Keys::Of(vec![key.to_owned()]);
        }
        self
    }

    /// Only these keys may come.
    #[must_use]
    pub fn keys<const N: usize>(mut self, keys: [&str; N]) -> Self {
        self.rules.keys = Keys::Of(keys.map(str::to_owned).to_vec());
        self
    }

    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// What `GET /v1/models` lists.
    #[must_use]
    pub fn models<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.models = names.map(str::to_owned).to_vec();
        self
    }
}

/// What the threads have in common.
pub struct Shared {
    stop: AtomicBool,
    log: Mutex<Log>,
    changed: Condvar,
    script: Mutex<Script>,
}

impl Shared {
    fn violation(&self, words: &str) {
        self.log.lock().unwrap().violations.push(words.to_owned());
    }

    fn update(&self, index: usize, change: impl FnOnce(&mut Request)) {
        change(&mut self.log.lock().unwrap().requests[index]);
        self.changed.notify_all();
    }

    /// Logs a request, judges it, and says what to do about it.
    fn accept(&self, raw: Raw) -> (usize, Plan) {
        let mut script = self.script.lock().unwrap();
        let mut log = self.log.lock().unwrap();
        let index = log.requests.len();
        let mut request = Request {
            index,
            connection: raw.connection,
            arrived: Instant::now(),
            method: raw.method,
            path: raw.path,
            headers: raw.headers,
            json: serde_json::from_slice(&raw.body).ok(),
            body: raw.body,
            met: String::new(),
            status: None,
            bytes_sent: 0,
            outcome: None,
            charged: None,
        };
        let wrong = script.rules.check(&request, &log.locations);
        for words in raw.faults.into_iter().chain(wrong) {
            log.violations.push(format!(
                "request {index} ({} {}): {words}",
                request.method, request.path
            ));
        }
        let (met, answer) = script.answer(&request);
        log.locations.extend(answer.location().map(str::to_owned));
        let plan = answer.plan(index, request.json.as_ref());
        (request.met, request.status, request.charged) = (met, plan.status, plan.charge);
        log.requests.push(request);
        self.changed.notify_all();
        (index, plan)
    }
}

impl Script {
    fn answer(&mut self, request: &Request) -> (String, Answer) {
        if request.method == "GET" && request.route().ends_with("/models") {
            return (
                "models".to_owned(),
                Answer::status(200).body(&openai::models(&self.models)),
            );
        }
        if let Some(answer) = self.choose.as_ref().and_then(|choose| choose(request)) {
            return ("chosen".to_owned(), answer);
        }
        if !request.is_chat() {
            return (
                "not found".to_owned(),
                Answer::error(404, "not_found", "no such path"),
            );
        }
        match self.answers.pop_front() {
            Some(answer) => {
                self.played += 1;
                (format!("script {}", self.played - 1), answer)
            }
            None => ("default".to_owned(), self.default.clone()),
        }
    }
}

/// A running server; it stops when dropped, and releases all waiters.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            log: Mutex::default(),
            changed: Condvar::new(),
            script: Mutex::new(script),
        });
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || accept_all(&listener, &theirs));
        Self { address, shared }
    }

    /// A server that must not be contacted, checked by [`Self::assert_clean`].
    pub fn trap() -> Self {
        let rules = Rules {
            keys: Keys::Forbidden,
            trap: true,
            ..Rules::default()
        };
        Self::start(Script::always(Answer::status(418)).rules(rules))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For the configuration of the client: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// More answers for requests to come, before the default.
    pub fn push(&self, answer: Answer) {
        self.shared.script.lock().unwrap().answers.push_back(answer);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().requests.clone()
    }

    pub fn chats(&self) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(Request::is_chat)
            .collect()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.shared.log.lock().unwrap().connections
    }

    /// Blocks until this holds of the log, and returns it.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let log = self.shared.log.lock().unwrap();
        let (log, late) = self
            .shared
            .changed
            .wait_timeout_while(log, PATIENCE, |log| !holds(&log.requests))
            .unwrap();
        let requests = log.requests.clone();
        drop(log);
        assert!(
            !late.timed_out(),
            "not within {PATIENCE:?}: {what}; the server saw {requests:#?}"
        );
        requests
    }

    /// Blocks until `n` chat requests have arrived.
    pub fn wait_for_requests(&self, n: usize) -> Vec<Request> {
        self.wait_until(&format!("{n} chat requests"), |all| {
            all.iter().filter(|r| r.is_chat()).count() >= n
        })
    }

    /// Blocks until `n` chat requests have been answered, or given up.
    pub fn wait_for_outcomes(&self, n: usize) -> Vec<Request> {
        let over = |r: &&Request| r.is_chat() && r.outcome.is_some();
        self.wait_until(&format!("{n} chat requests over"), |all| {
            all.iter().filter(over).count() >= n
        })
    }

    pub fn violations(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().violations.clone()
    }

    #[track_caller]
    pub fn assert_clean(&self) {
        let violations = self.violations();
        assert!(
            violations.is_empty(),
            "requests broke the rules:\n  {}",
            violations.join("\n  ")
        );
    }

    /// What the provider charges so far: the scripted prompt of every accepted request, and the output written for it.
    pub fn bill(&self, prices: &Prices) -> Bill {
        self.bill_with(prices, |_, tokens| tokens)
    }

    /// The most it might charge: as [`Self::bill`], with all output that each request allowed.
    pub fn upper_bill(&self, prices: &Prices) -> Bill {
        self.bill_with(prices, |request, tokens| {
            let cap = request
                .cap()
                .expect("an upper bill needs a cap on every request");
            Tokens {
                completion: cap.max(tokens.completion),
                ..tokens
            }
        })
    }

    fn bill_with(&self, prices: &Prices, view: impl Fn(&Request, Tokens) -> Tokens) -> Bill {
        let line = |request: &Request| {
            let tokens = view(request, request.charged?);
            let cost = prices.cost(request.model(), tokens);
            Some(bill::Line {
                request: request.index,
                model: request.model().to_owned(),
                tokens,
                cost,
            })
        };
        Bill {
            lines: self.requests().iter().filter_map(line).collect(),
        }
    }

    /// The JSON bodies of all chat requests.
    pub fn bodies(&self) -> Vec<Value> {
        self.chats()
            .into_iter()
            .filter_map(|request| request.json)
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        let log = self
            .shared
            .log
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for line in &log.lines {
            let _ = (&line.waker).write_all(&[1]);
            if let Some(stream) = line.stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.stop.load(SeqCst) {
            return;
        }
        stream.set_nodelay(true).unwrap();
        let stream = Arc::new(stream);
        let (waker, woken) = UnixStream::pair().unwrap();
        let mut log = shared.log.lock().unwrap();
        let number = log.connections;
        log.connections += 1;
        log.lines.retain(|line| line.stream.strong_count() > 0);
        log.lines.push(Line {
            stream: Arc::downgrade(&stream),
            waker: waker.try_clone().unwrap(),
        });
        drop(log);
        if shared.stop.load(SeqCst) {
            // Stopped since: this one would not be woken.
            return;
        }
        let connection = Connection {
            number,
            stream,
            woken,
            waker,
            shared: Arc::clone(shared),
            buffer: Vec::new(),
        };
        std::thread::spawn(move || connection.serve());
    }
}
