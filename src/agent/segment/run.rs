//! The requests of a split turn, one after the other.
//!
//! Owns: which of their events go to the front end, what was spent so far, and the end of a turn that fails midway.
//! Refuses: splitting and pricing (`layout` does).
//! Invariant: one last event, `Finished`, `Failed` or `AtLimit`, after everything paid for is settled and stored.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::channel::TurnChannel;
use super::layout::SplitLayout;
use super::outcome::{as_turn_event, named, plus, way_on, whole};
use super::plan::{at_limit, prepare};
use super::words::label;
use crate::chat::{
    Cost, CostKind, Failure, FailureKind, Finish, Overflow, Params, Scope, Selection, Usage,
    UsageSource, Usd,
};
use crate::gateway::{Ask, Consult, Conversation, Gateway, Spent, Step};
use crate::protocol::{Answer, AnswerFacts, CacheHit, Event, Latency, Level, Progress, Route};
use crate::store::{ChargeScope, ChatLog, Db, Ending, ScopeSums};

/// Runs a turn that is split if it has to be.
pub(super) async fn run(
    gateway: Arc<Gateway>,
    ask: Ask,
    seam: Option<usize>,
    events: mpsc::Sender<Event>,
    mut stop: watch::Receiver<bool>,
) {
    let began = Instant::now();
    let prepared = prepare(&gateway, &ask, seam, &mut stop).await;
    let mut channel = TurnChannel::new(gateway, events, stop);
    let last = match prepared {
        Ok(None) => {
            let ask = Ask {
                overflow: Overflow::Refuse,
                ..ask
            };
            channel.follow(ask, Some).await
        }
        Ok(Some((layout, route))) => {
            Box::pin(SplitRun::new(channel.clone(), ask, layout, route, began).go()).await
        }
        Err(refused) => at_limit(&channel.gateway, &ask, seam, refused).await,
    };
    let _ = channel.events.send(last).await;
}

/// A split turn under way.
struct SplitRun {
    channel: TurnChannel,
    /// The question as the user asked it.
    ask: Ask,
    layout: SplitLayout,
    spent: Spent,
    /// Sum of what the exchanges so far cost by their own word, for display while the last one streams.
    cost: Cost,
    /// The turn's messages are stored.
    opened: bool,
    /// The answers to the parts so far, and everything answered on the way, in the form in which it is stored.
    answers: Vec<String>,
    kept: String,
}

/// Why a turn ends early: the name of the step, and the failure.
struct PartFailure(String, Failure);

impl SplitRun {
    fn new(
        channel: TurnChannel,
        ask: Ask,
        layout: SplitLayout,
        route: Route,
        began: Instant,
    ) -> Self {
        let free = layout.model.price.as_ref().is_some_and(|price| price.free);
        let nothing = if free {
            CostKind::Free
        } else {
            CostKind::Billed
        };
        let spent = Spent {
            began,
            route,
            estimate: layout.estimate,
            fitted: layout.fitted(),
            attempts: Vec::new(),
            usage: Usage {
                source: UsageSource::Provider,
                ..Usage::counted(0, 0)
            },
            saved: Some(Usd::ZERO),
            kind: nothing,
        };
        let (cost, answers, kept) = (Cost::new(Usd::ZERO, nothing), Vec::new(), String::new());
        Self {
            channel,
            ask,
            layout,
            spent,
            cost,
            opened: false,
            answers,
            kept,
        }
    }

    async fn go(mut self) -> Event {
        self.announce().await;
        match self.run_parts_and_joins().await {
            Ok(last) => last,
            Err(part_failure) => self.fail(part_failure).await,
        }
    }

    /// Tells the user that the input is split.
    async fn announce(&self) {
        let before = match self.ask.conversation.turns() {
            0 => String::new(),
            1 => "; the turn before it is not sent with them".to_owned(),
            turns => format!("; the {turns} turns before it are not sent with them"),
        };
        let text = format!(
            "{}, by {}{before}",
            self.layout.fitted(),
            self.layout.model.id
        );
        self.channel.notice(Level::Warning, text).await;
    }

