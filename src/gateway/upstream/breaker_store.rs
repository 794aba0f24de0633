//! The breakers' state in the store, so that one process learns of an outage from the one before.
//!
//! Owns: the newest outcomes and the open circuit of each failing address, as they lie in the store.
//! Refuses: addresses that work (they have no row), and addresses by name: a fingerprint identifies them.
//! Invariant: what is older than [`FORGOTTEN`] is ignored; a store that fails loses this knowledge and nothing else.
//!
//! A one-shot makes fewer requests than a breaker needs to open. Without this, each of twenty one-shots against a dead
//! address would wait for the connection; with it the second one opens the circuit, and the others fail at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::chat::{Timestamp, fingerprint};
use crate::gateway::upstream::breaker::Outage;
use crate::gateway::upstream::endpoints::{BreakerChange, Endpoints};
use crate::provider::Endpoint;
use crate::store::{Db, Store};

/// Outages older than this are ignored.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// At most this many addresses are remembered, those with the newest failures.
const MAX_ADDRESSES: usize = 32;
/// The key of the stored state.
const NAME: &str = "outages";

/// The failing addresses, by fingerprint.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Outages(BTreeMap<String, Outage>);

impl Outages {
    fn read(db: &Db, now: Timestamp) -> Self {
        // An unreadable state counts as none: the next requests find out anew.
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

    fn put(&mut self, address: String, change: BreakerChange) {
        match change {
            BreakerChange::Failing(outage) => drop(self.0.insert(address, outage)),
            BreakerChange::Recovered => drop(self.0.remove(&address)),
        }
        while self.0.len() > MAX_ADDRESSES {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, outage)| outage.newest())
                .map(|(name, _)| name.clone());
            self.0.remove(&oldest.unwrap_or_default());
        }
    }
}

fn address_key(endpoint: &Endpoint) -> String {
    fingerprint(endpoint.base_url().as_bytes())
}

/// Takes over what other processes found out about these endpoints; once in each process.
pub(in crate::gateway) async fn restore_breakers(
    store: &Store,
    health: &Endpoints,
    endpoints: &[Endpoint],
    now: Timestamp,
) {
    if !health.begin_restore() {
        return;
    }
    let Ok(Outages(known)) = store.run(move |db| Ok(Outages::read(db, now))).await else {
        return;
    };
    for (index, endpoint) in endpoints.iter().enumerate() {
        if let Some(outage) = known.get(&address_key(endpoint)) {
            health.restore(index, outage, now);
        }
    }
}

/// Writes down the state of an endpoint's breaker, if it has changed. The write is in the queue of the store from the
/// start, so a stop ends only the wait for it.
pub(in crate::gateway) async fn persist_breaker(
    store: &Store,
    health: &Endpoints,
    index: usize,
    endpoint: &Endpoint,
    now: Timestamp,
    stop: &CancellationToken,
) {
    let Some(change) = health.take_change(index) else {
        return;
    };
    let address = address_key(endpoint);
    let job = move |db: &mut Db| {
        db.write(|db| {
            let mut known = Outages::read(db, now);
            known.put(address, change);
            db.remember(NAME, &known)
        })
    };
    tokio::select! {
        biased;
        written = store.run(job) => if let Err(error) = written {
            tracing::debug!(%error, "an outage could not be written down");
        },
        () = stop.cancelled() => {}
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
            all.put(
                format!("{n:03}"),
                BreakerChange::Failing(outage(700 - n * 5)),
            );
        }
        assert_eq!(
            all.0.keys().next().map(String::as_str),
            Some("068"),
            "those of late"
        );
        all.put("098".to_owned(), BreakerChange::Recovered);
        all.put("099".to_owned(), BreakerChange::Recovered);
        all.put("old".to_owned(), BreakerChange::Failing(outage(600)));
        let ahead = Outage {
            open: Some((NOW.plus(FORGOTTEN), 3)),
            ..outage(900)
        };
        all.put("open".to_owned(), BreakerChange::Failing(ahead.clone()));
        db.remember(NAME, &all).unwrap();
        let read = Outages::read(&db, NOW).0;
        assert!(!read.contains_key("old") && !read.contains_key("099"));
        assert_eq!(
            (read.len(), read.get("open")),
            (MAX_ADDRESSES - 1, Some(&ahead)),
            "{:?}",
            read.keys()
        );
        db.remember(NAME, &"something else").unwrap();
        assert!(Outages::read(&db, NOW).0.is_empty());
    }
}
