//! A plan as the exchange carries it along.

use crate::catalog::Model;
use crate::chat::id::ExchangeId;
use crate::chat::{Effort, ModelId};
use crate::gateway::plan::inputs::CandidateModel;
use crate::protocol::{Counterfactual, Fitted, Left, Spread};
use crate::router::{self, Plan, QuestionKind};
use crate::tokens::TokenCount;

/// A plan, with the models in it and the money it was made for.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) left: Option<Left>,
    /// What was left out so that it fits.
    pub(crate) fitted: Option<Fitted>,
    pub(in crate::gateway) kind: QuestionKind,
    /// The rungs that were considered, followed by the models that are only compared with.
    pub(in crate::gateway) candidates: Vec<CandidateModel>,
}

impl Planned {
    /// Everything known of a model of the plan.
    pub(crate) fn model(&self, id: &ModelId) -> Option<&Model> {
        self.candidate(id).map(|c| &c.model)
    }

    /// The other models whose window is known to be no larger than this one's.
    pub(in crate::gateway) fn not_larger(&self, than: &ModelId) -> Vec<ModelId> {
        let rungs = self.plan.fallbacks.iter().map(|rung| &rung.model);
        rungs
            .filter(|id| *id != than && !self.is_larger(id, than))
            .cloned()
            .collect()
    }

    /// Whether a fallback takes a longer question than this model.
    pub(in crate::gateway) fn has_larger(&self, than: &ModelId) -> bool {
        self.plan
            .fallbacks
            .iter()
            .any(|rung| self.is_larger(&rung.model, than))
    }

    fn is_larger(&self, id: &ModelId, than: &ModelId) -> bool {
        let window = |id: &ModelId| self.model(id).and_then(|model| model.context);
        window(id) > window(than)
    }

    /// Whether the first of the rungs that were looked at is not the one chosen.
    pub(in crate::gateway) fn steps_down(&self) -> bool {
        self.candidates.first().is_some_and(|best| {
            let first = &self.plan.first;
            (&best.model.id, best.effort) != (&first.model, first.effort)
        })
    }

    /// The input as counted for a model of the plan, before anything learned of the model is applied.
    pub(in crate::gateway) fn input(&self, id: &ModelId) -> TokenCount {
        self.candidate(id).map(|c| c.counted).unwrap_or_default()
    }

    /// How long such answers of the chosen rung have been.
    pub(in crate::gateway) fn usual(&self) -> Option<Spread> {
        let first = &self.plan.first;
        let chosen = self
            .candidates
            .iter()
            .find(|c| c.model.id == first.model && c.effort == first.effort);
        router::spread(chosen?.lengths.as_ref())
    }

    /// What was looked at, with the effort of each.
    pub(in crate::gateway) fn rungs(&self) -> impl Iterator<Item = (ModelId, Option<Effort>)> {
        self.candidates
            .iter()
            .map(|candidate| (candidate.model.id.clone(), candidate.effort))
    }

    /// What the question is expected to cost on the models of `compared`, without the chosen one.
    pub(in crate::gateway) fn others(&self, compared: &[ModelId]) -> Vec<Counterfactual> {
        let candidates = compared
            .iter()
            .filter(|id| **id != self.plan.first.model)
            .filter_map(|id| {
                self.candidates
                    .iter()
                    .find(|candidate| candidate.model.id == *id)
            });
        candidates
            .map(|candidate| {
                let output = router::expected_output(candidate.lengths.as_ref());
                let price = candidate.model.price.as_ref();
                Counterfactual {
                    model: candidate.model.id.clone(),
                    usd: price.map(|price| price.expected(candidate.input.tokens, output)),
                }
            })
            .collect()
    }

    fn candidate(&self, id: &ModelId) -> Option<&CandidateModel> {
        self.candidates.iter().find(|c| c.model.id == *id)
    }
}

/// What an exchange has tried so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tried {
    /// Whose charges count against the limit of one request.
    pub(in crate::gateway) exchange: Option<ExchangeId>,
    pub(in crate::gateway) models: Vec<ModelId>,
    /// Why the last of them was not even asked; in words.
    pub(in crate::gateway) why: Option<String>,
    /// The plan will be sent, so it is worth reading keys that have a limit of their own.
    pub(in crate::gateway) sends: bool,
    /// Plan as if no limit were set: for an answer from the cache, which costs nothing.
    pub(in crate::gateway) for_nothing: bool,
}
