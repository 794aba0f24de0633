//! Which proxy is used to reach a server.
//!
//! Owns: the variables that name proxies, read as curl and reqwest read them; how a proxy is shown.
//! Refuses: a proxy for servers on this machine.
//! Invariant: a proxy is shown without user name and password.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use super::endpoint::{Endpoint, is_loopback};
use crate::config::Env;

/// The variables that may name the proxy for each scheme, and those with exceptions; the first one that is set counts.
const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Schemes that a proxy may speak.
const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The proxies in use.
#[derive(Default)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    matcher: Option<Matcher>,
    /// Variables that are ignored because they hold no address of a proxy.
    ignored: Vec<&'static str>,
}

/// A proxy, and the variable that names it.
#[derive(Clone)]
struct Named {
    variable: &'static str,
    /// May hold credentials.
    url: Url,
}

impl Proxies {
    /// The proxies named in the environment; if there are none, those of the system settings (macOS).
    pub fn of(env: &Env) -> Self {
        // Under CGI, variables hold the headers of a request: the client could have set HTTP_PROXY.
        if env.get("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        let mut ignored = Vec::new();
        let mut first = |names: [&'static str; 4]| {
            let set = names
                .into_iter()
                .filter_map(|name| Some((name, env.get(name)?)));
            for (variable, written) in set {
                match parse(written) {
                    Some(url) => return Some(Named { variable, url }),
                    None if !ignored.contains(&variable) => ignored.push(variable),
                    None => {}
                }
            }
            None
        };
        let (https, http) = (first(HTTPS), first(HTTP));
        let address = |named: &Option<Named>| {
            named
                .as_ref()
                .map_or(String::new(), |named| named.url.to_string())
        };
        let except = EXCEPT
            .into_iter()
            .find_map(|name| env.get(name))
            .unwrap_or_default()
            .to_owned();
        let matcher = if https.is_some() || http.is_some() {
            Some(
                Matcher::builder()
                    .https(address(&https))
                    .http(address(&http))
                    .no(except)
                    .build(),
            )
        } else {
            cfg!(target_os = "macos").then(Matcher::from_system)
        };
        Self {
            https,
            http,
            matcher,
            ignored,
        }
    }

    /// The proxy for `url`, with its credentials.
    pub(super) fn url_for(&self, url: &Url) -> Option<Url> {
        let matcher = self
            .matcher
            .as_ref()
            .filter(|_| !url.host_str().is_none_or(is_loopback))?;
        let intercept = matcher.intercept(&url.as_str().parse().ok()?)?;
        match self.named(url.scheme()) {
            Some(named) => Some(named.url.clone()),
            None => intercept.uri().to_string().parse().ok(),
        }
    }

    fn named(&self, scheme: &str) -> Option<&Named> {
        if scheme == "https" {
            self.https.as_ref()
        } else {
            self.http.as_ref()
        }
    }

    /// The proxy for an endpoint, as it may be shown: `http://proxy.example:3128 (HTTPS_PROXY)`.
    pub(crate) fn shown(&self, endpoint: &Endpoint) -> Option<String> {
        let url = Url::parse(endpoint.base_url()).ok()?;
        let proxy = self.url_for(&url)?;
        let host = proxy.host_str()?;
        let port = proxy
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let source = self
            .named(url.scheme())
            .map_or("the system's settings", |named| named.variable);
        Some(format!("{}://{host}{port} ({source})", proxy.scheme()))
    }

    /// Variables that are set but hold no address of a proxy.
    pub(crate) fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }
}

