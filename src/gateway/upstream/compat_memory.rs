//! What was learned of how models are asked, kept for the next request and for later runs.
//!
//! Owns: the fixes of each model at each address: in memory for all exchanges, and in the store for a month.
//! Refuses: to judge a refusal (`compat` does) and to send.
//! Invariant: a fix is kept only after an answer has shown that it helps, and is forgotten after [`KEPT_FOR`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::catalog::Dialect;
use crate::chat::{ModelId, Params, Timestamp};
use crate::gateway::upstream::compat::{self, CompatFix, CompatFixes, RefusedRequest};
use crate::provider::{Endpoint, WireError};
use crate::store::Store;

/// After this time a parameter is tried again, since servers are updated.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// The fixes known in this process, by model and address.
#[derive(Debug, Default)]
pub(in crate::gateway) struct CompatMemory(Mutex<BTreeMap<String, CompatFixes>>);

/// The fixes of one model, as they are stored.
#[derive(Serialize, Deserialize)]
struct StoredFixes {
    #[serde(rename = "mends")]
    fixes: CompatFixes,
    since: Timestamp,
}

/// How one model is asked at one address in the exchange under way.
#[derive(Debug, Default)]
pub(in crate::gateway) struct ModelCompat {
    /// The key in memory and in the store.
    key: String,
    /// All fixes that are applied.
    fixes: CompatFixes,
    /// Those found in this exchange, which no answer has confirmed yet.
    unconfirmed: CompatFixes,
}

/// Two addresses of one provider may be two servers of different versions, so the address is part of the key.
fn key(model: &ModelId, endpoint: &Endpoint) -> String {
    format!("mends of {model} at {}", endpoint.base_url())
}

impl ModelCompat {
    /// How the model is asked, and what of the user's own settings that leaves out, in words that follow its name.
    pub(in crate::gateway) fn applied(
        &self,
        params: Params,
        dialect: &Dialect,
    ) -> (Params, Dialect, Vec<String>) {
        self.fixes.applied(params, dialect)
    }

    /// The fix for a refused request, unless one of its kind was tried in this exchange already.
    pub(in crate::gateway) fn fix_for(
        &self,
        error: &WireError,
        sent: &RefusedRequest<'_>,
    ) -> Option<CompatFix> {
        compat::fix_for(error, sent, &self.unconfirmed)
    }

    /// Applies the fix from the next request on.
    pub(in crate::gateway) fn add(&mut self, fix: CompatFix) {
        self.unconfirmed.add(fix);
        self.fixes.add(fix);
    }
}

impl CompatMemory {
    /// What is known of a model at an address. Reads the store the first time.
    pub(in crate::gateway) async fn recall(
        &self,
        store: &Store,
        model: &ModelId,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> ModelCompat {
        let key = key(model, endpoint);
        let known = self.lock(|known| known.get(&key).cloned());
        let fixes = if let Some(fixes) = known {
            fixes
        } else {
            let stored = read(store, key.clone(), now).await;
            self.lock(|known| known.insert(key.clone(), stored.clone()));
            stored
        };
        ModelCompat {
            key,
            fixes,
            unconfirmed: CompatFixes::default(),
        }
    }

    /// The server has accepted a request with these fixes: they are applied from now on, in this process and in later
    /// ones. A stop ends only the wait for the store.
    pub(in crate::gateway) async fn confirm(
        &self,
        store: &Store,
        compat: &ModelCompat,
        now: Timestamp,
        stop: &CancellationToken,
    ) {
        if compat.unconfirmed.is_empty() {
            return;
        }
        let (key, fixes) = (compat.key.clone(), compat.fixes.clone());
        self.lock(|known| known.insert(key.clone(), fixes.clone()));
        let stored = StoredFixes { fixes, since: now };
        tokio::select! {
            biased;
            // In the queue of the store from the start: a stop leaves it there.
            written = store.run(move |db| db.remember(&key, &stored)) => if let Err(error) = written {
                tracing::warn!(%error, "what was learned of a model cannot be kept");
            },
            () = stop.cancelled() => {}
        }
    }

    fn lock<T>(&self, f: impl FnOnce(&mut BTreeMap<String, CompatFixes>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read(store: &Store, key: String, now: Timestamp) -> CompatFixes {
    let stored = store
        .run(move |db| db.remembered::<StoredFixes>(&key))
        .await
        .inspect_err(|error| tracing::warn!(%error, "what was learned of a model cannot be read"));
    stored
        .ok()
        .flatten()
        .filter(|stored| now.since(stored.since) < KEPT_FOR)
        .map(|stored| stored.fixes)
        .unwrap_or_default()
}
