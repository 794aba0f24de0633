//! One question on its way to a model and back: the exchange.
//!
//! Owns: the order of things (count, plan, cache, reserve, send, stream, settle, record), the only retry loop of the
//! program, keys in turn, and the guide that answers when there is no key.
//! Refuses: to know who asks; a chat, a one-shot and a batch open the same exchange.
//! Invariant: nothing is sent before its worst case is reserved on disk, and every attempt is settled or released once.

mod ask;
mod attempt;
mod backoff;
mod conversation;
mod decide;
mod exchange;
mod keys;
mod live;
mod planning;
mod route;
mod settle;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use ask::Ask;
pub use conversation::Conversation;
pub use planning::{FIRST_GUESS, Planned, tokenizer};

use crate::budget::Budget;
use crate::cache::Cache;
use crate::catalog::Catalog;
use crate::chat::{Clock, Failure, Random};
use crate::config::{Config, Env};
use crate::protocol::{EVENTS, Event, Quote, Refused};
use crate::provider::{Provider, Wire, guide};
use crate::store::{Store, StoreError};
use route::Route;

/// What a gateway is made of.
pub struct Parts {
    pub config: Arc<Config>,
    pub catalog: Arc<Catalog>,
    pub env: Arc<Env>,
    pub providers: Vec<Provider>,
    pub budget: Budget,
    /// The id of this run of the program, to which `--max-usd` applies.
    pub run: String,
    pub data_dir: PathBuf,
    /// `None`: answers are neither looked up nor kept.
    pub cache: Option<Cache>,
    pub clock: Clock,
    pub random: Random,
}

/// The way to the models. Making one opens nothing; store, cache, client and guide open when first needed.
pub struct Gateway {
    parts: Parts,
    wire: Wire,
    routes: BTreeMap<String, Route>,
    store: OnceCell<Store>,
}

/// An answer on its way. Dropping it stops it: what was not sent is released, what was is settled.
pub struct Exchange {
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Exchange {
    /// The next event; `None` after the last, which is `Finished` or `Failed`.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Asks it to stop. The last event follows as soon as what arrived is settled and stored.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Gateway {
    pub fn new(parts: Parts) -> Self {
        let wire = Wire::new(parts.config.limits.connect_timeout, parts.clock.clone());
        let concurrency = parts.config.limits.concurrency;
        let route = |p: &Provider| (p.name.clone(), Route::new(p.clone(), concurrency));
        let routes = parts.providers.iter().chain([&guide::provider()]).map(route).collect();
        Self { parts, wire, routes, store: OnceCell::new() }
    }

    /// Starts an exchange.
    pub fn open(self: &Arc<Self>, ask: Ask) -> Exchange {
        let (sender, events) = mpsc::channel(EVENTS);
        let stop = CancellationToken::new();
        let run = exchange::run(Arc::clone(self), ask, sender, stop.clone(), Instant::now());
        tokio::spawn(run);
        Exchange { events, _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    /// What sending this would do. Sends nothing, reserves nothing.
    pub async fn quote(&self, ask: &Ask) -> Result<Quote, Refused> {
        let planned = self.plan(ask, &planning::Tried::default()).await?;
        let first = planned.model(&planned.plan.first.model);
        Ok(Quote {
            model: planned.plan.first.model.clone(),
            free: first.is_some_and(|m| m.price.as_ref().is_some_and(|p| p.free)),
            context: first.and_then(|m| m.context),
            estimate: planned.plan.first.estimate,
            route: planned.plan.route,
            left: planned.left,
        })
    }

    /// The store, opened at the first call.
    pub async fn store(&self) -> Result<&Store, Failure> {
        let folder = self.parts.data_dir.clone();
        let open = || async move {
            let opened = tokio::task::spawn_blocking(move || Store::open(&folder)).await;
            opened.unwrap_or(Err(StoreError::Closed)).map_err(Failure::from)
        };
        self.store.get_or_try_init(open).await
    }

    /// Why a model of this provider cannot be asked; `None`: it can.
    pub fn unusable(&self, provider: &str) -> Option<String> {
        match self.routes.get(provider) {
            Some(route) => route.missing_key(&self.parts.env),
            None => Some(format!("is at the provider `{provider}`, which is not configured")),
        }
    }

    /// Writes out what is still in the air.
    pub async fn close(&self) {
        if let Some(cache) = &self.parts.cache {
            cache.close().await;
        }
        if let Some(store) = self.store.get() {
            // A job behind all others: when it is done, they are.
            let _ = store.run(|_| Ok(())).await;
        }
    }

    pub fn parts(&self) -> &Parts {
        &self.parts
    }
}
