//! The rows that an exchange leaves in the store.
//!
//! Owns: what is written of an exchange when it begins and when it ends.
//! Refuses: to write (the ledger does), and to decide what an answer costs.
//! Invariant: the raw token count is stored, not the corrected one: corrections must not be learned from themselves.

use std::time::Duration;

use crate::chat::id::ExchangeId;
use crate::chat::{Failure, Timestamp, Usd};
use crate::gateway::ask::Ask;
use crate::gateway::plan::planned::Planned;
use crate::protocol::{AnswerFacts, CacheHit, Latency};
use crate::store::{Begin, ExchangeOutcome, Foreseen, NewPrompt};

/// The rows of a question that is about to be sent.
pub(in crate::gateway) fn begin(
    ask: &Ask,
    exchange: &ExchangeId,
    planned: &Planned,
    at: Timestamp,
) -> Begin {
    let rung = &planned.plan.first;
    let prompt = (!ask.stored).then(|| NewPrompt {
        id: ask.prompt.clone(),
        text: ask.own_words().to_owned(),
    });
    Begin {
        session: ask.session.clone(),
        setting: ask.setting.clone(),
        exchange: exchange.clone(),
        model: rung.model.clone(),
        mode: planned.plan.route.mode,
        parent: if ask.stored {
            Some(ask.prompt.clone())
        } else {
            ask.parent.clone()
        },
        prompt,
        answer: ask.answer.clone(),
        messages: ask.opens(),
        kind: Some(planned.kind.as_str()),
        effort: rung.effort,
        counted_input: planned.input(&rung.model).tokens,
        estimate: rung.estimate,
        pace: planned.plan.pace,
        at,
    }
}

/// The end of an exchange that has an answer, whole or cut.
pub(in crate::gateway) fn outcome(
    facts: &AnswerFacts,
    counted_input: u64,
    failure: Option<Failure>,
    ended: Timestamp,
) -> ExchangeOutcome {
    let effort = facts.route.chosen().and_then(|chosen| chosen.effort);
    ExchangeOutcome {
        model: Some(facts.model.clone()),
        ended,
        cache: facts.cache,
        saved: facts.saved,
        latency: facts.latency,
        finish: facts.finish.clone(),
        failure,
        usage: Some(facts.usage),
        foreseen: Some(Foreseen {
            effort,
            counted_input,
            estimate: facts.estimate,
        }),
    }
}

/// The end of an exchange without an answer.
pub(in crate::gateway) fn failed(
    failure: &Failure,
    total: Duration,
    ended: Timestamp,
) -> ExchangeOutcome {
    ExchangeOutcome {
        model: None,
        ended,
        cache: CacheHit::None,
        saved: Some(Usd::ZERO),
        latency: Latency {
            ttft_ms: None,
            total_ms: millis(total),
            tokens_per_second: None,
        },
        finish: None,
        failure: Some(failure.clone()),
        usage: None,
        foreseen: None,
    }
}

/// Whole milliseconds.
pub(in crate::gateway) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
