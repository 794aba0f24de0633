//! From an answer to the steps that play it for one request.
//!
//! Owns: what is charged with which piece, and where the output cap cuts.
//! Refuses: the bytes of a chunk (see `openai`).
//! Invariant: what the pieces are charged adds up to the usage that the answer reports.

use serde_json::{Value, json};

use super::super::bill::Tokens;
use super::super::openai::{self, Envelope};
use super::super::step::{Plan, Step};
use super::{Answer, Kind};

impl Answer {
    /// The plan for one request.
    pub fn plan(&self, index: usize, request: Option<&Value>) -> Plan {
        let mut plan = match &self.kind {
            Kind::Chat { text } => self.chat(openai::split(text, self.pieces), index, request),
            Kind::Pieces(pieces) => self.chat(pieces.clone(), index, request),
            Kind::Http {
                status,
                body,
                content_type,
            } => self.http(*status, content_type, body),
            Kind::Stream(steps) => self.bare(steps),
            Kind::Raw(steps) => Plan {
                status: None,
                framed: false,
                closes: self.closes(),
                charge: self.charge(),
                steps: steps.clone(),
            },
        };
        plan.steps.insert(0, Step::Wait(self.delay_headers));
        plan
    }

    /// What an answer that is no chat completion costs: nothing, unless the test says so.
    fn charge(&self) -> Option<Tokens> {
        self.tokens.map(|tokens| Tokens {
            cached: self.cached,
            cache_write: self.cache_write,
            ..tokens
        })
    }

    fn closes(&self) -> bool {
        self.until_close
            || self
                .headers
                .iter()
                .any(|(name, value)| name == "connection" && value == "close")
    }

    fn head(&self, status: u16, content_type: &str, length: usize) -> Vec<u8> {
        let mut headers = vec![
            ("content-type", content_type.to_owned()),
            ("content-length", length.to_string()),
        ];
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        openai::head(status, &headers)
    }

    fn http(&self, status: u16, content_type: &str, body: &[u8]) -> Plan {
        let head = self.head(status, content_type, body.len());
        let steps = vec![Step::Send(head), Step::Frame(body.to_vec()), Step::End];
        Plan {
            status: Some(status),
            framed: false,
            closes: self.closes(),
            charge: self.charge(),
            steps,
        }
    }

    fn bare(&self, steps: &[Step]) -> Plan {
        let mut all = vec![Step::Send(self.stream_head()), Step::Wait(self.ttft)];
        all.extend(steps.iter().cloned());
        all.push(Step::End);
        Plan {
            status: Some(200),
            framed: !self.until_close,
            closes: self.closes(),
            charge: self.charge(),
            steps: all,
        }
    }

    fn stream_head(&self) -> Vec<u8> {
        let framing = if self.until_close {
            ("connection", "close")
        } else {
            ("transfer-encoding", "chunked")
        };
        let mut headers = vec![
            ("content-type", "text/event-stream".to_owned()),
            (framing.0, framing.1.to_owned()),
        ];
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        openai::head(200, &headers)
    }

    fn chat(&self, mut pieces: Vec<String>, index: usize, request: Option<&Value>) -> Plan {
        let asked = |name: &str| request.and_then(|r| r.get(name));
        let whole = self.tokens.unwrap_or_else(|| {
            let completion = pieces.len() as u64 + self.reasoning_tokens;
            Tokens {
                prompt: 10,
                completion,
                ..Tokens::default()
            }
        });
        let cap = asked("max_completion_tokens")
            .or_else(|| asked("max_tokens"))
            .and_then(Value::as_u64);
        let cut = cap.filter(|cap| *cap < whole.completion && !self.ignore_cap);
        let completion = cut.unwrap_or(whole.completion);
        let tokens = Tokens {
            completion,
            reasoning: self.reasoning_tokens.min(completion),
            cached: self.cached,
            cache_write: self.cache_write,
            ..whole
        };
        let model = self
            .model
            .as_deref()
            .or_else(|| asked("model").and_then(Value::as_str))
            .unwrap_or("none");
        let envelope = Envelope {
            index,
            model,
            finish: if cut.is_some() {
                Some("length")
            } else {
                self.finish.as_deref()
            },
            tokens,
        };
        let room = completion - tokens.reasoning;
        let wanted = whole
            .completion
            .saturating_sub(self.reasoning_tokens)
            .max(1);
        if cut.is_some() {
            pieces.truncate(usize::try_from(pieces.len() as u64 * room / wanted).unwrap());
        }
        let streams = asked("stream").and_then(Value::as_bool).unwrap_or(false);
        let steps = if streams {
            let usage = asked("stream_options")
                .and_then(|o| o.get("include_usage"))
                .and_then(Value::as_bool);
            self.stream(&envelope, &pieces, room, usage.unwrap_or(false))
        } else {
            let body = envelope
                .unary(&pieces.concat(), &self.reasoning, self.usage)
                .to_string()
                .into_bytes();
            let mut steps: Vec<Step> = self.after.values().flatten().cloned().collect();
            steps.push(Step::Wait(self.ttft));
            steps.push(Step::Send(self.head(200, "application/json", body.len())));
            steps.push(Step::Piece {
                bytes: body,
                tokens: completion,
                reasoning: tokens.reasoning,
            });
            steps.push(Step::End);
            steps
        };
        let charge = Some(Tokens {
            completion: 0,
            reasoning: 0,
            ..tokens
        });
        Plan {
            status: Some(200),
            framed: streams && !self.until_close,
            closes: self.closes(),
            charge,
            steps,
        }
    }

    /// `room`: output tokens for the text, spread evenly over its pieces; what does not divide is charged at the end.
    fn stream(
        &self,
        envelope: &Envelope<'_>,
        pieces: &[String],
        room: u64,
        usage: bool,
    ) -> Vec<Step> {
        let mut steps = vec![Step::Send(self.stream_head()), Step::Wait(self.ttft)];
        let event = |delta: Value, finish: Option<&str>| {
            openai::event(&envelope.chunk(&delta, finish, usage))
        };
        steps.push(Step::Frame(event(
            json!({"role": "assistant", "content": ""}),
            None,
        )));
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
            piece(
                &mut steps,
                Step::Piece {
                    bytes,
                    tokens: reasoning,
                    reasoning,
                },
            );
        } else if reasoning > 0 {
            // Thought out of sight, and charged all the same.
            steps.push(Step::Piece {
                bytes: Vec::new(),
                tokens: reasoning,
                reasoning,
            });
        }
        let each = room / (pieces.len() as u64).max(1);
        for (n, text) in (1..).zip(pieces) {
            let mut chunk = envelope.chunk(&json!({"content": text}), None, usage);
            if usage && self.usage_rises {
                chunk["usage"] = envelope.usage_at(reasoning + each * n);
            }
            let bytes = openai::event(&chunk);
            piece(
                &mut steps,
                Step::Piece {
                    bytes,
                    tokens: each,
                    reasoning: 0,
                },
            );
        }
        steps.extend(
            self.after
                .range(sent..)
                .flat_map(|(_, steps)| steps)
                .cloned(),
        );
        // The rest of the tokens goes with the last chunk, so that a complete answer is charged in full.
        let rest = room - each * pieces.len() as u64;
        let bytes = envelope
            .finish
            .map_or_else(Vec::new, |finish| event(json!({}), Some(finish)));
        steps.push(Step::Piece {
            bytes,
            tokens: rest,
            reasoning: 0,
        });
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
