//! The cache, as an exchange uses it.
//!
//! Owns: the key of a question, the look-up, an answer given from the cache, and which answers are kept.
//! Refuses: tiers; those are the cache's.
//! Invariant: an answer is kept under the model that gave it, whole or not at all; a hit costs nothing.

use std::sync::Arc;

use crate::cache::{Cache, Entry, Flight, Hit, repeatable, worth_keeping};
use crate::chat::request::Digest;
use crate::chat::{
    Cost, CostKind, Effort, Failure, Finish, ModelId, Params, Reply, Selection, Usd, span,
};
use crate::gateway::attempt::run::AttemptContext;
use crate::gateway::exchange::{ExchangeRun, interrupted};
use crate::gateway::plan::compare::{compared, counterfactuals};
use crate::gateway::plan::models::ModelAndEffort;
use crate::gateway::plan::planned::{Planned, Tried};
use crate::gateway::{Ask, Gateway, Stale, steps};
use crate::protocol::{AnswerFacts, Circuit, Event, Kept, Latency, Level, Notice, Offer};
use crate::provider::guide::OFFLINE;
use crate::redis::Waiting;
use crate::router::Rung;
use crate::store::Ending;

/// Longer questions are not looked up while they are being written: reading them costs more than a key may.
const LOOKED_UP: usize = 256 * 1024;

impl Gateway {
    /// The key of the cache for what was `said`, asked of this model at the address that it has.
    fn key(&self, ask: &Ask, said: Digest, model: &ModelId, effort: Option<Effort>) -> Digest {
        let route = self.routes.get(model.provider());
        let endpoint = route.and_then(|route| route.provider.endpoints.first());
        // The cap of a part follows from the money and the window; a whole answer is one under any cap.
        let max_output = ask.params.max_output.filter(|_| ask.step.is_none());
        let params = Params {
            effort,
            max_output,
            ..ask.params
        };
        said.asked(
            model,
            &params,
            endpoint.map_or("", |endpoint| endpoint.base_url()),
        )
    }

    /// Whether whole answers to questions with these settings are kept, and given: somebody else, or an earlier
    /// configuration, may have kept what is not wanted now.
    pub fn keeps(&self, params: &Params) -> bool {
        self.parts.cache.is_some() && repeatable(params, self.parts.config.cache.sampled)
    }

    /// The answer that the chosen model would give from the cache, else the newest that one of the others has given.
    pub(in crate::gateway) async fn kept(
        &self,
        ask: &Ask,
        chosen: &Rung,
        others: &[ModelAndEffort],
    ) -> Option<Kept> {
        let short = ask
            .conversation
            .messages()
            .iter()
            .map(|m| m.text.len())
            .sum::<usize>()
            + ask.question.len();
        let looks = ask.cached && !ask.refresh && self.keeps(&ask.params) && short <= LOOKED_UP;
        // Nothing is asked yet, or the guide is, whose answers are not kept.
        let looks = looks && !ask.question.trim().is_empty() && chosen.model.provider() != OFFLINE;
        let cache = self.parts.cache.as_ref().filter(|_| looks)?;
        let (said, now) = (ask.said(), self.parts.clock.now());
        if let Some(hit) = cache
            .get_here(self.key(ask, said, &chosen.model, chosen.effort), now)
            .await
        {
            return Some(kept(hit));
        }
        let mut newest: Option<Hit> = None;
        for (model, effort) in others {
            let hit = cache
                .get_here(self.key(ask, said, &model.id, *effort), now)
                .await;
            newest = newest.into_iter().chain(hit).min_by_key(|hit| hit.age);
        }
        newest.map(kept)
    }

    /// What can be had for a question that no provider could be reached for, by a user who would take it in this `way`.
    pub async fn offer(&self, ask: &Ask, way: Stale) -> Offer {
        let plan = self
            .planner()
            .plan(
                ask,
                &Tried {
                    for_nothing: true,
                    ..Tried::default()
                },
            )
            .await;
        let Ok(planned) = plan else {
            return Offer {
                kept: None,
                until: None,
            };
        };
        let kept = self.however_old(ask, || ask.said(), way).await.map(kept);
        let mut providers = planned
            .rungs()
            .map(|(model, _)| model.provider().to_owned())
            .collect::<Vec<_>>();
        providers.dedup();
        let now = self.parts.clock.now();
        let circuits = providers
            .iter()
            .filter_map(|name| Some(self.routes.get(name)?.health.circuit(now)));
        // As soon as one of them is open to requests there is nothing to wait for.
        let until = circuits.map(|circuit| {
            if let Circuit::Open { until } = circuit {
                Some(until)
            } else {
                None
            }
        });
        Offer {
            kept,
            until: until
                .collect::<Option<Vec<_>>>()
                .and_then(|all| all.into_iter().min()),
        }
    }

