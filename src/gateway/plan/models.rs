//! The models that a question may be sent to.
//!
//! Owns: what is known of a model now, the ladder of a question, and which models are candidates.
//! Refuses: money and counts; the planner adds them.
//! Invariant: candidates come best first, and at least the built-in guide is there.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Lifecycle, Model, ModelApi, Price, PriceOrigin, TierField};
use crate::chat::{Clock, Effort, Failure, FailureKind, ModelId, Selection, Timestamp};
use crate::config::{Config, Env, LadderRung};
use crate::gateway::ask::Ask;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::provider::guide::{MODEL, OFFLINE};

/// A model, and the effort that would be sent.
pub(in crate::gateway) type ModelAndEffort = (Model, Option<Effort>);

/// The models as they stand now: the catalogue, the configuration and the state of the providers.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Models<'a> {
    pub(in crate::gateway) config: &'a Config,
    pub(in crate::gateway) catalog: &'a Catalog,
    pub(in crate::gateway) env: &'a Env,
    pub(in crate::gateway) clock: &'a Clock,
    pub(in crate::gateway) providers: &'a BTreeMap<String, ProviderState>,
}

impl Models<'_> {
    /// Why a model of this provider cannot be asked; `None`: it can.
    pub(in crate::gateway) fn unusable(&self, provider: &str) -> Option<String> {
        match self.providers.get(provider) {
            Some(state) => state.missing_key(self.env),
            None => Some(format!(
                "is at the provider `{provider}`, which is not configured"
            )),
        }
    }

    /// Leaves out the models that their servers did not know a moment ago, unless no other is left; says which was the
    /// best of them.
    pub(in crate::gateway) fn drop_missing(
        &self,
        rungs: &mut Vec<ModelAndEffort>,
        now: Timestamp,
    ) -> Option<String> {
        let missing = |model: &Model| {
            self.providers
                .get(model.id.provider())
                .is_some_and(|state| state.lacks(&model.id, now))
        };
        if rungs.iter().all(|(model, _)| missing(model)) {
            return None;
        }
        let best = rungs
            .first()
            .filter(|(model, _)| missing(model))
            .map(|(model, _)| model.id.clone());
        rungs.retain(|(model, _)| !missing(model));
        best.map(|id| format!("{} was not found at {}", id.model(), id.provider()))
    }

    /// The ladder for a question: an effort that the user set replaces those of the rungs, and rungs that become equal are
    /// there once.
    pub(in crate::gateway) fn ladder(&self, effort: Option<Effort>) -> Vec<LadderRung> {
        let mut ladder: Vec<LadderRung> = Vec::new();
        for rung in &self.config.router.ladder {
            let rung = LadderRung {
                effort: effort.or(rung.effort),
                ..rung.clone()
            };
            if !ladder.contains(&rung) {
                ladder.push(rung);
            }
        }
        ladder
    }

    /// The rungs that the router may choose from, best first, and why it is these when they are not simply the ladder.
    pub(in crate::gateway) fn candidates(
        &self,
        ask: &Ask,
    ) -> Result<(Vec<ModelAndEffort>, Option<String>), Failure> {
        let effort = ask.params.effort;
        if let Selection::Pinned(id) = &ask.selection {
            return Ok((vec![(self.get(id)?, effort)], None));
        }
        let ladder = self.ladder(effort);
        if ladder
            .iter()
            .any(|rung| self.unusable(rung.model.provider()).is_none())
        {
            let rung = |rung: LadderRung| Some((self.get(&rung.model).ok()?, rung.effort));
            return Ok((ladder.into_iter().filter_map(rung).collect(), None));
        }
        let dearest = self.dearest_first();
        if !dearest.is_empty() {
            let note = "no rung of the ladder has a key, so any priced model".to_owned();
            return Ok((
                dearest.into_iter().map(|model| (model, effort)).collect(),
                Some(note),
            ));
        }
        let guide = self.get(&ModelId::new(OFFLINE, MODEL))?;
        Ok((vec![(guide, effort)], Some("no key is set".to_owned())))
    }

    /// The priced models of the providers that have a key: the user's own first, then the catalogue's, dearest first.
    /// All of them, because with little money left only the last may fit.
    fn dearest_first(&self) -> Vec<Model> {
        let with_key = |id: &&ModelId| {
            let state = self.providers.get(id.provider());
            state.is_some_and(|s| s.provider.needs_key && s.missing_key(self.env).is_none())
        };
        let fit = |model: &Model| {
            model.status == Lifecycle::Current
                && model.dialect.api == ModelApi::Chat
                && model.price.is_some()
        };
        let as_of_now = |id: &ModelId| self.get(id).ok().filter(fit);
        let own = || self.config.models.iter().map(|entry| &entry.id);
        let listed = self
            .catalog
            .iter()
            .map(|model| &model.id)
            .filter(|id| own().all(|own| own != *id));
        let mut rest: Vec<_> = listed.filter(with_key).filter_map(as_of_now).collect();
        rest.sort_by_key(|model| std::cmp::Reverse(model.price.as_ref().map(|price| price.output)));
        own()
            .filter(with_key)
            .filter_map(as_of_now)
            .chain(rest)
            .collect()
    }

    /// The catalogue's entry for a model at today's price, or what may be assumed of a model that it does not know.
    pub(in crate::gateway) fn get(&self, id: &ModelId) -> Result<Model, Failure> {
        let provider = self
            .providers
            .get(id.provider())
            .map(|state| &state.provider);
        let local = provider.is_some_and(|p| p.local);
        if let Some(known) = self.catalog.get(id) {
            let mut model = known.clone();
            model.price = known.price_at(self.clock.now());
            if model.dialect.tier_field == TierField::AtHome
                && provider.is_some_and(|p| !p.own_address)
            {
                model.dialect.tier_field = TierField::Always;
            }
            return Ok(model);
        }
        if local || provider.is_some_and(|p| p.own_address) {
            let mut model = self.catalog.unlisted(id);
            model.price = local.then(|| Price::free(PriceOrigin::User, ""));
            return Ok(model);
        }
        let nearest = self.catalog.nearest(&id.to_string(), 3).join(", ");
        let failure = Failure::new(FailureKind::Usage, format!("there is no model {id}"));
        Err(if nearest.is_empty() {
            failure
        } else {
            failure.hint(format!("did you mean {nearest}?"))
        })
    }
}

#[cfg(test)]
mod tests;
