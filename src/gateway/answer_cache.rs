//! Answers that were given before, and keeping new ones.
//!
//! Owns: the cache key of a question, the look-ups, and which answers are kept.
//! Refuses: tiers (the cache's) and storing an answer that it gives (the exchange does).
//! Invariant: an answer is kept under the model that gave it, whole or not at all; a hit costs nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use crate::cache::{AnswerHit, Cache, CachedAnswer, Flight, LeadGuard, repeatable, worth_keeping};
use crate::chat::request::Digest;
use crate::chat::{Clock, Effort, Failure, ModelId, Params, Reply};
use crate::gateway::ask::{Ask, Stale};
use crate::gateway::money::cancellable_write::interrupted;
use crate::gateway::plan::compare;
use crate::gateway::plan::models::{ModelAndEffort, Models};
use crate::gateway::stream::reporter::Reporter;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::protocol::{AnswerFacts, Event, Kept};
use crate::provider::guide::OFFLINE;
use crate::redis::Waiting;
use crate::router::Rung;

/// Longer questions are not looked up while they are being written: reading them takes longer than a key may.
const LONGEST_QUOTED: usize = 256 * 1024;

/// The cache as questions see it.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct AnswerCache<'a> {
    cache: Option<&'a Cache>,
    /// Sampled answers are kept too.
    sampled: bool,
    providers: &'a BTreeMap<String, ProviderState>,
}

impl<'a> AnswerCache<'a> {
    /// `cache`: `None` when answers are neither looked up nor kept.
    pub(in crate::gateway) fn new(
        cache: Option<&'a Cache>,
        sampled: bool,
        providers: &'a BTreeMap<String, ProviderState>,
    ) -> Self {
        Self {
            cache,
            sampled,
            providers,
        }
    }

    /// Whether whole answers to questions with these settings are kept and given. The cache may hold others, from another
    /// program or an earlier configuration.
    pub(in crate::gateway) fn keeps(&self, params: &Params) -> bool {
        self.cache.is_some() && repeatable(params, self.sampled)
    }

    /// The cache key of a question to this model at its address.
    fn key(&self, ask: &Ask, said: Digest, model: &ModelId, effort: Option<Effort>) -> Digest {
        let provider = self.providers.get(model.provider());
        let endpoint = provider.and_then(|provider| provider.provider.endpoints.first());
        // The cap of a part follows from the money and the window; a whole answer is the same under any cap.
        let max_output = ask.params.max_output.filter(|_| ask.step.is_none());
        let params = Params {
            effort,
            max_output,
            ..ask.params
        };
        let url = endpoint.map_or("", |endpoint| endpoint.base_url());
        said.asked(model, &params, url)
    }

    /// The answer that the chosen model would give from this machine's cache, else the newest of one of the others.
    pub(in crate::gateway) async fn quoted(
        &self,
        ask: &Ask,
        chosen: &Rung,
        others: &[ModelAndEffort],
        clock: &Clock,
    ) -> Option<Kept> {
        let conversation = ask.conversation.messages().iter().map(|m| m.text.len());
        let short = conversation.sum::<usize>() + ask.question.len() <= LONGEST_QUOTED;
        let looks = ask.cached && !ask.refresh && self.keeps(&ask.params) && short;
        // The answers of the guide are not kept.
        let looks = looks && !ask.question.trim().is_empty() && chosen.model.provider() != OFFLINE;
        let cache = self.cache.filter(|_| looks)?;
        let (said, now) = (ask.said(), clock.now());
        let key = self.key(ask, said, &chosen.model, chosen.effort);
        if let Some(hit) = cache.get_here(key, now).await {
            return Some(kept(hit));
        }
        let mut newest: Option<AnswerHit> = None;
        for (model, effort) in others {
            let key = self.key(ask, said, &model.id, *effort);
            let hit = cache.get_here(key, now).await;
            newest = newest.into_iter().chain(hit).min_by_key(|hit| hit.age);
        }
        newest.map(kept)
    }

    /// The newest answer of one of these models that is still there, however old.
    pub(in crate::gateway) async fn newest(
        &self,
        ask: &Ask,
        said: impl FnOnce() -> Digest,
        models: &[ModelAndEffort],
        clock: &Clock,
    ) -> Option<AnswerHit> {
        let cache = self
            .cache
            .filter(|_| ask.cached && self.keeps(&ask.params))?
            .within(&Waiting::default());
        let (said, now) = (said(), clock.now());
        let mut newest: Option<AnswerHit> = None;
        for (model, effort) in models {
            let key = self.key(ask, said, &model.id, *effort);
            let hit = cache.get_stale(key, now).await;
            newest = newest.into_iter().chain(hit).min_by_key(|hit| hit.age);
        }
        newest
    }
}

/// The models whose old answers may be given: those that may answer this question and, where the user chooses an old
/// answer, those that it is compared with as well.
pub(in crate::gateway) fn stale_models(
    models: Models<'_>,
    ask: &Ask,
    way: Stale,
) -> Option<Vec<ModelAndEffort>> {
    let (mut found, _) = models.candidates(ask).ok()?;
    if way == Stale::Only {
        found.extend(compare::compared(models, ask));
    }
    found.retain(|(model, _)| models.unusable(model.id.provider()).is_none());
    Some(found)
}

