//! Connections: one pool that carries many requests, keeps a few connections for a while, and takes its leave in order.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::network::servers;
use crate::support;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chat_agent::chat::{Clock, Reply};
use chat_agent::provider::{Call, Endpoint, Network, Proxies, Secret, SendGuard, Wire};
use servers::{Heard, Line, data, h2_server, proxy, proxy_of, tls_server, tls_server_of};
use support::home::Home;
use support::scene::KEY;
use support::terminal::Terminal;

/// Idle connections that are kept to one server.
const KEPT: usize = 8;

fn wire() -> Arc<Wire> {
    let network = Network {
        connect_timeout: support::PATIENCE,
        extra_ca_file: Some(data("ca.pem")),
        proxies: Proxies::default(),
    };
    Arc::new(Wire::new(network, Clock::system()))
}

fn endpoint(server: SocketAddr) -> Endpoint {
    Endpoint::parse(
        "openai",
        &format!("https://localhost:{}/v1", server.port()),
        false,
    )
    .unwrap()
}

fn key() -> Secret {
    Secret::parse(KEY.as_bytes(), "x")
        .unwrap()
        .owned_by("openai")
}

/// So many questions at the same time, each read to its end.
async fn ask(wire: &Arc<Wire>, endpoint: &Endpoint, times: usize) {
    let one = |_| {
        let (wire, endpoint) = (Arc::clone(wire), endpoint.clone());
        tokio::spawn(async move {
            let call = Call {
                body: "{}".into(),
                stream: true,
                first_token: support::PATIENCE,
                idle: support::PATIENCE,
                send_guard: SendGuard::default(),
            };
            let mut stream = wire.open(&endpoint, Some(&key()), call).await.unwrap();
            let mut reply = Reply::default();
            while let Some(delta) = stream.next().await {
                reply.push(&delta.unwrap());
            }
            assert_eq!(reply.text, "Hello there.");
        })
    };
    for asked in (0..times).map(one).collect::<Vec<_>>() {
        asked.await.unwrap();
    }
}

fn requests(lines: &[Line]) -> usize {
    lines
        .iter()
        .flat_map(|line| &line.heads)
        .filter(|head| head.starts_with("post"))
        .count()
}

fn gone(lines: &[Line]) -> usize {
    lines
        .iter()
        .filter(|line| line.took_leave.is_some())
        .count()
}

#[tokio::test]
async fn http_2_carries_many_requests_at_once_on_one_connection() {
    let (server, heard) = h2_server(20).await;
    let (wire, endpoint) = (wire(), endpoint(server));
    assert!(wire.probe(&endpoint).await.unwrap().http2);
    // None is answered before the last has arrived: they are all on their way together.
    ask(&wire, &endpoint, 20).await;
    let lines = heard.lines();
    assert_eq!((lines.len(), requests(&lines)), (1, 20), "{lines:#?}");
    assert_eq!(
        lines[0].heads[0], "head /v1",
        "no key is shown before there is a question"
    );
    assert!(
        lines[0].heads[1..]
            .iter()
            .all(|head| head == "post /v1/chat/completions with a key"),
        "{lines:#?}"
    );
    // The pool's word is a GOAWAY; a connection that just breaks off would be an error on the other side.
    wire.close().await;
    let lines = heard
        .until("the end of the connection", |lines| gone(lines) == 1)
        .await;
    assert_eq!(lines[0].took_leave, Some(true));
}

