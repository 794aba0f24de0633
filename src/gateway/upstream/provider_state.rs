//! The state of one provider: its addresses, its keys, its queue and its budget for retries.
//!
//! Owns: the permits that bound concurrency, the guide's start, and the key that an attempt takes.
//! Refuses: a key to any other endpoint; which key it is (`keys`), and where keys are found (`found`).
//! Invariant: nothing is read or started before the first request; without a key nothing is sent that needs one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::budget::{DayMonth, Limits};
use crate::chat::{Failure, FailureKind, ModelId, Timestamp};
use crate::config::{Env, KeyEntry, KeySource};
use crate::gateway::upstream::compat_memory::CompatMemory;
use crate::gateway::upstream::endpoints::Endpoints;
use crate::gateway::upstream::key_ring::{KeyChoice, KeyRing};
use crate::gateway::upstream::key_store::{FoundKey, KeyReport, KeyStore, SelectedKey, named};
use crate::gateway::upstream::queue::Queue;
use crate::gateway::upstream::rate_limits::LONGEST_WAIT;
use crate::gateway::upstream::retry_budget::RetryBudget;
use crate::protocol::Link;
use crate::provider::guide::{self, OFFLINE};
use crate::provider::meta::month_end;
use crate::provider::{Endpoint, ErrorClass, Provider, ResponseMeta, Secret, WireError};
use crate::tokens::{self, Encoding};

/// For so long `auto` does not ask for a model that the server did not know.
const MISSED: Duration = Duration::from_mins(10);

pub(in crate::gateway) struct ProviderState {
    pub(in crate::gateway) provider: Provider,
    keys: OnceCell<KeyStore>,
    /// When the keys could not be read last, and why.
    unread: Mutex<Option<(Instant, Failure)>>,
    guide: OnceCell<RunningGuide>,
    /// How its models are asked, where that was learned.
    pub(in crate::gateway) compat: CompatMemory,
    /// The state of each address, in the order of [`ProviderState::endpoints`].
    pub(in crate::gateway) health: Endpoints,
    /// Requests under way, and those that wait for their turn.
    pub(in crate::gateway) queue: Queue,
    retries: Mutex<RetryBudget>,
}

/// The built-in guide's server.
struct RunningGuide {
    _server: guide::GuideServer,
    endpoint: Endpoint,
    token: Secret,
}

/// Why no key can be taken now.
pub(in crate::gateway) enum NoKey {
    /// All of them cool; the first is free after this time.
    Wait(Duration),
    /// The caller skips every key that could be used.
    AllSkipped,
    Failed(Failure),
}

impl From<Failure> for NoKey {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl ProviderState {
    pub(in crate::gateway) fn new(provider: Provider, concurrency: usize) -> Self {
        let health = Endpoints::new(provider.endpoints.len());
        Self {
            provider,
            keys: OnceCell::new(),
            unread: Mutex::default(),
            guide: OnceCell::new(),
            compat: CompatMemory::default(),
            health,
            queue: Queue::new(concurrency),
            retries: Mutex::default(),
        }
    }

    /// Why there is no key, in words that follow a model's name; `None`: there is one, or none is needed.
    pub(in crate::gateway) fn missing_key(&self, env: &Env) -> Option<String> {
        if !self.provider.needs_key {
            return None;
        }
        let may_exist = |entry: &KeyEntry| match &entry.source {
            KeySource::Env(name) => env.get(name).is_some_and(|value| !value.trim().is_empty()),
            KeySource::Command(_) | KeySource::Keyring(_) | KeySource::File(_) => true,
        };
        if self.provider.keys.iter().any(may_exist) {
            return None;
        }
        let variable = self
            .provider
            .keys
            .iter()
            .find_map(|entry| match &entry.source {
                KeySource::Env(name) => Some(name.as_str()),
                _ => None,
            });
        Some(match variable {
            Some(name) => format!("has no key: set {name}"),
            None => format!(
                "has no key: add one under [[providers]] name = \"{}\"",
                self.provider.name
            ),
        })
    }

