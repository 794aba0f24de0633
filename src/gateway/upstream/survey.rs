//! How it stands with the providers: what can be found out without paying for anything.
//!
//! Owns: the look at one provider (keys; way, clock and models of each address), and at the servers that may run on this machine.
//! Refuses: to ask a model; a survey asks for the list of models and for nothing else.
//! Invariant: nothing here runs unless the user asked for it, and everything ends in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::chat::ModelId;
use crate::config::KeySource;
use crate::gateway::Gateway;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::provider::{Endpoint, Secret};

/// How long a provider is waited for.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What was found out about a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    pub provider: String,
    /// In the order of the configuration, at least one.
    pub addresses: Vec<Address>,
    pub keys: Vec<KeyFound>,
    /// Why a source holds no key that can be used, where others do.
    pub key_errors: Vec<String>,
    /// Models of it in the catalogue, and how many of them have a price.
    pub known: usize,
    pub priced: usize,
}

/// What was found out about one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Host and port.
    pub host: String,
    /// Plain HTTP to another machine.
    pub plain: bool,
    /// The proxy in front of it, without credentials.
    pub through: Option<String>,
    /// From nothing to the server's first word; `None` on this machine, or when it was not reached.
    pub reached_ms: Option<u64>,
    pub http2: bool,
    /// The server's clock ahead of ours, in milliseconds.
    pub clock_ms: Option<i64>,
    /// How many models it lists, or why it does not.
    pub models: Result<usize, String>,
}

/// A key as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFound {
    /// `…` and the last four characters.
    pub last4: String,
    /// Where it was found: a variable, a program, a file.
    pub source: String,
}

/// A server of a known kind that runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalServer {
    pub provider: String,
    pub host: String,
    pub models: Vec<String>,
}

impl Survey {
    /// One of its addresses answers, and takes our key.
    pub fn is_usable(&self) -> bool {
        self.addresses.iter().any(|address| address.models.is_ok())
    }
}

impl Gateway {
    /// The providers that the user configured or has a key for; the local presets only when configured.
    pub fn surveyed(&self) -> Vec<&str> {
        let parts = &self.parts;
        let configured = |name: &str| {
            parts
                .config
                .providers
                .iter()
                .any(|provider| provider.name == name)
        };
        let with_key = |name: &str| {
            self.routes
                .get(name)
                .is_some_and(|r| r.provider.needs_key && r.missing_key(&parts.env).is_none())
        };
        let names = parts
            .providers
            .iter()
            .map(|provider| provider.name.as_str());
        names
            .filter(|name| configured(name) || with_key(name))
            .collect()
    }

    /// How quickly Redis answers, or why it does not, within one second; `None`: there is none.
    pub async fn survey_redis(&self) -> Option<Result<Duration, String>> {
        let began = Instant::now();
        let answer = self.others.as_ref()?.redis().answers().await;
        Some(
            answer
                .map(|()| began.elapsed())
                .map_err(|away| away.to_string()),
        )
    }

    /// Looks at one provider and all its addresses, each within `PATIENCE`; `None`: there is no such provider, or it has no
    /// address.
    pub async fn survey(self: &Arc<Self>, provider: &str) -> Option<Survey> {
        let route = self
            .routes
            .get(provider)
            .filter(|route| !route.provider.endpoints.is_empty())?;
        let read = timeout(PATIENCE, route.read_keys(&self.parts.env)).await;
        let key_trouble = match read {
            Ok(Ok(())) => route.missing_key(&self.parts.env),
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => Some("its key was not found within 5 s".to_owned()),
        };
        let key = match key_trouble {
            Some(trouble) => Err(trouble),
            None => Ok(self.any_key(route).await),
        };
        let mut looks = JoinSet::new();
        for (at, endpoint) in route.provider.endpoints.iter().cloned().enumerate() {
            let (gateway, key) = (Arc::clone(self), key.clone());
            looks.spawn(async move { (at, gateway.look(&endpoint, &key).await) });
        }
        let mut addresses = looks.join_all().await;
        addresses.sort_by_key(|(at, _)| *at);
        let keys = route.found_keys().into_iter().map(|key| KeyFound {
            source: in_words(&key.entry.source),
            last4: key.last4,
        });
        let of_it = || {
            self.parts
                .catalog
                .iter()
                .filter(|model| model.id.provider() == provider)
        };
        Some(Survey {
            provider: provider.to_owned(),
            addresses: addresses.into_iter().map(|(_, address)| address).collect(),
            keys: keys.collect(),
            key_errors: route.key_errors(),
            known: of_it().count(),
            priced: of_it().filter(|model| model.price.is_some()).count(),
        })
    }

