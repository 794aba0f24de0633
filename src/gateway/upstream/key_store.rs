//! The keys of one provider, as they were found in their sources.
//!
//! Owns: reading the sources: once, and again when every key is exhausted, or cools for long, and the user sends again;
//! the ring that picks among the keys.
//! Refuses: to read before a request needs a key, and to judge how an attempt with a key ended.
//! Invariant: an index is that of the entry in the configuration and never changes; reports about a key that has been
//! replaced are dropped; a key that stands in two sources is one key, at the first of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::budget::DayMonth;
use crate::chat::{Failure, FailureKind};
use crate::config::{Env, KeyEntry, KeySource};
use crate::gateway::upstream::key_ring::KeyRing;
use crate::provider::guide::OFFLINE;
use crate::provider::{ErrorClass, KeyError, Provider, Secret, WireError};

/// After a reading that found nothing new, the sources are not read again for so long: a batch sends many questions in a
/// moment.
const REREAD_PAUSE: Duration = Duration::from_secs(1);

pub(in crate::gateway) struct KeyStore {
    keys: Mutex<Keys>,
    /// Locked while the sources are read again.
    last_reread: tokio::sync::Mutex<Option<Reread>>,
}

struct Keys {
    /// In the order of the configuration, which is that of the ring's slots.
    stored: Vec<StoredKey>,
    ring: KeyRing,
    /// When the last key was exhausted, or every key was found to cool for too long to wait.
    exhausted_at: Option<Instant>,
}

struct StoredKey {
    entry: KeyEntry,
    /// `None`: the source holds no key.
    secret: Option<Secret>,
    /// Why the source could not be read the last time.
    fault: Option<SourceFault>,
}

/// The key of this source is left out, while others are used.
struct SourceFault {
    error: KeyError,
    reported: bool,
}

struct Reread {
    at: Instant,
    found_new: bool,
}

/// The key chosen for one attempt.
#[derive(Clone)]
pub(in crate::gateway) struct SelectedKey {
    /// Of its entry in the configuration.
    pub(in crate::gateway) index: usize,
    /// `None`: the provider needs no key, or is the built-in guide.
    pub(in crate::gateway) entry: Option<KeyEntry>,
    pub(in crate::gateway) secret: Option<Secret>,
}

/// A key that was found, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundKey {
    /// `…` and the last four characters.
    pub(crate) last4: String,
    pub(crate) entry: KeyEntry,
}

/// What is known of a provider's keys after reading them.
#[derive(Debug)]
pub(crate) struct KeyReport {
    pub(crate) found: Vec<FoundKey>,
    /// Why some sources hold no usable key, while others do.
    pub(crate) errors: Vec<String>,
    /// A key that may be used now, if the provider needs one; or why there is none.
    pub(crate) usable: Result<Option<Secret>, String>,
}

impl KeyReport {
    /// The keys could not be read.
    pub(crate) fn unread(why: String) -> Self {
        Self {
            found: Vec::new(),
            errors: Vec::new(),
            usable: Err(why),
        }
    }
}

impl SelectedKey {
    /// For a provider that takes no key from the configuration.
    pub(in crate::gateway) fn without_entry(secret: Option<Secret>) -> Self {
        Self {
            index: 0,
            entry: None,
            secret,
        }
    }

    pub(in crate::gateway) fn source(&self) -> Option<&KeySource> {
        self.entry.as_ref().map(|entry| &entry.source)
    }

    /// `…` and the last four characters; empty without a key of the user's.
    pub(in crate::gateway) fn shown(&self) -> String {
        self.secret
            .as_ref()
            .filter(|secret| !secret.may_go_to(OFFLINE))
            .map(Secret::last4)
            .unwrap_or_default()
    }