    /// The connection as a front end shows it; `None` for the guide, which is always there.
    pub(in crate::gateway) fn link(&self, now: Timestamp) -> Option<Link> {
        (self.provider.name != OFFLINE).then(|| Link {
            provider: self.provider.name.clone(),
            circuit: self.health.circuit(now),
            waiting: self.queue.waiting(),
            plain: self
                .provider
                .endpoints
                .iter()
                .any(|endpoint| endpoint.is_plain() && !endpoint.is_loopback()),
        })
    }

    /// The budget for retries, which all exchanges share.
    pub(in crate::gateway) fn with_retries<T>(&self, f: impl FnOnce(&mut RetryBudget) -> T) -> T {
        f(&mut self.retries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where requests may be sent, at least one. The guide is started when it is first asked.
    pub(in crate::gateway) async fn endpoints(&self) -> Result<&[Endpoint], Failure> {
        if self.provider.name == OFFLINE {
            return self
                .guide()
                .await
                .map(|guide| std::slice::from_ref(&guide.endpoint));
        }
        if self.provider.endpoints.is_empty() {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("{} has no address", self.provider.name),
            ));
        }
        Ok(&self.provider.endpoints)
    }

    async fn guide(&self) -> Result<&RunningGuide, Failure> {
        let start = || async {
            let broken = |error: String| {
                Failure::new(
                    FailureKind::Request,
                    format!("the built-in guide cannot be served on loopback: {error}"),
                )
            };
            let count = |text: &str| tokens::count(Encoding::O200kBase, text);
            let server =
                guide::serve(count, guide::PACE).map_err(|error| broken(error.to_string()))?;
            let endpoint = Endpoint::parse(OFFLINE, &server.base_url(), false)
                .map_err(|e| broken(e.to_string()))?;
            let token = Secret::parse(server.token().as_bytes(), "the guide")
                .map_err(|e| broken(e.to_string()))?;
            Ok(RunningGuide {
                endpoint,
                token: token.owned_by(OFFLINE),
                _server: server,
            })
        };
        self.guide.get_or_try_init(start).await
    }

    /// The key for a request to `model`, not one of `skip`. When every key was exhausted before the question was `asked`,
    /// or cools for too long, the sources are read again.
    pub(in crate::gateway) async fn key(
        &self,
        env: &Env,
        model: &ModelId,
        asked: Instant,
        now: Timestamp,
        skip: &[usize],
    ) -> Result<SelectedKey, NoKey> {
        if self.provider.name == OFFLINE {
            let secret = self.guide().await?.token.clone();
            return Ok(SelectedKey::without_entry(Some(secret)));
        }
        let store = self.key_store(env, asked).await?;
        let mut choice = store.with_ring(|ring| ring.pick(model.model(), now, skip));
        let stuck = |choice: &KeyChoice| match choice {
            KeyChoice::Wait(time) => *time > LONGEST_WAIT,
            choice => matches!(choice, KeyChoice::Exhausted { .. }),
        };
        if stuck(&choice) && store.reread(&self.provider, env, asked).await {
            choice = store.with_ring(|ring| ring.pick(model.model(), now, skip));
        }
        let name = &self.provider.name;
        match choice {
            KeyChoice::Key(index) => Ok(store.select(index)),
            KeyChoice::NoKeys if !self.provider.needs_key => Ok(SelectedKey::without_entry(None)),
            KeyChoice::NoKeys => {
                let why = self
                    .missing_key(env)
                    .unwrap_or_else(|| "has no key".to_owned());
                Err(Failure::new(FailureKind::Usage, format!("{name} {why}")).into())
            }
            KeyChoice::Wait(time) => {
                if time > LONGEST_WAIT {
                    store.note_long_cooling();
                }
                Err(NoKey::Wait(time))
            }
            KeyChoice::AllSkipped => Err(NoKey::AllSkipped),
            KeyChoice::Exhausted {
                index,
                why,
                temporary,
            } => Err(self
                .none_works(&store.select(index), &why, temporary)
                .into()),
        }
    }