    async fn run_parts_and_joins(&mut self) -> Result<Event, PartFailure> {
        let of = self.layout.parts.len();
        for at in 0..of {
            let name = label(&(at..at + 1), of);
            let text = &self.layout.task.material[self.layout.parts[at].clone()];
            let question = self.layout.task.part(at, of, text);
            let answer = self.part(&name, question).await?;
            self.answers.push(answer);
        }
        let mut answers: Vec<(Range<usize>, String)> = self
            .answers
            .iter()
            .cloned()
            .enumerate()
            .map(|(at, answer)| (at..at + 1, answer))
            .collect();
        for groups in self.layout.joins.clone() {
            let last = groups.len() == 1;
            let mut joined = Vec::with_capacity(groups.len());
            for group in groups {
                let group = &answers[group];
                let [first, .., end] = group else {
                    joined.extend(group.iter().cloned());
                    continue;
                };
                let parts = first.0.start..end.0.end;
                let texts: Vec<_> = group
                    .iter()
                    .map(|(parts, text)| (parts.clone(), text.as_str()))
                    .collect();
                let question = self.layout.task.join(&texts, of);
                let name = format!("joining {}", label(&parts, of).to_lowercase());
                if last {
                    return self.last(name, question).await;
                }
                joined.push((parts, self.part(&name, question).await?));
            }
            answers = joined;
        }
        Err(PartFailure(
            "joining".to_owned(),
            Failure::new(FailureKind::Request, "there is nothing to join"),
        ))
    }

    /// One request of the turn.
    fn request(&self, question: String, cap: u64, step: Step) -> Ask {
        Ask {
            selection: Selection::Pinned(self.layout.model.id.clone()),
            params: Params {
                max_output: Some(cap),
                effort: self.layout.effort,
                ..self.ask.params
            },
            conversation: Arc::new(Conversation::default()),
            question,
            counts: Arc::default(),
            stored: self.ask.stored || self.opened,
            overflow: Overflow::Refuse,
            favourites: Vec::new(),
            // The user is not asked about a part; a limit ends the turn.
            consult: Consult::Never,
            // A raise is recorded with the first request. A raise of the limit per request applies to each of them.
            raise: self
                .ask
                .raise
                .filter(|raise| !self.opened || raise.scope == Scope::Request),
            step: Some(step),
            ..self.ask.clone()
        }
    }

    /// Runs the request for a part or an intermediate join, and returns its answer.
    async fn part(&mut self, name: &str, question: String) -> Result<String, PartFailure> {
        // `announce` has announced the first one.
        if self.opened {
            self.channel.notice(Level::Info, name.to_lowercase()).await;
        }
        let step = if self.opened {
            Step::Part
        } else {
            Step::First(self.ask.question.as_str().into())
        };
        let ask = self.request(question, self.layout.cap, step);
        let (spent, opened) = (&self.spent, &mut self.opened);
        let forward = |event: Event| match event {
            Event::Text { .. } | Event::Reasoning { .. } | Event::Progress(_) => None,
            // The messages are stored with the first reservation; those of a retry were stored before.
            Event::Prompted { .. } | Event::Started(_) => {
                *opened = true;
                Some(as_turn_event(event, spent))
            }
            event => Some(event),
        };
        let part_failure = |failure| PartFailure(name.to_owned(), failure);
        match self.channel.follow(ask, forward).await {
            Event::Finished(answer) => {
                self.note(&answer.facts);
                let text = whole(&answer).map_err(part_failure)?;
                if answer.facts.finish == Some(Finish::Length) {
                    let cut = format!(
                        "the answer to {} was cut at its cap of {} tokens",
                        name.to_lowercase(),
                        self.layout.cap
                    );
                    self.channel.notice(Level::Warning, cut).await;
                }
                self.keep(name, &text).await;
                Ok(text)
            }
            Event::Failed {
                failure, answer, ..
            } => {
                if let Some(answer) = answer {
                    self.note(&answer.facts);
                }
                Err(part_failure(failure))
            }
            _ => Err(part_failure(Failure::new(
                FailureKind::Request,
                "an exchange ended unexpectedly",
            ))),
        }
    }

    /// Runs the last join, whose answer is the answer of the turn.
    async fn last(&mut self, name: String, question: String) -> Result<Event, PartFailure> {
        self.channel.notice(Level::Info, name.clone()).await;
        let step = Step::Last(Arc::new(self.spent.clone()));
        let ask = self.request(question, self.layout.last_cap, step);
        let (spent, cost) = (&self.spent, self.cost);
        let forward = |event: Event| match event {
            Event::Progress(progress) => Some(Event::Progress(Progress {
                cost: plus(cost, progress.cost),
                ..progress
            })),
            event => Some(as_turn_event(event, spent)),
        };
        match self.channel.follow(ask, forward).await {
            Event::Failed {
                failure,
                answer: None,
                ..
            } => Err(PartFailure(name, failure)),
            Event::Failed {
                failure,
                route,
                answer,
            } => {
                let answer = answer.map(|answer| self.with_parts(answer));
                Ok(Event::Failed {
                    failure: self.with_way_on(named(&name, failure)),
                    route,
                    answer,
                })
            }
            Event::Finished(answer) => Ok(Event::Finished(self.with_parts(answer))),
            last => Ok(last),
        }
    }

