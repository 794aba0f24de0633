//! What the server answers: written by tests in a few words, compiled into bytes and pauses for one request.
//!
//! Owns: [`Answer`]; how it becomes a `Plan` is in `plan`.
//! Refuses: sockets (see `connection`) and the text of chunks (see `openai`).
//! Invariant: an answer keeps to the output cap that the request names, unless the test says [`Answer::ignore_cap`].

mod plan;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::bill::Tokens;
use super::gate::Gate;
use super::step::Step;

#[derive(Clone)]
enum Kind {
    Chat {
        text: String,
    },
    Pieces(Vec<String>),
    Http {
        status: u16,
        body: Vec<u8>,
        content_type: &'static str,
    },
    Raw(Vec<Step>),
    Stream(Vec<Step>),
}

/// An answer to one request. Durations are milliseconds.
#[derive(Clone)]
pub struct Answer {
    kind: Kind,
    headers: Vec<(String, String)>,
    tokens: Option<Tokens>,
    pieces: usize,
    reasoning: String,
    reasoning_tokens: u64,
    cached: u64,
    cache_write: u64,
    finish: Option<String>,
    model: Option<String>,
    delay_headers: Duration,
    ttft: Duration,
    between: Duration,
    /// Steps to take when so many pieces have been sent.
    after: BTreeMap<usize, Vec<Step>>,
    usage: bool,
    usage_rises: bool,
    done: bool,
    ignore_cap: bool,
    until_close: bool,
}

