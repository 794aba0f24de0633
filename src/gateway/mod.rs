//! One question on its way to a model and back: the exchange.
//!
//! Owns: the order of things (count, plan, cache, reserve, send, stream, settle, record), the only retry loop of the
//! program, keys in turn, and the guide that answers when there is no key.
//! Refuses: to know who asks; a chat, a one-shot and a batch open the same exchange.
//! Invariant: nothing is sent before its worst case is reserved on disk, and every attempt is settled or released once.

mod answer_cache;
mod ask;
mod attempt;
mod exchange;
mod money;
mod plan;
mod quote;
mod stream;
mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use crate::router::FIRST_GUESS;
pub use ask::Ask;
pub(crate) use ask::conversation::Conversation;
pub(crate) use ask::draft_counts::DraftTokenCounter;
pub(crate) use ask::steps::{Spent, Step};
pub(crate) use ask::{Consult, LastAnswer, Stale};
pub(crate) use plan::count::tokenizer;
pub(crate) use plan::plan_error::{PlanError, TooLong, WindowShortfall};
pub(crate) use upstream::key_store::{FoundKey, KeyReport};

use crate::budget::{Budget, DayMonth, GroupBudget, GroupLimit};
use crate::cache::Cache;
use crate::catalog::{Catalog, Model};
use crate::chat::{Clock, Effort, Failure, ModelId, Params, Random, Timestamp};
use crate::config::{Config, Env, LadderRung};
use crate::protocol::{Circuit, EVENTS, Event, Offer, Quote, Warm};
use crate::provider::{Network, Provider, Wire, guide};
use crate::redis::Redis;
use crate::store::{LazyStore, Store};
use answer_cache::{AnswerCache, stale_models};
use exchange::ExchangeServices;
use plan::compare;
use plan::models::Models;
use plan::planned::Tried;
use plan::planner::Planner;
use upstream::breaker_store::restore_breakers;
use upstream::peer_cooldowns::PeerCooldowns;
use upstream::provider_state::ProviderState;

/// What a gateway is made of.
pub struct Parts {
    /// The settings in force.
    pub config: Arc<Config>,
    /// The models that are known.
    pub catalog: Arc<Catalog>,
    /// The environment, for keys.
    pub env: Arc<Env>,
    /// The providers that can be asked.
    pub providers: Vec<Provider>,
    /// The limits and the time zone.
    pub budget: Budget,
    /// The id of this run of the program, to which `--max-usd` applies.
    pub run: String,
    /// The folder of chats, ledger and cache.
    pub data_dir: PathBuf,
    /// `None`: answers are neither looked up nor kept.
    pub cache: Option<Cache>,
    /// The clocks.
    pub clock: Clock,
    /// Where chance comes from.
    pub random: Random,
}

/// The way to the models. Making one opens nothing; store, cache, client and guide open when first needed.
pub struct Gateway {
    parts: Parts,
    wire: Wire,
    routes: BTreeMap<String, ProviderState>,
    store: LazyStore,
    /// A front end was told last that something is the matter with a provider.
    troubled: AtomicBool,
    /// What is leased of a group's budget; `None`: there is none, or no Redis.
    group_budget: Option<GroupBudget>,
    /// The machines that use the same keys; `None`: there is no Redis to hear of them.
    others: Option<PeerCooldowns>,
}