    /// A key that is not out.
    async fn any_key(&self, route: &ProviderState) -> Option<Secret> {
        // No model of this name cools: any key will do for a list.
        let any = ModelId::new(&route.provider.name, "*");
        let taken = route
            .key(
                &self.parts.env,
                &any,
                Instant::now(),
                self.parts.clock.now(),
                &[],
            )
            .await;
        taken.ok().and_then(|taken| taken.secret)
    }

    /// Looks at one address, with the key or why there is none.
    async fn look(&self, endpoint: &Endpoint, key: &Result<Option<Secret>, String>) -> Address {
        let mut address = Address {
            host: endpoint.host().to_owned(),
            plain: endpoint.is_plain() && !endpoint.is_loopback(),
            through: self.wire.through(endpoint),
            reached_ms: None,
            http2: false,
            clock_ms: None,
            models: Err("did not answer within 5 s".to_owned()),
        };
        // What was found out before the time is up is kept.
        let _ = timeout(PATIENCE, self.look_closer(endpoint, key, &mut address)).await;
        address
    }

    async fn look_closer(
        &self,
        endpoint: &Endpoint,
        key: &Result<Option<Secret>, String>,
        address: &mut Address,
    ) {
        if !endpoint.is_loopback() {
            match self.wire.probe(endpoint).await {
                Ok(greeting) => {
                    address.reached_ms = u64::try_from(greeting.took.as_millis()).ok();
                    address.http2 = greeting.http2;
                    address.clock_ms = greeting.date.map(|date| date.0 - self.parts.clock.now().0);
                }
                Err(error) => {
                    address.models = Err(error.message);
                    return;
                }
            }
        }
        address.models = match key {
            Ok(key) => match self.wire.models(endpoint, key.as_ref()).await {
                Ok(names) => Ok(names.len()),
                Err(error) => Err(error.message),
            },
            Err(trouble) => Err(trouble.clone()),
        };
    }

    /// The servers of known kinds that listen on this machine at their usual address, all asked at once, with what they
    /// answered within `limit`.
    pub async fn local_servers(self: &Arc<Self>, limit: Duration) -> Vec<LocalServer> {
        let mut asked = JoinSet::new();
        for (at, provider) in self
            .parts
            .providers
            .iter()
            .filter(|provider| provider.local)
            .enumerate()
        {
            let Some(endpoint) = provider
                .endpoints
                .first()
                .filter(|endpoint| endpoint.is_loopback())
            else {
                continue;
            };
            let (gateway, endpoint, provider) =
                (Arc::clone(self), endpoint.clone(), provider.name.clone());
            asked.spawn(async move {
                // Without a key: what listens there need not be what we think it is.
                let listed = timeout(limit, gateway.wire.models(&endpoint, None)).await;
                let models = listed.ok()?.ok()?;
                Some((
                    at,
                    LocalServer {
                        provider,
                        host: endpoint.host().to_owned(),
                        models,
                    },
                ))
            });
        }
        let mut found: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, server)| server).collect()
    }
}

/// A source of keys, without what may be secret in it.
fn in_words(source: &KeySource) -> String {
    match source {
        KeySource::Env(name) => name.clone(),
        KeySource::Command(command) => format!(
            "`{}`",
            command.split_whitespace().next().unwrap_or_default()
        ),
        KeySource::Keyring(name) => format!("keyring {name}"),
        KeySource::File(path) => path.display().to_string(),
    }
}
