//! What the server answers: written by tests in a few words, compiled into bytes and pauses for one request.
//!
//! Owns: [`Answer`], and how it becomes a [`Plan`].
//! Refuses: sockets (see `connection`) and the text of chunks (see `openai`).
//! Invariant: an answer keeps to the output cap that the request names, unless the test says [`Answer::ignore_cap`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::bill::Tokens;
use super::gate::Gate;
use super::openai::{self, Envelope};
use super::step::{Plan, Step};

#[derive(Clone)]
enum Kind {
    Chat { text: String },
    Http { status: u16, body: Vec<u8>, content_type: &'static str },
    Raw(Vec<Step>),
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
            done: true,
            ignore_cap: false,
            until_close: false,
        }
    }

    /// A chat completion: a stream in four pieces, or one object when the request did not ask for a stream.
    pub fn text(text: &str) -> Self {
        Self::new(Kind::Chat { text: text.to_owned() })
    }

    /// An HTTP answer with an empty body; see [`Self::body`].
    pub fn status(status: u16) -> Self {
        Self::new(Kind::Http { status, body: Vec::new(), content_type: "application/json" })
    }

    /// An error as OpenAI writes it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::status(status).body(&json!({"error": {"message": message, "type": code, "param": null, "code": code}}))
    }

    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// Exactly these steps. Nothing is charged unless [`Self::usage`] says so.
    pub fn raw(steps: impl Into<Vec<Step>>) -> Self {
        Self::new(Kind::Raw(steps.into()))
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
        let Kind::Http { body, content_type, .. } = &mut self.kind else { panic!("a body belongs to a status") };
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
        self.tokens = Some(Tokens { prompt, completion, ..Tokens::default() });
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
        self.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.as_str())
    }

    /// The plan for one request.
    pub fn plan(&self, index: usize, request: Option<&Value>) -> Plan {
        let mut plan = match &self.kind {
            Kind::Chat { text } => self.chat(text, index, request),
            Kind::Http { status, body, content_type } => self.http(*status, content_type, body),
            Kind::Raw(steps) => {
                let charge = self.tokens.map(|t| Tokens { cached: self.cached, cache_write: self.cache_write, ..t });
                Plan { status: None, framed: false, closes: self.closes(), charge, steps: steps.clone() }
            }
        };
        plan.steps.insert(0, Step::Wait(self.delay_headers));
        plan
    }

    fn closes(&self) -> bool {
        self.until_close || self.headers.iter().any(|(name, value)| name == "connection" && value == "close")
    }

    fn head(&self, status: u16, content_type: &str, length: usize) -> Vec<u8> {
        let mut headers = vec![("content-type", content_type.to_owned()), ("content-length", length.to_string())];
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        openai::head(status, &headers)
    }

    fn http(&self, status: u16, content_type: &str, body: &[u8]) -> Plan {
        let head = self.head(status, content_type, body.len());
        let steps = vec![Step::Send(head), Step::Frame(body.to_vec()), Step::End];
        Plan { status: Some(status), framed: false, closes: self.closes(), charge: None, steps }
    }

    fn chat(&self, text: &str, index: usize, request: Option<&Value>) -> Plan {
        let asked = |name: &str| request.and_then(|r| r.get(name));
        let whole = self.tokens.unwrap_or_else(|| {
            let completion = openai::split(text, self.pieces).len() as u64 + self.reasoning_tokens;
            Tokens { prompt: 10, completion, ..Tokens::default() }
        });
        let cap = asked("max_completion_tokens").or_else(|| asked("max_tokens")).and_then(Value::as_u64);
        let cut = cap.filter(|cap| *cap < whole.completion && !self.ignore_cap);
        let completion = cut.unwrap_or(whole.completion);
        let tokens = Tokens {
            completion,
            reasoning: self.reasoning_tokens.min(completion),
            cached: self.cached,
            cache_write: self.cache_write,
            ..whole
        };
        let model = self.model.as_deref().or_else(|| asked("model").and_then(Value::as_str)).unwrap_or("none");
        let envelope = Envelope {
            index,
            model,
            finish: if cut.is_some() { Some("length") } else { self.finish.as_deref() },
            tokens,
        };
        let room = completion - tokens.reasoning;
        let wanted = whole.completion.saturating_sub(self.reasoning_tokens).max(1);
        let mut pieces = openai::split(text, self.pieces);
        if cut.is_some() {
            pieces.truncate(usize::try_from(pieces.len() as u64 * room / wanted).unwrap());
        }
        let streams = asked("stream").and_then(Value::as_bool).unwrap_or(false);
        let steps = if streams {
            let usage = asked("stream_options").and_then(|o| o.get("include_usage")).and_then(Value::as_bool);
            self.stream(&envelope, &pieces, room, usage.unwrap_or(false))
        } else {
            let body = envelope.unary(&pieces.concat(), &self.reasoning, self.usage).to_string().into_bytes();
            let mut steps: Vec<Step> = self.after.values().flatten().cloned().collect();
            steps.push(Step::Wait(self.ttft));
            steps.push(Step::Send(self.head(200, "application/json", body.len())));
            steps.push(Step::Piece { bytes: body, tokens: completion, reasoning: tokens.reasoning });
            steps.push(Step::End);
            steps
        };
        let charge = Some(Tokens { completion: 0, reasoning: 0, ..tokens });
        Plan { status: Some(200), framed: streams && !self.until_close, closes: self.closes(), charge, steps }
    }

    /// `room`: output tokens for the text, spread evenly over its pieces; what does not divide is charged at the end.
    fn stream(&self, envelope: &Envelope<'_>, pieces: &[String], room: u64, usage: bool) -> Vec<Step> {
        let framing = if self.until_close { ("connection", "close") } else { ("transfer-encoding", "chunked") };
        let mut headers = vec![("content-type", "text/event-stream".to_owned()), (framing.0, framing.1.to_owned())];
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut steps = vec![Step::Send(openai::head(200, &headers)), Step::Wait(self.ttft)];
        let event = |delta: Value, finish: Option<&str>| openai::event(&envelope.chunk(&delta, finish, usage));
        steps.push(Step::Frame(event(json!({"role": "assistant", "content": ""}), None)));
        let mut sent = 0;
        let mut piece = |steps: &mut Vec<Step>, step: Step| {
            steps.extend(self.after.get(&sent).into_iter().flatten().cloned());
            if sent > 0 {
                steps.push(Step::Wait(self.between));
            }
            steps.push(step);
            sent += 1;
        };
        let reasoning = envelope.tokens.reasoning;
        if !self.reasoning.is_empty() {
            let bytes = event(json!({"reasoning_content": self.reasoning}), None);
            piece(&mut steps, Step::Piece { bytes, tokens: reasoning, reasoning });
        } else if reasoning > 0 {
            // Thought out of sight, and charged all the same.
            steps.push(Step::Piece { bytes: Vec::new(), tokens: reasoning, reasoning });
        }
        let each = room / (pieces.len() as u64).max(1);
        for text in pieces {
            let bytes = event(json!({"content": text}), None);
            piece(&mut steps, Step::Piece { bytes, tokens: each, reasoning: 0 });
        }
        steps.extend(self.after.range(sent..).flat_map(|(_, steps)| steps).cloned());
        // The rest of the tokens goes with the last chunk, so that a complete answer is charged in full.
        let rest = room - each * pieces.len() as u64;
        let bytes = envelope.finish.map_or_else(Vec::new, |finish| event(json!({}), Some(finish)));
        steps.push(Step::Piece { bytes, tokens: rest, reasoning: 0 });
        if usage && self.usage {
            steps.push(Step::Frame(openai::event(&envelope.usage_chunk())));
        }
        if self.done {
            steps.push(Step::Frame(b"data: [DONE]\n\n".to_vec()));
        }
        steps.push(Step::End);
        steps
    }
}
