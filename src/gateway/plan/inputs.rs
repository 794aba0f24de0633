//! What the store knows for a plan: how the limits stand, how long answers were, how models count and do.
//!
//! Owns: one look into the store for each plan, and applying what was learned to a count.
//! Refuses: to choose, and to write.
//! Invariant: all figures of a plan are of one moment.

use crate::budget::{Budget, ChargePlace, LimitsSnapshot, Spending, moment_in_words};
use crate::catalog::Model;
use crate::chat::id::ExchangeId;
use crate::chat::{Effort, ModelId, Scope, SessionId, Timestamp};
use crate::gateway::plan::count::tokenizer;
use crate::gateway::plan::models::ModelAndEffort;
use crate::protocol::Raise;
use crate::router::{PaceInput, PaceWindow, QuestionKind};
use crate::store::{
    Db, EstimateHistory, Health, Lengths, PACE, PastLengths, ServerHealth, StoreError,
};
use crate::tokens::{Calibration, TokenCount, Tokenizer};

/// A model that may be asked, or is only compared with, and everything known of this question on it.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct CandidateModel {
    pub(in crate::gateway) model: Model,
    /// The effort that would be sent.
    pub(in crate::gateway) effort: Option<Effort>,
    /// As counted here.
    pub(in crate::gateway) counted: TokenCount,
    /// With what was learned of the model.
    pub(in crate::gateway) input: TokenCount,
    pub(in crate::gateway) band_permille: Option<u32>,
    pub(in crate::gateway) lengths: Option<Lengths>,
    pub(in crate::gateway) health: Health,
}

/// What is known of a model before anything is counted.
pub(in crate::gateway) struct ModelHistory {
    lengths: Option<Lengths>,
    health: Health,
    calibration: Option<Calibration>,
}

/// What the store says for one plan.
pub(in crate::gateway) struct PlanInputs {
    pub(in crate::gateway) standing: LimitsSnapshot,
    pub(in crate::gateway) pace: PaceInput,
    /// In the order of the models.
    pub(in crate::gateway) histories: Vec<ModelHistory>,
}

/// What the store is asked for one plan.
pub(in crate::gateway) struct InputsQuery {
    pub(in crate::gateway) budget: Budget,
    pub(in crate::gateway) session: SessionId,
    pub(in crate::gateway) exchange: Option<ExchangeId>,
    pub(in crate::gateway) run: String,
    pub(in crate::gateway) raise: Option<Raise>,
    /// Redis cannot be reached: of a group's budget only what is leased already can be spent.
    pub(in crate::gateway) confined: bool,
    pub(in crate::gateway) kind: QuestionKind,
    pub(in crate::gateway) models: Vec<HistoryQuery>,
    pub(in crate::gateway) now: Timestamp,
}

/// Which history of a model is asked for.
pub(in crate::gateway) struct HistoryQuery {
    model: ModelId,
    effort: Option<Effort>,
    /// Its tokens are only guessed at, so what was learned of its real counts matters.
    is_guess: bool,
}

impl HistoryQuery {
    pub(in crate::gateway) fn of((model, effort): &ModelAndEffort) -> Self {
        Self {
            model: model.id.clone(),
            effort: *effort,
            is_guess: matches!(tokenizer(model), Tokenizer::Guess(_)),
        }
    }
}

impl PlanInputs {
    /// Reads everything at one moment.
    pub(in crate::gateway) fn read(db: &mut Db, query: &InputsQuery) -> Result<Self, StoreError> {
        let (budget, now) = (&query.budget, query.now);
        let booked = ChargePlace {
            session: Some(&query.session),
            exchange: query.exchange.as_ref(),
            run: &query.run,
        };
        let mut standing = Spending(budget)
            .standing(db, &booked, query.raise, now)?
            .counting_keys();
        if query.confined {
            Spending(budget).confine(db, &mut standing, now)?;
        }
        let pace = PaceInput {
            now,
            windows: windows(&standing, budget, now),
            held: db.remembered(PACE)?.unwrap_or(0),
        };
        let histories = query.models.iter().map(|asked| {
            let calibration = if asked.is_guess {
                EstimateHistory(db).calibration(&asked.model)?
            } else {
                None
            };
            Ok(ModelHistory {
                lengths: PastLengths(db).lengths(
                    &asked.model,
                    asked.effort,
                    query.kind.as_str(),
                )?,
                health: ServerHealth(db).health(&asked.model, now)?,
                calibration,
            })
        });
        Ok(Self {
            histories: histories.collect::<Result<_, StoreError>>()?,
            standing,
            pace,
        })
    }
}

/// The limits that are spread over time.
fn windows(standing: &LimitsSnapshot, budget: &Budget, now: Timestamp) -> Vec<PaceWindow> {
    let window = |status: &crate::budget::ScopeStatus| {
        let by = moment_in_words(now, &budget.zone, status.scope);
        Some(PaceWindow {
            scope: status.scope,
            began_at: status.began_at?,
            resets_at: status.resets_at?,
            spent: status.meter.settled,
            limit: status.meter.limit?,
            by,
        })
    };
    standing
        .scopes
        .iter()
        .filter(|status| matches!(status.scope, Scope::Day | Scope::Month))
        .filter_map(window)
        .collect()
}

impl ModelHistory {
    /// The candidate that this history and a count make together.
    pub(in crate::gateway) fn candidate(
        self,
        (model, effort): ModelAndEffort,
        counted: TokenCount,
    ) -> CandidateModel {
        let learned = self
            .calibration
            .map(|calibration| calibration.apply(counted.tokens));
        // The upper bound stays: a budget must not rely on what usually happens.
        let input = learned.map_or(counted, |(tokens, _)| TokenCount {
            tokens: tokens.min(counted.upper),
            ..counted
        });
        let band_permille = learned.map(|(_, band)| band);
        CandidateModel {
            model,
            effort,
            counted,
            input,
            band_permille,
            lengths: self.lengths,
            health: self.health,
        }
    }
}
