//! What the store knows for a plan: how the limits stand, how long answers were, how models count and do.
//!
//! Owns: one look into the store for each plan, and putting what was learned to a count.
//! Refuses: to choose, and to write.
//! Invariant: all figures of a plan are of one moment.

use crate::budget::{Budget, ChargePlace, GroupBudget, LimitsSnapshot, Spending, moment_in_words};
use crate::catalog::Model;
use crate::chat::{Effort, Failure, Scope, Timestamp};
use crate::gateway::plan::candidates::{Tried, tokenizer};
use crate::gateway::{Ask, Gateway};
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

/// A model, and the effort that would be sent.
pub(in crate::gateway) type Asked = (Model, Option<Effort>);

/// What is known of a model before anything is counted.
pub(in crate::gateway) struct Known {
    lengths: Option<Lengths>,
    health: Health,
    calibration: Option<Calibration>,
}

pub(in crate::gateway) struct PlanInputs {
    pub(in crate::gateway) standing: LimitsSnapshot,
    pub(in crate::gateway) pace: PaceInput,
    /// In the order of the rungs.
    pub(in crate::gateway) known: Vec<Known>,
}

impl Gateway {
    pub(in crate::gateway) async fn figures(
        &self,
        ask: &Ask,
        tried: &Tried,
        rungs: &[Asked],
        kind: QuestionKind,
        now: Timestamp,
    ) -> Result<PlanInputs, Failure> {
        self.read_keys_for_plan(rungs, !tried.sends).await;
        let budget = self.budget_of_plan();
        let (session, exchange, run) = (
            ask.session.clone(),
            tried.exchange.clone(),
            self.parts.run.clone(),
        );
        let (raise, confined) = (
            ask.raise,
            self.group_budget().is_some_and(GroupBudget::is_away),
        );
        let is_guess = |model: &Model| matches!(tokenizer(model), Tokenizer::Guess(_));
        let rungs: Vec<_> = rungs
            .iter()
            .map(|(m, effort)| (m.id.clone(), *effort, is_guess(m)))
            .collect();
        let look = move |db: &mut Db| {
            let booked = ChargePlace {
                session: Some(&session),
                exchange: exchange.as_ref(),
                run: &run,
            };
            let mut standing = Spending(&budget)
                .standing(db, &booked, raise, now)?
                .counting_keys();
            if confined {
                Spending(&budget).confine(db, &mut standing, now)?;
            }
            let windows = windows(&standing, &budget, now);
            let pace = PaceInput {
                now,
                windows,
                held: db.remembered(PACE)?.unwrap_or(0),
            };
            let known = rungs.iter().map(|(id, effort, guessed)| {
                Ok(Known {
                    lengths: PastLengths(db).lengths(id, *effort, kind.as_str())?,
                    health: ServerHealth(db).health(id, now)?,
                    calibration: if *guessed {
                        EstimateHistory(db).calibration(id)?
                    } else {
                        None
                    },
                })
            });
            Ok(PlanInputs {
                known: known.collect::<Result<_, StoreError>>()?,
                standing,
                pace,
            })
        };
        self.store().await?.run(look).await.map_err(Failure::from)
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

impl Known {
    /// Puts what is known and what was counted together.
    pub(in crate::gateway) fn of(
        self,
        (model, effort): Asked,
        counted: TokenCount,
    ) -> CandidateModel {
        let learned = self
            .calibration
            .map(|calibration| calibration.apply(counted.tokens));
        // The bound stays: a budget does not stand on what usually happens.
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
