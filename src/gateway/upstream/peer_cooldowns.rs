//! What machines that share keys tell each other through Redis: which key is to be left alone on which model, and how
//! much of its rate limits is left.
//!
//! Owns: asking the other machines before the first key of a rung is picked, and telling them when a key is refused here
//! or runs low.
//! Refuses: to wait for Redis longer than a moment; without an answer the request goes ahead.
//! Invariant: no key leaves this machine, only its fingerprint; without Redis nothing happens here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::chat::Timestamp;
use crate::config::Env;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::gateway::upstream::rate_limits::Headroom;
use crate::provider::{ResponseMeta, Secret};
use crate::redis::{Away, Cooldowns, Cooling, LONGEST, PeerReport, Redis, Waiting};

/// Messages that may be on their way at a time; more are dropped.
const MAX_PENDING: usize = 64;
/// The longest that a key is held back because another machine has seen nothing left of it.
const MAX_HOLD: Duration = Duration::from_secs(5);

/// The other machines, as far as keys are concerned.
#[derive(Debug)]
pub(in crate::gateway) struct PeerCooldowns {
    cooldowns: Cooldowns,
    /// Messages on their way.
    pending: Mutex<JoinSet<()>>,
}

impl PeerCooldowns {
    pub(in crate::gateway) fn new(redis: &Redis) -> Self {
        Self {
            cooldowns: Cooldowns::new(redis.clone()),
            pending: Mutex::default(),
        }
    }

    /// Puts what other machines know of a provider's keys on this model into its key ring. One round trip.
    pub(in crate::gateway) async fn fetch(
        &self,
        provider: &ProviderState,
        env: &Env,
        model: &str,
        waiting: &Waiting,
        asked: Instant,
        now: Timestamp,
    ) {
        let keys = provider.fingerprints(env, asked).await;
        let (indices, of): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .map(|(index, fingerprint)| (index, cooling(provider, fingerprint, model)))
            .unzip();
        let known = match self.cooldowns.within(waiting).read(&of, now).await {
            Ok(known) => known,
            Err(away) => {
                return tracing::debug!(%away, "cool-downs of other machines are not known");
            }
        };
        for (index, PeerReport { until, room }) in indices.into_iter().zip(known) {
            let headroom = room.and_then(|text| Headroom::decode(&text, now, LONGEST));
            provider.with_ring(|ring| {
                if let Some(until) = until {
                    ring.cool(index, model, now, until);
                }
                if let Some(headroom) = headroom {
                    ring.learn_from_peer(index, model, headroom, MAX_HOLD, now);
                }
            });
        }
    }

    /// Tells the other machines to leave this key alone on this model until then. Does not wait for Redis.
    pub(in crate::gateway) fn publish_cooldown(
        &self,
        provider: &ProviderState,
        key: &SelectedKey,
        model: &str,
        until: Timestamp,
        now: Timestamp,
    ) {
        let Some(what) = cooling_key(provider, key, model) else {
            return;
        };
        let cooldowns = self.cooldowns.clone();
        self.publish(async move { cooldowns.cool(&what, until, now).await });
    }

    /// Tells the other machines what is left of this key on this model, when it is little. Does not wait for Redis.
    pub(in crate::gateway) fn publish_headroom(
        &self,
        provider: &ProviderState,
        key: &SelectedKey,
        model: &str,
        meta: &ResponseMeta,
        now: Timestamp,
    ) {
        let Some((headroom, time)) = Headroom::seen(meta, now).encode_if_scarce(now) else {
            return;
        };
        let Some(what) = cooling_key(provider, key, model) else {
            return;
        };
        let cooldowns = self.cooldowns.clone();
        self.publish(async move { cooldowns.tell_room(&what, &headroom, time).await });
    }

    fn publish(&self, message: impl Future<Output = Result<(), Away>> + Send + 'static) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        while pending.try_join_next().is_some() {}
        if pending.len() < MAX_PENDING {
            pending.spawn(async move {
                if let Err(away) = message.await {
                    tracing::debug!(%away, "other machines were not told of a key");
                }
            });
        }
    }

    pub(in crate::gateway) fn redis(&self) -> &Redis {
        self.cooldowns.redis()
    }

    /// Waits for the messages on their way, at the end of the program.
    pub(in crate::gateway) async fn close(&self) {
        let pending =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = timeout(self.redis().patience(), pending.join_all()).await;
    }
}

/// How other machines know a key; `None`: it is not to be known elsewhere.
fn cooling_key(provider: &ProviderState, key: &SelectedKey, model: &str) -> Option<Cooling> {
    Some(cooling(
        provider,
        key.secret.as_ref().and_then(Secret::fingerprint)?,
        model,
    ))
}

fn cooling(provider: &ProviderState, fingerprint: String, model: &str) -> Cooling {
    Cooling {
        provider: provider.provider.name.clone(),
        fingerprint,
        model: model.to_owned(),
    }
}
