//! What can be found out about a provider without paying for anything.
//!
//! Owns: a look at its keys, and at the way, the clock and the models of each of its addresses.
//! Refuses: to ask a model; a survey asks for the list of models and for nothing else.
//! Invariant: a survey runs only when the user asks for it, and ends in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::KeySource;
use crate::gateway::{FoundKey, Gateway, KeyReport};
use crate::provider::{Endpoint, Secret};

/// How long a provider is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found out about a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) provider: String,
    /// In the order of the configuration, at least one.
    pub(super) addresses: Vec<AddressSurvey>,
    pub(super) keys: Vec<FoundKey>,
    /// Why a source holds no usable key, while others do.
    pub(super) key_errors: Vec<String>,
    /// Models of it in the catalogue, and how many of them have a price.
    pub(super) known: usize,
    pub(super) priced: usize,
}

/// What was found out about one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressSurvey {
    /// Host and port.
    pub(super) host: String,
    /// Plain HTTP to another machine.
    pub(super) plain: bool,
    /// The proxy in front of it, without credentials.
    pub(super) through: Option<String>,
    /// Time to the server's first byte; `None` on this machine, or when it was not reached.
    pub(super) reached_ms: Option<u64>,
    pub(super) http2: bool,
    /// The server's clock ahead of ours, in milliseconds.
    pub(super) clock_ms: Option<i64>,
    /// How many models it lists, or why it does not.
    pub(super) models: Result<usize, String>,
}

impl Survey {
    /// One of its addresses answers, and takes our key.
    pub(super) fn is_usable(&self) -> bool {
        self.addresses.iter().any(|address| address.models.is_ok())
    }
}

/// The providers that the user configured or has a key for; the local presets only when configured.
pub(super) fn surveyed(gateway: &Gateway) -> Vec<String> {
    let parts = gateway.parts();
    let is_configured = |name: &str| {
        let mut written = parts.config.providers.iter();
        written.any(|provider| provider.name == name)
    };
    parts
        .providers
        .iter()
        .filter(|provider| {
            let name = provider.name.as_str();
            is_configured(name) || (provider.needs_key && gateway.unusable(name).is_none())
        })
        .map(|provider| provider.name.clone())
        .collect()
}

/// Looks at one provider and all its addresses, each within `PATIENCE`; `None`: there is no such provider, or it has no
/// address.
pub(super) async fn survey(gateway: &Arc<Gateway>, name: &str) -> Option<Survey> {
    let mut providers = gateway.parts().providers.iter();
    let provider = providers
        .find(|provider| provider.name == name)
        .filter(|provider| !provider.endpoints.is_empty())?;
    let report = timeout(PATIENCE, gateway.key_report(name)).await;
    let KeyReport {
        found,
        errors,
        usable,
    } = report.unwrap_or_else(|_| KeyReport::unread("its key was not found within 5 s".to_owned()));
    let mut looks = JoinSet::new();
    for (index, endpoint) in provider.endpoints.iter().cloned().enumerate() {
        let (gateway, key) = (Arc::clone(gateway), usable.clone());
        looks.spawn(async move { (index, look(&gateway, &endpoint, &key).await) });
    }
    let mut addresses = looks.join_all().await;
    addresses.sort_by_key(|(index, _)| *index);
    let models = || {
        let catalog = gateway.parts().catalog.iter();
        catalog.filter(|model| model.id.provider() == name)
    };
    Some(Survey {
        provider: name.to_owned(),
        addresses: addresses.into_iter().map(|(_, address)| address).collect(),
        keys: found,
        key_errors: errors,
        known: models().count(),
        priced: models().filter(|model| model.price.is_some()).count(),
    })
}

/// Looks at one address, with the key or why there is none.
async fn look(
    gateway: &Gateway,
    endpoint: &Endpoint,
    key: &Result<Option<Secret>, String>,
) -> AddressSurvey {
    let mut address = AddressSurvey {
        host: endpoint.host().to_owned(),
        plain: endpoint.is_plain() && !endpoint.is_loopback(),
        through: gateway.wire().through(endpoint),
        reached_ms: None,
        http2: false,
        clock_ms: None,
        models: Err("did not answer within 5 s".to_owned()),
    };
    // What was found out before the time is up stays.
    let _ = timeout(PATIENCE, look_closer(gateway, endpoint, key, &mut address)).await;
    address
}

async fn look_closer(
    gateway: &Gateway,
    endpoint: &Endpoint,
    key: &Result<Option<Secret>, String>,
    address: &mut AddressSurvey,
) {
    if !endpoint.is_loopback() {
        match gateway.wire().probe(endpoint).await {
            Ok(greeting) => {
                let now = gateway.parts().clock.now();
                address.reached_ms = u64::try_from(greeting.took.as_millis()).ok();
                address.http2 = greeting.http2;
                address.clock_ms = greeting.date.map(|date| date.0 - now.0);
            }
            Err(error) => {
                address.models = Err(error.message);
                return;
            }
        }
    }
    address.models = match key {
        Ok(key) => match gateway.wire().models(endpoint, key.as_ref()).await {
            Ok(names) => Ok(names.len()),
            Err(error) => Err(error.message),
        },
        Err(trouble) => Err(trouble.clone()),
    };
}

/// A source of keys, without what may be secret in it.
pub(super) fn in_words(source: &KeySource) -> String {
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
