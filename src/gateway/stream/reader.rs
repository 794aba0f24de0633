//! The answer as it streams.
//!
//! Owns: reading the stream, passing pieces on, writing them down every 250 ms, and the figures beside them.
//! Refuses: a second request; once a piece has arrived, a broken stream is a cut answer and stays one.
//! Invariant: what was shown is stored, cut or whole; a cut answer is never cached and never called complete.

use std::sync::Arc;

use tokio::time::Instant;

use crate::chat::usage::Usage;
use crate::chat::{Cost, CostKind, Delta, Failure, FailureKind, Finish, Usd};
use crate::gateway::attempt::run::{AttemptContext, AttemptEnd, failure};
use crate::gateway::exchange::{ExchangeRun, FLUSH};
use crate::gateway::money::settle::{self, Close, Known};
use crate::gateway::plan::compare::counterfactuals;
use crate::gateway::plan::count::tokenizer;
use crate::gateway::steps;
use crate::gateway::stream::accumulator::{Pieces, StreamState, wake};
use crate::gateway::stream::drain::{past_its_cap, wrote_past_its_cap};
use crate::gateway::stream::output_cap::Side;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::protocol::{AnswerFacts, CacheHit, Event, Latency, Level, Notice, Progress};
use crate::provider::{ReplyStream, WireError};
use crate::store::{Db, Ending, Hold, Settlement, StoreError};

/// What the user hears of an answer with a hole in it.
const DAMAGED: &str = "a part of the answer came in pieces that cannot be read";

/// What the user hears when the store fails between sending and settling: the hold is on disk and goes on counting.
const NOT_BOOKED: &str =
    "this answer and its price could not be stored, so its whole reservation stays charged";

/// How the stream ended.
pub(in crate::gateway) enum End {
    Whole,
    /// To its end, but for words that could not be read.
    Damaged,
    Stopped,
    Broken(WireError),
    /// It wrote on past its cap and was cut; `whole`: its last word came all the same.
    PastCap {
        whole: bool,
    },
}

impl End {
    /// The end of a stream that came to its own.
    pub(in crate::gateway) fn whole(stream: &ReplyStream) -> Self {
        if stream.lost() {
            Self::Damaged
        } else {
            Self::Whole
        }
    }
}