/// An address without a scheme means an HTTP proxy.
fn parse(written: &str) -> Option<Url> {
    let written = written.trim();
    let url = if written.contains("://") {
        Url::parse(written)
    } else {
        Url::parse(&format!("http://{written}"))
    };
    let mut url = url
        .ok()
        .filter(|url| SCHEMES.contains(&url.scheme()) && url.has_host())?;
    if url.port().is_none() && url.scheme().starts_with("socks") {
        url.set_port(Some(1080)).ok()?;
    }
    Some(url)
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = |named: &Option<Named>| named.as_ref().map(|named| named.variable);
        f.debug_struct("Proxies")
            .field("https", &variable(&self.https))
            .field("http", &variable(&self.http))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pairs: &[(&str, &str)], address: &str) -> Option<String> {
        let proxies = Proxies::of(&Env::from_pairs(pairs.iter().copied()));
        assert!(!format!("{proxies:?}").contains("hush"));
        proxies.shown(&Endpoint::parse("p", address, true).unwrap())
    }

    #[test]
    fn the_variables_and_what_they_mean() {
        let (far, plain) = ("https://api.example/v1", "http://api.example/v1");
        for (pairs, address, expected) in [
            (&[][..], far, None),
            (
                &[("HTTPS_PROXY", "http://p:3128")],
                far,
                Some("http://p:3128 (HTTPS_PROXY)"),
            ),
            (
                &[("https_proxy", "http://p:3128")],
                far,
                Some("http://p:3128 (https_proxy)"),
            ),
            (
                &[("https_proxy", "http://low"), ("HTTPS_PROXY", "http://up")],
                far,
                Some("http://up (HTTPS_PROXY)"),
            ),
            (
                &[("HTTPS_PROXY", "p:3128")],
                far,
                Some("http://p:3128 (HTTPS_PROXY)"),
            ),
            (&[("HTTPS_PROXY", "http://p:3128")], plain, None),
            (
                &[("http_proxy", "http://p:3128")],
                plain,
                Some("http://p:3128 (http_proxy)"),
            ),
            (&[("http_proxy", "http://p:3128")], far, None),
            (
                &[("ALL_PROXY", "socks5h://p")],
                far,
                Some("socks5h://p:1080 (ALL_PROXY)"),
            ),
            (
                &[("all_proxy", "http://a"), ("HTTPS_PROXY", "http://p")],
                far,
                Some("http://p (HTTPS_PROXY)"),
            ),
            (
                &[("HTTPS_PROXY", "http://me:hush@p:1")],
                far,
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (&[("HTTPS_PROXY", "")], far, None),
            (
                &[("HTTPS_PROXY", "http://p"), ("NO_PROXY", "api.example")],
                far,
                None,
            ),
            (
                &[("HTTPS_PROXY", "http://p"), ("no_proxy", "x, .example")],
                far,
                None,
            ),
            (&[("HTTPS_PROXY", "http://p"), ("NO_PROXY", "*")], far, None),
            (
                &[("HTTPS_PROXY", "http://p"), ("NO_PROXY", "ple")],
                far,
                Some("http://p (HTTPS_PROXY)"),
            ),
            (
                &[("HTTPS_PROXY", "http://p"), ("NO_PROXY", "10.0.0.0/8")],
                "https://10.1.2.3",
                None,
            ),
            (&[("ALL_PROXY", "http://p")], "http://127.0.0.1:8080", None),
            (&[("ALL_PROXY", "http://p")], "https://localhost/v1", None),
            (&[("ALL_PROXY", "http://p")], "http://[::1]:1/v1", None),
            // Under CGI the variable may come from the client.
            (
                &[("HTTP_PROXY", "http://p"), ("REQUEST_METHOD", "GET")],
                plain,
                None,
            ),
        ] {
            assert_eq!(
                shown(pairs, address).as_deref(),
                expected,
                "{pairs:?} {address}"
            );
        }
    }

    #[test]
    fn a_variable_without_an_address_is_named() {
        let env = Env::from_pairs([("HTTPS_PROXY", "gopher://p"), ("ALL_PROXY", "http://p")]);
        let proxies = Proxies::of(&env);
        assert_eq!(proxies.ignored(), ["HTTPS_PROXY"]);
        let far = Endpoint::parse("p", "https://api.example", false).unwrap();
        assert_eq!(proxies.shown(&far).as_deref(), Some("http://p (ALL_PROXY)"));
    }
}
