//! What the store knows for a plan: how the limits stand, how long answers were, how models count and do.
//!
//! Owns: one look into the store for each plan, and putting what was learned to a count.
//! Refuses: to choose, and to write.
//! Invariant: all figures of a plan are of one moment.

use super::planning::{Tried, tokenizer};
use super::{Ask, Gateway};
use crate::budget::{Budget, Place, Purse, Standing, moment_in_words};
use crate::catalog::Model;
use crate::chat::{Effort, Failure, Scope, Timestamp};
use crate::router::{Kind, Pace, Window};
use crate::store::{Db, Health, Lengths, PACE, StoreError};
use crate::tokens::{Calibration, Count, Tokenizer};

/// A model that may be asked, or is only compared with, and everything known of this question on it.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub(super) model: Model,
    /// The effort that would be sent.
    pub(super) effort: Option<Effort>,
    /// As counted here.
    pub(super) counted: Count,
    /// With what was learned of the model.
    pub(super) input: Count,
    pub(super) band_permille: Option<u32>,
    pub(super) lengths: Option<Lengths>,
    pub(super) health: Health,
}

/// A model, and the effort that would be sent.
pub(super) type Asked = (Model, Option<Effort>);

/// What is known of a model before anything is counted.
pub(super) struct Known {
    lengths: Option<Lengths>,
    health: Health,
    calibration: Option<Calibration>,
}

pub(super) struct Figures {
    pub(super) standing: Standing,
    pub(super) pace: Pace,
    /// In the order of the rungs.
    pub(super) known: Vec<Known>,
}

impl Gateway {
    pub(super) async fn figures(
        &self,
        ask: &Ask,
        tried: &Tried,
        rungs: &[Asked],
        kind: Kind,
        now: Timestamp,
    ) -> Result<Figures, Failure> {
        self.read_keys_for_plan(rungs, !tried.sends).await;
        let budget = self.budget_of_plan();
        let (session, exchange, run) = (
            ask.session.clone(),
            tried.exchange.clone(),
            self.parts.run.clone(),
        );
        let (raise, confined) = (ask.raise, self.purse().is_some_and(Purse::is_away));
        let is_guess = |model: &Model| matches!(tokenizer(model), Tokenizer::Guess(_));
        let rungs: Vec<_> = rungs
            .iter()
            .map(|(m, effort)| (m.id.clone(), *effort, is_guess(m)))
            .collect();
        let look = move |db: &mut Db| {
            let booked = Place {
                session: Some(&session),
                exchange: exchange.as_ref(),
                run: &run,
            };
            let mut standing = budget.standing(db, &booked, raise, now)?.counting_keys();
            if confined {
                budget.confine(db, &mut standing, now)?;
            }
            let windows = windows(&standing, &budget, now);
            let pace = Pace {
                now,
                windows,
                held: db.remembered(PACE)?.unwrap_or(0),
            };
            let known = rungs.iter().map(|(id, effort, guessed)| {
                Ok(Known {
                    lengths: db.lengths(id, *effort, kind.as_str())?,
                    health: db.health(id, now)?,
                    calibration: if *guessed { db.calibration(id)? } else { None },
                })
            });
            Ok(Figures {
                known: known.collect::<Result<_, StoreError>>()?,
                standing,
                pace,
            })
        };
        self.store().await?.run(look).await.map_err(Failure::from)
    }
}

/// The limits that are spread over time.
fn windows(standing: &Standing, budget: &Budget, now: Timestamp) -> Vec<Window> {
    let window = |status: &crate::budget::Status| {
        let by = moment_in_words(now, &budget.zone, status.scope);
        Some(Window {
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
    pub(super) fn of(self, (model, effort): Asked, counted: Count) -> Contender {
        let learned = self
            .calibration
            .map(|calibration| calibration.apply(counted.tokens));
        // The bound stays: a budget does not stand on what usually happens.
        let input = learned.map_or(counted, |(tokens, _)| Count {
            tokens: tokens.min(counted.upper),
            ..counted
        });
        let band_permille = learned.map(|(_, band)| band);
        Contender {
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
