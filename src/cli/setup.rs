//! The composition root: from flags, environment and files to a gateway.
//!
//! Owns: which rooms are made, in which order, and how names that the user typed become models.
//! Refuses: to open anything that can wait: store, cache, client and keys open at their first use.
//! Invariant: built the same way for every command.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::{LOG_VARIABLE, Shared};
use super::logging::{self, LogFilter};
use crate::agent::{self, Open, Start};
use crate::budget::{Budget, DayMonth, Limits};
use crate::cache::{Cache, CacheSettings, SharedTier, Tier};
use crate::catalog::{Catalog, ResolveError};
use crate::chat::{Clock, Failure, FailureKind, ModelId, Params, Random, Selection};
use crate::config::{self, Config, Env, Loaded, ModelEntry, Origin, Overrides};
use crate::gateway::{Gateway, Parts, Stale};
use crate::protocol::Handle;
use crate::provider::{self, providers};
use crate::redis::{self, Redis};
use crate::router::check_ladder;
use crate::store::{Opening, Store};

/// The program, put together.
pub(super) struct Core {
    pub(super) gateway: Arc<Gateway>,
    pub(super) loaded: Loaded,
    pub(super) selection: Selection,
}

/// Reads the configuration.
pub(crate) fn load(shared: &Shared, env: &Env) -> Result<Loaded, Failure> {
    config::load(&overrides(shared), env).map_err(Failure::from)
}

pub(super) fn overrides(shared: &Shared) -> Overrides {
    Overrides {
        config_file: shared.config.clone(),
        data_dir: shared.data_dir.clone(),
        model: shared.model.clone(),
        no_cache: shared.no_cache,
        system: shared.system.clone(),
    }
}

/// Puts the program together.
pub(super) fn core(shared: &Shared) -> Result<Core, Failure> {
    let env = Env::from_process();
    let loaded = load(shared, &env)?;
    put_together(shared, env, loaded)
}

/// The same for one question: the store is opened, and the owner of the cache is started, while the catalogue is read.
pub(super) fn core_of_question(shared: &Shared) -> Result<Core, Failure> {
    let env = Env::from_process();
    let loaded = load(shared, &env)?;
    if let Some(program) = this_program().filter(|_| loaded.config.cache.enabled) {
        crate::cache::begin(
            &cache_folder(&loaded),
            cache_settings(&loaded.config),
            program,
        );
    }
    let opening = Store::begin(&loaded.locations.data_dir);
    let core = put_together(shared, env, loaded);
    let opened = opening.and_then(Opening::wait);
    let core = core?;
    // The first use of the store opens it again and reports why it fails.
    if let Ok(store) = opened {
        core.gateway.use_store(store);
    }
    Ok(core)
}

fn put_together(shared: &Shared, env: Env, loaded: Loaded) -> Result<Core, Failure> {
    let filter = LogFilter::new(env.get(LOG_VARIABLE), shared.verbose)?;
    logging::start(&loaded.locations.data_dir.join("log"), filter);
    let config = Arc::new(loaded.config.clone());
    let clock = Clock::system().beside(crate::store::uptime);
    let catalog = catalog(&loaded, &clock)?;
    let providers = providers(&config.providers, &env)
        .map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    let random = Random::system();
    let redis = config
        .redis
        .as_ref()
        .map(|redis| shared_redis(redis, &config));
    let env = Arc::new(env);
    let answers = redis
        .as_ref()
        .map(|redis| shared_answers(&config, &env, redis));
    let gateway = Gateway::new(Parts {
        budget: Budget {
            limits: limits(&config, shared),
            zone: super::zone::local(&env),
        },
        cache: cache(&config, &loaded, answers),
        catalog: Arc::new(catalog),
        env,
        providers,
        run: crate::chat::id::ExchangeId::from_bits(random.bits()).to_string(),
        data_dir: loaded.locations.data_dir.clone(),
        config,
        clock,
        random,
    });
    let gateway = match &redis {
        Some(redis) => gateway.sharing(redis),
        None => gateway,
    };
    let selection = select(&gateway, &loaded.config.model)?;
    Ok(Core {
        gateway: Arc::new(gateway),
        loaded,
        selection,
    })
}

/// The catalogue with the user's own entries, at today's prices. The ladder is held against it.
pub(super) fn catalog(loaded: &Loaded, clock: &Clock) -> Result<Catalog, Failure> {
    let entries = &loaded.config.models;
    let catalog = Catalog::builtin()
        .at(clock.now())
        .with_entries(entries)
        .map_err(|error| {
            let index = entries
                .iter()
                .rposition(|entry| entry.id == error.id)
                .unwrap_or_default();
            Failure::from(loaded.fault_in_model(index, error.key(), &error.to_string()))
        })?;
    check_ladder(&loaded.config.router.ladder, &catalog)?;
    Ok(catalog)
}

fn limits(config: &Config, shared: &Shared) -> Limits {
    let of = |model: &ModelEntry| DayMonth {
        per_day: model.per_day,
        per_month: model.per_month,
    };
    let models = config
        .models
        .iter()
        .map(|model| (model.id.clone(), of(model)));
    Limits {
        models: models
            .filter(|(_, limit)| *limit != DayMonth::default())
            .collect(),
        // Known when the keys have been read.
        keys: Vec::new(),
        // The gateway reads the limits of the group.
        group: None,
        per_request: config.budget.per_request,
        per_run: shared.max_usd,
        per_session: config.budget.per_session,
        per_day: config.budget.per_day,
        per_month: config.budget.per_month,
    }
}

