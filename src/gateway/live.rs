//! The answer as it streams.
//!
//! Owns: reading the stream, passing pieces on, writing them down every 250 ms, and the figures beside them.
//! Refuses: a second request; once a piece has arrived, a broken stream is a cut answer and stays one.
//! Invariant: what was shown is stored, cut or whole; a cut answer is never cached and never called complete.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::attempt::{AttemptEnd, OnRung, failure};
use super::exchange::{FLUSH, Turn};
use super::planning::tokenizer;
use super::route::Taken;
use super::settle::{self, Known};
use crate::cache::{Entry, worth_keeping};
use crate::chat::usage::Usage;
use crate::chat::{Cost, CostKind, Delta, Failure, FailureKind, Finish, ModelId, Reply, Usd};
use crate::protocol::{AnswerFacts, CacheHit, Event, Latency, Level, Notice, Progress};
use crate::provider::{ReplyStream, WireError};
use crate::store::{Db, Ending, Hold, Settlement};
use crate::tokens::{self, Count, Encoding, Tokenizer};

/// Shortest time between two `Progress` events: one frame of a screen.
const FRAME: std::time::Duration = std::time::Duration::from_millis(16);

/// Longest time spent on reading what had already arrived when the user stops an answer.
const DRAIN: std::time::Duration = std::time::Duration::from_millis(50);

/// The state of a streaming answer.
struct Live {
    reply: Reply,
    encoding: Encoding,
    /// Output tokens as counted piece by piece: a little high, and cheap.
    output: u64,
    first: Option<Instant>,
    shown: Option<Instant>,
    /// What has arrived since the last write to the store.
    text: String,
    reasoning: String,
    flush_at: Option<Instant>,
    /// The write under way; it gives the pieces back when they could not be stored.
    writing: Option<JoinHandle<Option<Pieces>>>,
}

/// Text and reasoning.
type Pieces = Arc<(String, String)>;

/// How the stream ended.
enum End {
    Whole,
    Stopped,
    Broken(WireError),
}

impl Turn {
    pub(super) async fn live(
        &mut self,
        on: &OnRung<'_>,
        key: &Taken,
        hold: &Hold,
        mut stream: ReplyStream,
    ) -> AttemptEnd {
        let status = stream.meta().status;
        let mut live = Live::new(tokenizer(on.model).encoding());
        let end = self.read(on, &mut stream, &mut live).await;
        if stream.malformed() > 0 {
            tracing::warn!(model = %on.rung.model, pieces = stream.malformed(), "pieces of an answer were no JSON");
        }
        drop(stream);
        match end {
            End::Broken(mut error) if live.first.is_none() => {
                error.status.get_or_insert(status);
                self.failed(on, key.clone(), hold, error).await
            }
            end => {
                let outcome = match &end {
                    End::Whole => "ok".to_owned(),
                    End::Stopped => "stopped".to_owned(),
                    End::Broken(error) => error.message.clone(),
                };
                self.note(on, key, Some(status), &outcome).await;
                AttemptEnd::Over(Box::new(self.conclude(on, hold, live, end, outcome).await))
            }
        }
    }

