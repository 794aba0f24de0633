//! Certificates, proxies and connections made ahead, against servers of their own.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

pub mod servers;
use crate::support;

use std::time::Duration;

use chat_agent::chat::Clock;
use chat_agent::config::Env;
use chat_agent::provider::{Endpoint, ErrorClass, Network, Proxies, Secret, Sent, Wire, WireError};
use servers::{data, proxy, tls_server};
use support::closed::Closed;
use support::home::Home;
use support::scene::{KEY, Scene};

const PROXIED: &str = "https://api.example/v1";

/// A wire that trusts the tests' authority or does not, behind these variables.
fn wire(trusts: bool, variables: &[(&str, &str)]) -> Wire {
    let network = Network {
        connect_timeout: Duration::from_secs(5),
        extra_ca_file: trusts.then(|| data("ca.pem")),
        proxies: Proxies::of(&Env::from_pairs(variables.iter().copied())),
    };
    Wire::new(network, Clock::system())
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::parse("openai", address, false).unwrap()
}

fn key() -> Secret {
    Secret::parse(b"canary-0815-4711", "x")
        .unwrap()
        .owned_by("openai")
}

async fn list(wire: &Wire, address: &str) -> Result<Vec<String>, WireError> {
    wire.models(&endpoint(address), Some(&key())).await
}