/// An answer on its way. Dropping it stops it: what was not sent is released, what was is settled.
pub struct Exchange {
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Exchange {
    /// The next event; `None` after the last, which is `Finished`, `Failed` or `AtLimit`.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Asks it to stop. The last event follows as soon as what arrived is settled and stored.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Gateway {
    /// Opens nothing.
    pub fn new(mut parts: Parts) -> Self {
        parts.budget.limits.group = group(&parts.config);
        let wire = Wire::new(Network::of(&parts.config, &parts.env), parts.clock.clone());
        let concurrency = parts.config.limits.concurrency;
        let route = |p: &Provider| (p.name.clone(), ProviderState::new(p.clone(), concurrency));
        let routes = parts
            .providers
            .iter()
            .chain([&guide::provider()])
            .map(route)
            .collect();
        Self {
            store: LazyStore::new(parts.data_dir.clone()),
            parts,
            wire,
            routes,
            troubled: AtomicBool::new(false),
            group_budget: None,
            others: None,
        }
    }

    /// Shares with other machines through this Redis. Opens nothing.
    #[must_use]
    pub fn sharing(mut self, redis: &Redis) -> Self {
        let group = self.parts.budget.limits.group.clone();
        self.others = Some(PeerCooldowns::new(redis));
        self.group_budget =
            group.map(|group| GroupBudget::new(redis.clone(), group, self.parts.random.clone()));
        self
    }

    /// What is leased of a group's budget.
    pub(crate) fn group_budget(&self) -> Option<&GroupBudget> {
        self.group_budget.as_ref()
    }

    /// Gives back what is leased of the group's budget and was not needed.
    async fn give_back(&self) {
        if let (Some(group_budget), Some(store)) = (&self.group_budget, self.store.opened()) {
            group_budget.give_back(store, self.parts.clock.now()).await;
        }
    }

    /// Connects to what machines share, behind everything else.
    fn reach_redis(&self) {
        if let Some(others) = &self.others {
            others.redis().warm();
        }
    }

    /// Comes back when there is a trouble of what machines share that [`Self::trouble`] has not told.
    pub(crate) async fn troubled(&self) {
        match &self.others {
            Some(others) => others.redis().troubled().await,
            None => std::future::pending().await,
        }
    }

    /// What has gone wrong with the answers that are kept, in one line; each trouble is told once.
    pub(crate) fn trouble(&self) -> Option<String> {
        let told = self.parts.cache.as_ref().and_then(Cache::trouble);
        if let (None, Some(others)) = (&told, &self.others)
            && let Some(why) = others.redis().trouble()
        {
            // No answers are shared through it; a question that needs it says so itself.
            tracing::debug!(why, "Redis");
        }
        told
    }

    /// Starts an exchange.
    pub fn open(self: &Arc<Self>, ask: Ask) -> Exchange {
        let (sender, events) = mpsc::channel(EVENTS);
        let stop = CancellationToken::new();
        let (gateway, stopped, began) = (Arc::clone(self), stop.clone(), Instant::now());
        tokio::spawn(async move {
            gateway.reach_redis();
            let (services, last_sender) = (gateway.services(), sender.clone());
            Box::pin(exchange::run(services, ask, sender, stopped, began)).await;
            gateway.give_back().await;
            // The events end only now: a front end may end its process right then.
            drop(last_sender);
        });
        Exchange {
            events,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        }
    }

    /// What sending this would do. Sends nothing, reserves nothing.
    pub(crate) async fn quote(&self, ask: &Ask) -> Result<Quote, PlanError> {
        quote::quote(&self.planner(), self.answers(), ask).await
    }

    /// The store, opened at the first call.
    pub async fn store(&self) -> Result<&Store, Failure> {
        self.store.open().await.map_err(Failure::from)
    }

    /// Makes a connection to a provider that is about to be asked, beside everything else. Nothing is asked of it, and
    /// nothing is said when it fails: the question itself will tell.
    pub(crate) fn connect_ahead(self: &Arc<Self>, provider: &str) {
        self.reach_redis();
        let endpoint = self
            .routes
            .get(provider)
            .and_then(|route| route.provider.endpoints.first());
        if let Some(endpoint) = endpoint
            .filter(|endpoint| self.wire.is_cold(endpoint))
            .cloned()
        {
            let gateway = Arc::clone(self);
            tokio::spawn(async move { gateway.wire.connect_ahead(&endpoint).await });
        }
    }

    /// Takes a store that was opened already; none but the first is taken.
    pub(crate) fn use_store(&self, store: Store) {
        self.store.set(store);
    }

    /// Why a model of this provider cannot be asked; `None`: it can.
    pub(crate) fn unusable(&self, provider: &str) -> Option<String> {
        self.models().unusable(provider)
    }

    /// The catalogue's entry for a model at today's price, or what may be assumed of a model that it does not know.
    pub(crate) fn model(&self, id: &ModelId) -> Result<Model, Failure> {
        self.models().get(id)
    }

    /// The ladder for a question, with the effort that the user set.
    pub(crate) fn ladder(&self, effort: Option<Effort>) -> Vec<LadderRung> {
        self.models().ladder(effort)
    }

    /// The start of the chat that the provider of the last answer still has in its cache, and what reading it from
    /// there saves.
    pub(crate) fn warm(&self, last: &LastAnswer, now: Timestamp) -> Option<Warm> {
        compare::warm(self.models(), last, now)
    }

    /// Whether `auto` may take a lower rung unasked when the better one does not fit the money left.
    pub(crate) fn steps_down(&self, ask: &Ask) -> bool {
        self.planner().steps_down(ask)
    }

    /// By how much a question exceeds the windows, when only they stand in the way.
    pub(crate) async fn too_long(&self, ask: &Ask) -> Option<TooLong> {
        let planned = self.planner().plan(ask, &Tried::default()).await;
        planned.err()?.too_long
    }

    /// The models as they stand now.
    fn models(&self) -> Models<'_> {
        Models {
            config: &self.parts.config,
            catalog: &self.parts.catalog,
            env: &self.parts.env,
            clock: &self.parts.clock,
            providers: &self.routes,
        }
    }