/// One exchange's use of the cache.
pub(in crate::gateway) struct ExchangeCache<'g> {
    answers: AnswerCache<'g>,
    /// How long the exchange has waited for Redis.
    waiting: &'g Waiting,
    clock: &'g Clock,
    /// The digest of the question, from the moment on from which it is not cut any more. The question may be long, so it
    /// is read once.
    said: OnceLock<Digest>,
    /// The duty to fetch the answer for all that ask the same at this moment, and its cache key.
    lead: Option<(Digest, LeadGuard)>,
}

impl<'g> ExchangeCache<'g> {
    pub(in crate::gateway) fn new(
        answers: AnswerCache<'g>,
        waiting: &'g Waiting,
        clock: &'g Clock,
    ) -> Self {
        Self {
            answers,
            waiting,
            clock,
            said: OnceLock::new(),
            lead: None,
        }
    }

    /// The cache, where this question may use it. The guide's answers cost nothing and change with the program.
    fn cache(&self, ask: &Ask, model: &ModelId) -> Option<Cache> {
        let usable = ask.cached && model.provider() != OFFLINE;
        Some(self.answers.cache.filter(|_| usable)?.within(self.waiting))
    }

    fn said(&self, ask: &Ask) -> Digest {
        *self.said.get_or_init(|| ask.said())
    }

    fn key(&self, ask: &Ask, rung: &Rung) -> Digest {
        self.answers
            .key(ask, self.said(ask), &rung.model, rung.effort)
    }

    /// The answer to this question, if it is in the cache and may be given.
    pub(in crate::gateway) async fn look_up(
        &self,
        ask: &Ask,
        rung: &Rung,
        reporter: &Reporter<'_>,
    ) -> Option<AnswerHit> {
        let gives = !ask.refresh && self.answers.keeps(&ask.params);
        let cache = self.cache(ask, &rung.model).filter(|_| gives)?;
        let hit = cache.get(self.key(ask, rung), self.clock.now()).await;
        if let Some(text) = cache.trouble() {
            reporter.warn(text).await;
        }
        hit
    }

    /// Of all exchanges that ask the same at the same time, here or in another process, one fetches the answer. `Some`:
    /// another one has fetched it meanwhile. An exchange that waits for it holds no money, and does not wait for ever.
    pub(in crate::gateway) async fn take_lead(
        &mut self,
        ask: &Ask,
        rung: &Rung,
        reporter: &Reporter<'_>,
        stop: &CancellationToken,
    ) -> Result<Option<AnswerHit>, Failure> {
        let keeps = repeatable(&ask.params, self.answers.sampled) && !ask.refresh;
        let Some(cache) = self.cache(ask, &rung.model).filter(|_| keeps) else {
            return Ok(None);
        };
        let key = self.key(ask, rung);
        let follower = match cache.join(key).await {
            Flight::Lead(guard) => {
                // Another exchange may have put it there between our look-up and our lead.
                let hit = cache.get(key, self.clock.now()).await;
                if hit.is_none() {
                    self.lead = Some((key, guard));
                }
                return Ok(hit);
            }
            Flight::Follow(follower) => follower,
        };
        let pausing = Event::Pausing {
            why: "the same question is being answered already".to_owned(),
            ms: 0,
        };
        reporter.emit(pausing).await;
        let hit = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(interrupted()),
            () = tokio::time::sleep(cache.patience()) => return Ok(None),
            hit = follower.wait(self.clock.now()) => hit,
        };
        match hit {
            Some(hit) => Ok(Some(hit)),
            // The leader failed, or may not keep its answer. That may hold for all, and then each would wait for the one
            // before: so all go ahead.
            None => Ok(cache.get(key, self.clock.now()).await),
        }
    }

    /// The newest answer of these models, however old.
    pub(in crate::gateway) async fn newest(
        &self,
        ask: &Ask,
        models: &[ModelAndEffort],
    ) -> Option<AnswerHit> {
        let said = || self.said(ask);
        self.answers.newest(ask, said, models, self.clock).await
    }

    /// Keeps a whole answer, under the model that gave it.
    pub(in crate::gateway) fn keep(
        &mut self,
        ask: &Ask,
        rung: &Rung,
        reply: &Reply,
        facts: &AnswerFacts,
    ) {
        let Some(cache) = self.cache(ask, &rung.model) else {
            return;
        };
        if !worth_keeping(reply, &ask.params, self.answers.sampled) {
            return;
        }
        let entry = CachedAnswer {
            model: rung.model.clone(),
            text: reply.text.clone(),
            reasoning: reply.reasoning.clone(),
            usage: facts.usage,
            cost: facts.cost.usd,
            at: self.clock.now(),
        };
        let key = self.key(ask, rung);
        match self.lead.take() {
            Some((led, guard)) if led == key => guard.put(&entry),
            // Another model has answered: those that wait for the first one ask it themselves.
            _ => cache.put(key, &entry),
        }
    }
}

/// An answer in the cache, as a front end shows it.
pub(in crate::gateway) fn kept(hit: AnswerHit) -> Kept {
    let AnswerHit {
        entry,
        tier,
        age,
        expired,
    } = hit;
    Kept {
        model: entry.model,
        tier,
        age_s: age.as_secs(),
        expired,
        usd: entry.cost,
    }
}
