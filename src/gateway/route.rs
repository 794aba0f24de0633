//! The way to one provider: its endpoint, its keys in turn, its share of connections.
//!
//! Owns: when keys are read (at the first request, never before) and the permits that bound concurrency.
//! Refuses: a key to any other endpoint.
//! Invariant: a key is read once; one that is malformed is refused with its source, never shown.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::keys::{KeyRing, Pick};
use crate::chat::{Failure, FailureKind, Timestamp};
use crate::config::{Env, KeySource};
use crate::provider::guide::{self, OFFLINE};
use crate::provider::{Endpoint, Provider, Secret};
use crate::tokens::{self, Encoding};

pub(super) struct Route {
    pub(super) provider: Provider,
    keys: OnceCell<Keys>,
    permits: Semaphore,
    guide: OnceCell<Guide>,
}

struct Keys {
    secrets: Vec<Secret>,
    ring: Mutex<KeyRing>,
}

/// The built-in guide, listening.
struct Guide {
    _server: guide::Server,
    endpoint: Endpoint,
    token: Secret,
}

/// A key taken for one attempt, or none where none is needed.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) place: usize,
    pub(super) secret: Option<Secret>,
}

/// Why no key can be taken now.
pub(super) enum NoKey {
    /// All of them cool; the first is free after this time.
    Wait(Duration),
    Failed(Failure),
}

impl From<Failure> for NoKey {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Taken {
    /// `…` and the last four characters; empty without a key of the user's.
    pub(super) fn shown(&self) -> String {
        let own = self.secret.as_ref().filter(|secret| !secret.may_go_to(OFFLINE));
        own.map(Secret::last4).unwrap_or_default()
    }
}

impl Route {
    pub(super) fn new(provider: Provider, concurrency: usize) -> Self {
        Self {
            provider,
            keys: OnceCell::new(),
            permits: Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)),
            guide: OnceCell::new(),
        }
    }

    /// Why there is no key, in words that follow a model's name; `None`: there is one, or none is needed.
    pub(super) fn missing_key(&self, env: &Env) -> Option<String> {
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
        let variable = self.provider.key_sources.iter().find_map(|source| match source {
            KeySource::Env(name) => Some(name.as_str()),
            _ => None,
        });
        Some(match variable {
            Some(name) => format!("has no key: set {name}"),
            None => format!("has no key: add one under [[providers]] name = \"{}\"", self.provider.name),
        })
    }

    /// Waits for a place among the requests to this provider.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // Fails only when the semaphore is closed, which nobody does.
        self.permits.acquire().await.ok()
    }

    /// Where to send. The guide is started when it is first asked.
    pub(super) async fn endpoint(&self) -> Result<&Endpoint, Failure> {
        if self.provider.name == OFFLINE {
            return self.guide().await.map(|guide| &guide.endpoint);
        }
        self.provider
            .endpoints
            .first()
            .ok_or_else(|| Failure::new(FailureKind::Usage, format!("{} has no address", self.provider.name)))
    }

    async fn guide(&self) -> Result<&Guide, Failure> {
        let start = || async {
            let broken = |error: String| {
                Failure::new(FailureKind::Request, format!("the built-in guide cannot be served on loopback: {error}"))
            };
            let count = |text: &str| tokens::count(Encoding::O200kBase, text);
            let server = guide::serve(count, guide::PACE).map_err(|error| broken(error.to_string()))?;
            let endpoint = Endpoint::parse(OFFLINE, &server.base_url(), false).map_err(|e| broken(e.to_string()))?;
            let token = Secret::parse(server.token().as_bytes(), "the guide").map_err(|e| broken(e.to_string()))?;
            Ok(Guide { endpoint, token: token.owned_by(OFFLINE), _server: server })
        };
        self.guide.get_or_try_init(start).await
    }

    /// The next key in turn.
    pub(super) async fn key(&self, env: &Env, now: Timestamp) -> Result<Taken, NoKey> {
        if self.provider.name == OFFLINE {
            let secret = self.guide().await?.token.clone();
            return Ok(Taken { place: 0, secret: Some(secret) });
        }
        let keys = self.keys.get_or_try_init(|| self.load(env)).await?;
        let pick = keys.ring.lock().unwrap_or_else(PoisonError::into_inner).pick(now);
        let name = &self.provider.name;
        match pick {
            Pick::Key(place) => Ok(Taken { place, secret: keys.secrets.get(place).cloned() }),
            Pick::Empty if !self.provider.needs_key => Ok(Taken { place: 0, secret: None }),
            Pick::Empty => {
                let why = self.missing_key(env).unwrap_or_else(|| "has no key".to_owned());
                Err(Failure::new(FailureKind::Usage, format!("{name} {why}")).into())
            }
            Pick::Wait(time) => Err(NoKey::Wait(time)),
            Pick::Barred(why) => Err(Failure::new(FailureKind::Request, format!("no key of {name} works: {why}"))
                .hint("check the key at the provider, then start again")
                .into()),
        }
    }

    /// Every key cools for longer than anybody waits.
    pub(super) fn at_rate_limit(&self, time: Duration) -> Failure {
        let seconds = time.as_secs() + 1;
        Failure::new(FailureKind::Request, format!("every key of {} is at its rate limit", self.provider.name))
            .hint(format!("the first is free again in {seconds} s"))
    }

    async fn load(&self, env: &Env) -> Result<Keys, Failure> {
        let (mut secrets, mut failed) = (Vec::new(), None);
        for source in &self.provider.key_sources {
            match self.provider.key_from(source, env).await {
                Ok(secret) => secrets.extend(secret),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // A source that fails does not hide one that works.
        if let (true, Some(error)) = (secrets.is_empty(), failed) {
            return Err(Failure::new(FailureKind::Usage, error.to_string()));
        }
        let ring = Mutex::new(KeyRing::new(secrets.len()));
        Ok(Keys { secrets, ring })
    }

    /// Tells the ring what became of a key.
    pub(super) fn with_ring<T>(&self, f: impl FnOnce(&mut KeyRing) -> T) -> Option<T> {
        self.keys.get().map(|keys| f(&mut keys.ring.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
