//! The requests of a split turn, one after the other.
//!
//! Owns: which of their events a front end hears, what was spent so far, and the end of a turn that fails midway.
//! Refuses: cutting and pricing (`layout`).
//! Invariant: one last event, `Finished`, `Failed` or `AtLimit`, after everything paid for is settled and stored.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::layout::Layout;
use super::outcome::{named, way_on, whole};
use super::words::label;
use super::{at_limit, prepare};
use crate::chat::{
    Cost, CostKind, Failure, FailureKind, Finish, Overflow, Params, Scope, Selection, Usage,
    UsageSource, Usd,
};
use crate::gateway::{Ask, Consult, Conversation, Gateway, Spent, Step};
use crate::protocol::{
    Answer, AnswerFacts, CacheHit, Event, Latency, Level, Notice, Progress, Route,
};
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
    let mut line = Line {
        gateway,
        events,
        stop,
    };
    let last = match prepared {
        Ok(None) => {
            let ask = Ask {
                overflow: Overflow::Refuse,
                ..ask
            };
            line.follow(ask, Some).await
        }
        Ok(Some((layout, route))) => {
            Box::pin(Split::new(line.clone(), ask, layout, route, began).go()).await
        }
        Err(refused) => at_limit(&line.gateway, &ask, seam, refused).await,
    };
    let _ = line.events.send(last).await;
}

/// The line to the front end, and its word to stop.
#[derive(Clone)]
struct Line {
    gateway: Arc<Gateway>,
    events: mpsc::Sender<Event>,
    stop: watch::Receiver<bool>,
}

impl Line {
    async fn emit(&self, event: Event) {
        // A front end that has gone away is no reason to leave the money unsettled.
        let _ = self.events.send(event).await;
    }

    async fn notice(&self, level: Level, text: String) {
        self.emit(Event::Notice(Notice { level, text })).await;
    }

    /// Follows an exchange to its last event, which it returns; of the others it passes on what `heard` makes of them.
    async fn follow(&mut self, ask: Ask, mut heard: impl FnMut(Event) -> Option<Event>) -> Event {
        let mut exchange = self.gateway.open(ask);
        let mut stopped = *self.stop.borrow();
        if stopped {
            exchange.stop();
        }
        loop {
            let event = tokio::select! {
                event = exchange.next() => event,
                // Changed, or nobody is there any more to change it.
                _ = self.stop.changed(), if !stopped => {
                    stopped = true;
                    exchange.stop();
                    continue;
                }
            };
            match event {
                Some(last @ (Event::Finished(_) | Event::Failed { .. } | Event::AtLimit(_))) => {
                    return last;
                }
                Some(event) => {
                    if let Some(event) = heard(event) {
                        self.emit(event).await;
                    }
                }
                None => {
                    let failure =
                        Failure::new(FailureKind::Request, "an exchange ended unexpectedly")
                            .hint("see the log");
                    return Event::Failed {
                        failure,
                        route: None,
                        answer: None,
                    };
                }
            }
        }
    }
}

/// A split turn under way.
struct Split {
    line: Line,
    /// The question as the user asked it.
    ask: Ask,
    layout: Layout,
    spent: Spent,
    /// Sum of what the exchanges so far cost by their own word, for display while the last one streams.
    cost: Cost,
    /// The turn's messages are stored.
    opened: bool,
    /// The answers to the parts so far, and all that was answered on the way, as it is kept.
    answers: Vec<String>,
    kept: String,
}

/// Why a turn ends early: at which step, and the failure.
struct Stuck(String, Failure);

impl Split {
    fn new(line: Line, ask: Ask, layout: Layout, route: Route, began: Instant) -> Self {
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
            line,
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
        match self.all().await {
            Ok(last) => last,
            Err(stuck) => self.fail(stuck).await,
        }
    }

