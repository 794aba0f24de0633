//! The smallest things a server does.
//!
//! Owns: [`Step`], and [`Plan`]: the steps that answer one request.
//! Invariant: a plan is complete in itself; the player decides nothing.

use std::time::Duration;

use serde_json::Value;

use super::bill::Tokens;
use super::gate::Gate;
use super::openai;

/// One thing the server does with the connection.
#[derive(Clone)]
pub enum Step {
    /// These bytes, as they are.
    Send(Vec<u8>),
    /// These bytes of the body, framed as the head announced (a chunk, or as they are).
    Frame(Vec<u8>),
    /// As `Frame`, and the bill grows by so many output tokens, of which so many are reasoning.
    Piece {
        bytes: Vec<u8>,
        tokens: u64,
        reasoning: u64,
    },
    /// Nothing is sent, and the bill comes to so many output tokens all the same: a proxy gave up, or
    /// holds it back, and the model writes on.
    WritesOn(u64),
    Wait(Duration),
    /// Until the test opens it.
    Gate(Gate),
    /// Until the client leaves.
    Hang,
    /// The end of the body; the connection stays open when the head said so.
    End,
    /// A clean end of the connection, wherever the body is (FIN).
    Close,
    /// An abrupt one (RST).
    Reset,
    /// So many times; `None`: until the client leaves.
    Repeat(Box<Step>, Option<u64>),
    /// These, one after the other.
    All(Vec<Step>),
}

impl Step {
    pub fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().to_vec())
    }

    /// These bytes one by one, with a pause before each: `Frame` says how each of them is sent.
    pub fn slowly(bytes: impl AsRef<[u8]>, pause: Duration, step: fn(Vec<u8>) -> Self) -> Self {
        Self::All(
            bytes
                .as_ref()
                .iter()
                .flat_map(|byte| [Self::Wait(pause), step(vec![*byte])])
                .collect(),
        )
    }

    /// Again and again until the client leaves.
    #[must_use]
    pub fn forever(self) -> Self {
        Self::Repeat(Box::new(self), None)
    }

    /// One server-sent event with this as its data.
    pub fn event(data: &Value) -> Self {
        Self::Frame(openai::event(data))
    }
}

/// What to do about one request.
pub struct Plan {
    /// `None`: raw bytes, unknown.
    pub status: Option<u16>,
    /// Whether body bytes are sent as chunks.
    pub framed: bool,
    /// Whether the connection ends with the answer.
    pub closes: bool,
    /// What is charged as soon as the request is accepted; pieces add to it.
    pub charge: Option<Tokens>,
    pub steps: Vec<Step>,
}
