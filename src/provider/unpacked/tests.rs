use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::chat::Clock;
use crate::provider::failure::REFUSAL_CAP;
use crate::provider::testing::{ServerStep, TestServer, send};
use crate::provider::{Call, Endpoint, ErrorClass, Network, SendGuard, Wire, WireError};

fn wire() -> Wire {
    let connect_timeout = std::time::Duration::from_secs(5);
    Wire::new(
        Network {
            connect_timeout,
            ..Network::default()
        },
        Clock::system(),
    )
}

fn gzip(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for piece in pieces {
        encoder.write_all(piece.as_ref()).unwrap();
    }
    encoder.finish().unwrap()
}

fn packed(status: &str, encoding: &str, body: &[u8]) -> Vec<ServerStep> {
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-encoding: {encoding}\r\n\r\n");
    vec![send(head), send(body)]
}

async fn list(steps: Vec<ServerStep>) -> (Result<Vec<String>, WireError>, Vec<String>) {
    let server = TestServer::start(steps).await;
    let endpoint = Endpoint::parse("p", &server.address, false).unwrap();
    (wire().models(&endpoint, None).await, server.requests())
}

async fn ask(steps: Vec<ServerStep>) -> (WireError, Vec<String>) {
    let server = TestServer::start(steps).await;
    let endpoint = Endpoint::parse("p", &server.address, false).unwrap();
    let wait = std::time::Duration::from_secs(20);
    let call = Call {
        body: bytes::Bytes::from_static(b"{}"),
        stream: true,
        first_token: wait,
        idle: wait,
        send_guard: SendGuard::default(),
    };
    (
        wire().open(&endpoint, None, call).await.unwrap_err(),
        server.requests(),
    )
}

#[tokio::test]
async fn a_list_comes_packed_and_a_stream_never() {
    let (listed, requests) = list(packed(
        "200 OK",
        "gzip",
        &gzip([r#"{"data":[{"id":"a"},{"id":"b"}]}"#]),
    ))
    .await;
    assert_eq!(listed.unwrap(), ["a", "b"]);
    assert!(
        requests[0]
            .to_ascii_lowercase()
            .contains("accept-encoding: gzip\r\n"),
        "{}",
        requests[0]
    );
    let (_, requests) = ask(packed("500 Oops", "gzip", &gzip(["{}"]))).await;
    assert!(
        requests[0]
            .to_ascii_lowercase()
            .contains("accept-encoding: identity\r\n"),
        "{}",
        requests[0]
    );
}

#[tokio::test]
async fn a_packed_refusal_is_read() {
    let body = gzip([r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#]);
    for encoding in ["gzip", "GZIP", "x-gzip"] {
        let (error, _) = ask(packed("429 Too Many Requests", encoding, &body)).await;
        assert_eq!(error.class, ErrorClass::RateLimited);
        assert!(error.message.contains("slow down"), "{error}");
    }
    let (error, _) = ask(packed("429 Too Many Requests", "br", &body)).await;
    assert_eq!(
        (error.class, error.status),
        (ErrorClass::RateLimited, Some(429)),
        "the status has to do"
    );
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let blanks = vec![b' '; 1 << 20];
    let bomb = gzip(std::iter::repeat_n(&blanks, 200));
    assert!(
        bomb.len() < 1 << 20,
        "200 MiB are {} bytes on the way",
        bomb.len()
    );
    let (listed, _) = list(packed("200 OK", "gzip", &bomb)).await;
    let error = listed.unwrap_err();
    assert_eq!(error.class, ErrorClass::TooLarge);
    assert!(error.message.contains("32 MiB"), "{error}");
    let (error, _) = ask(packed("500 Oops", "gzip", &bomb)).await;
    assert_eq!(error.class, ErrorClass::ServerError);
    assert_eq!(Packing::Gzip.open(bomb, REFUSAL_CAP).len(), REFUSAL_CAP);
}

#[tokio::test]
async fn what_is_packed_badly_is_no_list() {
    let whole = gzip([r#"{"data":[{"id":"a"}]}"#]);
    for (encoding, body) in [
        ("gzip", &whole[..whole.len() / 2]),
        ("gzip", &b"{}"[..]),
        ("br", &whole[..]),
    ] {
        let (listed, _) = list(packed("200 OK", encoding, body)).await;
        assert_eq!(listed.unwrap_err().class, ErrorClass::NotSse, "{encoding}");
    }
    // The part of a refusal before the break is as good as a refusal that is cut.
    assert_eq!(Packing::Gzip.open(gzip(["abc"])[..14].to_vec(), 10), b"abc");
}