    /// Says what is done with the input: never silently.
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
        self.line.notice(Level::Warning, text).await;
    }

    async fn all(&mut self) -> Result<Event, Stuck> {
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
        Err(Stuck(
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
            // A part is no question of the user's to be asked about; what stops it ends the turn.
            consult: Consult::Never,
            // A raise is recorded with the first request; one of the limit on a request is over each of them.
            raise: self
                .ask
                .raise
                .filter(|raise| !self.opened || raise.scope == Scope::Request),
            step: Some(step),
            ..self.ask.clone()
        }
    }

    /// A request on the way; gives its answer.
    async fn part(&mut self, name: &str, question: String) -> Result<String, Stuck> {
        // The first one is announced with the whole.
        if self.opened {
            self.line.notice(Level::Info, name.to_lowercase()).await;
        }
        let step = if self.opened {
            Step::Part
        } else {
            Step::First(self.ask.question.as_str().into())
        };
        let ask = self.request(question, self.layout.cap, step);
        let (spent, opened) = (&self.spent, &mut self.opened);
        let heard = |event: Event| match event {
            Event::Text { .. } | Event::Reasoning { .. } | Event::Progress(_) => None,
            // Stored with the first reservation; a turn that is asked again was stored before.
            Event::Prompted { .. } | Event::Started(_) => {
                *opened = true;
                Some(of_turn(event, spent))
            }
            event => Some(event),
        };
        let stuck = |failure| Stuck(name.to_owned(), failure);
        match self.line.follow(ask, heard).await {
            Event::Finished(answer) => {
                self.note(&answer.facts);
                let text = whole(&answer).map_err(stuck)?;
                if answer.facts.finish == Some(Finish::Length) {
                    let cut = format!(
                        "the answer to {} was cut at its cap of {} tokens",
                        name.to_lowercase(),
                        self.layout.cap
                    );
                    self.line.notice(Level::Warning, cut).await;
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
                Err(stuck(failure))
            }
            _ => Err(stuck(Failure::new(
                FailureKind::Request,
                "an exchange ended unexpectedly",
            ))),
        }
    }

    /// The request whose answer is the turn's.
    async fn last(&mut self, name: String, question: String) -> Result<Event, Stuck> {
        self.line.notice(Level::Info, name.clone()).await;
        let step = Step::Last(Arc::new(self.spent.clone()));
        let ask = self.request(question, self.layout.last_cap, step);
        let (spent, cost) = (&self.spent, self.cost);
        let heard = |event: Event| match event {
            Event::Progress(progress) => Some(Event::Progress(Progress {
                cost: plus(cost, progress.cost),
                ..progress
            })),
            event => Some(of_turn(event, spent)),
        };
        match self.line.follow(ask, heard).await {
            Event::Failed {
                failure,
                answer: None,
                ..
            } => Err(Stuck(name, failure)),
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

    /// An answer to a part was paid for: it is kept beside the answer to come, where thoughts are, so that neither the
    /// death of the process nor a join that breaks off loses it.
    async fn keep(&mut self, name: &str, text: &str) {
        let (id, kept) = (self.ask.answer.clone(), format!("{name}:\n{text}\n\n"));
        self.kept.push_str(&kept);
        if let Ok(store) = self.line.gateway.store().await
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

    /// The turn ends here. What was answered so far was paid for: it is kept and shown, and never called whole.
    async fn fail(self, Stuck(name, failure): Stuck) -> Event {
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
        let (id, kept, nothing, spent) = (
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
                if nothing {
                    ChatLog(db).finish_answer(&id, Ending::Failed, None)?;
                } else {
                    ChatLog(db).append_answer(&id, &kept, "")?;
                    ChatLog(db).finish_answer(&id, Ending::Cut, Some(&facts))?;
                }
                Ok(facts)
            })
        };
        let closed = match self.line.gateway.store().await {
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
                self.line
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

    /// The failure with what there is, and what asking again does.
    fn with_way_on(&self, failure: Failure) -> Failure {
        let (done, of) = (self.answers.len(), self.layout.parts.len());
        if done == 0 {
            return failure;
        }
        let cached = self.ask.cached && self.line.gateway.keeps(&self.ask.params);
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

/// What a request says of itself, said of the turn.
fn of_turn(event: Event, spent: &Spent) -> Event {
    match event {
        Event::Started(mut started) => {
            started.route.clone_from(&spent.route);
            (started.estimate, started.fitted) = (spent.estimate, Some(spent.fitted));
            Event::Started(started)
        }
        event => event,
    }
}

/// Both together, while an answer streams: an estimate unless nothing is known or all is free.
fn plus(a: Cost, b: Cost) -> Cost {
    match (a.usd, b.usd) {
        (Some(x), Some(y)) if a.kind == CostKind::Free && b.kind == CostKind::Free => {
            Cost::new(x + y, CostKind::Free)
        }
        (Some(x), Some(y)) => Cost::new(x + y, CostKind::Estimated),
        _ => Cost::UNKNOWN,
    }
}
