//! What machines tell each other of the keys that they share: which of them was told to be left alone, on which model, and
//! how much of its rate limits is left.
//!
//! Owns: asking the others before the first key of a rung is picked, and telling them when a key is refused here or runs low.
//! Refuses: waiting for them longer than a moment; what cannot be heard or told is done without.
//! Invariant: no key leaves this machine, only its fingerprint; without Redis nothing happens here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::chat::Timestamp;
use crate::config::Env;
use crate::gateway::attempt::run::AttemptContext;
use crate::gateway::exchange::ExchangeRun;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::gateway::upstream::rate_limits::Headroom;
use crate::provider::{ResponseMeta, Secret};
use crate::redis::{Away, Cooldowns, Cooling, LONGEST, Redis, Told, Waiting};

/// What may be being told at a time; one thing more is not told.
const TELLING: usize = 64;
/// The longest that a key is held back because another machine has seen nothing left of it.
const HELD: Duration = Duration::from_secs(5);

/// The other machines, as far as keys are concerned.
#[derive(Debug)]
pub(in crate::gateway) struct PeerCooldowns {
    cooldowns: Cooldowns,
    /// What is just being told.
    telling: Mutex<JoinSet<()>>,
}

impl PeerCooldowns {
    pub(in crate::gateway) fn new(redis: &Redis) -> Self {
        Self {
            cooldowns: Cooldowns::new(redis.clone()),
            telling: Mutex::default(),
        }
    }

    /// Leaves alone the keys of a provider that others were told to leave alone on this model, and learns what is left of
    /// the others. One round trip.
    pub(in crate::gateway) async fn hear(
        &self,
        route: &ProviderState,
        env: &Env,
        model: &str,
        waiting: &Waiting,
        asked: Instant,
        now: Timestamp,
    ) {
        let keys = route.fingerprints(env, asked).await;
        let (places, of): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .map(|(place, fingerprint)| (place, cooling(route, fingerprint, model)))
            .unzip();
        match self.cooldowns.within(waiting).read(&of, now).await {
            Ok(found) => {
                for (place, Told { until, room }) in places.into_iter().zip(found) {
                    let room = room.and_then(|text| Headroom::heard(&text, now, LONGEST));
                    route.with_ring(|ring| {
                        if let Some(until) = until {
                            ring.cool(place, model, now, until);
                        }
                        if let Some(room) = room {
                            ring.learn_from_peer(place, model, room, HELD, now);
                        }
                    });
                }
            }
            Err(away) => tracing::debug!(%away, "cool-downs of other machines are not known"),
        }
    }

    /// Tells the others that this key is to be left alone on this model until then. Nobody waits for it.
    pub(in crate::gateway) fn tell(
        &self,
        route: &ProviderState,
        key: &SelectedKey,
        model: &str,
        until: Timestamp,
        now: Timestamp,
    ) {
        let Some(what) = cooling_key(route, key, model) else {
            return;
        };
        let cooldowns = self.cooldowns.clone();
        self.aside(async move { cooldowns.cool(&what, until, now).await });
    }

    /// Tells the others what is left of this key on this model, when it is little. Nobody waits for it.
    fn tell_room(
        &self,
        route: &ProviderState,
        key: &SelectedKey,
        model: &str,
        meta: &ResponseMeta,
        now: Timestamp,
    ) {
        let Some((room, time)) = Headroom::seen(meta, now).told(now) else {
            return;
        };
        let Some(what) = cooling_key(route, key, model) else {
            return;
        };
        let cooldowns = self.cooldowns.clone();
        self.aside(async move { cooldowns.tell_room(&what, &room, time).await });
    }

    fn aside(&self, telling: impl Future<Output = Result<(), Away>> + Send + 'static) {
        let mut all = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        if all.len() < TELLING {
            all.spawn(async move {
                if let Err(away) = telling.await {
                    tracing::debug!(%away, "other machines were not told of a key");
                }
            });
        }
    }

    /// The Redis through which they are heard.
    pub(in crate::gateway) fn redis(&self) -> &Redis {
        self.cooldowns.redis()
    }

    /// Lets what is just being told be heard, at the end of the program.
    pub(in crate::gateway) async fn close(&self) {
        let telling =
            std::mem::take(&mut *self.telling.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = timeout(self.redis().patience(), telling.join_all()).await;
    }
}

impl ExchangeRun {
    /// Takes in what the headers of an answer, or of a refusal, say of the key that was used, and tells the others.
    pub(in crate::gateway) fn learn(
        &self,
        on: &AttemptContext<'_>,
        key: &SelectedKey,
        meta: &ResponseMeta,
    ) {
        let now = self.now();
        on.route.learn(key, &on.rung.model, meta, now);
        if let Some(others) = &self.gateway.others {
            others.tell_room(on.route, key, on.rung.model.model(), meta, now);
        }
    }
}

/// What a key is known by elsewhere; `None`: nobody else may know it.
fn cooling_key(route: &ProviderState, key: &SelectedKey, model: &str) -> Option<Cooling> {
    Some(cooling(
        route,
        key.secret.as_ref().and_then(Secret::fingerprint)?,
        model,
    ))
}

fn cooling(route: &ProviderState, fingerprint: String, model: &str) -> Cooling {
    Cooling {
        provider: route.provider.name.clone(),
        fingerprint,
        model: model.to_owned(),
    }
}