    async fn read(&self, on: &OnRung<'_>, stream: &mut ReplyStream, live: &mut Live) -> End {
        loop {
            let flush = async {
                match live.flush_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    let whole = self.drain(on, stream, live).await;
                    if whole {
                        return End::Whole;
                    }
                    live.reply.finish = Some(Finish::Interrupted);
                    return End::Stopped;
                }
                () = flush => self.flush(live).await,
                item = stream.next() => match item {
                    Some(Ok(delta)) => self.take(on, live, delta).await,
                    Some(Err(error)) => {
                        live.reply.finish = Some(Finish::Cut);
                        return End::Broken(error);
                    }
                    None => return End::Whole,
                },
            }
        }
    }

    /// Takes what has arrived and was not read yet: after a stop it is part of what is billed. `true` when the answer
    /// turns out to be whole.
    async fn drain(&self, on: &OnRung<'_>, stream: &mut ReplyStream, live: &mut Live) -> bool {
        let end = Instant::now() + DRAIN;
        // A server that never pauses must not keep the user waiting: the clock decides, not the silence.
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match tokio::time::timeout(left.min(DRAIN / 5), stream.next()).await {
                Ok(Some(Ok(delta))) => self.take(on, live, delta).await,
                Ok(None) => return true,
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
        false
    }

    /// Passes one piece on.
    async fn take(&self, on: &OnRung<'_>, live: &mut Live, delta: Delta) {
        live.reply.push(&delta);
        let id = self.ask.answer.clone();
        let event = match delta {
            Delta::Text(text) => {
                live.arrived(&text);
                live.text.push_str(&text);
                Event::Text { id, text }
            }
            Delta::Reasoning(text) => {
                live.arrived(&text);
                live.reasoning.push_str(&text);
                Event::Reasoning { id, text }
            }
            _ => return,
        };
        self.emit(event).await;
        if live.shown.is_none_or(|at| at.elapsed() >= FRAME) {
            live.shown = Some(Instant::now());
            self.emit(Event::Progress(self.progress(on, live))).await;
        }
    }

    fn progress(&self, on: &OnRung<'_>, live: &Live) -> Progress {
        let usage = Usage::counted(on.rung.estimate.input_tokens, live.output);
        let cost = match &on.model.price {
            None => Cost::UNKNOWN,
            Some(price) if price.free => Cost::FREE,
            Some(price) => Cost::new(price.cost(&usage), CostKind::Estimated),
        };
        Progress { id: self.ask.answer.clone(), latency: self.latency(live, live.output), usage, cost }
    }

    fn latency(&self, live: &Live, output: u64) -> Latency {
        let ttft = live.first.map(|at| at.duration_since(self.began));
        let flowing = live.first.map_or(0.0, |at| at.elapsed().as_secs_f64());
        Latency {
            ttft_ms: ttft.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            total_ms: self.elapsed_ms(),
            tokens_per_second: speed(output, flowing),
        }
    }

    /// Hands what arrived to the store; if the last write is not through yet, this one waits for the next turn.
    async fn flush(&self, live: &mut Live) {
        live.flush_at = Some(Instant::now() + FLUSH);
        if live.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        live.take_back().await;
        let Ok(store) = self.gateway.store().await.cloned() else { return };
        live.flush_at = None;
        let pieces: Pieces = Arc::new((std::mem::take(&mut live.text), std::mem::take(&mut live.reasoning)));
        let (answer, kept) = (self.ask.answer.clone(), Arc::clone(&pieces));
        live.writing = Some(tokio::spawn(async move {
            let stored = store.run(move |db| db.append_answer(&answer, &pieces.0, &pieces.1)).await;
            stored.err().map(|error| {
                tracing::error!(%error, "a part of an answer could not be stored yet");
                kept
            })
        }));
    }

    /// Settles, stores, keeps, and makes the last event.
    async fn conclude(&mut self, on: &OnRung<'_>, hold: &Hold, mut live: Live, end: End, outcome: String) -> Event {
        live.take_back().await;
        let (usage, cost) = settle::settle(&Known {
            price: on.model.price.as_ref(),
            foreign_address: on.route.provider.own_address,
            hidden_output: on.model.reasoning,
            reserved: hold.amount,
            input: on.planned.input(&on.rung.model),
            output: counted(tokenizer(on.model), &live).await,
            output_cap: on.rung.estimate.output_cap,
            reply: &live.reply,
            complete: matches!(end, End::Whole),
        });
        let mut facts = AnswerFacts {
            model: on.rung.model.clone(),
            route: on.planned.plan.route.clone(),
            finish: live.reply.finish.clone(),
            usage,
            estimate: on.rung.estimate,
            cost,
            saved: Usd::ZERO,
            cache: CacheHit::None,
            cache_age_s: 0,
            latency: self.latency(&live, usage.output),
            attempts: self.attempts.clone(),
        };
        let failure = match &end {
            // Whatever broke it: a part has arrived, so it is a cut answer.
            End::Broken(error) => Some(Failure { kind: FailureKind::Cut, ..failure(on.rung, error) }),
            End::Whole | End::Stopped => None,
        };
        let stored = self.store_answer(hold, &mut live, &mut facts, failure.clone(), outcome).await;
        if stored.is_ok() && matches!(end, End::Whole) {
            self.keep(on, &live.reply, &facts);
        }
        let answer = Box::new(self.answer(live.reply.text, live.reply.reasoning, facts));
        let failure = match (failure, stored.err()) {
            (Some(first), Some(second)) => Some(Failure { hint: Some(second.to_string()), ..first }),
            (first, second) => first.or(second),
        };
        match failure {
            Some(failure) => Event::Failed { failure, route: None, answer: Some(answer) },
            None => Event::Finished(answer),
        }
    }

    /// The rest of the answer, its facts, the charge and the exchange: one commit.
    async fn store_answer(
        &self,
        hold: &Hold,
        live: &mut Live,
        facts: &mut AnswerFacts,
        failure: Option<Failure>,
        outcome: String,
    ) -> Result<(), Failure> {
        let ending = match facts.finish {
            Some(Finish::Cut | Finish::Interrupted) | None => Ending::Cut,
            Some(_) => Ending::Complete,
        };
        let settlement = Settlement { cost: facts.cost, usage: Some(facts.usage), outcome, at: self.now() };
        let done = self.outcome(facts, failure);
        let (answer, exchange, attempt) = (self.ask.answer.clone(), self.id.clone(), hold.attempt.clone());
        let (text, reasoning) = (std::mem::take(&mut live.text), std::mem::take(&mut live.reasoning));
        let mut known = facts.clone();
        let job = move |db: &mut Db| {
            db.write(|db| {
                if !text.is_empty() || !reasoning.is_empty() {
                    db.append_answer(&answer, &text, &reasoning)?;
                }
                let booked = db.settle(&attempt, &settlement)?;
                known.cost = booked.cost;
                db.finish_answer(&answer, ending, Some(&known))?;
                db.finish_exchange(&exchange, &done)?;
                Ok(booked)
            })
        };
        let booked = self.gateway.store().await?.run(job).await;
        let booked = booked.map_err(Failure::from)?;
        facts.cost = booked.cost;
        if booked.breach > Usd::ZERO {
            self.breached(&facts.model, booked.breach).await;
        }
        Ok(())
    }

    /// A server that bills more than the request allowed: the one way past a limit, so nobody may miss it.
    async fn breached(&self, model: &ModelId, excess: Usd) {
        let text = format!(
            "{model} billed ${} more than this request allowed, and is refused until you clear it: chat-agent budget settle {model}",
            excess.short()
        );
        self.emit(Event::Notice(Notice { level: Level::Warning, text })).await;
    }

    /// Keeps a whole answer for the next time, under the model that gave it.
    fn keep(&self, on: &OnRung<'_>, reply: &Reply, facts: &AnswerFacts) {
        let Some(cache) = self.cache(&on.rung.model) else { return };
        if worth_keeping(reply, &self.ask.params, self.gateway.parts.config.cache.sampled) {
            let entry = Entry {
                model: on.rung.model.clone(),
                text: reply.text.clone(),
                reasoning: reply.reasoning.clone(),
                usage: facts.usage,
                cost: facts.cost.usd,
                at: self.now(),
            };
            cache.put(self.digest(&on.rung.model), &entry);
        }
    }
}