#[tokio::test]
async fn what_http_1_needs_more_of_than_is_kept_is_closed_in_order() {
    let (server, heard) = tls_server_of("good", "http/1.1", 12).await;
    let (wire, endpoint) = (wire(), endpoint(server));
    ask(&wire, &endpoint, 12).await;
    // Twelve at once are twelve connections; four of them are not kept.
    let lines = heard
        .until("the surplus to be closed", |lines| gone(lines) == 12 - KEPT)
        .await;
    assert_eq!((lines.len(), requests(&lines)), (12, 12), "{lines:#?}");
    wire.close().await;
    let lines = heard
        .until("all to be closed", |lines| gone(lines) == 12)
        .await;
    assert!(
        lines.iter().all(|line| line.took_leave == Some(true)),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn one_connection_serves_one_question_after_the_other() {
    let (server, heard) = tls_server("good", "http/1.1").await;
    let (wire, endpoint) = (wire(), endpoint(server));
    for n in 1..=5 {
        ask(&wire, &endpoint, 1).await;
        // It is given back by a task of its own.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let lines = heard.lines();
        assert_eq!((lines.len(), requests(&lines)), (1, n), "{lines:#?}");
    }
}

/// The program behind a proxy that leads to a server of the tests: only so is a server on this machine a distant one.
fn program(home: &Home, proxy: SocketAddr) -> Command {
    home.config(&format!(
        "model = \"openai/gpt-5-mini\"\n[network]\nextra_ca_file = \"{}\"\n[[providers]]\nname = \"openai\"\n\
         base_urls = [\"https://api.example/v1\"]\nkeys = [{{ env = \"OPENAI_API_KEY\" }}]\n",
        data("ca.pem").display()
    ));
    let mut command = home.chat_agent();
    command
        .env("OPENAI_API_KEY", KEY)
        .env("HTTPS_PROXY", format!("http://{proxy}"));
    command
}

/// The question takes the connection that was made at its first key. There is no other one: the proxy leads a single tunnel,
/// and a question that asks for a second one waits for the first.
async fn warmed(server: SocketAddr, heard: Heard) {
    let (through, tunnels) = proxy_of(Some(server), 1).await;
    let home = Home::new();
    let command = program(&home, through);
    let terminal = tokio::task::spawn_blocking(move || {
        let terminal = Terminal::spawn(&command, 100, 30);
        terminal.wait_for("→ gpt-5-mini");
        terminal
    });
    let terminal = terminal.await.unwrap();
    assert!(
        tunnels.connections().is_empty(),
        "nothing is warmed at start: {tunnels:#?}"
    );
    terminal.send("w");
    heard
        .until("the connection made ahead", |lines| {
            lines.len() == 1 && lines[0].heads.len() == 1
        })
        .await;
    let question = move || {
        terminal.send("hy?");
        terminal.wait_for("why?");
        terminal.key("Enter");
        terminal.wait_for("Hello there.");
        terminal
    };
    let terminal = tokio::task::spawn_blocking(question).await.unwrap();
    drop(terminal);
    let lines = heard.lines();
    let [line] = &lines[..] else {
        panic!("more than one connection: {lines:#?}");
    };
    let [ahead, asked] = &line.heads[..] else {
        panic!("not one request ahead and one question: {line:#?}");
    };
    assert!(
        ahead.starts_with("head /v1") && !ahead.contains("key") && !ahead.contains("authorization"),
        "{ahead}"
    );
    assert!(!ahead.contains(KEY), "{ahead}");
    assert!(asked.starts_with("post /v1/chat/completions"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_made_at_the_first_key_is_the_one_the_question_uses() {
    let (server, heard) = tls_server("good", "http/1.1").await;
    warmed(server, heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_is_in_http_2() {
    let (server, heard) = h2_server(1).await;
    warmed(server, heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_makes_one_connection_and_takes_its_leave() {
    for http2 in [true, false] {
        let (server, heard) = if http2 {
            h2_server(1).await
        } else {
            tls_server("good", "http/1.1").await
        };
        let (through, _) = proxy(Some(server)).await;
        let home = Home::new();
        let mut command = program(&home, through);
        command.args(["ask", "hi"]);
        let run = move || support::home::run(command, b"", Duration::from_secs(30));
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!(
            (output.code(), output.stdout.as_str()),
            (Some(0), "Hello there.\n"),
            "{output:#?}"
        );
        let lines = heard
            .until("the end of the connection", |lines| gone(lines) == 1)
            .await;
        assert_eq!(
            (lines.len(), requests(&lines), lines[0].took_leave),
            (1, 1, Some(true)),
            "{lines:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_says_how_a_distant_provider_is_reached_and_that_the_clocks_differ() {
    let (server, heard) = tls_server("good", "http/1.1").await;
    let (through, _) = proxy(Some(server)).await;
    let home = Home::new();
    let mut command = program(&home, through);
    command.arg("doctor");
    let run = move || support::home::run(command, b"", support::PATIENCE);
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let line = output
        .stdout
        .lines()
        .find(|line| line.get(4..).is_some_and(|line| line.starts_with("openai")))
        .unwrap()
        .to_owned();
    let words = [
        format!("through http://{through} (HTTPS_PROXY)"),
        "key …".to_owned(),
        "clock is".to_owned(),
    ];
    for word in words.iter().map(String::as_str).chain(["1 model", "price"]) {
        assert!(line.contains(word), "{word}: {}", output.stdout);
    }
    assert!(!output.stdout.contains(&KEY[..20]));
    let heads = heard.connections().concat();
    assert!(
        heads.iter().all(|head| !head.starts_with("post")),
        "no model was asked: {heads:#?}"
    );
}
