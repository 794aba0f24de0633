//! The guide over a plain socket, as any client on this machine meets it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::api::BODY_CAP;
use super::{GuideServer, serve};

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn start() -> GuideServer {
    serve(words, Duration::ZERO).unwrap()
}

fn address(server: &GuideServer) -> String {
    server
        .base_url()
        .trim_start_matches("http://")
        .trim_end_matches("/v1")
        .to_owned()
}

/// Sends bytes as they are, reads to the end: status, head, body as sent.
async fn raw(server: &GuideServer, request: &[u8]) -> (u16, String, String) {
    let mut socket = TcpStream::connect(address(server)).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut response = Vec::new();
    socket.read_to_end(&mut response).await.unwrap();
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

async fn request(
    server: &GuideServer,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> (u16, String, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: guide\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    raw(server, request.as_bytes()).await
}

async fn ask(server: &GuideServer, body: &Value) -> (u16, String, String) {
    request(
        server,
        "POST",
        "/v1/chat/completions",
        server.token(),
        &body.to_string(),
    )
    .await
}

fn question(more: &Value) -> Value {
    let mut body = json!({"model": "guide", "messages": [{"role": "user", "content": "How do I stop an answer?"}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

/// Undoes the chunked coding.
fn dechunk(mut coded: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = coded.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&rest[..size]);
        coded = rest[size..].strip_prefix("\r\n").unwrap();
    }
}

#[tokio::test]
async fn a_stream_is_role_pieces_finish_usage_done() {
    let server = start();
    let (status, head, body) = ask(
        &server,
        &question(&json!({"stream": true, "stream_options": {"include_usage": true}})),
    )
    .await;
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let body = dechunk(&body);
    let events: Vec<&str> = body
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").unwrap())
        .collect();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let (usage, rest) = chunks.split_last().unwrap();
    let (finish, pieces) = rest.split_last().unwrap();
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    let text: String = pieces
        .iter()
        .map(|piece| piece["choices"][0]["delta"]["content"].as_str().unwrap())
        .collect();
    assert!(text.contains("Esc stops the answer"), "{text}");
    assert!(
        pieces.len() > 10 && rest.iter().all(|chunk| chunk["usage"].is_null()),
        "{body}"
    );
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 6);
    assert_eq!(usage["usage"]["completion_tokens"], words(&text));
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk"
                && chunk["id"] == chunks[0]["id"])
    );
}

#[tokio::test]
async fn a_whole_answer_is_the_same_text() {
    let server = start();
    let (status, head, body) = ask(&server, &question(&json!({}))).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, body["object"].as_str()),
        (200, Some("chat.completion"))
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.contains("Esc stops the answer"), "{text}");
    let usage = &body["usage"];
    assert_eq!(usage["total_tokens"].as_u64().unwrap(), 6 + words(text));
    let (_, _, stream) = ask(&server, &question(&json!({"stream": true}))).await;
    assert!(!stream.contains("\"usage\""), "no usage unless asked for");
}

#[tokio::test]
async fn the_cap_is_kept_and_told() {
    let server = start();
    for cap in ["max_tokens", "max_completion_tokens"] {
        let (_, _, body) = ask(&server, &question(&json!({cap: 7}))).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["choices"][0]["finish_reason"], "length", "{cap}");
        assert_eq!(body["usage"]["completion_tokens"], 7, "{cap}");
        let (_, _, stream) = ask(&server, &question(&json!({cap: 7, "stream": true}))).await;
        assert!(
            stream.contains("\"finish_reason\":\"length\""),
            "{cap}: {stream}"
        );
    }
    let (_, _, body) = ask(&server, &question(&json!({"max_tokens": 8192}))).await;
    assert!(body.contains("\"finish_reason\":\"stop\""), "{body}");
}

#[tokio::test]
async fn models_are_listed() {
    let server = start();
    let (status, _, body) = request(&server, "GET", "/v1/models", server.token(), "").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["data"][0]["id"]), (200, &json!("guide")));
}

#[tokio::test]
async fn only_the_holder_of_the_token_is_answered() {
    let server = start();
    let other = start();
    assert_ne!(server.token(), other.token());
    assert!(server.token().len() == 64 && !format!("{server:?}").contains(server.token()));
    for token in [
        "",
        "wrong",
        other.token(),
        &server.token()[1..],
        &format!("{}0", server.token()),
    ] {
        let (status, head, body) = request(&server, "GET", "/v1/models", token, "").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, body["error"]["code"].as_str()),
            (401, Some("invalid_api_key")),
            "{token}"
        );
        assert!(head.contains("www-authenticate: bearer"), "{head}");
    }
    let (status, _, _) = raw(
        &server,
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn wrong_requests_are_told_in_the_protocols_words() {
    let server = start();
    let token = server.token();
    let unknown = question(&json!({"model": "gpt-5"})).to_string();
    for (method, path, body, status, code) in [
        ("GET", "/v1/nothing", "", 404, json!("unknown_url")),
        ("POST", "/v1/models", "", 405, json!(null)),
        ("GET", "/v1/chat/completions", "", 405, json!(null)),
        ("POST", "/v1/chat/completions", "not json", 400, json!(null)),
        (
            "POST",
            "/v1/chat/completions",
            &unknown,
            404,
            json!("model_not_found"),
        ),
    ] {
        let (got, _, body) = request(&server, method, path, token, body).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (got, &body["error"]["code"]),
            (status, &code),
            "{method} {path}: {body}"
        );
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert!(
            body["error"]["message"].as_str().unwrap().ends_with('.'),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_body_too_large_is_refused_announced_or_not() {
    let server = start();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
        server.token()
    );
    let announced = format!("{head}Content-Length: {}\r\n\r\n", BODY_CAP + 1);
    let (status, _, body) = raw(&server, announced.as_bytes()).await;
    assert!(status == 413 && body.contains("8 MiB"), "{status} {body}");

    // Not announced: a long chunk. The server may hang up as soon as it has answered, so a failed write is no failure.
    let mut socket = TcpStream::connect(address(&server)).await.unwrap();
    let chunk = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n",
        BODY_CAP + 1,
        " ".repeat(BODY_CAP + 1)
    );
    let _ = socket.write_all(chunk.as_bytes()).await;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_answered() {
    let server = start();
    let frame = question(&json!({"user": ""})).to_string().len();
    let body = question(&json!({"user": "x".repeat(BODY_CAP - frame)})).to_string();
    assert_eq!(body.len(), BODY_CAP);
    let (status, _, _) = request(
        &server,
        "POST",
        "/v1/chat/completions",
        server.token(),
        &body,
    )
    .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_dropped_server_frees_its_port_and_its_connections() {
    let server = start();
    let address = address(&server);
    let mut idle = TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(
        idle.read(&mut [0; 1024]).await.unwrap() > 0,
        "the connection is served and stays open"
    );
    drop(server);
    let mut rest = Vec::new();
    // Ends by itself as soon as the server has closed its side.
    let _ = idle.read_to_end(&mut rest).await;
    while std::net::TcpStream::connect(&address).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn without_a_runtime_the_guide_says_so() {
    assert!(serve(words, Duration::ZERO).is_err());
}