    fn with_parts(&self, answer: Box<Answer>) -> Box<Answer> {
        Box::new(Answer {
            reasoning: format!("{}{}", self.kept, answer.reasoning),
            ..*answer
        })
    }

    /// Stores the answer to a part. It was paid for, so it is kept as reasoning of the answer to come: a crash or a join
    /// that fails does not lose it.
    async fn keep(&mut self, name: &str, text: &str) {
        let (id, kept) = (self.ask.answer.clone(), format!("{name}:\n{text}\n\n"));
        self.kept.push_str(&kept);
        if let Ok(store) = self.channel.gateway.store().await
            && let Err(error) = store
                .run(move |db| ChatLog(db).append_answer(&id, "", &kept))
                .await
        {
            tracing::error!(%error, "the answer to a part could not be stored");
        }
    }

    fn note(&mut self, facts: &AnswerFacts) {
        self.spent.add(facts);
        self.cost = plus(self.cost, facts.cost);
    }

    /// Ends the turn with a failure. The answers so far were paid for: they are stored and shown, marked as incomplete.
    async fn fail(self, PartFailure(name, failure): PartFailure) -> Event {
        let failure = self.with_way_on(named(&name, failure));
        let route = Some(self.spent.route.clone());
        if !self.opened {
            return Event::Failed {
                failure,
                route,
                answer: None,
            };
        }
        let of = self.layout.parts.len();
        let text: Vec<_> = self
            .answers
            .iter()
            .enumerate()
            .map(|(at, answer)| format!("{}:\n{answer}", label(&(at..at + 1), of)))
            .collect();
        let text = text.join("\n\n");
        let stopped = failure.kind == FailureKind::Interrupted;
        let facts = self.facts(if stopped {
            Finish::Interrupted
        } else {
            Finish::Cut
        });
        let (id, kept, empty, spent) = (
            self.ask.answer.clone(),
            text.clone(),
            text.is_empty(),
            self.spent.clone(),
        );
        let close = move |db: &mut Db| {
            db.write(|db| {
                let facts = AnswerFacts {
                    cost: spent.cost(ScopeSums(db).sum(ChargeScope::Answer(&id))?),
                    ..facts
                };
                if empty {
                    ChatLog(db).finish_answer(&id, Ending::Failed, None)?;
                } else {
                    ChatLog(db).append_answer(&id, &kept, "")?;
                    ChatLog(db).finish_answer(&id, Ending::Cut, Some(&facts))?;
                }
                Ok(facts)
            })
        };
        let closed = match self.channel.gateway.store().await {
            Ok(store) => store.run(close).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match closed {
            Ok(_) if text.is_empty() => Event::Failed {
                failure,
                route,
                answer: None,
            },
            Ok(facts) => {
                let kind = if stopped {
                    failure.kind
                } else {
                    FailureKind::Cut
                };
                let (session, id) = (self.ask.session, self.ask.answer);
                self.channel
                    .emit(Event::Text {
                        id: id.clone(),
                        text: text.clone(),
                    })
                    .await;
                let answer = Answer {
                    session,
                    id,
                    text,
                    reasoning: String::new(),
                    facts,
                };
                Event::Failed {
                    failure: Failure { kind, ..failure },
                    route,
                    answer: Some(Box::new(answer)),
                }
            }
            Err(unstored) => Event::Failed {
                failure: failure.hint(unstored.to_string()),
                route,
                answer: None,
            },
        }
    }

    /// The failure, with a hint about what was answered and what asking again does.
    fn with_way_on(&self, failure: Failure) -> Failure {
        let (done, of) = (self.answers.len(), self.layout.parts.len());
        if done == 0 {
            return failure;
        }
        let cached = self.ask.cached && self.channel.gateway.keeps(&self.ask.params);
        let way = way_on(done, of, cached);
        let hint = failure
            .hint
            .as_deref()
            .map_or_else(|| way.clone(), |hint| format!("{hint}; {way}"));
        failure.hint(hint)
    }

    fn facts(&self, finish: Finish) -> AnswerFacts {
        let spent = self.spent.clone();
        let total_ms = u64::try_from(spent.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        AnswerFacts {
            model: self.layout.model.id.clone(),
            route: spent.route,
            finish: Some(finish),
            usage: spent.usage,
            estimate: spent.estimate,
            cost: self.cost,
            saved: spent.saved,
            cache: CacheHit::None,
            cache_age_s: 0,
            stale: false,
            reasoning_usd: None,
            latency: Latency {
                ttft_ms: None,
                total_ms,
                tokens_per_second: None,
            },
            attempts: spent.attempts,
            service_tier: None,
            others: Vec::new(),
        }
    }
}
