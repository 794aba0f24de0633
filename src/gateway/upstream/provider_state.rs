//! The state of one provider: its addresses, its keys, its queue and its budget for retries.
//!
//! Owns: the permits that bound concurrency, the guide's start, and the key that an attempt takes.
//! Refuses: a key to any other endpoint; which key it is (`keys`), and where keys are found (`found`).
//! Invariant: nothing is read or started before the first request; without a key nothing is sent that needs one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use crate::chat::{Failure, FailureKind, ModelId, Timestamp};
use crate::config::{Env, KeySource};
use crate::gateway::upstream::compat_memory::CompatMemory;
use crate::gateway::upstream::endpoints::Endpoints;
use crate::gateway::upstream::key_ring::{KeyRing, Pick};
use crate::gateway::upstream::key_store::KeyStore;
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

/// The key of one attempt; no secret where none is needed.
#[derive(Clone)]
pub(in crate::gateway) struct SelectedKey {
    pub(in crate::gateway) place: usize,
    pub(in crate::gateway) secret: Option<Secret>,
}

/// Why no key can be taken now.
pub(in crate::gateway) enum NoKey {
    /// All of them cool; the first is free after this time.
    Wait(Duration),
    /// Only those are left that were to be passed over.
    Passed,
    Failed(Failure),
}