    fn planner(&self) -> Planner<'_> {
        Planner {
            models: self.models(),
            limits: &self.parts.budget,
            run: &self.parts.run,
            store: &self.store,
            group_budget: self.group_budget.as_ref(),
        }
    }

    /// The budget, with the limits of the keys that have been read so far.
    pub(crate) fn budget(&self) -> Budget {
        self.planner().budget()
    }

    /// Reads the keys of the providers that have a limit on one, so that [`Self::budget`] knows them by name.
    pub(crate) async fn read_limited_keys(&self) -> Result<(), Failure> {
        for state in self.planner().limiting_keys() {
            state.read_keys(&self.parts.env).await?;
        }
        Ok(())
    }

    /// Writes out what is still in the air.
    pub async fn close(&self) {
        if let (Some(group_budget), Some(store)) = (&self.group_budget, self.store.opened()) {
            group_budget
                .give_all_back(store, self.parts.clock.now())
                .await;
        }
        if let Some(others) = &self.others {
            others.close().await;
        }
        if let Some(cache) = &self.parts.cache {
            cache.close().await;
        }
        self.wire.close().await;
        if let Some(store) = self.store.opened() {
            // A job behind all others: when it is done, they are.
            let _ = store.run(|_| Ok(())).await;
        }
    }

    /// Whether whole answers to questions with these settings are kept, and given again.
    pub(crate) fn keeps(&self, params: &Params) -> bool {
        self.answers().keeps(params)
    }

    /// What can be had for a question that no provider could be reached for, by a user who would take it in this `way`.
    pub(crate) async fn offer(&self, ask: &Ask, way: Stale) -> Offer {
        let free = Tried {
            for_nothing: true,
            ..Tried::default()
        };
        let Ok(planned) = self.planner().plan(ask, &free).await else {
            return Offer {
                kept: None,
                until: None,
            };
        };
        let hit = match stale_models(self.models(), ask, way) {
            Some(models) => {
                let clock = &self.parts.clock;
                let said = || ask.said();
                self.answers().newest(ask, said, &models, clock).await
            }
            None => None,
        };
        let mut providers: Vec<_> = planned
            .rungs()
            .map(|(model, _)| model.provider().to_owned())
            .collect();
        providers.dedup();
        let health = providers
            .iter()
            .filter_map(|name| Some(&self.routes.get(name)?.health));
        Offer {
            kept: hit.map(answer_cache::kept),
            until: upstream::endpoints::next_opening(health, self.parts.clock.now()),
        }
    }

    /// The state of a provider, as far as any process knows it: the circuit of its best address.
    pub(crate) async fn circuit(&self, provider: &str) -> Circuit {
        let Some(state) = self.routes.get(provider) else {
            return Circuit::Closed;
        };
        let (endpoints, now) = (&state.provider.endpoints, self.parts.clock.now());
        if provider != guide::OFFLINE
            && let Ok(store) = self.store().await
        {
            restore_breakers(store, &state.health, endpoints, now).await;
        }
        state.health.circuit(self.parts.clock.now())
    }

    fn answers(&self) -> AnswerCache<'_> {
        let sampled = self.parts.config.cache.sampled;
        AnswerCache::new(self.parts.cache.as_ref(), sampled, &self.routes)
    }

    fn services(&self) -> ExchangeServices<'_> {
        ExchangeServices {
            planner: self.planner(),
            answers: self.answers(),
            wire: &self.wire,
            peers: self.others.as_ref(),
            random: &self.parts.random,
            troubled: &self.troubled,
        }
    }

    /// The way to the servers.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// What machines share; `None`: there is no Redis.
    pub(crate) fn redis(&self) -> Option<&Redis> {
        self.others.as_ref().map(PeerCooldowns::redis)
    }

    /// What is known of a provider's keys, read if that was not done before.
    pub(crate) async fn key_report(&self, provider: &str) -> KeyReport {
        match self.routes.get(provider) {
            Some(state) => {
                state
                    .key_report(&self.parts.env, self.parts.clock.now())
                    .await
            }
            None => KeyReport::unread("there is no such provider".to_owned()),
        }
    }

    /// What it was made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }
}

/// The group's limit, when there is one. A limit without a name is that of all who use this Redis.
fn group(config: &Config) -> Option<GroupLimit> {
    let redis = config.redis.as_ref()?;
    let limit = DayMonth {
        per_day: redis.per_day,
        per_month: redis.per_month,
    };
    let name = redis
        .budget_group
        .clone()
        .unwrap_or_else(|| "all".to_owned());
    (limit != DayMonth::default()).then_some(GroupLimit { name, limit })
}
