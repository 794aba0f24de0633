//! What the same would cost elsewhere.
//!
//! Owns: which models a question and an answer are compared with, the figures, and what a warm prefix is worth.
//! Refuses: to choose by them; they are for the eye.
//! Invariant: an unknown price is `None`, never zero.

use crate::catalog::{Lifecycle, Model, ModelApi};
use crate::chat::usage::Usage;
use crate::chat::{ModelId, Timestamp, Usd};
use crate::gateway::plan::candidates::Planned;
use crate::gateway::plan::inputs::Asked;
use crate::gateway::{Ask, Gateway, LastAnswer};
use crate::protocol::{Counterfactual, Warm};
use crate::router;

impl Gateway {
    /// The favourites and the models of the ladder, each once, without those that cannot be asked.
    pub(in crate::gateway) fn compared(&self, ask: &Ask) -> Vec<Asked> {
        let effort = ask.params.effort;
        let favourites = ask.favourites.iter().map(|id| (id.clone(), effort));
        let rungs = self
            .ladder(effort)
            .into_iter()
            .map(|rung| (rung.model, rung.effort));
        let mut found: Vec<Asked> = Vec::new();
        for (id, effort) in favourites.chain(rungs) {
            if found.iter().any(|(model, _)| model.id == id)
                || self.unusable(id.provider()).is_some()
            {
                continue;
            }
            let asked = |model: &Model| {
                model.dialect.api == ModelApi::Chat
                    && !matches!(model.status, Lifecycle::Retired { .. })
            };
            found.extend(
                self.model(&id)
                    .ok()
                    .filter(asked)
                    .map(|model| (model, effort)),
            );
        }
        found
    }

    /// What these tokens would have cost on the other favourites and rungs. The tokens are taken as they were counted and
    /// kept on the model that answered: a chat held on the other one would have its start in that one's cache as well.
    pub(in crate::gateway) fn others(
        &self,
        ask: &Ask,
        answered: &ModelId,
        usage: &Usage,
    ) -> Vec<Counterfactual> {
        let models = self
            .compared(ask)
            .into_iter()
            .map(|(model, _)| model)
            .filter(|model| model.id != *answered);
        models
            .map(|m| Counterfactual {
                usd: m.price.as_ref().map(|p| p.cost(usage)),
                model: m.id,
            })
            .collect()
    }

    /// The start of the chat that the provider of the last answer still has in its cache, and what reading it from there
    /// spares. `None` when nobody says that it is kept, when it is too short or too old, and when it spares nothing.
    pub fn warm(&self, last: &LastAnswer, now: Timestamp) -> Option<Warm> {
        let model = self.model(&last.model).ok()?;
        let kept = model.prompt_cache?;
        // The sum over the parts of a long input is no prefix of anything.
        if model.context.is_some_and(|holds| last.input_tokens > holds) {
            return None;
        }
        let until = last.at.plus(kept.lifetime);
        if last.input_tokens < kept.minimum_tokens || until <= now {
            return None;
        }
        let price = model.price.as_ref()?;
        let fresh = Usage::counted(last.input_tokens, 0);
        let read = Usage {
            uncached_input: 0,
            cached_input: last.input_tokens,
            ..fresh
        };
        let spares = price.cost(&fresh) - price.cost(&read);
        (spares > Usd::ZERO).then_some(Warm {
            model: model.id,
            tokens: last.input_tokens,
            until,
            spares,
        })
    }
}

impl Planned {
    /// What the question is expected to cost on the models of `compared`, without the chosen one.
    pub(in crate::gateway) fn others(&self, compared: &[ModelId]) -> Vec<Counterfactual> {
        let contenders = compared
            .iter()
            .filter(|id| **id != self.plan.first.model)
            .filter_map(|id| {
                self.contenders
                    .iter()
                    .find(|contender| contender.model.id == *id)
            });
        contenders
            .map(|contender| {
                let output = router::expected_output(contender.lengths.as_ref());
                let price = contender.model.price.as_ref();
                Counterfactual {
                    model: contender.model.id.clone(),
                    usd: price.map(|price| price.expected(contender.input.tokens, output)),
                }
            })
            .collect()
    }
}