impl From<Failure> for NoKey {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl SelectedKey {
    /// `…` and the last four characters; empty without a key of the user's.
    pub(in crate::gateway) fn shown(&self) -> String {
        let own = self
            .secret
            .as_ref()
            .filter(|secret| !secret.may_go_to(OFFLINE));
        own.map(Secret::last4).unwrap_or_default()
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
        let here = |source: &KeySource| match source {
            KeySource::Env(name) => env.get(name).is_some_and(|value| !value.trim().is_empty()),
            KeySource::Command(_) | KeySource::Keyring(_) | KeySource::File(_) => true,
        };
        if self.provider.key_sources.iter().any(here) {
            return None;
        }
        let variable = self
            .provider
            .key_sources
            .iter()
            .find_map(|source| match source {
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

    /// The key for a request to `model`, past these places. `asked`: when the user sent the question; where every key
    /// is out since before that, or cools for too long to wait for, they may have replaced one, and the sources are read
    /// again.
    pub(in crate::gateway) async fn key(
        &self,
        env: &Env,
        model: &ModelId,
        asked: Instant,
        now: Timestamp,
        past: &[usize],
    ) -> Result<SelectedKey, NoKey> {
        if self.provider.name == OFFLINE {
            let secret = self.guide().await?.token.clone();
            return Ok(SelectedKey {
                place: 0,
                secret: Some(secret),
            });
        }
        let found = self.found(env, asked).await?;
        let mut pick = found.with_ring(|ring| ring.pick(model.model(), now, past));
        let stuck = |pick: &Pick| match pick {
            Pick::Wait(time) => *time > LONGEST_WAIT,
            pick => matches!(pick, Pick::Out { .. }),
        };
        if stuck(&pick) && found.read_anew(&self.provider, env, asked).await {
            pick = found.with_ring(|ring| ring.pick(model.model(), now, past));
        }
        let name = &self.provider.name;
        match pick {
            Pick::Key(place) => Ok(SelectedKey {
                place,
                secret: found.secret(place),
            }),
            Pick::Empty if !self.provider.needs_key => Ok(SelectedKey {
                place: 0,
                secret: None,
            }),
            Pick::Empty => {
                let why = self
                    .missing_key(env)
                    .unwrap_or_else(|| "has no key".to_owned());
                Err(Failure::new(FailureKind::Usage, format!("{name} {why}")).into())
            }
            Pick::Wait(time) => {
                if time > LONGEST_WAIT {
                    found.cools_for_long();
                }
                Err(NoKey::Wait(time))
            }
            Pick::Passed => Err(NoKey::Passed),
            Pick::Out { place, why, passes } => {
                Err(self.none_works(found, place, &why, passes).into())
            }
        }
    }

    /// The keys, read for the first question that needs one. A question whose sources failed does not read them again
    /// for each rung of its ladder: a command may take its time.
    pub(in crate::gateway) async fn found(
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

    /// The places of the keys that other machines may know, and what they are known by.
    pub(in crate::gateway) async fn fingerprints(
        &self,
        env: &Env,
        asked: Instant,
    ) -> Vec<(usize, String)> {
        if self.provider.key_sources.is_empty() {
            return Vec::new();
        }
        // The failure is reported when a key is taken.
        self.found(env, asked)
            .await
            .map(KeyStore::fingerprints)
            .unwrap_or_default()
    }

    fn none_works(&self, found: &KeyStore, place: usize, why: &str, passes: bool) -> Failure {
        let last4 = found
            .secret(place)
            .map(|secret| secret.last4())
            .unwrap_or_default();
        let failure = Failure::new(
            FailureKind::Request,
            format!("no key of {} works: {last4}: {why}", self.provider.name),
        );
        if passes {
            return failure.hint(
                "raise the limit at the provider and start again, or use another key or model",
            );
        }
        let source = self.provider.key_sources.get(place);
        failure.hint(match source {
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
        let Some(found) = self.keys.get() else { return };
        let why = &error.message;
        match error.class {
            ErrorClass::InvalidKey | ErrorClass::Forbidden => {
                found.out(key, |ring, at| ring.bar(at, why));
            }
            ErrorClass::QuotaExceeded if error.of_account => {
                found.out(key, |ring, at| {
                    ring.park_account(at, now, month_end(now), why);
                });
            }
            ErrorClass::QuotaExceeded | ErrorClass::NoCredit => {
                found.out(key, |ring, at| ring.park(at, now, month_end(now), why));
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
        let Some(found) = self.keys.get() else { return };
        found.of(key, |ring, at| ring.cool(at, model.model(), now, until));
        if until.since(now) > LONGEST_WAIT {
            found.cools_for_long();
        }
    }

    /// The server knows no such model for this key: it is left alone for a while, where there is another.
    pub(in crate::gateway) fn miss(&self, key: &SelectedKey, model: &ModelId, now: Timestamp) {
        if let Some(found) = self.keys.get() {
            found.of(key, |ring, at| {
                ring.miss(at, model.model(), now, now.plus(MISSED));
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
        if let Some(found) = self.keys.get() {
            found.of(key, |ring, at| ring.learn(at, model.model(), meta, now));
        }
    }

    /// Adds to a failure that is a key's fault which key it is, where it comes from, and what to do.
    pub(in crate::gateway) fn naming_key(
        &self,
        failure: Failure,
        error: &WireError,
        key: &SelectedKey,
    ) -> Failure {
        let last4 = key.shown();
        if last4.is_empty() {
            return failure;
        }
        let source = self
            .provider
            .key_sources
            .get(key.place)
            .map(named)
            .unwrap_or_default();
        let key = if source.is_empty() {
            format!("the key {last4}")
        } else {
            format!("the key {last4} from {source}")
        };
        match error.class {
            ErrorClass::InvalidKey => failure.hint(format!("check {key}")),
            ErrorClass::Forbidden => failure.hint(format!(
                "{key} has no access; check the account's rights and region"
            )),
            ErrorClass::NoCredit => {
                failure.hint(format!("add credit for {key}, or choose another provider"))
            }
            ErrorClass::QuotaExceeded => failure.hint(format!(
                "the account's own limit is reached; raise it at the provider for {key}"
            )),
            _ => failure,
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
        let untold = self.keys.get().map(KeyStore::untold).unwrap_or_default();
        untold
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

    /// The key that this source holds, as it is shown; `None` when it holds none, or the keys were not read yet.
    pub(in crate::gateway) fn shown(&self, source: &KeySource) -> Option<String> {
        let place = self
            .provider
            .key_sources
            .iter()
            .position(|known| known == source)?;
        self.keys.get()?.secret(place).map(|secret| secret.last4())
    }

    /// Tells the ring what became of a key.
    pub(in crate::gateway) fn with_ring<T>(&self, f: impl FnOnce(&mut KeyRing) -> T) -> Option<T> {
        self.keys.get().map(|found| found.with_ring(f))
    }
}

/// A source of keys, in a word or two.
fn named(source: &KeySource) -> String {
    match source {
        KeySource::Env(name) => name.clone(),
        KeySource::File(path) => path.display().to_string(),
        KeySource::Command(command) => format!(
            "`{}`",
            command.split_whitespace().next().unwrap_or_default()
        ),
        KeySource::Keyring(name) => format!("the keyring ({name})"),
    }
}

#[cfg(test)]
mod tests;
