//! The keys of one provider, as they were found in their sources.
//!
//! Owns: reading the sources, once, and once more when every key is out, or cools for long, and the user sends again; the
//! ring beside them.
//! Refuses: to read before a request needs a key, and to judge what became of one.
//! Invariant: a place is that of its source, for good; what an attempt reports of a key that was replaced is dropped; a
//! key that stands in two places is one key, at the first of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::chat::{Failure, FailureKind};
use crate::config::Env;
use crate::gateway::upstream::key_ring::KeyRing;
use crate::gateway::upstream::provider_state::SelectedKey;
use crate::provider::{KeyError, Provider, Secret};

/// Sources that held nothing new are left alone for so long: a batch sends many questions in a moment.
const LEFT_ALONE: Duration = Duration::from_secs(1);

pub(in crate::gateway) struct KeyStore {
    keys: Mutex<Keys>,
    /// Held while the sources are read anew.
    last_look: tokio::sync::Mutex<Option<Look>>,
}

struct Keys {
    /// By place; `None`: the source holds no key.
    secrets: Vec<Option<Secret>>,
    /// The sources that could not be read when they were looked at last, by place.
    errors: BTreeMap<usize, Trouble>,
    ring: KeyRing,
    /// When a key was taken out of use last, or found to cool for longer than anybody waits.
    out_at: Option<Instant>,
}

/// A key that is left out, while others are used.
struct Trouble {
    error: KeyError,
    told: bool,
}

struct Look {
    at: Instant,
    news: bool,
}

impl KeyStore {
    /// Reads every source. One that fails does not hide one that works, and is not hidden by it.
    pub(in crate::gateway) async fn read(provider: &Provider, env: &Env) -> Result<Self, Failure> {
        let mut secrets = Vec::with_capacity(provider.key_sources.len());
        let mut errors = BTreeMap::new();
        for (place, source) in provider.key_sources.iter().enumerate() {
            let read = provider
                .key_from(source, env)
                .await
                .unwrap_or_else(|error| {
                    tracing::warn!(provider = provider.name, %error, "a key cannot be had");
                    errors.insert(place, Trouble { error, told: false });
                    None
                });
            secrets.push(read);
        }
        if let (true, Some(first)) = (secrets.iter().all(Option::is_none), errors.values().next()) {
            return Err(Failure::new(FailureKind::Usage, first.error.to_string()));
        }
        let mut keys = Keys {
            ring: KeyRing::new(secrets.len()),
            secrets,
            errors,
            out_at: None,
        };
        keys.seat();
        Ok(Self {
            keys: Mutex::new(keys),
            last_look: tokio::sync::Mutex::default(),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Keys) -> T) -> T {
        f(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(in crate::gateway) fn with_ring<T>(&self, f: impl FnOnce(&mut KeyRing) -> T) -> T {
        self.with(|keys| f(&mut keys.ring))
    }

    pub(in crate::gateway) fn secret(&self, place: usize) -> Option<Secret> {
        self.with(|keys| keys.secrets.get(place).cloned().flatten())
    }

    /// Each key that has a fingerprint, by place.
    pub(in crate::gateway) fn fingerprints(&self) -> Vec<(usize, String)> {
        let of =
            |(at, secret): (usize, &Option<Secret>)| Some((at, secret.as_ref()?.fingerprint()?));
        self.with(|keys| keys.secrets.iter().enumerate().filter_map(of).collect())
    }

    /// Why there are sources whose key is left out.
    pub(in crate::gateway) fn errors(&self) -> Vec<String> {
        self.with(|keys| {
            keys.errors
                .values()
                .map(|trouble| trouble.error.to_string())
                .collect()
        })
    }

    /// Those of [`Self::errors`] that nobody was told of yet; from now on somebody was.
    pub(in crate::gateway) fn untold(&self) -> Vec<String> {
        self.with(|keys| {
            let news = |trouble: &mut Trouble| {
                (!std::mem::replace(&mut trouble.told, true)).then(|| trouble.error.to_string())
            };
            keys.errors.values_mut().filter_map(news).collect()
        })
    }

    /// Tells the ring of a key at every place where it stands.
    pub(in crate::gateway) fn of(&self, key: &SelectedKey, f: impl Fn(&mut KeyRing, usize)) {
        self.with(|keys| {
            for at in keys.places(key) {
                f(&mut keys.ring, at);
            }
        });
    }

    /// As [`Self::of`], when it takes the key out of use.
    pub(in crate::gateway) fn out(&self, key: &SelectedKey, f: impl Fn(&mut KeyRing, usize)) {
        self.of(key, f);
        self.with(|keys| keys.out_at = Some(Instant::now()));
    }

    /// Every key that is left cools for longer than anybody waits: whoever hears of it and sends again may have put
    /// another in its place.
    pub(in crate::gateway) fn cools_for_long(&self) {
        self.with(|keys| _ = keys.out_at.get_or_insert_with(Instant::now));
    }

    /// Reads the sources again for a question that was sent after the last key had failed: whoever sends again may have
    /// mended one. A place whose key has changed is fresh. `false`: nothing can have changed.
    pub(in crate::gateway) async fn read_anew(
        &self,
        provider: &Provider,
        env: &Env,
        asked: Instant,
    ) -> bool {
        if self
            .with(|keys| keys.out_at)
            .is_none_or(|out_at| out_at >= asked)
        {
            return false;
        }
        let mut last = self.last_look.lock().await;
        match &*last {
            Some(look) if look.at >= asked => return look.news,
            Some(look) if !look.news && look.at.elapsed() < LEFT_ALONE => return false,
            _ => {}
        }
        let at = Instant::now();
        let mut news = false;
        for (place, source) in provider.key_sources.iter().enumerate() {
            let read = provider.key_from(source, env).await;
            self.with(|keys| match read {
                Ok(secret) => {
                    keys.errors.remove(&place);
                    news |= secret.is_some_and(|secret| keys.replace(place, secret));
                }
                Err(error) => {
                    tracing::warn!(provider = provider.name, %error, "a key cannot be had");
                    let told = keys
                        .errors
                        .get(&place)
                        .is_some_and(|known| known.told && known.error == error);
                    keys.errors.insert(place, Trouble { error, told });
                }
            });
        }
        *last = Some(Look { at, news });
        news
    }
}

impl Keys {
    /// The places where this very key stands.
    fn places(&self, key: &SelectedKey) -> Vec<usize> {
        let same = |(at, secret): (usize, &Option<Secret>)| {
            (secret.is_some() && *secret == key.secret).then_some(at)
        };
        self.secrets.iter().enumerate().filter_map(same).collect()
    }

    fn replace(&mut self, place: usize, secret: Secret) -> bool {
        let Some(old) = self
            .secrets
            .get_mut(place)
            .filter(|old| old.as_ref() != Some(&secret))
        else {
            return false;
        };
        *old = Some(secret);
        self.ring.renew(place, true);
        self.seat();
        true
    }

    /// Gives every key one seat in the ring, that of its first place: the same key twice would be asked twice, and has
    /// only one limit.
    fn seat(&mut self) {
        for (at, secret) in self.secrets.iter().enumerate() {
            self.ring
                .seat(at, secret.is_some() && !self.secrets[..at].contains(secret));
        }
    }
}