impl Answer {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            headers: Vec::new(),
            tokens: None,
            pieces: 4,
            reasoning: String::new(),
            reasoning_tokens: 0,
            cached: 0,
            cache_write: 0,
            finish: Some("stop".to_owned()),
            model: None,
            delay_headers: Duration::ZERO,
            ttft: Duration::ZERO,
            between: Duration::ZERO,
            after: BTreeMap::new(),
            usage: true,
            usage_rises: false,
            done: true,
            ignore_cap: false,
            until_close: false,
        }
    }

    /// A chat completion: a stream in four pieces, or one object when the request did not ask for a stream.
    pub fn text(text: &str) -> Self {
        Self::new(Kind::Chat {
            text: text.to_owned(),
        })
    }

    /// A chat completion in exactly these pieces, each of them one token unless [`Self::usage`] says otherwise.
    pub fn of_pieces(pieces: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Kind::Pieces(pieces.into_iter().map(Into::into).collect()))
    }

    /// An HTTP answer with an empty body; see [`Self::body`]. As with [`Self::raw`], nothing is charged unless the test
    /// says so.
    pub fn status(status: u16) -> Self {
        Self::new(Kind::Http {
            status,
            body: Vec::new(),
            content_type: "application/json",
        })
    }

    /// An error as OpenAI writes it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::status(status).body(
            &json!({"error": {"message": message, "type": code, "param": null, "code": code}}),
        )
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// Exactly these steps. Nothing is charged unless [`Self::usage`] says so.
    pub fn raw(steps: impl Into<Vec<Step>>) -> Self {
        Self::new(Kind::Raw(steps.into()))
    }

    /// A stream of events with exactly these steps as its body. Nothing is charged unless [`Self::usage`] says so.
    pub fn events(steps: impl Into<Vec<Step>>) -> Self {
        Self::new(Kind::Stream(steps.into()))
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body of [`Self::status`].
    #[must_use]
    pub fn body(self, json: &Value) -> Self {
        self.bytes("application/json", json.to_string())
    }

    #[must_use]
    pub fn bytes(mut self, media: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let Kind::Http {
            body, content_type, ..
        } = &mut self.kind
        else {
            panic!("a body belongs to a status")
        };
        (*body, *content_type) = (bytes.into(), media);
        self
    }

    /// In how many pieces the text comes (at most one a character).
    #[must_use]
    pub fn pieces(mut self, n: usize) -> Self {
        self.pieces = n;
        self
    }

    /// Tokens of the whole answer; without it 10 in, and one out for each piece.
    #[must_use]
    pub fn usage(mut self, prompt: u64, completion: u64) -> Self {
        self.tokens = Some(Tokens {
            prompt,
            completion,
            ..Tokens::default()
        });
        self
    }

    /// So many of the prompt's tokens came from the prompt cache.
    #[must_use]
    pub fn cached(mut self, tokens: u64) -> Self {
        self.cached = tokens;
        self
    }

    /// So many of the prompt's tokens were written to the prompt cache.
    #[must_use]
    pub fn cache_write(mut self, tokens: u64) -> Self {
        self.cache_write = tokens;
        self
    }

    /// Reasoning in one piece before the text, or out of sight when there is no text of it; `tokens` of the completion are for it.
    #[must_use]
    pub fn reasoning(mut self, text: &str, tokens: u64) -> Self {
        (self.reasoning, self.reasoning_tokens) = (text.to_owned(), tokens);
        self
    }

    #[must_use]
    pub fn finish(mut self, reason: &str) -> Self {
        self.finish = Some(reason.to_owned());
        self
    }

    #[must_use]
    pub fn without_finish(mut self) -> Self {
        self.finish = None;
        self
    }

    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.usage = false;
        self
    }

    /// Every chunk tells the usage so far, as some servers do.
    #[must_use]
    pub fn usage_in_every_chunk(mut self) -> Self {
        self.usage_rises = true;
        self
    }

    #[must_use]
    pub fn without_done(mut self) -> Self {
        self.done = false;
        self
    }

    /// The name of the model that answers; else that of the request.
    #[must_use]
    pub fn model(mut self, name: &str) -> Self {
        self.model = Some(name.to_owned());
        self
    }

    /// A server that bills more than it was allowed to.
    #[must_use]
    pub fn ignore_cap(mut self) -> Self {
        self.ignore_cap = true;
        self
    }

    /// The body is not framed and ends with the connection.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.until_close = true;
        self
    }

    #[must_use]
    pub fn delay_headers(mut self, ms: u64) -> Self {
        self.delay_headers = Duration::from_millis(ms);
        self
    }

    /// From the headers to the first byte of the body.
    #[must_use]
    pub fn ttft(mut self, ms: u64) -> Self {
        self.ttft = Duration::from_millis(ms);
        self
    }

    #[must_use]
    pub fn delay_between(mut self, ms: u64) -> Self {
        self.between = Duration::from_millis(ms);
        self
    }

    /// Takes these steps when `n` pieces have been sent (0: after the headers and the role).
    #[must_use]
    pub fn after(mut self, n: usize, steps: impl IntoIterator<Item = Step>) -> Self {
        self.after.entry(n).or_default().extend(steps);
        self
    }

    #[must_use]
    pub fn gate_after(self, n: usize, gate: &Gate) -> Self {
        self.after(n, [Step::Gate(gate.clone())])
    }

    #[must_use]
    pub fn hang_after(self, n: usize) -> Self {
        self.after(n, [Step::Hang])
    }

    #[must_use]
    pub fn reset_after(self, n: usize) -> Self {
        self.after(n, [Step::Reset])
    }

    /// The connection closes in the middle of the body.
    #[must_use]
    pub fn close_after(self, n: usize) -> Self {
        self.after(n, [Step::Close])
    }

    /// The body ends properly, though the answer is not complete.
    #[must_use]
    pub fn end_after(self, n: usize) -> Self {
        self.after(n, [Step::End])
    }

    /// An error inside the stream, then its end.
    #[must_use]
    pub fn error_after(self, n: usize, error: &Value) -> Self {
        self.after(n, [Step::event(&json!({ "error": error })), Step::End])
    }

    /// Where a redirect points.
    pub fn location(&self) -> Option<&str> {
        self.headers
            .iter()
            .find(|(name, _)| name == "location")
            .map(|(_, value)| value.as_str())
    }
}