    /// Adds to a failure that is this key's fault which key it is, where it comes from, and what to do.
    pub(in crate::gateway) fn naming(&self, failure: Failure, error: &WireError) -> Failure {
        let last4 = self.shown();
        if last4.is_empty() {
            return failure;
        }
        let source = self.source().map(named).unwrap_or_default();
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
}

impl FoundKey {
    /// What may be spent with it.
    pub(crate) fn limit(&self) -> DayMonth {
        DayMonth {
            per_day: self.entry.per_day,
            per_month: self.entry.per_month,
        }
    }
}

impl KeyStore {
    /// Reads every source. A source that fails does not hide one that works; the failure is reported beside it.
    pub(in crate::gateway) async fn read(provider: &Provider, env: &Env) -> Result<Self, Failure> {
        let mut stored = Vec::with_capacity(provider.keys.len());
        for entry in &provider.keys {
            let (secret, fault) = match provider.load_key(entry, env).await {
                Ok(secret) => (secret, None),
                Err(error) => {
                    tracing::warn!(provider = provider.name, %error, "a key cannot be read");
                    let reported = false;
                    (None, Some(SourceFault { error, reported }))
                }
            };
            stored.push(StoredKey {
                entry: entry.clone(),
                secret,
                fault,
            });
        }
        let mut faults = stored.iter().filter_map(|key| key.fault.as_ref());
        if let (true, Some(first)) = (stored.iter().all(|key| key.secret.is_none()), faults.next())
        {
            return Err(Failure::new(FailureKind::Usage, first.error.to_string()));
        }
        let mut keys = Keys {
            ring: KeyRing::new(stored.len()),
            stored,
            exhausted_at: None,
        };
        keys.mark_present();
        Ok(Self {
            keys: Mutex::new(keys),
            last_reread: tokio::sync::Mutex::default(),
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut Keys) -> T) -> T {
        f(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(in crate::gateway) fn with_ring<T>(&self, f: impl FnOnce(&mut KeyRing) -> T) -> T {
        self.with(|keys| f(&mut keys.ring))
    }

    /// The key with this index, together with its entry.
    pub(in crate::gateway) fn select(&self, index: usize) -> SelectedKey {
        self.with(|keys| {
            let stored = keys.stored.get(index);
            SelectedKey {
                index,
                entry: stored.map(|key| key.entry.clone()),
                secret: stored.and_then(|key| key.secret.clone()),
            }
        })
    }

    /// Every key that was found, in the order of the configuration.
    pub(in crate::gateway) fn found(&self) -> Vec<FoundKey> {
        let found = |key: &StoredKey| {
            Some(FoundKey {
                last4: key.secret.as_ref()?.last4(),
                entry: key.entry.clone(),
            })
        };
        self.with(|keys| keys.stored.iter().filter_map(found).collect())
    }

    /// Each key that has a fingerprint, with its index.
    pub(in crate::gateway) fn fingerprints(&self) -> Vec<(usize, String)> {
        let fingerprint =
            |(index, key): (usize, &StoredKey)| Some((index, key.secret.as_ref()?.fingerprint()?));
        self.with(|keys| {
            keys.stored
                .iter()
                .enumerate()
                .filter_map(fingerprint)
                .collect()
        })
    }

    /// Why the keys of some sources are left out.
    pub(in crate::gateway) fn errors(&self) -> Vec<String> {
        self.with(|keys| {
            let faults = keys.stored.iter().filter_map(|key| key.fault.as_ref());
            faults.map(|fault| fault.error.to_string()).collect()
        })
    }

    /// Those of [`Self::errors`] that no earlier call has returned.
    pub(in crate::gateway) fn take_unreported(&self) -> Vec<String> {
        self.with(|keys| {
            let unreported = |fault: &mut SourceFault| {
                let reported = std::mem::replace(&mut fault.reported, true);
                (!reported).then(|| fault.error.to_string())
            };
            let faults = keys.stored.iter_mut().filter_map(|key| key.fault.as_mut());
            faults.filter_map(unreported).collect()
        })
    }

    /// Reports something about a key to the ring, for every index that holds this very key.
    pub(in crate::gateway) fn report(&self, key: &SelectedKey, f: impl Fn(&mut KeyRing, usize)) {
        self.with(|keys| {
            for index in keys.indices_of(key) {
                f(&mut keys.ring, index);
            }
        });
    }

    /// As [`Self::report`], when it takes the key out of use.
    pub(in crate::gateway) fn exhaust(&self, key: &SelectedKey, f: impl Fn(&mut KeyRing, usize)) {
        self.report(key, f);
        self.with(|keys| keys.exhausted_at = Some(Instant::now()));
    }

    /// Notes that every usable key cools for too long to wait: the user, who is told so, may replace one before sending
    /// again.
    pub(in crate::gateway) fn note_long_cooling(&self) {
        self.with(|keys| _ = keys.exhausted_at.get_or_insert_with(Instant::now));
    }

    /// Reads the sources again for a question that was asked after the last key had failed, because the user may have
    /// corrected one since. A key that has changed starts fresh. `false`: nothing has changed.
    pub(in crate::gateway) async fn reread(
        &self,
        provider: &Provider,
        env: &Env,
        asked: Instant,
    ) -> bool {
        let exhausted_at = self.with(|keys| keys.exhausted_at);
        if exhausted_at.is_none_or(|exhausted_at| exhausted_at >= asked) {
            return false;
        }
        let mut last = self.last_reread.lock().await;
        match &*last {
            Some(reread) if reread.at >= asked => return reread.found_new,
            Some(reread) if !reread.found_new && reread.at.elapsed() < REREAD_PAUSE => {
                return false;
            }
            _ => {}
        }
        let at = Instant::now();
        let mut found_new = false;
        for (index, entry) in provider.keys.iter().enumerate() {
            let read = provider.load_key(entry, env).await;
            if let Err(error) = &read {
                tracing::warn!(provider = provider.name, %error, "a key cannot be read");
            }
            found_new |= self.with(|keys| keys.take_in(index, read));
        }
        *last = Some(Reread { at, found_new });
        found_new
    }
}

impl Keys {
    /// The indices that hold this very key.
    fn indices_of(&self, key: &SelectedKey) -> Vec<usize> {
        let is_same = |(index, stored): (usize, &StoredKey)| {
            (stored.secret.is_some() && stored.secret == key.secret).then_some(index)
        };
        self.stored.iter().enumerate().filter_map(is_same).collect()
    }

    /// Takes in what a source holds now; a source that holds none any more leaves the old key. `true`: the key is new.
    fn take_in(&mut self, index: usize, read: Result<Option<Secret>, KeyError>) -> bool {
        let Some(stored) = self.stored.get_mut(index) else {
            return false;
        };
        let secret = match read {
            Ok(secret) => secret,
            Err(error) => {
                let reported = stored
                    .fault
                    .as_ref()
                    .is_some_and(|known| known.reported && known.error == error);
                stored.fault = Some(SourceFault { error, reported });
                return false;
            }
        };
        stored.fault = None;
        if secret.is_none() || secret == stored.secret {
            return false;
        }
        stored.secret = secret;
        self.ring.reset(index, true);
        self.mark_present();
        true
    }

    /// Lets the ring pick each key at its first index only: a key that stands in two sources has only one limit.
    fn mark_present(&mut self) {
        for (index, key) in self.stored.iter().enumerate() {
            let is_first = self.stored[..index]
                .iter()
                .all(|earlier| earlier.secret != key.secret);
            self.ring
                .set_present(index, key.secret.is_some() && is_first);
        }
    }
}

/// A source of keys, in a word or two.
pub(in crate::gateway) fn named(source: &KeySource) -> String {
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