    /// The newest answer that is still there, however old: of those that may answer this question, and where the user
    /// chooses it by its name, of those that it is compared with as well.
    async fn however_old(
        &self,
        ask: &Ask,
        said: impl FnOnce() -> Digest,
        way: Stale,
    ) -> Option<Hit> {
        let cache = self
            .parts
            .cache
            .as_ref()
            .filter(|_| ask.cached && self.keeps(&ask.params))?;
        let cache = cache.within(&Waiting::default());
        let (mut models, _) = self.models().candidates(ask).ok()?;
        if way == Stale::Only {
            models.extend(compared(self.models(), ask));
        }
        let (said, now) = (said(), self.parts.clock.now());
        let mut newest: Option<Hit> = None;
        for (model, effort) in models
            .iter()
            .filter(|(model, _)| self.unusable(model.id.provider()).is_none())
        {
            let hit = cache
                .get_stale(self.key(ask, said, &model.id, *effort), now)
                .await;
            newest = newest.into_iter().chain(hit).min_by_key(|hit| hit.age);
        }
        newest
    }
}

fn kept(hit: Hit) -> Kept {
    let Hit {
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

impl ExchangeRun {
    /// An old answer, where the user takes one. `None`: they do not, or there is none.
    pub(in crate::gateway) async fn stale(
        &mut self,
        planned: &Planned,
    ) -> Option<Result<Event, Failure>> {
        if self.ask.stale == Stale::Never {
            return None;
        }
        let gateway = Arc::clone(&self.gateway);
        let hit = gateway
            .however_old(&self.ask, || self.said(), self.ask.stale)
            .await?;
        let (model, age) = (&hit.entry.model, span(hit.age.as_secs()));
        let text = match (self.ask.stale, &self.ask.selection) {
            (Stale::Only, _) => format!("this is what {model} answered {age} ago"),
            (_, Selection::Pinned(_)) => {
                format!("{model} cannot be reached: this is what it answered {age} ago")
            }
            (_, Selection::Auto) => {
                format!("no model can be reached: this is what {model} answered {age} ago")
            }
        };
        self.emit(Event::Notice(Notice {
            level: Level::Warning,
            text,
        }))
        .await;
        Some(self.answer_from_cache(planned, hit).await)
    }

    /// The cache, where this question may use it. The guide's answers cost nothing and change with the program.
    fn cache(&self, model: &ModelId) -> Option<Cache> {
        let cache = self.gateway.parts.cache.as_ref();
        Some(
            cache
                .filter(|_| self.ask.cached && model.provider() != OFFLINE)?
                .within(&self.waiting),
        )
    }

    /// What is asked, as a digest. The question may be a long one, and it is the same for as long as it is under way:
    /// it is read once.
    fn said(&self) -> Digest {
        *self.said.get_or_init(|| self.ask.said())
    }

    /// The key of the cache: the whole question, and the address it goes to.
    fn digest(&self, rung: &Rung) -> Digest {
        self.gateway
            .key(&self.ask, self.said(), &rung.model, rung.effort)
    }

    pub(in crate::gateway) async fn look_up(&self, rung: &Rung) -> Option<Hit> {
        let gives = !self.ask.refresh && self.gateway.keeps(&self.ask.params);
        let cache = self.cache(&rung.model).filter(|_| gives)?;
        let hit = cache.get(self.digest(rung), self.now()).await;
        if let Some(text) = cache.trouble() {
            self.emit(Event::Notice(Notice {
                level: Level::Warning,
                text,
            }))
            .await;
        }
        hit
    }

    /// Of all who ask the same at the same time, here or in another process, one fetches the answer. `Some`: another one
    /// has fetched it meanwhile. While somebody waits for it they hold no money, and they do not wait for ever.
    pub(in crate::gateway) async fn take_lead(
        &mut self,
        rung: &Rung,
    ) -> Result<Option<Hit>, Failure> {
        let gateway = Arc::clone(&self.gateway);
        let keeps = repeatable(&self.ask.params, gateway.parts.config.cache.sampled);
        let Some(cache) = self
            .cache(&rung.model)
            .filter(|_| keeps && !self.ask.refresh)
        else {
            return Ok(None);
        };
        let (digest, stop) = (self.digest(rung), self.stop.clone());
        let follower = match cache.join(digest).await {
            Flight::Lead(guard) => {
                // Somebody may have put it between our look and our lead.
                let hit = cache.get(digest, self.now()).await;
                if hit.is_none() {
                    self.lead = Some((digest, guard));
                }
                return Ok(hit);
            }
            Flight::Follow(follower) => follower,
        };
        self.emit(Event::Pausing {
            why: "the same question is being answered already".to_owned(),
            ms: 0,
        })
        .await;
        let hit = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(interrupted()),
            () = tokio::time::sleep(cache.patience()) => return Ok(None),
            hit = follower.wait(self.now()) => hit,
        };
        match hit {
            Some(hit) => Ok(Some(hit)),
            // Whoever fetched it failed, or may not keep it. It may be so for everybody, and then one would wait behind
            // the other: so all go ahead.
            None => Ok(cache.get(digest, self.now()).await),
        }
    }

    /// An answer that was given before: stored like any other, for nothing.
    pub(in crate::gateway) async fn answer_from_cache(
        &mut self,
        planned: &Planned,
        hit: Hit,
    ) -> Result<Event, Failure> {
        let rung = &planned.plan.first;
        let begin = (!self.stored).then(|| self.begin(planned));
        let total_ms = self.elapsed_ms();
        let facts = AnswerFacts {
            model: hit.entry.model.clone(),
            route: planned.plan.route.clone(),
            finish: Some(Finish::Stop),
            usage: hit.entry.usage,
            estimate: rung.estimate,
            cost: Cost::new(Usd::ZERO, CostKind::Exact),
            saved: hit.entry.cost,
            cache: hit.tier,
            cache_age_s: hit.age.as_secs(),
            stale: hit.expired,
            reasoning_usd: None,
            latency: Latency {
                ttft_ms: Some(total_ms),
                total_ms,
                tokens_per_second: None,
            },
            attempts: self.attempts.clone(),
            service_tier: None,
            others: counterfactuals(
                self.gateway.models(),
                &self.ask,
                &hit.entry.model,
                &hit.entry.usage,
            ),
        };
        let outcome = self.outcome(&facts, planned.input(&rung.model).tokens, None);
        let (answer, id, step) = (
            self.ask.answer.clone(),
            self.id.clone(),
            self.ask.step.clone(),
        );
        let (text, reasoning, answers) = (
            hit.entry.text.clone(),
            hit.entry.reasoning.clone(),
            self.ask.answers(),
        );
        let record = move |db: &crate::store::Db| {
            if let Some(begin) = &begin {
                db.begin_exchange(begin)?;
            }
            let facts = steps::whole(step.as_ref(), db, &answer, facts)?;
            if answers {
                db.append_answer(&answer, &text, &reasoning)?;
                db.finish_answer(&answer, Ending::Complete, Some(&facts))?;
            }
            db.finish_exchange(&id, &outcome)?;
            Ok(facts)
        };
        let facts = self
            .write_unless_stopped(record)
            .await?
            .ok_or_else(interrupted)?;
        if !self.stored {
            self.stored = true;
            self.prompted().await;
        }
        let model = planned.model(&rung.model);
        self.started(rung, model, &planned.plan.route, String::new())
            .await;
        let id = self.ask.answer.clone();
        if !hit.entry.reasoning.is_empty() {
            self.emit(Event::Reasoning {
                id: id.clone(),
                text: hit.entry.reasoning.clone(),
            })
            .await;
        }
        self.emit(Event::Text {
            id,
            text: hit.entry.text.clone(),
        })
        .await;
        Ok(Event::Finished(Box::new(self.answer(
            hit.entry.text,
            hit.entry.reasoning,
            facts,
        ))))
    }

    /// Keeps a whole answer for the next time, under the model that gave it.
    pub(in crate::gateway) fn keep(
        &mut self,
        on: &AttemptContext<'_>,
        reply: &Reply,
        facts: &AnswerFacts,
    ) {
        let Some(cache) = self.cache(&on.rung.model) else {
            return;
        };
        if worth_keeping(
            reply,
            &self.ask.params,
            self.gateway.parts.config.cache.sampled,
        ) {
            let entry = Entry {
                model: on.rung.model.clone(),
                text: reply.text.clone(),
                reasoning: reply.reasoning.clone(),
                usage: facts.usage,
                cost: facts.cost.usd,
                at: self.now(),
            };
            let digest = self.digest(on.rung);
            match self.lead.take() {
                Some((led, guard)) if led == digest => guard.put(&entry),
                // Another model has answered: whoever waits for the first one asks it themselves.
                _ => cache.put(digest, &entry),
            }
        }
    }
}
