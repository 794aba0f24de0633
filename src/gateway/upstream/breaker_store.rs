//! What one process tells the next of an address that fails.
//!
//! Owns: the newest outcomes and the open circuit of each address in trouble, as they lie in the store.
//! Refuses: addresses that work (they have no row), and addresses by name: a fingerprint tells them apart.
//! Invariant: what is older than [`FORGOTTEN`] is as if it were not there; a store that fails forgets, and no more.
//!
//! A one-shot makes fewer requests than a circuit looks at. Twenty of them against a dead address would each wait for the
//! connection; with this the second one opens the circuit, and the others say so at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::{Timestamp, fingerprint};
use crate::gateway::Gateway;
use crate::gateway::exchange::ExchangeRun;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::protocol::Circuit;
use crate::provider::Endpoint;
use crate::provider::guide::OFFLINE;
use crate::store::Db;

/// Trouble older than this says nothing any more.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// Addresses that are remembered, those with the newest trouble.
const KEPT: usize = 32;
/// Its name among the states that outlive a process.
const NAME: &str = "outages";

/// What a circuit that is not well hands on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::gateway) struct Outage {
    /// When, and whether it failed; oldest first.
    pub(in crate::gateway) recent: Vec<(Timestamp, bool)>,
    /// Nobody asks before this time; so many times in a row.
    pub(in crate::gateway) open: Option<(Timestamp, u32)>,
    /// When a trial beside another address was lost on it.
    #[serde(default)]
    pub(in crate::gateway) lost: Option<Timestamp>,
}

/// What other processes do not know yet of an address.
#[derive(Debug)]
pub(in crate::gateway) enum News {
    Trouble(Outage),
    /// It works again.
    Over,
}

/// The addresses in trouble, by fingerprint.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Outages(BTreeMap<String, Outage>);

impl Outage {
    /// When it was in trouble last, or will be.
    fn newest(&self) -> Timestamp {
        let until = self.open.map(|(until, _)| until);
        self.recent
            .last()
            .map(|(at, _)| *at)
            .into_iter()
            .chain(until)
            .max()
            .unwrap_or_default()
    }
}

impl Outages {
    fn read(db: &Db, now: Timestamp) -> Self {
        // Unreadable is as good as none: whoever asks finds out anew.
        let mut known = db
            .remembered::<Self>(NAME)
            .ok()
            .flatten()
            .unwrap_or_default();
        known
            .0
            .retain(|_, outage| now.since(outage.newest()) < FORGOTTEN);
        known
    }

    fn put(&mut self, address: String, news: News) {
        match news {
            News::Trouble(outage) => drop(self.0.insert(address, outage)),
            News::Over => drop(self.0.remove(&address)),
        }
        while self.0.len() > KEPT {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, outage)| outage.newest())
                .map(|(name, _)| name.clone());
            self.0.remove(&oldest.unwrap_or_default());
        }
    }
}

fn name(endpoint: &Endpoint) -> String {
    fingerprint(endpoint.base_url().as_bytes())
}

impl Gateway {
    /// How it stands with a provider, as far as it is known to any process: the circuit of its best address.
    pub async fn circuit(&self, provider: &str) -> Circuit {
        let Some(route) = self.routes.get(provider) else {
            return Circuit::Closed;
        };
        self.recall_outages(route, &route.provider.endpoints).await;
        route.health.circuit(self.parts.clock.now())
    }

    /// Takes in what other processes found out about the addresses of a provider; once for each process.
    pub(in crate::gateway) async fn recall_outages(
        &self,
        route: &ProviderState,
        endpoints: &[Endpoint],
    ) {
        if route.provider.name == OFFLINE || !route.health.is_unheard() {
            return;
        }
        let now = self.parts.clock.now();
        let Ok(store) = self.store().await else {
            return;
        };
        let known = store.run(move |db| Ok(Outages::read(db, now))).await;
        for (place, endpoint) in endpoints.iter().enumerate() {
            if let Ok(Outages(known)) = &known
                && let Some(outage) = known.get(&name(endpoint))
            {
                route.health.recall(place, outage, now);
            }
        }
    }
}

impl ExchangeRun {
    /// Writes down how it stands with an address, where that has changed. It is in the queue of the store from the start,
    /// so a stop leaves it there.
    pub(in crate::gateway) async fn persist_breaker(
        &self,
        route: &ProviderState,
        endpoint: &Endpoint,
        place: usize,
    ) {
        let Some(news) = route
            .health
            .news(place)
            .filter(|_| route.provider.name != OFFLINE)
        else {
            return;
        };
        let (address, now) = (name(endpoint), self.now());
        let job = move |db: &mut Db| {
            db.write(|db| {
                let mut known = Outages::read(db, now);
                known.put(address, news);
                db.remember(NAME, &known)
            })
        };
        let Ok(store) = self.gateway.store().await else {
            return;
        };
        tokio::select! {
            biased;
            written = store.run(job) => if let Err(error) = written {
                tracing::debug!(%error, "an outage could not be written down");
            },
            () = self.stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn outage(seconds_ago: u64) -> Outage {
        Outage {
            recent: vec![(
                Timestamp(NOW.0 - i64::try_from(seconds_ago).unwrap() * 1000),
                true,
            )],
            ..Outage::default()
        }
    }

    #[test]
    fn what_is_old_or_unreadable_is_forgotten_and_the_rest_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path()).unwrap();
        let mut all = Outages::default();
        for n in 0..100 {
            all.put(format!("{n:03}"), News::Trouble(outage(700 - n * 5)));
        }
        assert_eq!(
            all.0.keys().next().map(String::as_str),
            Some("068"),
            "those of late"
        );
        all.put("098".to_owned(), News::Over);
        all.put("099".to_owned(), News::Over);
        all.put("old".to_owned(), News::Trouble(outage(600)));
        let ahead = Outage {
            open: Some((NOW.plus(FORGOTTEN), 3)),
            ..outage(900)
        };
        all.put("open".to_owned(), News::Trouble(ahead.clone()));
        db.remember(NAME, &all).unwrap();
        let read = Outages::read(&db, NOW).0;
        assert!(!read.contains_key("old") && !read.contains_key("099"));
        assert_eq!(
            (read.len(), read.get("open")),
            (KEPT - 1, Some(&ahead)),
            "{:?}",
            read.keys()
        );
        db.remember(NAME, &"something else").unwrap();
        assert!(Outages::read(&db, NOW).0.is_empty());
    }
}
