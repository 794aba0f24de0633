//! What the same would cost elsewhere.
//!
//! Owns: which models a question and an answer are compared with, the figures, and what a warm prefix saves.
//! Refuses: to choose by them; they are for display.
//! Invariant: an unknown price is `None`, never zero.

use crate::catalog::{Lifecycle, Model, ModelApi};
use crate::chat::usage::Usage;
use crate::chat::{ModelId, Timestamp, Usd};
use crate::gateway::ask::{Ask, LastAnswer};
use crate::gateway::plan::models::{ModelAndEffort, Models};
use crate::protocol::{Counterfactual, Warm};

/// The favourites and the models of the ladder, each once, without those that cannot be asked.
pub(in crate::gateway) fn compared(models: Models<'_>, ask: &Ask) -> Vec<ModelAndEffort> {
    let effort = ask.params.effort;
    let favourites = ask.favourites.iter().map(|id| (id.clone(), effort));
    let rungs = models
        .ladder(effort)
        .into_iter()
        .map(|rung| (rung.model, rung.effort));
    let mut found: Vec<ModelAndEffort> = Vec::new();
    for (id, effort) in favourites.chain(rungs) {
        if found.iter().any(|(model, _)| model.id == id) || models.unusable(id.provider()).is_some()
        {
            continue;
        }
        let asked = |model: &Model| {
            model.dialect.api == ModelApi::Chat
                && !matches!(model.status, Lifecycle::Retired { .. })
        };
        found.extend(
            models
                .get(&id)
                .ok()
                .filter(asked)
                .map(|model| (model, effort)),
        );
    }
    found
}

/// What these tokens would have cost on the other favourites and rungs. The tokens are taken as they were counted and
/// kept on the model that answered: a chat held on the other one would have its start in that one's cache as well.
pub(in crate::gateway) fn counterfactuals(
    models: Models<'_>,
    ask: &Ask,
    answered: &ModelId,
    usage: &Usage,
) -> Vec<Counterfactual> {
    let others = compared(models, ask)
        .into_iter()
        .map(|(model, _)| model)
        .filter(|model| model.id != *answered);
    others
        .map(|m| Counterfactual {
            usd: m.price.as_ref().map(|p| p.cost(usage)),
            model: m.id,
        })
        .collect()
}

/// The start of the chat that the provider of the last answer still has in its cache, and what reading it from there
/// spares. `None` when the catalogue has no such cache, when the start is too short or too old, and when it spares nothing.
pub(in crate::gateway) fn warm(
    models: Models<'_>,
    last: &LastAnswer,
    now: Timestamp,
) -> Option<Warm> {
    let model = models.get(&last.model).ok()?;
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
