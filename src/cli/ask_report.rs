//! `ask --json`: a run as one object.
//!
//! Owns: the shape that scripts rely on, made by a fold over the same events that the screen shows.
//! Refuses: floats for money; an unknown price is `null`, never 0.
//! Invariant: the object has the same keys whether the run went well, failed, or was only estimated.

use serde::Serialize;

use crate::chat::usage::{Usage, UsageSource};
use crate::chat::{Cost, CostKind, Failure, FailureKind, SessionId, Usd};
use crate::protocol::{
    Answer, AnswerFacts, Attempt, CacheHit, Considered, Counterfactual, Estimate, Fitted, Latency,
    Quote, Refused, Route, RouteMode, Spread, Started, Warm,
};
use crate::store::ChargeSum;

/// The object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct AskReport {
    /// Absent from an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    model: Option<String>,
    session: Option<String>,
    finish_reason: Option<String>,
    route: Option<RouteReport>,
    usage: UsageReport,
    estimate: Option<EstimateReport>,
    cost: CostReport,
    cache: CacheReport,
    latency: LatencyReport,
    attempts: Vec<Attempt>,
    /// What was done so that the input fits the window; absent when it fits unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    fitted: Option<Fitted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct RouteReport {
    mode: RouteMode,
    reason: String,
    considered: Vec<Considered>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct UsageReport {
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    source: UsageSource,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct EstimateReport {
    input_tokens: u64,
    output_tokens: u64,
    expected_usd: Option<Usd>,
    worst_usd: Option<Usd>,
    /// How long such answers have been; absent before there are enough, and once it is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    usual: Option<Spread>,
    /// What it would cost on the other favourites and rungs; absent once it is answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<Counterfactual>,
    /// What another model's provider still has in its cache, and that this choice would not use.
    #[serde(skip_serializing_if = "Option::is_none")]
    warm: Option<Warm>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct CostReport {
    usd: Option<Usd>,
    kind: CostKind,
    /// null: what the cache spared has no price.
    saved_usd: Option<Usd>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct CacheReport {
    hit: CacheHit,
    age_s: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct LatencyReport {
    ttft_ms: Option<u64>,
    total_ms: u64,
    tokens_per_second: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ErrorReport {
    kind: FailureKind,
    message: String,
    hint: Option<String>,
}

/// What a run cost, for `--cost-file`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct CostLine<'a> {
    model: &'a Option<String>,
    session: &'a Option<String>,
    #[serde(flatten)]
    cost: &'a CostReport,
}

/// What happened in a run before its end.
#[derive(Debug, Default)]
pub(super) struct RunProgress {
    /// The newest attempt.
    pub(super) started: Option<Box<Started>>,
    pub(super) attempts: Vec<Attempt>,
}

impl AskReport {
    /// A run that went well, or was cut.
    pub(super) fn of_answer(answer: &Answer) -> Self {
        let facts = &answer.facts;
        Self {
            answer: Some(answer.text.clone()),
            session: Some(answer.session.to_string()),
            ..Self::of_facts(facts)
        }
    }

    /// What sending would do; nothing was sent.
    pub(super) fn of_quote(quote: &Quote) -> Self {
        let mut report = Self::empty();
        report.answer = None;
        report.model = Some(quote.model.to_string());
        report.route = Some(route(&quote.route));
        report.estimate = Some(EstimateReport {
            usual: quote.usual,
            others: quote.others.clone(),
            warm: quote.warm.clone(),
            ..estimate(&quote.estimate)
        });
        if let Some(kept) = quote.kept.as_ref().filter(|kept| kept.model == quote.model) {
            report.cache = CacheReport {
                hit: kept.tier,
                age_s: kept.age_s,
            };
        }
        report.fitted(quote.fitted)
    }

    /// Why nothing would be sent.
    pub(super) fn of_refusal(refused: &Refused) -> Self {
        let nothing = RunProgress::default();
        let report = Self::of_failure(&refused.failure, refused.route.as_ref(), &nothing, None);
        Self {
            answer: None,
            ..report
        }
    }

    /// A run that failed, with whatever had arrived.
    pub(super) fn of_failure(
        failure: &Failure,
        considered: Option<&Route>,
        progress: &RunProgress,
        answer: Option<&Answer>,
    ) -> Self {
        let mut report = answer.map_or_else(|| Self::of_progress(progress), Self::of_answer);
        if report.route.is_none() {
            report.route = considered.map(route);
        }
        report.error = Some(ErrorReport {
            kind: failure.kind,
            message: failure.message.clone(),
            hint: failure.hint.clone(),
        });
        report
    }

    /// With what the ledger has for this run, and the chat that it is booked on.
    pub(super) fn booked(mut self, sum: &ChargeSum, session: Option<SessionId>) -> Self {
        self.session = self.session.or_else(|| session.map(|id| id.to_string()));
        self.cost.usd = (sum.unknown == 0).then_some(sum.settled);
        self.cost.kind = match self.cost.kind {
            _ if sum.unknown > 0 => CostKind::Unknown,
            _ if sum.estimated => CostKind::Estimated,
            kind => kind,
        };
        self
    }

    /// With what was done so that it fits.
    pub(super) fn fitted(self, fitted: Option<Fitted>) -> Self {
        Self { fitted, ..self }
    }

    /// A run without an answer, as far as it came.
    fn of_progress(progress: &RunProgress) -> Self {
        let mut report = Self::empty();
        report.attempts.clone_from(&progress.attempts);
        if let Some(started) = &progress.started {
            report.model = Some(started.model.to_string());
            report.route = Some(route(&started.route));
            report.estimate = Some(estimate(&started.estimate));
        }
        report
    }

    /// The line for `--cost-file`.
    pub(super) fn cost_line(&self) -> CostLine<'_> {
        CostLine {
            model: &self.model,
            session: &self.session,
            cost: &self.cost,
        }
    }

    fn of_facts(facts: &AnswerFacts) -> Self {
        Self {
            model: Some(facts.model.to_string()),
            finish_reason: facts.finish.as_ref().map(|f| f.as_str().to_owned()),
            route: Some(route(&facts.route)),
            usage: usage(&facts.usage),
            estimate: Some(estimate(&facts.estimate)),
            cost: cost(facts.cost, facts.saved),
            cache: CacheReport {
                hit: facts.cache,
                age_s: facts.cache_age_s,
            },
            latency: latency(facts.latency),
            attempts: facts.attempts.clone(),
            ..Self::empty()
        }
    }

    /// A run in which nothing was sent.
    fn empty() -> Self {
        Self {
            answer: Some(String::new()),
            model: None,
            session: None,
            finish_reason: None,
            route: None,
            usage: usage(&Usage::counted(0, 0)),
            estimate: None,
            cost: cost(Cost::new(Usd::ZERO, CostKind::Exact), Some(Usd::ZERO)),
            cache: CacheReport {
                hit: CacheHit::None,
                age_s: 0,
            },
            latency: latency(Latency::default()),
            attempts: Vec::new(),
            fitted: None,
            error: None,
        }
    }
}

fn route(route: &Route) -> RouteReport {
    RouteReport {
        mode: route.mode,
        reason: route.reason.clone(),
        considered: route.considered.clone(),
    }
}

fn usage(usage: &Usage) -> UsageReport {
    UsageReport {
        input_tokens: usage.input(),
        cached_input_tokens: usage.cached_input,
        output_tokens: usage.output,
        reasoning_tokens: usage.reasoning,
        source: usage.source,
    }
}

fn estimate(estimate: &Estimate) -> EstimateReport {
    EstimateReport {
        input_tokens: estimate.input_tokens,
        output_tokens: estimate.output_tokens,
        expected_usd: estimate.expected_usd,
        worst_usd: estimate.worst_usd,
        usual: None,
        others: Vec::new(),
        warm: None,
    }
}

fn cost(cost: Cost, saved: Option<Usd>) -> CostReport {
    CostReport {
        usd: cost.usd,
        kind: cost.kind,
        saved_usd: saved,
    }
}

fn latency(latency: Latency) -> LatencyReport {
    let tenth = |rate: f64| (rate * 10.0).round() / 10.0;
    LatencyReport {
        ttft_ms: latency.ttft_ms,
        total_ms: latency.total_ms,
        tokens_per_second: latency.tokens_per_second.map(tenth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_same_keys_as_an_answer() {
        let failure = Failure::new(FailureKind::Budget, "over budget").hint("raise it");
        let report = serde_json::to_value(AskReport::of_failure(
            &failure,
            None,
            &RunProgress::default(),
            None,
        ))
        .unwrap();
        let keys: Vec<_> = report
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "answer",
                "model",
                "session",
                "finish_reason",
                "route",
                "usage",
                "estimate",
                "cost",
                "cache",
                "latency",
                "attempts",
                "error"
            ]
        );
        assert_eq!(report["error"]["kind"], "budget");
        assert_eq!(report["cost"]["usd"], "0");
    }
}
