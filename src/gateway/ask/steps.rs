//! An exchange as one of several requests of a turn.
//!
//! Owns: [`Step`]: what such an exchange stores, and how the last one sums up what came before it.
//! Refuses: splitting and joining texts; that is `agent::segment`.
//! Invariant: the words of a request on the way are no messages of the chat; its money is booked like any other's.

use std::sync::Arc;
use std::time::Instant;

use crate::chat::usage::UsageSource;
use crate::chat::{Cost, CostKind, MessageId, Usage, Usd};
use crate::protocol::{AnswerFacts, Attempt, Estimate, Fitted, Latency, Route};
use crate::store::{ChargeScope, ChargeSum, Db, ScopeSums, StoreError};

/// Which request of the turn it is.
#[derive(Debug, Clone)]
pub enum Step {
    /// The first. The turn's messages are stored with it: these words of the user's, and an answer still empty.
    First(Arc<str>),
    /// One more on the way to the answer.
    Part,
    /// The one whose answer is the turn's.
    Last(Arc<Spent>),
}

/// What a turn has come to so far.
#[derive(Debug, Clone)]
pub struct Spent {
    pub(crate) began: Instant,
    /// Of the turn as a whole.
    pub(crate) route: Route,
    pub(crate) estimate: Estimate,
    pub(crate) fitted: Fitted,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) usage: Usage,
    /// `None`: something of unknown price is in it.
    pub(crate) saved: Option<Usd>,
    /// The least sure of all costs.
    pub(crate) kind: CostKind,
}

/// The facts of the turn's answer: those of this exchange, with what the ones before it came to.
pub(in crate::gateway) fn whole(
    step: Option<&Step>,
    db: &Db,
    answer: &MessageId,
    own: AnswerFacts,
) -> Result<AnswerFacts, StoreError> {
    let Some(Step::Last(spent)) = step else {
        return Ok(own);
    };
    let mut spent = Spent::clone(spent);
    spent.add(&own);
    Ok(AnswerFacts {
        latency: spent.latency(own.latency),
        cost: spent.cost(ScopeSums(db).sum(ChargeScope::Answer(answer))?),
        route: spent.route,
        estimate: spent.estimate,
        attempts: spent.attempts,
        usage: spent.usage,
        saved: spent.saved,
        ..own
    })
}

impl Spent {
    /// Adds an exchange that has ended.
    pub(crate) fn add(&mut self, own: &AnswerFacts) {
        self.attempts.extend(own.attempts.iter().cloned());
        self.usage = together(self.usage, own.usage);
        self.saved = self.saved.zip(own.saved).map(|(sum, more)| sum + more);
        self.kind = weaker(self.kind, own.cost.kind);
    }

    /// What the ledger has for the turn, no surer than the least sure part of it.
    pub(crate) fn cost(&self, sum: ChargeSum) -> Cost {
        if sum.unknown > 0 || self.kind == CostKind::Unknown {
            return Cost::UNKNOWN;
        }
        Cost::new(
            sum.settled,
            if sum.estimated {
                CostKind::Estimated
            } else {
                self.kind
            },
        )
    }

    /// Times since the turn began, where `own` is measured from the beginning of its last exchange.
    fn latency(&self, own: Latency) -> Latency {
        let total_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let before = total_ms.saturating_sub(own.total_ms);
        Latency {
            ttft_ms: own.ttft_ms.map(|ms| ms.saturating_add(before)),
            total_ms,
            ..own
        }
    }
}

/// The tokens of both; no surer than the less sure of them.
fn together(a: Usage, b: Usage) -> Usage {
    let counted = a.source == UsageSource::Counted || b.source == UsageSource::Counted;
    Usage {
        uncached_input: a.uncached_input.saturating_add(b.uncached_input),
        cached_input: a.cached_input.saturating_add(b.cached_input),
        cache_write: a.cache_write.saturating_add(b.cache_write),
        output: a.output.saturating_add(b.output),
        reasoning: a.reasoning.saturating_add(b.reasoning),
        source: if counted {
            UsageSource::Counted
        } else {
            UsageSource::Provider
        },
    }
}

/// The less sure of two kinds.
fn weaker(a: CostKind, b: CostKind) -> CostKind {
    let doubt = |kind| match kind {
        CostKind::Free => 0,
        CostKind::Billed => 1,
        CostKind::Exact => 2,
        CostKind::Estimated => 3,
        CostKind::Unknown => 4,
    };
    if doubt(a) >= doubt(b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_no_surer_than_its_least_sure_part() {
        use CostKind::{Billed, Estimated, Exact, Free, Unknown};
        for (a, b, sum) in [
            (Free, Free, Free),
            (Free, Exact, Exact),
            (Billed, Exact, Exact),
            (Exact, Estimated, Estimated),
            (Unknown, Billed, Unknown),
        ] {
            assert_eq!((weaker(a, b), weaker(b, a)), (sum, sum));
        }
    }

    #[test]
    fn tokens_of_which_some_were_counted_here_are_counted() {
        let provider = Usage {
            source: UsageSource::Provider,
            ..Usage::counted(3, 4)
        };
        assert_eq!(together(provider, provider).source, UsageSource::Provider);
        assert_eq!(
            together(provider, Usage::counted(1, 2)),
            Usage::counted(4, 6)
        );
    }
}
