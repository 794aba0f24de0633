//! One connection: reads requests, plays their plans.
//!
//! Owns: the socket, HTTP/1.1 framing, and noticing at once that the client has left.
//! Refuses: choosing answers (see `server`).
//! Invariant: every wait is in `poll`, on the client and on the waker; nothing is polled by the clock.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Shared;
use super::gate::Gate;
use super::log::Outcome;
use super::step::{Plan, Step};

/// A request as it came.
pub struct Raw {
    pub connection: usize,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What was wrong with its framing.
    pub faults: Vec<String>,
}

impl Raw {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

#[derive(PartialEq, Eq)]
enum Event {
    Data,
    Gone,
    Woken,
    Late,
}

pub struct Connection {
    pub number: usize,
    pub stream: Arc<TcpStream>,
    /// Readable when a gate has opened or the server stops.
    pub woken: UnixStream,
    pub waker: UnixStream,
    pub shared: Arc<Shared>,
    /// Received and not yet used.
    pub buffer: Vec<u8>,
}

impl Connection {
    pub fn serve(mut self) {
        while let Some(raw) = self.read_request() {
            let last = raw
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let (index, plan) = self.shared.accept(raw);
            let outcome = self.play(index, &plan);
            if outcome == Outcome::Reset {
                rustix::net::sockopt::set_socket_linger(&*self.stream, Some(Duration::ZERO))
                    .unwrap();
            }
            self.shared
                .update(index, |request| request.outcome = Some(outcome));
            if outcome != Outcome::Complete || last || plan.closes {
                break;
            }
        }
    }

    /// Waits for bytes of the client, for being woken, or for the time to be over.
    fn fill(&mut self, until: Option<Instant>) -> Event {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap(),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let (client, woken) = {
            let mut fds = [
                PollFd::new(&*self.stream, PollFlags::IN),
                PollFd::new(&self.woken, PollFlags::IN),
            ];
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Event::Late,
                Ok(_) => (!fds[0].revents().is_empty(), !fds[1].revents().is_empty()),
                Err(rustix::io::Errno::INTR) => return Event::Woken,
                Err(error) => panic!("poll: {error}"),
            }
        };
        if woken {
            let _ = (&self.woken).read(&mut [0; 64]);
            return Event::Woken;
        }
        assert!(client, "poll named no socket");
        let mut bytes = [0; 16384];
        match (&*self.stream).read(&mut bytes) {
            Ok(0) | Err(_) => Event::Gone,
            Ok(n) => {
                self.buffer.extend_from_slice(&bytes[..n]);
                Event::Data
            }
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(SeqCst)
    }

