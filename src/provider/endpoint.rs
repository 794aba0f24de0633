//! Providers as they can be used: addresses, headers and where their keys are found.
//!
//! Owns: [`Endpoint`], [`Provider`], and how presets, configuration and environment become them.
//! Refuses: reading keys before they are needed; plain HTTP beyond this machine unless the user allowed it.
//! Invariant: an endpoint's address is absolute, has no user name, query or fragment, and ends without a slash.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::mask::Mask;
use super::preset::{PRESETS, Preset, preset};
use super::secret::{KeyError, Secret};
use crate::config::{self, Env, KeyEntry, KeySource};

/// The variable that replaces the address of `openai`.
pub(crate) const BASE_URL_VARIABLE: &str = "OPENAI_BASE_URL";

/// Headers that the transport sets; other values would break it.
const TRANSPORT_HEADERS: [&str; 5] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept-encoding",
];

/// Why an address or a header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("the address of {provider} is not a URL such as https://host/v1: {cause}")]
    NotAnAddress { provider: String, cause: String },
    #[error("the address of {provider} must not hold a {part}: write https://host/v1 only")]
    HasMore {
        provider: String,
        part: &'static str,
    },
    #[error(
        "the address of {provider} is plain http to {host}: use https, or set allow_http = true for this provider"
    )]
    PlainHttp { provider: String, host: String },
    #[error("the header `{header}` of {provider} {cause}")]
    Header {
        provider: String,
        header: String,
        cause: &'static str,
    },
}

/// One address of a provider, with the headers that go there.
#[derive(Debug, Clone)]
pub struct Endpoint {
    provider: String,
    base: String,
    host: String,
    loopback: bool,
    plain: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Endpoint {
    /// An address as written in a configuration or a variable.
    pub fn parse(provider: &str, address: &str, allow_http: bool) -> Result<Self, EndpointError> {
        let provider = provider.to_owned();
        let url = match Url::parse(address.trim()) {
            Ok(url) => url,
            Err(error) => {
                return Err(EndpointError::NotAnAddress {
                    provider,
                    cause: error.to_string(),
                });
            }
        };
        let Some(name) = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"))
        else {
            return Err(EndpointError::NotAnAddress {
                provider,
                cause: "it is not http or https".to_owned(),
            });
        };
        let parts = [
            (
                !url.username().is_empty() || url.password().is_some(),
                "user name or password",
            ),
            (url.query().is_some(), "query"),
            (url.fragment().is_some(), "fragment"),
            (
                url.path().contains("/chat/completions"),
                "path beyond the base",
            ),
        ];
        if let Some((_, part)) = parts.into_iter().find(|(there, _)| *there) {
            return Err(EndpointError::HasMore { provider, part });
        }
        let host = url
            .port()
            .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let loopback = is_loopback(name);
        let plain = url.scheme() == "http";
        if plain && !loopback && !allow_http {
            return Err(EndpointError::PlainHttp { provider, host });
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            provider,
            base,
            host,
            loopback,
            plain,
            headers: Vec::new(),
        })
    }