impl ExchangeRun {
    pub(in crate::gateway) async fn live(
        &mut self,
        on: &AttemptContext<'_>,
        key: &SelectedKey,
        hold: &Hold,
        mut stream: ReplyStream,
    ) -> AttemptEnd {
        let status = stream.meta().status;
        self.learn(on, key, stream.meta());
        self.keep_mends(on).await;
        let cap = on.rung.estimate.output_cap;
        let mut live = StreamState::new(tokenizer(on.model), cap, self.gateway.gap);
        // In a box: the futures of all callers would grow by it.
        let end = Box::pin(self.read(on, &mut stream, &mut live)).await;
        if live.frames.due(Instant::now()).is_some() {
            self.show(on, &mut live).await;
        }
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
                    End::Damaged => DAMAGED.to_owned(),
                    End::Stopped => "stopped".to_owned(),
                    End::Broken(error) => error.message.clone(),
                    End::PastCap { .. } => {
                        let outcome = wrote_past_its_cap(on);
                        tracing::warn!(model = %on.rung.model, written = live.written.tokens(), "{outcome}");
                        outcome
                    }
                };
                self.ended(on, &end, live.first.is_some()).await;
                self.note(on, key, Some(status), &outcome).await;
                AttemptEnd::Over(Box::new(self.conclude(on, hold, live, end, outcome).await))
            }
        }
    }

    async fn read(
        &self,
        on: &AttemptContext<'_>,
        stream: &mut ReplyStream,
        live: &mut StreamState,
    ) -> End {
        let stopped = self.stop.cancelled();
        tokio::pin!(stopped);
        loop {
            let now = Instant::now();
            let (wakes, rests) = (live.wakes(now), live.frames.rests(now).is_some());
            let mut quiet = false;
            tokio::select! {
                biased;
                () = &mut stopped => {
                    let whole = self.drain(stream, live).await;
                    if live.written.past_cap() {
                        live.reply.finish = Some(Finish::Cut);
                        return End::PastCap { whole };
                    }
                    if whole {
                        return End::whole(stream);
                    }
                    live.reply.finish = Some(Finish::Interrupted);
                    return End::Stopped;
                }
                item = stream.next(), if !rests => match item {
                    Some(Ok(delta)) => {
                        let told = matches!(delta, Delta::Usage(_));
                        self.take(live, delta).await;
                        if live.written.past_cap() {
                            return self.past_cap(on, stream, live, told).await;
                        }
                    }
                    Some(Err(error)) => {
                        live.reply.finish = Some(Finish::Cut);
                        return End::Broken(error);
                    }
                    None => return End::whole(stream),
                },
                () = wake(wakes) => quiet = true,
            }
            let now = Instant::now();
            if live.frames.late(now) || quiet && live.frames.due(now).is_some_and(|at| at <= now) {
                self.show(on, live).await;
            }
            if live.flush_at.is_some_and(|at| at <= now) {
                self.flush(live).await;
            }
        }
    }

    /// Takes one piece in.
    pub(in crate::gateway) async fn take(&self, live: &mut StreamState, delta: Delta) {
        live.reply.push(&delta);
        let (side, text) = match delta {
            Delta::Text(text) => (Side::Text, text),
            Delta::Reasoning(text) => (Side::Reasoning, text),
            Delta::Usage(usage) => return live.written.said(usage.output),
            _ => return,
        };
        live.arrived(side, &text).await;
        live.frames.push(side, text);
    }

    /// Tells the front end what has arrived since it was last told.
    async fn show(&self, on: &AttemptContext<'_>, live: &mut StreamState) {
        self.answers(on).await;
        let now = Instant::now();
        let (reasoning, text) = live.frames.take(now);
        let id = &self.ask.answer;
        if !reasoning.is_empty() {
            self.emit(Event::Reasoning {
                id: id.clone(),
                text: reasoning,
            })
            .await;
        }
        if !text.is_empty() {
            self.emit(Event::Text {
                id: id.clone(),
                text,
            })
            .await;
        }
        if live.frames.figures(now) {
            self.emit(Event::Progress(self.progress(on, live))).await;
        }
    }

    fn progress(&self, on: &AttemptContext<'_>, live: &StreamState) -> Progress {
        let output = live.written.tokens();
        let usage = Usage::counted(on.rung.estimate.input_tokens, output);
        let cost = match &on.model.price {
            None => Cost::UNKNOWN,
            Some(price) if price.free => Cost::FREE,
            Some(price) => Cost::new(price.cost(&usage), CostKind::Estimated),
        };
        Progress {
            id: self.ask.answer.clone(),
            latency: self.latency(live, output),
            usage,
            cost,
        }
    }

    fn latency(&self, live: &StreamState, output: u64) -> Latency {
        let ttft = live.first.map(|at| at.duration_since(self.began));
        let flowing = live.first.map_or(0.0, |at| at.elapsed().as_secs_f64());
        Latency {
            ttft_ms: ttft.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            total_ms: self.elapsed_ms(),
            tokens_per_second: speed(output, flowing),
        }
    }

    /// Hands what arrived to the store; if the last write is not through yet, this one waits for the next turn.
    async fn flush(&self, live: &mut StreamState) {
        live.flush_at = Some(Instant::now() + FLUSH).filter(|_| self.ask.answers());
        if !self.ask.answers()
            || live
                .writing
                .as_ref()
                .is_some_and(|writing| !writing.is_finished())
        {
            return;
        }
        live.take_back().await;
        let Ok(store) = self.gateway.store().await.cloned() else {
            return;
        };
        live.flush_at = None;
        let pieces: Pieces = Arc::new((
            std::mem::take(&mut live.text),
            std::mem::take(&mut live.reasoning),
        ));
        let (answer, kept) = (self.ask.answer.clone(), Arc::clone(&pieces));
        live.writing = Some(tokio::spawn(async move {
            let stored = store
                .run(move |db| db.append_answer(&answer, &pieces.0, &pieces.1))
                .await;
            stored.err().map(|error| {
                tracing::error!(%error, "a part of an answer could not be stored yet");
                kept
            })
        }));
    }

    /// Settles, stores, keeps, and makes the last event.
    async fn conclude(
        &mut self,
        on: &AttemptContext<'_>,
        hold: &Hold,
        mut live: StreamState,
        end: End,
        outcome: String,
    ) -> Event {
        live.take_back().await;
        let told = !live.reply.stale && (live.reply.usage.is_some() || live.reply.billed.is_some());
        let close = match end {
            End::Whole | End::PastCap { whole: true } => Close::Whole,
            // What was not read cannot be counted here: only the server's last word will do.
            End::Damaged if told => Close::Whole,
            End::Stopped | End::PastCap { whole: false } => Close::Left,
            End::Damaged | End::Broken(_) => Close::Broken,
        };
        if close == Close::Whole {
            live.reply.keep_last_word();
            live.last_word = live.reply.usage.is_some() || live.reply.billed.is_some();
        }
        let known = Known {
            price: on.model.price.as_ref(),
            foreign_address: on.route.provider.own_address,
            // A model of which nobody says that it does not think may have thought.
            hidden_output: on.model.reasoning || !on.model.reasoning_stated || live.backlog,
            reserved: hold.amount,
            input: on.planned.input(&on.rung.model),
            output: live
                .counted(tokenizer(on.model), close == Close::Whole)
                .await,
            output_cap: on.rung.estimate.output_cap,
            past_cap: matches!(end, End::PastCap { .. }),
            reply: &live.reply,
            close,
            sent: hold.at,
            ended: self.now(),
        };
        let (usage, cost) = settle::settle(&known);
        let reasoning_usd = settle::reasoning(&known, &usage);
        let mut facts = AnswerFacts {
            model: on.rung.model.clone(),
            route: on.planned.plan.route.clone(),
            finish: live.reply.finish.clone(),
            usage,
            estimate: on.rung.estimate,
            cost,
            saved: Some(Usd::ZERO),
            cache: CacheHit::None,
            cache_age_s: 0,
            stale: false,
            reasoning_usd,
            latency: self.latency(&live, usage.output),
            attempts: self.attempts.clone(),
            service_tier: live.reply.service_tier.clone(),
            others: counterfactuals(self.gateway.models(), &self.ask, &on.rung.model, &usage),
        };
        let failure = match &end {
            // Whatever broke it: a part has arrived, so it is a cut answer.
            End::Broken(error) => Some(Failure {
                kind: FailureKind::Cut,
                ..failure(on.rung, error)
            }),
            End::PastCap { .. } => Some(past_its_cap(on, &outcome)),
            End::Damaged => Some(
                Failure::new(FailureKind::Cut, format!("{}: {DAMAGED}", on.rung.model))
                    .hint("ask again"),
            ),
            End::Whole | End::Stopped => None,
        };
        let counted = on.planned.input(&on.rung.model).tokens;
        let stored = self
            .store_answer(
                hold,
                &mut live,
                &mut facts,
                counted,
                failure.clone(),
                outcome,
            )
            .await;
        if stored.is_ok() && matches!(end, End::Whole) {
            self.keep(on, &live.reply, &facts);
        }
        let (facts, stored) = match stored {
            Ok((whole, excess)) => (whole, Ok(excess)),
            Err(failure) => (facts, Err(failure)),
        };
        let failure = match (failure, stored) {
            (Some(first), Err(second)) => Some(Failure {
                hint: Some(second.to_string()),
                ..first
            }),
            (None, Err(failure)) => Some(failure),
            (Some(first), Ok(excess)) if excess > Usd::ZERO => {
                Some(first.hint(breach(&facts, excess)))
            }
            (failure, Ok(excess)) => {
                if excess > Usd::ZERO {
                    let notice = Notice {
                        level: Level::Warning,
                        text: breach(&facts, excess),
                    };
                    self.emit(Event::Notice(notice)).await;
                }
                failure
            }
        };
        let answer = Box::new(self.answer(live.reply.text, live.reply.reasoning, facts));
        match failure {
            Some(failure) => Event::Failed {
                failure,
                route: None,
                answer: Some(answer),
            },
            None => Event::Finished(answer),
        }
    }

    /// The rest of the answer, its facts, the charge and the exchange: one commit. Gives the facts of the turn, and what
    /// was booked above the reservation.
    async fn store_answer(
        &self,
        hold: &Hold,
        live: &mut StreamState,
        facts: &mut AnswerFacts,
        counted_input: u64,
        failure: Option<Failure>,
        outcome: String,
    ) -> Result<(AnswerFacts, Usd), Failure> {
        let ending = match facts.finish {
            Some(Finish::Cut | Finish::Interrupted) | None => Ending::Cut,
            Some(_) => Ending::Complete,
        };
        let settlement = Settlement {
            cost: facts.cost,
            usage: Some(facts.usage),
            last_word: live.last_word,
            tier: facts.service_tier.clone(),
            outcome,
            at: self.now(),
        };
        // Whatever breaks an answer after its first piece is the server's fault, or that of the way to it.
        let blame = failure.is_some();
        let done = self.outcome(facts, counted_input, failure);
        let (answer, exchange, attempt) = (
            self.ask.answer.clone(),
            self.id.clone(),
            hold.attempt.clone(),
        );
        let (text, reasoning) = (
            std::mem::take(&mut live.text),
            std::mem::take(&mut live.reasoning),
        );
        let (mut known, step, answers) = (facts.clone(), self.ask.step.clone(), self.ask.answers());
        let job = move |db: &mut Db| {
            db.write(|db| {
                let booked = db.book(&attempt, &settlement)?;
                known.cost = booked.cost;
                let whole = steps::whole(step.as_ref(), db, &answer, known)?;
                let words = |db: &Db| {
                    if !(text.is_empty() && reasoning.is_empty()) {
                        db.append_answer(&answer, &text, &reasoning)?;
                    }
                    db.finish_answer(&answer, ending, Some(&whole))
                };
                match if answers { db.write(words) } else { Ok(()) } {
                    // The chat was deleted meanwhile; what it cost is booked all the same.
                    Err(StoreError::NotStreaming(_)) => {}
                    stored => stored?,
                }
                db.finish_exchange(&exchange, &done)?;
                if blame {
                    db.blame_server(&attempt)?;
                }
                Ok((booked, whole))
            })
        };
        let booked = self.gateway.store().await?.run(job).await;
        let (booked, whole) = booked.map_err(|error| {
            let why = format!("{NOT_BOOKED}: {}", error.cause());
            Failure::new(FailureKind::Storage, why).hint(error.hint())
        })?;
        facts.cost = booked.cost;
        Ok((whole, booked.breach))
    }
}

/// Output tokens per second once it flows; `None` before a tenth of a second says anything.
#[expect(clippy::cast_precision_loss, reason = "a speed for display")]
fn speed(output: u64, seconds: f64) -> Option<f64> {
    (output > 1 && seconds >= 0.1).then(|| (output - 1) as f64 / seconds)
}

/// A server that bills more than the request allowed: the one way past a limit, so nobody may miss it.
fn breach(facts: &AnswerFacts, excess: Usd) -> String {
    let (model, excess) = (&facts.model, excess.short());
    let billed = if facts.cost.kind == CostKind::Estimated {
        "may have billed"
    } else {
        "billed"
    };
    format!(
        "{model} {billed} ${excess} more than this request allowed, and is refused until you clear it: chat-agent budget settle {model}"
    )
}