    /// The keys, read for the first question that needs one. A question whose sources failed does not read them again
    /// for each rung of its ladder: a command may take its time.
    pub(in crate::gateway) async fn key_store(
        &self,
        env: &Env,
        asked: Instant,
    ) -> Result<&KeyStore, Failure> {
        let unread = || self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || async {
            if let Some((_, failure)) = unread().as_ref().filter(|(at, _)| *at >= asked) {
                return Err(failure.clone());
            }
            let read = KeyStore::read(&self.provider, env).await;
            *unread() = read
                .as_ref()
                .err()
                .map(|failure| (Instant::now(), failure.clone()));
            read
        };
        self.keys.get_or_try_init(read).await
    }

    /// The indices of the keys that other machines may share, with the fingerprints they are shared under.
    pub(in crate::gateway) async fn fingerprints(
        &self,
        env: &Env,
        asked: Instant,
    ) -> Vec<(usize, String)> {
        if self.provider.keys.is_empty() {
            return Vec::new();
        }
        // The error is reported when an attempt asks for a key.
        self.key_store(env, asked)
            .await
            .map(KeyStore::fingerprints)
            .unwrap_or_default()
    }

    fn none_works(&self, last: &SelectedKey, why: &str, temporary: bool) -> Failure {
        let last4 = last.shown();
        let failure = Failure::new(
            FailureKind::Request,
            format!("no key of {} works: {last4}: {why}", self.provider.name),
        );
        if temporary {
            return failure.hint(
                "raise the limit at the provider and start again, or use another key or model",
            );
        }
        failure.hint(match last.source() {
            Some(KeySource::Env(name)) => {
                format!("put a key that works into {name} and start again")
            }
            source => format!(
                "put a key that works into {} and send again",
                source.map(named).unwrap_or_default()
            ),
        })
    }

    /// Takes a key out of use that the server will not serve again: until the user puts another in its place, or, for
    /// want of quota, until the month ends.
    pub(in crate::gateway) fn judge(&self, key: &SelectedKey, error: &WireError, now: Timestamp) {
        let Some(store) = self.keys.get() else { return };
        let why = &error.message;
        match error.class {
            ErrorClass::InvalidKey | ErrorClass::Forbidden => {
                store.exhaust(key, |ring, index| ring.disable(index, why));
            }
            ErrorClass::QuotaExceeded if error.of_account => {
                store.exhaust(key, |ring, index| {
                    ring.suspend_account(index, now, month_end(now), why);
                });
            }
            ErrorClass::QuotaExceeded | ErrorClass::NoCredit => {
                store.exhaust(key, |ring, index| {
                    ring.suspend(index, now, month_end(now), why);
                });
            }
            _ => {}
        }
    }

    /// Leaves a key alone on one model until then.
    pub(in crate::gateway) fn cool(
        &self,
        key: &SelectedKey,
        model: &ModelId,
        now: Timestamp,
        until: Timestamp,
    ) {
        let Some(store) = self.keys.get() else { return };
        store.report(key, |ring, index| {
            ring.cool(index, model.model(), now, until);
        });
        if until.since(now) > LONGEST_WAIT {
            store.note_long_cooling();
        }
    }

    /// The server knows no such model for this key: it is left alone for a while, where there is another.
    pub(in crate::gateway) fn miss(&self, key: &SelectedKey, model: &ModelId, now: Timestamp) {
        if let Some(store) = self.keys.get() {
            store.report(key, |ring, index| {
                ring.note_missing_model(index, model.model(), now, now.plus(MISSED));
            });
        }
    }

    /// Whether the server knew no such model, whichever key was used.
    pub(in crate::gateway) fn lacks(&self, model: &ModelId, now: Timestamp) -> bool {
        self.with_ring(|ring| ring.all_lack(model.model(), now))
            .unwrap_or(false)
    }

