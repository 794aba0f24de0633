//! What the server saw.
//!
//! Owns: [`Request`], one captured request with its fate, and the log of all of them.
//! Invariant: a request is logged before anything is answered to it, in the order in which its last byte arrived.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Weak;
use std::time::Instant;

use serde_json::Value;

use super::bill::Tokens;

/// How the server's part in a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer was written.
    Complete,
    /// The client went away first.
    ClientGone,
    /// By the script's word: a clean end of the connection.
    Closed,
    /// By the script's word: an abrupt one.
    Reset,
    /// The test was over.
    Stopped,
}

/// One request, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// Counts all requests from 0.
    pub index: usize,
    /// Which connection it came on; equal numbers mean that the connection was kept alive.
    pub connection: usize,
    pub arrived: Instant,
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// `None`: the body is not JSON.
    pub json: Option<Value>,
    /// Which answer it met: `script 0`, `chosen`, `default`, `models`, `not found`.
    pub met: String,
    /// `None` for raw answers.
    pub status: Option<u16>,
    /// Bytes of the answer that were written, head included.
    pub bytes_sent: u64,
    /// `None`: still being answered.
    pub outcome: Option<Outcome>,
    /// What the server charges for it, so far; `None`: nothing.
    pub charged: Option<Tokens>,
}

impl Request {
    pub fn is_chat(&self) -> bool {
        self.method == "POST" && self.route().ends_with("/chat/completions")
    }

    /// The path without the query.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The key in `Authorization: Bearer KEY`.
    pub fn key(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The field of the JSON body.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.json.as_ref()?.get(name)
    }

    pub fn model(&self) -> &str {
        self.field("model")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The output cap, by either of its names.
    pub fn cap(&self) -> Option<u64> {
        self.field("max_completion_tokens")
            .or_else(|| self.field("max_tokens"))?
            .as_u64()
    }

    pub fn streams(&self) -> bool {
        self.field("stream")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }
}

/// A living connection: what is needed to wake its thread.
pub struct Line {
    pub stream: Weak<TcpStream>,
    pub waker: UnixStream,
}

#[derive(Default)]
pub struct Log {
    pub requests: Vec<Request>,
    pub violations: Vec<String>,
    /// Where redirects pointed; no request may go there.
    pub locations: Vec<String>,
    pub lines: Vec<Line>,
    pub connections: usize,
}
