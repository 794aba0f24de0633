//! The composition root: from flags, environment and files to a gateway.
//!
//! Owns: which rooms are made, in which order, and how names that the user typed become models.
//! Refuses: to open anything that can wait: store, cache, client and keys open at their first use.
//! Invariant: built the same way for every command.

use std::sync::Arc;

use super::args::Shared;
use super::logging;
use crate::agent::{self, Open, Start};
use crate::budget::{Budget, Limits};
use crate::cache::{Cache, Settings};
use crate::catalog::{Catalog, ResolveError};
use crate::chat::{Clock, Failure, FailureKind, ModelId, Params, Random, Selection};
use crate::config::{self, Config, Env, Loaded, Origin, Overrides};
use crate::gateway::{Gateway, Parts};
use crate::protocol::Handle;
use crate::provider::providers;

/// The program, put together.
pub(super) struct Core {
    pub(super) gateway: Arc<Gateway>,
    pub(super) loaded: Loaded,
    pub(super) selection: Selection,
}

/// Reads the configuration.
pub(super) fn load(shared: &Shared, env: &Env) -> Result<Loaded, Failure> {
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
    logging::start(&loaded.locations.data_dir.join("log"), shared.verbose);
    let config = Arc::new(loaded.config.clone());
    let clock = Clock::system();
    let catalog = catalog(&config, &clock)?;
    let providers =
        providers(&config.providers, &env).map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    let random = Random::system();
    let gateway = Gateway::new(Parts {
        budget: Budget { limits: limits(&config, shared), zone: jiff::tz::TimeZone::system() },
        cache: cache(&config, &loaded),
        catalog: Arc::new(catalog),
        env: Arc::new(env),
        providers,
        run: crate::chat::id::ExchangeId::from_bits(random.bits()).to_string(),
        data_dir: loaded.locations.data_dir.clone(),
        config,
        clock,
        random,
    });
    let selection = select(&gateway, &loaded.config.model)?;
    Ok(Core { gateway: Arc::new(gateway), loaded, selection })
}

/// The catalogue with the user's own entries, at today's prices.
pub(super) fn catalog(config: &Config, clock: &Clock) -> Result<Catalog, Failure> {
    Catalog::builtin()
        .at(clock.now())
        .with_entries(&config.models)
        .map_err(|error| Failure::new(FailureKind::Usage, format!("[[models]]: {error}")))
}

fn limits(config: &Config, shared: &Shared) -> Limits {
    Limits {
        per_request: config.budget.per_request,
        per_run: shared.max_usd,
        per_session: config.budget.per_session,
        per_day: config.budget.per_day,
        per_month: config.budget.per_month,
    }
}

fn cache(config: &Config, loaded: &Loaded) -> Option<Cache> {
    let settings = Settings { ttl: config.cache.ttl, memory: config.cache.memory, disk: config.cache.disk };
    config.cache.enabled.then(|| Cache::new(&loaded.locations.data_dir.join("cache"), settings))
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
        // A full name at a server of the user's own is taken at its word.
        Err(error @ ResolveError::Unknown { .. }) => match name.parse() {
            Ok(id) if gateway.model(&id).is_ok() => Ok(Selection::Pinned(id)),
            _ => Err(unresolved(&error)),
        },
        Err(ref error @ ResolveError::NoKey { ref full_names, .. }) => {
            let failure = unresolved(error);
            let mend = |id: &ModelId| Some(format!("{} {}", id.provider(), gateway.unusable(id.provider())?));
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
            params: Params { temperature: shared.temperature, effort: shared.effort, max_output: shared.max_output },
            // A favourite that no longer exists is left out, not a reason to refuse to start.
            favourites: favourites.iter().filter_map(|name| select(&self.gateway, name).ok()).collect(),
            cached: self.loaded.config.cache.enabled,
            refresh: shared.refresh,
            screen,
            config_file: Some(self.loaded.locations.config_file.clone()),
        }
    }

    /// Starts the actor.
    pub(super) fn spawn(&self, start: Start) -> Handle {
        agent::spawn(Arc::clone(&self.gateway), start)
    }
}