    /// Takes in what the headers of an answer, or of a refusal, say of the key that was used.
    pub(in crate::gateway) fn learn(
        &self,
        key: &SelectedKey,
        model: &ModelId,
        meta: &ResponseMeta,
        now: Timestamp,
    ) {
        if let Some(store) = self.keys.get() {
            store.report(key, |ring, index| {
                ring.learn(index, model.model(), meta, now);
            });
        }
    }

    /// Every key cools for longer than is waited for.
    pub(in crate::gateway) fn at_rate_limit(&self, time: Duration) -> Failure {
        let seconds = time.as_secs() + 1;
        Failure::new(
            FailureKind::Request,
            format!("every key of {} is at its rate limit", self.provider.name),
        )
        .hint(format!("the first is free again in {seconds} s"))
    }

    /// Why some of its keys are left out, while others are used.
    pub(in crate::gateway) fn key_errors(&self) -> Vec<String> {
        self.keys.get().map(KeyStore::errors).unwrap_or_default()
    }

    /// As [`Self::key_errors`], what the user was not told before: in words of their own.
    pub(in crate::gateway) fn untold_key_errors(&self) -> Vec<String> {
        let unreported = self.keys.get().map(KeyStore::take_unreported);
        unreported
            .unwrap_or_default()
            .into_iter()
            .map(|error| {
                format!(
                    "{} goes on with its other keys: {error}",
                    self.provider.name
                )
            })
            .collect()
    }

    /// Reads the keys, if that was not done before.
    pub(in crate::gateway) async fn read_keys(&self, env: &Env) -> Result<(), Failure> {
        self.keys
            .get_or_try_init(|| KeyStore::read(&self.provider, env))
            .await
            .map(drop)
    }

    pub(in crate::gateway) async fn key_report(&self, env: &Env, now: Timestamp) -> KeyReport {
        if let Err(failure) = self.read_keys(env).await {
            return KeyReport::unread(failure.to_string());
        }
        // Keys cool on single models, and no model has this name.
        let any_model = ModelId::new(&self.provider.name, "*");
        let usable = if let Some(why) = self.missing_key(env) {
            Err(why)
        } else {
            let key = self.key(env, &any_model, Instant::now(), now, &[]).await;
            Ok(key.ok().and_then(|key| key.secret))
        };
        KeyReport {
            found: self.found_keys(),
            errors: self.key_errors(),
            usable,
        }
    }

    /// The keys that were found, with their entries; empty before they are read.
    pub(in crate::gateway) fn found_keys(&self) -> Vec<FoundKey> {
        self.keys.get().map(KeyStore::found).unwrap_or_default()
    }

    pub(in crate::gateway) fn limits_a_key(&self) -> bool {
        let is_limited = |entry: &KeyEntry| entry.per_day.is_some() || entry.per_month.is_some();
        self.provider.keys.iter().any(is_limited)
    }

    pub(in crate::gateway) fn keys_are_at_hand(&self) -> bool {
        let is_variable = |entry: &KeyEntry| matches!(entry.source, KeySource::Env(_));
        self.provider.keys.iter().all(is_variable)
    }

    /// Whether a key that was found has no limit of its own.
    pub(in crate::gateway) fn has_unlimited_key(&self) -> bool {
        let is_unlimited = |key: &FoundKey| key.limit() == DayMonth::default();
        self.found_keys().iter().any(is_unlimited)
    }

    /// Adds the limits of the keys that were found.
    pub(in crate::gateway) fn limit_keys(&self, limits: &mut Limits) {
        for key in self.found_keys() {
            let limit = key.limit();
            if limit != DayMonth::default() {
                limits.limit_key(&self.provider.name, key.last4, limit);
            }
        }
    }

    pub(in crate::gateway) fn with_ring<T>(&self, f: impl FnOnce(&mut KeyRing) -> T) -> Option<T> {
        self.keys.get().map(|store| store.with_ring(f))
    }
}

#[cfg(test)]
mod tests;
