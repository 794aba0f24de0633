//! From an answer that has ended to the last event of its exchange.
//!
//! Owns: the facts of the answer, and which failure the user is told of when there are several.
//! Refuses: to choose the price (`money::settle`) and to write (the ledger).
//! Invariant: a bill above the reservation is always told to the user.

use crate::chat::{CostKind, Failure, ModelId, Reply, Timestamp, Usage, Usd};
use crate::gateway::ask::Ask;
use crate::gateway::attempt::end::{AttemptAnswer, Permits};
use crate::gateway::money::account::{BookedAnswer, ExchangeAccount, OpenCharge, SettledAnswer};
use crate::gateway::money::settle::{self, AttemptFigures};
use crate::gateway::plan::planned::Planned;
use crate::gateway::stream::reader::{StreamEnd, StreamEnding, latency};
use crate::gateway::stream::reporter::Reporter;
use crate::protocol::{Answer, AnswerFacts, Attempt, CacheHit, Counterfactual, Event};

/// What an answer is concluded with.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct ConclusionParts<'a> {
    pub(in crate::gateway) ask: &'a Ask,
    pub(in crate::gateway) planned: &'a Planned,
    pub(in crate::gateway) attempts: &'a [Attempt],
    pub(in crate::gateway) reporter: &'a Reporter<'a>,
    pub(in crate::gateway) ended: Timestamp,
}

/// An answer that was settled, or whose settlement failed.
pub(in crate::gateway) struct Conclusion<'a> {
    /// The facts of this exchange alone.
    pub(in crate::gateway) facts: AnswerFacts,
    pub(in crate::gateway) reply: Reply,
    /// It is whole and stored, so that it may be kept in the cache.
    pub(in crate::gateway) is_whole: bool,
    failure: Option<Failure>,
    settled: Result<BookedAnswer, Failure>,
    /// Held until the answer is settled: the next request may need the money.
    _permits: Permits<'a>,
}

/// Settles an answer and stores it.
pub(in crate::gateway) async fn settle<'p>(
    parts: ConclusionParts<'_>,
    account: &ExchangeAccount<'_>,
    answer: AttemptAnswer<'p>,
    others: impl FnOnce(&ModelId, &Usage) -> Vec<Counterfactual>,
) -> Conclusion<'p> {
    let AttemptAnswer {
        charge,
        mut end,
        outcome,
        failure,
        foreign_address,
        permits,
    } = answer;
    let mut facts = facts(parts, &charge, &end, foreign_address, others);
    let settled = SettledAnswer {
        facts: facts.clone(),
        counted_input: parts.planned.input(&facts.model).tokens,
        text: std::mem::take(&mut end.unsaved_text),
        reasoning: std::mem::take(&mut end.unsaved_reasoning),
        failure: failure.clone(),
        outcome,
        last_word: end.last_word,
    };
    let settled = account.settle(charge, parts.ask, settled).await;
    if let Ok(booked) = &settled {
        facts.cost = booked.cost;
    }
    Conclusion {
        facts,
        reply: end.reply,
        is_whole: settled.is_ok() && matches!(end.ending, StreamEnding::Whole),
        failure,
        settled,
        _permits: permits,
    }
}

/// The facts of an answer, with the cost that is to be booked.
fn facts(
    parts: ConclusionParts<'_>,
    charge: &OpenCharge,
    end: &StreamEnd,
    foreign_address: bool,
    others: impl FnOnce(&ModelId, &Usage) -> Vec<Counterfactual>,
) -> AnswerFacts {
    let rung = &parts.planned.plan.first;
    let model = parts.planned.model(&rung.model);
    let figures = AttemptFigures {
        price: model.and_then(|model| model.price.as_ref()),
        foreign_address,
        // A model may have reasoned out of sight unless its entry says that it does not.
        hidden_output: model.is_none_or(|model| model.reasoning || !model.reasoning_stated)
            || end.backlog,
        reserved: charge.reserved(),
        input: parts.planned.input(&rung.model),
        output: end.output,
        output_cap: rung.estimate.output_cap,
        past_cap: matches!(end.ending, StreamEnding::PastCap { .. }),
        reply: &end.reply,
        close: end.close,
        sent: charge.reserved_at(),
        ended: parts.ended,
    };
    let (usage, cost) = settle::settle(&figures);
    AnswerFacts {
        model: rung.model.clone(),
        route: parts.planned.plan.route.clone(),
        finish: end.reply.finish.clone(),
        usage,
        estimate: rung.estimate,
        cost,
        saved: Some(Usd::ZERO),
        cache: CacheHit::None,
        cache_age_s: 0,
        stale: false,
        reasoning_usd: settle::reasoning(&figures, &usage),
        latency: latency(parts.reporter, end.first_piece, usage.output),
        attempts: parts.attempts.to_vec(),
        service_tier: end.reply.service_tier.clone(),
        others: others(&rung.model, &usage),
    }
}

impl Conclusion<'_> {
    /// The last event of the exchange.
    pub(in crate::gateway) async fn event(self, ask: &Ask, reporter: &Reporter<'_>) -> Event {
        let Self {
            facts,
            reply,
            failure,
            settled,
            ..
        } = self;
        let (facts, excess, unsettled) = match settled {
            Ok(booked) => (booked.facts, booked.excess, None),
            Err(failure) => (facts, Usd::ZERO, Some(failure)),
        };
        let breached = (excess > Usd::ZERO).then(|| breach(&facts, excess));
        let failure = match (failure, unsettled, breached) {
            (Some(first), Some(second), _) => Some(Failure {
                hint: Some(second.to_string()),
                ..first
            }),
            (Some(first), None, Some(breach)) => Some(first.hint(breach)),
            (failure, unsettled, breach) => {
                if let Some(breach) = breach {
                    reporter.warn(breach).await;
                }
                failure.or(unsettled)
            }
        };
        let answer = Box::new(answer(ask, reply.text, reply.reasoning, facts));
        match failure {
            Some(failure) => Event::Failed {
                failure,
                route: None,
                answer: Some(answer),
            },
            None => Event::Finished(answer),
        }
    }
}

pub(in crate::gateway) fn answer(
    ask: &Ask,
    text: String,
    reasoning: String,
    facts: AnswerFacts,
) -> Answer {
    Answer {
        session: ask.session.clone(),
        id: ask.answer.clone(),
        text,
        reasoning,
        facts,
    }
}

/// A server that bills more than the request allowed: the one way past a limit.
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