/// The Redis that is configured; nothing is opened.
fn shared_redis(config: &config::RedisConfig, all: &Config) -> Redis {
    let settings = redis::RedisSettings {
        url: config.url.clone(),
        cluster: config.cluster,
        prefix: config.prefix.clone(),
        patience: config.patience,
    };
    match all.network.extra_ca_file.clone() {
        Some(file) => Redis::trusting(
            settings,
            Arc::new(move || provider::client::trusted_with(&file)),
        ),
        None => Redis::new(settings),
    }
}

/// The tier of answers that machines share; its secret is read when it is first needed.
fn shared_answers(config: &Config, env: &Arc<Env>, redis: &Redis) -> Box<dyn Tier> {
    let (source, env) = (
        config.redis.as_ref().and_then(|redis| redis.secret.clone()),
        Arc::clone(env),
    );
    let seal = async move {
        let source = source.ok_or("answers are not shared: there is no `secret` under [redis]")?;
        let secret = provider::key::load(&source, &env).await;
        let secret = secret.map_err(|error| format!("answers are not shared: {error}"))?;
        let secret =
            secret.ok_or("answers are not shared: the `secret` under [redis] is not set")?;
        secret.seal().ok_or_else(|| {
            "answers are not shared: the `secret` under [redis] has fewer than 16 characters".into()
        })
    };
    Box::new(SharedTier::new(
        redis.clone(),
        config.cache.ttl,
        Box::pin(seal),
    ))
}

/// Sizes and times of the cache.
pub(super) fn cache_settings(config: &Config) -> CacheSettings {
    let from = &config.cache;
    CacheSettings {
        ttl: from.ttl,
        memory: from.memory,
        disk: from.disk,
        patience: from.patience,
    }
}

fn cache_folder(loaded: &Loaded) -> PathBuf {
    loaded.locations.data_dir.join("cache")
}

fn cache(config: &Config, loaded: &Loaded, shared: Option<Box<dyn Tier>>) -> Option<Cache> {
    config.cache.enabled.then(|| {
        Cache::new(
            &cache_folder(loaded),
            cache_settings(config),
            this_program(),
            shared,
        )
    })
}

/// The program that is started as the owner of the cache: this one, even after its file was replaced.
fn this_program() -> Option<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        Some(running)
    } else {
        std::env::current_exe().ok()
    }
}

/// What a name typed by the user stands for.
pub(super) fn select(gateway: &Gateway, name: &str) -> Result<Selection, Failure> {
    if name == "auto" {
        return Ok(Selection::Auto);
    }
    let parts = gateway.parts();
    let name = parts.config.aliases.get(name).map_or(name, String::as_str);
    let usable = |provider: &str| gateway.unusable(provider).is_none();
    match parts.catalog.resolve(name, usable) {
        Ok(id) => Ok(Selection::Pinned(id)),
        // A full name at a server that the user configured needs no entry in the catalogue.
        Err(error @ ResolveError::Unknown { .. }) => match name.parse() {
            Ok(id) if gateway.model(&id).is_ok() => Ok(Selection::Pinned(id)),
            _ => Err(unresolved(&error)),
        },
        Err(ref error @ ResolveError::NoKey { ref full_names, .. }) => {
            let failure = unresolved(error);
            let mend = |id: &ModelId| {
                Some(format!(
                    "{} {}",
                    id.provider(),
                    gateway.unusable(id.provider())?
                ))
            };
            Err(match full_names.first().and_then(mend) {
                Some(mend) => failure.hint(mend),
                None => failure,
            })
        }
        Err(error) => Err(unresolved(&error)),
    }
}

fn unresolved(error: &ResolveError) -> Failure {
    Failure::new(FailureKind::Usage, error.to_string())
}

impl Core {
    /// How a front end begins, as the flags say.
    pub(super) fn start(&self, shared: &Shared, screen: bool) -> Start {
        let named = self.loaded.provenance.of("model") == Origin::Flag;
        let favourites = &self.loaded.config.favourites;
        Start {
            open: match (&shared.session, shared.continue_last) {
                (Some(id), _) => Open::Id(id.clone()),
                (None, true) => Open::Latest,
                (None, false) => Open::New,
            },
            selection: named.then(|| self.selection.clone()),
            default_selection: self.selection.clone(),
            effort: shared.effort,
            system: shared.system.clone(),
            default_system: self.loaded.config.system.clone(),
            params: Params {
                temperature: shared.temperature,
                effort: shared.effort,
                max_output: shared.max_output,
            },
            // A favourite that no longer exists is left out, not a reason to refuse to start.
            favourites: favourites
                .iter()
                .filter_map(|name| select(&self.gateway, name).ok())
                .collect(),
            overflow: shared.on_overflow,
            seam: None,
            cached: self.loaded.config.cache.enabled,
            refresh: shared.refresh,
            stale: if shared.stale {
                Stale::WhenDown
            } else {
                Stale::Never
            },
            screen,
            config_file: Some(self.loaded.locations.config_file.clone()),
        }
    }

    /// Starts the actor.
    pub(super) fn spawn(&self, start: Start) -> Handle {
        agent::spawn(Arc::clone(&self.gateway), start)
    }
}