impl Live {
    fn new(encoding: Encoding) -> Self {
        Self {
            reply: Reply::default(),
            encoding,
            output: 0,
            first: None,
            shown: None,
            text: String::new(),
            reasoning: String::new(),
            flush_at: None,
            writing: None,
        }
    }

    /// Waits for the write under way, and puts back in front what it could not store.
    async fn take_back(&mut self) {
        let Some(writing) = self.writing.take() else { return };
        if let Ok(Some(pieces)) = writing.await {
            self.text.insert_str(0, &pieces.0);
            self.reasoning.insert_str(0, &pieces.1);
            self.flush_at.get_or_insert(Instant::now() + FLUSH);
        }
    }

    fn arrived(&mut self, piece: &str) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.flush_at.get_or_insert(now + FLUSH);
        self.output += tokens::count(self.encoding, piece);
    }
}

/// What arrived, counted whole, where the server did not say.
async fn counted(tokenizer: Tokenizer, live: &Live) -> Count {
    if live.reply.usage.is_some() {
        return Count::default();
    }
    let bytes = (live.reply.text.len() + live.reply.reasoning.len()) as u64;
    let (text, reasoning) = (live.reply.text.clone(), live.reply.reasoning.clone());
    let encoding = tokenizer.encoding();
    let work = move || tokens::count(encoding, &text) + tokens::count(encoding, &reasoning);
    let tokens = tokio::task::spawn_blocking(work).await.unwrap_or(bytes);
    let upper = if matches!(tokenizer, Tokenizer::Guess(_)) { bytes } else { tokens };
    Count { tokens, upper, exact: false }
}

/// Output tokens per second once it flows; `None` before a tenth of a second says anything.
#[expect(clippy::cast_precision_loss, reason = "a speed for display")]
fn speed(output: u64, seconds: f64) -> Option<f64> {
    (output > 1 && seconds >= 0.1).then(|| (output - 1) as f64 / seconds)
}
