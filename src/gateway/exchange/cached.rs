//! Giving an answer from the cache.
//!
//! Owns: the facts of such an answer, and the events with which it is given.
//! Refuses: to look it up (`answer_cache` does).
//! Invariant: it is stored like any other answer, and costs nothing.

use crate::cache::AnswerHit;
use crate::chat::{Cost, CostKind, Failure, Finish, Timestamp, Usd};
use crate::gateway::ask::Ask;
use crate::gateway::exchange::conclusion::answer;
use crate::gateway::money::account::ExchangeAccount;
use crate::gateway::money::rows::millis;
use crate::gateway::plan::planned::Planned;
use crate::gateway::stream::reporter::Reporter;
use crate::protocol::{AnswerFacts, Attempt, Counterfactual, Event, Fitted, Latency, Started};

/// What an answer from the cache is given with.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct CachedParts<'a> {
    pub(in crate::gateway) ask: &'a Ask,
    pub(in crate::gateway) planned: &'a Planned,
    pub(in crate::gateway) fitted: Option<Fitted>,
    pub(in crate::gateway) attempts: &'a [Attempt],
    pub(in crate::gateway) reporter: &'a Reporter<'a>,
    pub(in crate::gateway) now: Timestamp,
}

/// Stores and gives an answer that was given before. `others`: what it would have cost on other models.
pub(in crate::gateway) async fn give(
    parts: CachedParts<'_>,
    account: &mut ExchangeAccount<'_>,
    hit: AnswerHit,
    others: Vec<Counterfactual>,
) -> Result<Event, Failure> {
    let CachedParts {
        ask,
        planned,
        reporter,
        ..
    } = parts;
    let facts = facts(parts, &hit, others);
    let (text, reasoning) = (hit.entry.text, hit.entry.reasoning);
    let (facts, begun_now) = account
        .store_cached(ask, planned, facts, text.clone(), reasoning.clone())
        .await?;
    if begun_now {
        reporter.prompted(ask, parts.now).await;
    }
    reporter
        .emit(Event::Started(Box::new(started(parts))))
        .await;
    reporter
        .piece(&ask.answer, reasoning.clone(), text.clone())
        .await;
    Ok(Event::Finished(Box::new(answer(
        ask, text, reasoning, facts,
    ))))
}

fn facts(parts: CachedParts<'_>, hit: &AnswerHit, others: Vec<Counterfactual>) -> AnswerFacts {
    let total_ms = millis(parts.reporter.elapsed());
    AnswerFacts {
        model: hit.entry.model.clone(),
        route: parts.planned.plan.route.clone(),
        finish: Some(Finish::Stop),
        usage: hit.entry.usage,
        estimate: parts.planned.plan.first.estimate,
        cost: Cost::new(Usd::ZERO, CostKind::Exact),
        saved: hit.entry.cost,
        cache: hit.tier,
        cache_age_s: hit.age.as_secs(),
        stale: hit.expired,
        reasoning_usd: None,
        latency: Latency {
            ttft_ms: Some(total_ms),
            total_ms,
            tokens_per_second: None,
        },
        attempts: parts.attempts.to_vec(),
        service_tier: None,
        others,
    }
}

fn started(parts: CachedParts<'_>) -> Started {
    let rung = &parts.planned.plan.first;
    let model = parts.planned.model(&rung.model);
    let price = model.and_then(|model| model.price.as_ref());
    Started {
        id: parts.ask.answer.clone(),
        at: parts.now,
        model: rung.model.clone(),
        route: parts.planned.plan.route.clone(),
        estimate: rung.estimate,
        fitted: parts.fitted,
        effort: rung.effort,
        free: price.is_some_and(|price| price.free),
        context: model.and_then(|model| model.context),
        key: String::new(),
    }
}