    fn with_headers(mut self, headers: &BTreeMap<String, String>) -> Result<Self, EndpointError> {
        for (name, value) in headers {
            let refuse = |cause| EndpointError::Header {
                provider: self.provider.clone(),
                header: name.clone(),
                cause,
            };
            let parsed =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("has no valid name"))?;
            if TRANSPORT_HEADERS.contains(&parsed.as_str()) {
                return Err(refuse("belongs to the transport and cannot be set"));
            }
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| refuse("has a value that no header can carry"))?;
            value.set_sensitive(true);
            self.headers.push((parsed, value));
        }
        Ok(self)
    }

    /// The name of the provider that this address belongs to.
    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// The address, without a slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        &self.base
    }

    /// Host and, unless it is the usual one, port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// On this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Plain HTTP: others on the network can read it.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Hides the secrets of this endpoint in errors.
    pub(super) fn mask(&self, key: Option<&Secret>) -> Mask {
        let values = self
            .headers
            .iter()
            .filter_map(|(_, value)| value.to_str().ok());
        Mask::new(key.cloned()).and_values(values)
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A provider as it can be used.
#[derive(Debug, Clone)]
pub struct Provider {
    pub(crate) name: String,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Where its keys are found, and what may be spent with each.
    pub(crate) keys: Vec<KeyEntry>,
    /// Runs on this machine and costs nothing. Only presets can be: a proxy on loopback may lead to a paid model, and a
    /// preset with an address on another machine may be billed there.
    pub(crate) local: bool,
    /// The address is the user's, not the preset's.
    pub(crate) own_address: bool,
    /// Without a key it cannot be used.
    pub(crate) needs_key: bool,
}

impl Provider {
    /// The key that one of the entries stands for, bound to this provider; `None` for a variable that is not set.
    pub(crate) async fn load_key(
        &self,
        entry: &KeyEntry,
        env: &Env,
    ) -> Result<Option<Secret>, KeyError> {
        Ok(super::key::load(&entry.source, env)
            .await?
            .map(|secret| secret.owned_by(&self.name)))
    }

    fn of(
        name: &str,
        configured: Option<&config::ProviderConfig>,
        env: &Env,
    ) -> Result<Self, EndpointError> {
        let known = preset(name);
        let preset_urls = known.map(|preset| preset.base_url.to_owned());
        let written = configured
            .map(|provider| provider.base_urls.clone())
            .filter(|urls| !urls.is_empty());
        let from_env = env
            .get(BASE_URL_VARIABLE)
            .filter(|url| name == "openai" && !url.trim().is_empty());
        let urls = from_env
            .map(|url| vec![url.to_owned()])
            .or(written)
            .unwrap_or_else(|| preset_urls.into_iter().collect());
        let allow_http = configured.is_some_and(|provider| provider.allow_http);
        let no_headers = BTreeMap::new();
        let headers = configured.map_or(&no_headers, |provider| &provider.headers);
        let endpoints = urls
            .iter()
            .map(|url| Endpoint::parse(name, url, allow_http)?.with_headers(headers))
            .collect::<Result<Vec<_>, _>>()?;
        let own =
            |endpoint: &Endpoint| known.is_none_or(|preset| preset.base_url != endpoint.base_url());
        let written_keys = configured
            .map(|provider| provider.keys.clone())
            .filter(|keys| !keys.is_empty());
        let local =
            known.is_some_and(|preset| preset.local) && endpoints.iter().all(Endpoint::is_loopback);
        let needs_key = known.map_or(written_keys.is_some(), |preset| !preset.local);
        Ok(Self {
            name: name.to_owned(),
            own_address: endpoints.iter().any(own),
            endpoints,
            keys: written_keys
                .or_else(|| Some(usual_key(known?, env)))
                .unwrap_or_default(),
            local,
            needs_key,
        })
    }
}

/// The first of the usual variables that is set, or the first of all if none is. Only one: another variable may hold a key
/// that is meant for something else.
fn usual_key(preset: &Preset, env: &Env) -> Vec<KeyEntry> {
    let variables = preset.key_variables;
    let set = variables
        .iter()
        .find(|name| env.get(name).is_some_and(|value| !value.trim().is_empty()));
    set.or(variables.first())
        .map(|name| KeySource::Env((*name).to_owned()).into())
        .into_iter()
        .collect()
}

/// Every provider: the presets in their order, changed as configured, then the user's own in file order.
/// `OPENAI_BASE_URL` replaces the address of `openai`; its key then belongs to that origin.
pub fn providers(
    configured: &[config::ProviderConfig],
    env: &Env,
) -> Result<Vec<Provider>, EndpointError> {
    let find = |name: &str| configured.iter().find(|provider| provider.name == name);
    let known = PRESETS
        .iter()
        .map(|preset| Provider::of(preset.name, find(preset.name), env));
    let own = configured
        .iter()
        .filter(|provider| preset(&provider.name).is_none());
    known
        .chain(own.map(|provider| Provider::of(&provider.name, Some(provider), env)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(providers: &'a [Provider], name: &str) -> &'a Provider {
        providers
            .iter()
            .find(|provider| provider.name == name)
            .unwrap()
    }

    #[test]
    fn addresses_that_are_accepted_and_refused() {
        for (address, expected) in [
            (
                "https://api.openai.com/v1/",
                Ok("https://api.openai.com/v1"),
            ),
            (" http://127.0.0.1:8080 ", Ok("http://127.0.0.1:8080")),
            ("http://[::1]:1/v1", Ok("http://[::1]:1/v1")),
            ("http://localhost/v1", Ok("http://localhost/v1")),
            ("http://example.com/v1", Err("allow_http")),
            ("http://127.0.0.1.example.com", Err("allow_http")),
            ("http://10.0.0.7/v1", Err("allow_http")),
            ("https://me:pw@example.com", Err("user name")),
            ("https://example.com/v1?x=1", Err("query")),
            ("https://example.com/v1#x", Err("fragment")),
            (
                "https://example.com/v1/chat/completions",
                Err("beyond the base"),
            ),
            ("ftp://example.com", Err("http or https")),
            ("example.com/v1", Err("not a URL")),
            ("", Err("not a URL")),
        ] {
            match (Endpoint::parse("p", address, false), expected) {
                (Ok(endpoint), Ok(base)) => assert_eq!(endpoint.base_url(), base),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{address}: {error}");
                }
                (result, _) => panic!("{address}: {result:?}"),
            }
        }
        assert!(
            Endpoint::parse("p", "http://10.0.0.7/v1", true)
                .unwrap()
                .is_plain()
        );
    }

    #[test]
    fn presets_need_only_their_variable() {
        let all = providers(&[], &Env::default()).unwrap();
        assert_eq!(all.len(), PRESETS.len());
        let groq = named(&all, "groq");
        assert_eq!(groq.keys, [KeySource::Env("GROQ_API_KEY".into()).into()]);
        assert!(groq.needs_key && !groq.own_address && !groq.local);
        let ollama = named(&all, "ollama");
        assert!(ollama.local && !ollama.needs_key && !ollama.own_address);
    }

    #[test]
    fn the_first_usual_variable_that_is_set_is_used() {
        const BOTH: [(&str, &str); 2] = [("GEMINI_API_KEY", "one"), ("GOOGLE_API_KEY", "two")];
        for (set, expected) in [
            (&BOTH[..], "GEMINI_API_KEY"),
            (&BOTH[1..], "GOOGLE_API_KEY"),
            (&[("GEMINI_API_KEY", " "), BOTH[1]], "GOOGLE_API_KEY"),
            (&[], "GEMINI_API_KEY"),
        ] {
            let all = providers(&[], &Env::from_pairs(set.iter().copied())).unwrap();
            assert_eq!(
                named(&all, "gemini").keys,
                [KeySource::Env(expected.into()).into()],
                "{set:?}"
            );
        }
    }

    #[test]
    fn the_variable_replaces_the_address_of_openai_only() {
        let env = Env::from_pairs([(BASE_URL_VARIABLE, "http://127.0.0.1:9/v1")]);
        let all = providers(&[], &env).unwrap();
        let openai = named(&all, "openai");
        assert_eq!(openai.endpoints[0].base_url(), "http://127.0.0.1:9/v1");
        assert!(openai.own_address && openai.needs_key && !openai.local);
        assert!(
            all.iter()
                .filter(|provider| provider.name != "openai")
                .all(|provider| !provider.own_address)
        );
        let bad = Env::from_pairs([(BASE_URL_VARIABLE, "http://evil.example/v1")]);
        assert!(providers(&[], &bad).is_err());
        let empty = Env::from_pairs([(BASE_URL_VARIABLE, "")]);
        assert!(!named(&providers(&[], &empty).unwrap(), "openai").own_address);
    }

    #[test]
    fn what_the_user_wrote_wins_over_the_preset() {
        let written = config::ProviderConfig {
            name: "mine".into(),
            base_urls: vec![
                "http://127.0.0.1:1/v1".into(),
                "https://b.example/v1".into(),
            ],
            headers: BTreeMap::from([("x-team".into(), "blue".into())]),
            ..config::ProviderConfig::default()
        };
        let groq = config::ProviderConfig {
            name: "groq".into(),
            keys: vec![KeySource::Command("pass groq".into()).into()],
            ..config::ProviderConfig::default()
        };
        let all = providers(&[written, groq], &Env::default()).unwrap();
        let mine = named(&all, "mine");
        assert_eq!(mine.endpoints.len(), 2);
        assert_eq!(mine.endpoints[1].headers().len(), 1);
        assert!(mine.own_address && !mine.local && !mine.needs_key);
        let groq = named(&all, "groq");
        assert_eq!(groq.keys, [KeySource::Command("pass groq".into()).into()]);
        assert!(!groq.own_address && groq.needs_key);
    }

    #[test]
    fn what_runs_on_another_machine_is_not_local() {
        for (urls, local) in [
            (&["http://localhost:9000/v1"][..], true),
            (&["http://127.0.0.1:1/v1", "http://[::1]:2/v1"], true),
            (&["https://gpu.example.com/v1"], false),
            (
                &["http://127.0.0.1:1/v1", "https://gpu.example.com/v1"],
                false,
            ),
        ] {
            let base_urls = urls.iter().map(|url| (*url).to_owned()).collect();
            let written = config::ProviderConfig {
                name: "vllm".into(),
                base_urls,
                ..config::ProviderConfig::default()
            };
            let all = providers(&[written], &Env::default()).unwrap();
            let vllm = named(&all, "vllm");
            assert_eq!(
                (vllm.local, vllm.own_address, vllm.needs_key),
                (local, true, false),
                "{urls:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_key_belongs_to_its_provider() {
        let env = Env::from_pairs([("SECOND", "sk-second-1234")]);
        let mine = config::ProviderConfig {
            name: "mine".into(),
            base_urls: vec!["https://a.example".into()],
            keys: vec![
                KeySource::Env("FIRST".into()).into(),
                KeySource::Env("SECOND".into()).into(),
            ],
            ..config::ProviderConfig::default()
        };
        let all = providers(&[mine], &env).unwrap();
        let mine = named(&all, "mine");
        assert_eq!(mine.load_key(&mine.keys[0], &env).await.unwrap(), None);
        let key = mine.load_key(&mine.keys[1], &env).await.unwrap().unwrap();
        assert!(key.last4() == "…1234" && key.may_go_to("mine") && !key.may_go_to("openai"));
        assert!(mine.needs_key);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_and_values_stay_hidden() {
        for (name, value) in [("bad name", "x"), ("x-a", "line\nbreak"), ("Host", "other")] {
            let headers = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert!(
                Endpoint::parse("p", "https://a.example", false)
                    .unwrap()
                    .with_headers(&headers)
                    .is_err(),
                "{name}"
            );
        }
        let headers = BTreeMap::from([("api-key".to_owned(), "hush-hush-hush".to_owned())]);
        let endpoint = Endpoint::parse("p", "https://a.example", false)
            .unwrap()
            .with_headers(&headers)
            .unwrap();
        assert!(!format!("{endpoint:?}").contains("hush"));
        assert_eq!(
            endpoint.mask(None).excerpt("got hush-hush-hush"),
            "got [key]"
        );
    }
}