    /// Reads on until `enough` finds what it wants in the buffer. `None`: the client left or the server stops.
    fn read_until<T>(&mut self, enough: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = enough(&self.buffer) {
                return Some(found);
            }
            if self.fill(None) == Event::Gone || self.stopped() {
                return None;
            }
        }
    }

    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        self.read_until(|buffer| (buffer.len() >= n).then_some(()))?;
        let rest = self.buffer.split_off(n);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    /// Up to and with CRLF, without it.
    fn take_line(&mut self) -> Option<String> {
        let end = self.read_until(|buffer| buffer.windows(2).position(|pair| pair == b"\r\n"))?;
        let line = self.take(end + 2)?;
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn read_request(&mut self) -> Option<Raw> {
        let first = self.take_line()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let mut raw = Raw {
            connection: self.number,
            method,
            path,
            headers: Vec::new(),
            body: Vec::new(),
            faults: Vec::new(),
        };
        if words.next().as_deref() != Some("HTTP/1.1") {
            raw.faults.push(format!("the request line is {first:?}"));
        }
        loop {
            let line = self.take_line()?;
            match line.split_once(':') {
                _ if line.is_empty() => break,
                Some((name, value)) => raw
                    .headers
                    .push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => raw
                    .faults
                    .push(format!("a header without a colon: {line:?}")),
            }
        }
        let whole = self.read_body(&mut raw).is_some();
        if !whole && !self.stopped() {
            self.shared.violation(&format!(
                "{} {}: the body is shorter than announced",
                raw.method, raw.path
            ));
        }
        if !self.buffer.is_empty() {
            raw.faults.push(format!(
                "{} bytes follow the announced body",
                self.buffer.len()
            ));
        }
        whole.then_some(raw)
    }

    fn read_body(&mut self, raw: &mut Raw) -> Option<()> {
        let lengths: Vec<String> = raw
            .headers
            .iter()
            .filter(|(name, _)| name == "content-length")
            .map(|(_, value)| value.clone())
            .collect();
        if raw
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
        {
            if !lengths.is_empty() {
                raw.faults
                    .push("both Content-Length and Transfer-Encoding".to_owned());
            }
            loop {
                let line = self.take_line()?;
                let size =
                    usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                        .ok();
                let Some(size) = size else {
                    raw.faults.push(format!("a chunk of size {line:?}"));
                    return Some(());
                };
                let chunk = self.take(size)?;
                raw.body.extend_from_slice(&chunk);
                self.take_line()?;
                if size == 0 {
                    return Some(());
                }
            }
        }
        match lengths.as_slice() {
            [] if raw.method == "POST" => raw.faults.push("no Content-Length".to_owned()),
            [] => {}
            [length] => match length.parse() {
                Ok(length) => raw.body = self.take(length)?,
                Err(_) => raw.faults.push(format!("Content-Length: {length}")),
            },
            _ => raw.faults.push("more than one Content-Length".to_owned()),
        }
        Some(())
    }

    fn play(&mut self, index: usize, plan: &Plan) -> Outcome {
        for step in &plan.steps {
            if let Err(outcome) = self.step(index, plan.framed, step) {
                return outcome;
            }
        }
        // Steps that say neither how nor whether it ends: the connection does.
        Outcome::Closed
    }

    /// `Err`: the answer is over.
    fn step(&mut self, index: usize, framed: bool, step: &Step) -> Result<(), Outcome> {
        match step {
            Step::Send(bytes) => self.write(index, bytes),
            Step::Frame(bytes) => self.frame(index, framed, bytes),
            Step::Piece {
                bytes,
                tokens,
                reasoning,
            } => {
                self.frame(index, framed, bytes)?;
                self.shared.update(index, |request| {
                    let charged = request.charged.get_or_insert_default();
                    charged.completion += tokens;
                    charged.reasoning += reasoning;
                });
                Ok(())
            }
            Step::WritesOn(tokens) => {
                self.shared.update(index, |request| {
                    let charged = request.charged.get_or_insert_default();
                    charged.completion = charged.completion.max(*tokens);
                });
                Ok(())
            }
            Step::Wait(time) if time.is_zero() => Ok(()),
            Step::Wait(time) => self.pause(Some(Instant::now() + *time), None),
            Step::Gate(gate) => {
                gate.arrive(self.waker.try_clone().unwrap());
                self.pause(None, Some(gate))
            }
            Step::Hang => self.pause(None, None),
            Step::End if framed => {
                self.write(index, b"0\r\n\r\n")?;
                Err(Outcome::Complete)
            }
            Step::End => Err(Outcome::Complete),
            Step::Close => Err(Outcome::Closed),
            Step::Reset => Err(Outcome::Reset),
            Step::Repeat(step, times) => {
                let mut left = *times;
                while left != Some(0) {
                    self.step(index, framed, step)?;
                    left = left.map(|left| left - 1);
                }
                Ok(())
            }
            Step::All(steps) => steps
                .iter()
                .try_for_each(|step| self.step(index, framed, step)),
        }
    }

    fn pause(&mut self, until: Option<Instant>, gate: Option<&Gate>) -> Result<(), Outcome> {
        loop {
            if self.stopped() {
                return Err(Outcome::Stopped);
            }
            if gate.is_some_and(Gate::is_open) {
                return Ok(());
            }
            match self.fill(until) {
                Event::Gone => return Err(Outcome::ClientGone),
                Event::Late => return Ok(()),
                Event::Data | Event::Woken => {}
            }
        }
    }

    fn frame(&mut self, index: usize, framed: bool, bytes: &[u8]) -> Result<(), Outcome> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !framed {
            return self.write(index, bytes);
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.write(index, &chunk)
    }

    fn write(&mut self, index: usize, bytes: &[u8]) -> Result<(), Outcome> {
        if self.stopped() {
            return Err(Outcome::Stopped);
        }
        (&*self.stream)
            .write_all(bytes)
            .map_err(|_| Outcome::ClientGone)?;
        self.shared
            .update(index, |request| request.bytes_sent += bytes.len() as u64);
        Ok(())
    }
}