#[tokio::test]
async fn a_server_is_trusted_for_its_certificate_and_for_nothing_else() {
    for (certificate, trusts, expected) in [
        ("good", true, Ok(())),
        (
            "good",
            false,
            Err("authority that is not trusted here (network.extra_ca_file"),
        ),
        ("other", true, Err("for another host")),
        ("expired", true, Err("has expired")),
    ] {
        let (server, heard) = tls_server(certificate, "http/1.1").await;
        let listed = list(
            &wire(trusts, &[]),
            &format!("https://localhost:{}/v1", server.port()),
        )
        .await;
        match (listed, expected) {
            (Ok(names), Ok(())) => assert_eq!(names, ["m"]),
            (Err(error), Err(words)) => {
                assert_eq!(
                    (&error.class, error.sent),
                    (&ErrorClass::Connect, Sent::Nothing),
                    "{error}"
                );
                assert!(error.message.contains(words), "{certificate}: {error}");
                assert!(
                    heard.requests().is_empty(),
                    "{certificate}: the key was sent"
                );
            }
            (listed, _) => panic!("{certificate} {trusts}: {listed:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_of_broken_certificates_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let network = Network {
        connect_timeout: Duration::from_secs(5),
        extra_ca_file: Some(file.clone()),
        ..Network::default()
    };
    let error = list(&Wire::new(network, Clock::system()), PROXIED)
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.sent),
        (ErrorClass::Connect, Sent::Nothing)
    );
    assert!(
        error.message.contains(file.to_str().unwrap()) && error.message.contains("extra_ca_file"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn http_2_is_offered() {
    let (server, heard) = tls_server("good", "h2").await;
    let asked = list(
        &wire(true, &[]),
        &format!("https://localhost:{}/v1", server.port()),
    )
    .await;
    assert!(asked.is_err(), "this server only listens");
    assert_eq!(heard.requests()[0], "pri * http/2.0");
}

#[tokio::test]
async fn a_connection_made_ahead_is_the_one_that_is_used_and_knows_no_key() {
    let (server, heard) = tls_server("good", "http/1.1").await;
    let (through, tunnels) = proxy(Some(server)).await;
    let wire = wire(true, &[("HTTPS_PROXY", &through.to_string())]);
    let endpoint = endpoint(PROXIED);
    assert!(wire.is_cold(&endpoint));
    wire.connect_ahead(&endpoint).await;
    assert!(
        !wire.is_cold(&endpoint),
        "once for as long as a connection is kept"
    );
    // It lies ready as soon as its own task has had a turn; here all tasks take turns on one thread.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    assert_eq!(list(&wire, PROXIED).await.unwrap(), ["m"]);
    let connections = heard.connections();
    assert_eq!(
        (connections.len(), connections[0].len()),
        (1, 2),
        "{connections:#?}"
    );
    assert!(
        connections[0][0].starts_with("head /v1 http/1.1")
            && !connections[0][0].contains("authorization")
    );
    assert!(
        connections[0][1].starts_with("get /v1/models") && connections[0][1].contains("canary")
    );
    assert_eq!(tunnels.requests().len(), 1);
    assert!(
        tunnels.requests()[0].starts_with("connect api.example:443"),
        "{:?}",
        tunnels.requests()
    );
    assert!(
        !wire.is_cold(&Endpoint::parse("x", "http://127.0.0.1:9", false).unwrap()),
        "this machine is near enough"
    );
}

#[tokio::test]
async fn a_proxy_that_fails_is_named_without_its_password() {
    let (refusing, heard) = proxy(None).await;
    let dead = Closed::new();
    for (at, words) in [
        (refusing, "authorization required"),
        (dead.address(), "refused"),
    ] {
        let written = format!("http://me:hush-hush@{at}");
        let error = list(&wire(true, &[("https_proxy", &written)]), PROXIED)
            .await
            .unwrap_err();
        assert_eq!(
            (&error.class, error.sent),
            (&ErrorClass::Connect, Sent::Nothing),
            "{error}"
        );
        let named =
            format!("api.example cannot be reached through the proxy http://{at} (https_proxy): ");
        assert!(
            error.message.starts_with(&named) && error.message.contains(words),
            "{error}"
        );
        assert!(!error.message.contains("hush"), "{error}");
    }
    assert!(
        heard.requests()[0].contains("proxy-authorization: basic "),
        "{:?}",
        heard.requests()
    );
    assert!(
        !heard.requests()[0].contains("canary"),
        "the key is for the server"
    );
}

#[tokio::test]
async fn no_proxy_stands_before_this_machine_or_an_exception() {
    let (refusing, heard) = proxy(None).await;
    let (server, _) = tls_server("good", "http/1.1").await;
    let named = format!("http://{refusing}");
    for scheme in ["ALL_PROXY", "HTTPS_PROXY"] {
        let listed = list(
            &wire(true, &[(scheme, &named)]),
            &format!("https://localhost:{}/v1", server.port()),
        )
        .await;
        assert_eq!(listed.unwrap(), ["m"]);
    }
    let error = list(
        &wire(true, &[("HTTPS_PROXY", &named), ("NO_PROXY", ".invalid")]),
        "https://x.invalid/v1",
    )
    .await;
    assert!(!error.unwrap_err().message.contains("proxy"));
    assert!(heard.connections().is_empty());
}

#[test]
fn doctor_says_what_works_and_shows_no_key() {
    let scene = Scene::saying("ok");
    let said = scene.ok(&["doctor", "--json"]);
    let report = said.json();
    assert_eq!(report["usable"][0], "openai", "{report:#}");
    let line = |name: &str| {
        let lines = report["lines"].as_array().unwrap();
        lines
            .iter()
            .find(|line| line["name"] == name)
            .unwrap_or_else(|| panic!("no {name}: {report:#}"))
            .clone()
    };
    let openai = line("openai");
    assert_eq!(openai["ok"], true);
    for part in ["key …zq7w (OPENAI_API_KEY)", " models", "prices known"] {
        assert!(
            openai["text"].as_str().unwrap().contains(part),
            "{part}: {openai}"
        );
    }
    assert!(
        line("tls")["text"]
            .as_str()
            .unwrap()
            .contains("authorities of the system")
    );
    assert!(
        line("cache")["text"]
            .as_str()
            .unwrap()
            .ends_with("no owner answers now"),
        "{report:#}"
    );
    assert!(
        !scene.home.data_dir().join("cache").exists(),
        "no owner was started"
    );
    assert!(
        line("redis")["text"]
            .as_str()
            .unwrap()
            .starts_with("not configured")
    );
    let page = scene.ok(&["doctor"]);
    assert!(
        page.stdout.lines().count() < 24 && !page.stdout.contains(&KEY[..20]),
        "{}",
        page.stdout
    );
    assert!(scene.server.chats().is_empty(), "no model was asked");
}

#[test]
fn doctor_looks_at_every_address() {
    let scene = Scene::saying("ok");
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (alive, both) = (
        scene.server.base_url(),
        format!("{}\", \"http://{dead}/v1", scene.server.base_url()),
    );
    let written = std::fs::read_to_string(scene.home.config_file()).unwrap();
    scene.home.config(&written.replace(&alive, &both));
    let page = scene.ok(&["doctor"]).stdout;
    let lines: Vec<_> = page
        .lines()
        .filter(|line| line[4..].starts_with("openai "))
        .collect();
    assert!(
        lines[0].starts_with("ok") && lines[0].contains(" models"),
        "{page}"
    );
    let second = lines[1].starts_with("!!")
        && lines[1].contains(&dead.to_string())
        && lines[1].contains("refused");
    assert!(second && lines.len() == 2, "{page}");
    assert!(scene.server.chats().is_empty(), "no model was asked");
}

#[test]
fn doctor_without_anything_usable_exits_with_1() {
    let home = Home::new();
    let said = home.run(&["doctor"], "");
    said.assert_code(1);
    assert!(
        said.stdout
            .contains("nothing but the built-in guide: set OPENAI_API_KEY"),
        "{}",
        said.stdout
    );
    // A key for a server that is not there.
    let dead = Closed::new();
    let mut command = home.chat_agent();
    command
        .env("OPENAI_API_KEY", KEY)
        .env("OPENAI_BASE_URL", dead.base_url())
        .arg("doctor");
    let said = support::home::run(command, b"", support::PATIENCE);
    said.assert_code(1);
    assert!(
        said.stdout.contains("!!  openai") && said.stdout.contains("refused"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains(&KEY[..20]));
}
