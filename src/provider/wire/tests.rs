use std::sync::atomic::Ordering;

use super::*;
use crate::chat::{Finish, Reply};
use crate::provider::testing::{ServerStep, TestServer, response, send};

const ANSWER: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const EVENTS: &str = "content-type: text/event-stream\r\nx-request-id: req_7\r\nx-ratelimit-remaining-requests: 9\r\n";

fn wire() -> Wire {
    within(Duration::from_secs(2))
}

fn within(connect_timeout: Duration) -> Wire {
    Wire::new(
        Network {
            connect_timeout,
            ..Network::default()
        },
        Clock::system(),
    )
}

fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::parse("openai", &format!("{}/v1", server.address), false).unwrap()
}

fn key() -> Secret {
    Secret::parse(b"canary-0815-4711", "x")
        .unwrap()
        .owned_by("openai")
}

/// First token and idle, in seconds.
fn call(first_token: f32, idle: f32) -> Call {
    let (first_token, idle) = (
        Duration::from_secs_f32(first_token),
        Duration::from_secs_f32(idle),
    );
    Call {
        body: Bytes::from_static(b"{\"stream\":true}"),
        stream: true,
        first_token,
        idle,
        send_guard: SendGuard::default(),
    }
}

async fn ask(server: &TestServer) -> Result<Reply, WireError> {
    ask_within(server, call(20.0, 20.0)).await
}

async fn ask_within(server: &TestServer, call: Call) -> Result<Reply, WireError> {
    let mut stream = wire().open(&endpoint(server), Some(&key()), call).await?;
    let mut reply = Reply::default();
    while let Some(step) = stream.next().await {
        reply.push(&step?);
    }
    Ok(reply)
}

async fn failure(steps: Vec<ServerStep>) -> WireError {
    ask(&TestServer::start(steps).await).await.unwrap_err()
}

#[tokio::test]
async fn one_call_is_one_request_with_what_belongs_in_it() {
    let server = TestServer::start(vec![response("200 OK", EVENTS, ANSWER)]).await;
    let wire = wire();
    let mut stream = wire
        .open(&endpoint(&server), Some(&key()), call(20.0, 20.0))
        .await
        .unwrap();
    assert_eq!(stream.meta().request_id.as_deref(), Some("req_7"));
    assert_eq!(
        (stream.meta().status, stream.meta().requests.remaining),
        (200, Some(9))
    );
    let mut reply = Reply::default();
    while let Some(step) = stream.next().await {
        reply.push(&step.unwrap());
    }
    assert_eq!(
        (reply.text.as_str(), reply.finish),
        ("Hello", Some(Finish::Stop))
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let request = requests[0].to_ascii_lowercase();
    assert!(
        request.starts_with("post /v1/chat/completions http/1.1\r\n"),
        "{request}"
    );
    for part in [
        "authorization: bearer canary-0815-4711\r\n",
        "accept-encoding: identity\r\n",
        "content-type: application/json\r\n",
        concat!("user-agent: chat-agent/", env!("CARGO_PKG_VERSION"), "\r\n"),
        "\r\n\r\n{\"stream\":true}",
    ] {
        assert!(request.contains(part), "{part:?} in {request}");
    }
    assert!(
        !request.contains("openai-organization") && !request.contains("referer"),
        "{request}"
    );
}

#[tokio::test]
async fn without_a_key_there_is_no_authorization() {
    let server = TestServer::start(vec![response("200 OK", EVENTS, ANSWER)]).await;
    wire()
        .open(&endpoint(&server), None, call(20.0, 20.0))
        .await
        .unwrap();
    assert!(
        !server.requests()[0]
            .to_ascii_lowercase()
            .contains("authorization")
    );
}

#[tokio::test]
async fn a_key_never_goes_to_another_provider() {
    let server = TestServer::start(vec![response("200 OK", EVENTS, ANSWER)]).await;
    let foreign = Secret::parse(b"canary-0815-4711", "x")
        .unwrap()
        .owned_by("groq");
    let error = wire()
        .open(&endpoint(&server), Some(&foreign), call(20.0, 20.0))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.sent),
        (ErrorClass::InvalidKey, Sent::Nothing)
    );
    assert!(
        wire()
            .models(&endpoint(&server), Some(&foreign))
            .await
            .is_err()
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_is_an_error_and_nothing_reaches_the_other_host() {
    let other = TestServer::start(vec![response("200 OK", EVENTS, ANSWER)]).await;
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let to = format!("location: {}/v1/chat/completions\r\n", other.address);
        let server = TestServer::start(vec![response(status, &to, "")]).await;
        let error = ask(&server).await.unwrap_err();
        assert_eq!(
            (&error.class, error.sent),
            (&ErrorClass::Redirected, Sent::Refused)
        );
        for host in [&server.address, &other.address] {
            assert!(
                error.message.contains(host.trim_start_matches("http://")),
                "{error}"
            );
        }
        assert!(
            wire()
                .models(&endpoint(&server), Some(&key()))
                .await
                .is_err()
        );
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn refusals_keep_status_wait_and_message_but_no_key() {
    let body =
        r#"{"error":{"code":"rate_limit_exceeded","message":"slow down, canary-0815-4711"}}"#;
    let headers = "retry-after: 9\r\nx-should-retry: false\r\n";
    let server = TestServer::start(vec![response("429 Too Many Requests", headers, body)]).await;
    let error = ask(&server).await.unwrap_err();
    assert_eq!(
        (error.class.clone(), error.status, error.sent),
        (ErrorClass::RateLimited, Some(429), Sent::Refused)
    );
    assert_eq!(
        (error.retry_after, error.should_retry),
        (Some(Duration::from_secs(9)), Some(false))
    );
    assert_eq!(
        error.message,
        "the server answered 429 Too Many Requests: slow down, [key]"
    );
    assert_eq!(server.requests().len(), 1, "no hidden retry");
    let listed = wire()
        .models(&endpoint(&server), Some(&key()))
        .await
        .unwrap_err();
    assert_eq!(listed, error, "the same through async-openai");
    assert_eq!(server.requests().len(), 2, "no hidden retry");
}

#[tokio::test]
async fn an_endless_refusal_is_left_unread() {
    let head = send("HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n");
    let server = TestServer::start(vec![head, ServerStep::Flood(300_000_000)]).await;
    let error = ask(&server).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::ServerError);
    assert!(error.message.chars().count() < 400);
    // What lies in the buffers of both sockets has been written, not read.
    assert!(
        server.written.load(Ordering::Relaxed) < 100_000_000,
        "{}",
        server.written.load(Ordering::Relaxed)
    );
}

#[tokio::test]
async fn headers_that_never_come_and_answers_that_stand_still() {
    let server = TestServer::start(vec![ServerStep::Hang]).await;
    let error = ask_within(&server, call(3.0, 60.0)).await.unwrap_err();
    assert_eq!(
        (error.class, error.sent),
        (ErrorClass::FirstTokenTimeout, Sent::MaybeBilled)
    );
    let first = &ANSWER[..ANSWER.find("\n\n").unwrap() + 2];
    let server = TestServer::start(vec![response("200 OK", EVENTS, first), ServerStep::Hang]).await;
    let error = ask_within(&server, call(20.0, 0.3)).await.unwrap_err();
    assert_eq!(
        (error.class, error.sent),
        (ErrorClass::IdleTimeout, Sent::MaybeBilled)
    );
}

#[tokio::test]
async fn what_is_no_complete_answer() {
    let chunked =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let half = &ANSWER[..ANSWER.find("\n\n").unwrap() + 2];
    let cut = format!("{chunked}{:x}\r\n{half}\r\n40\r\ndata:", half.len());
    for (steps, class) in [
        (vec![send(cut)], ErrorClass::Cut),
        (
            vec![response("200 OK", EVENTS, half)],
            ErrorClass::Truncated,
        ),
        (vec![response("200 OK", EVENTS, "")], ErrorClass::Truncated),
        (
            vec![response(
                "200 OK",
                "content-type: text/html\r\n",
                "<html><title>Sign in</title>",
            )],
            ErrorClass::NotSse,
        ),
        (
            vec![response("200 OK", "content-encoding: gzip\r\n", "\u{1f}")],
            ErrorClass::NotSse,
        ),
        (
            vec![response(
                "200 OK",
                "",
                r#"{"error":{"code":503,"message":"busy"}}"#,
            )],
            ErrorClass::InStream,
        ),
        (vec![], ErrorClass::Cut),
        (vec![send("SSH-2.0-x\r\n")], ErrorClass::NotSse),
    ] {
        let error = failure(steps.clone()).await;
        assert_eq!(
            (&error.class, error.sent),
            (&class, Sent::MaybeBilled),
            "{steps:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_call_for_a_stream() {
    let whole = r#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#;
    let server = TestServer::start(vec![response(
        "200 OK",
        "content-type: application/json\r\n",
        whole,
    )])
    .await;
    assert_eq!(ask(&server).await.unwrap().text, "Hello");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    // Bound, so that no other process takes the port, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    for scheme in ["http", "https"] {
        let endpoint =
            Endpoint::parse("openai", &format!("{scheme}://{address}/v1"), false).unwrap();
        let error = wire()
            .open(&endpoint, Some(&key()), call(20.0, 20.0))
            .await
            .unwrap_err();
        assert_eq!(
            (error.class, error.sent, error.status),
            (ErrorClass::Connect, Sent::Nothing, None)
        );
        assert!(
            error.message.contains(&address.to_string()) && error.message.contains("refused"),
            "{}",
            error.message
        );
    }
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_gets_no_request() {
    let server = TestServer::start(vec![response("200 OK", EVENTS, ANSWER)]).await;
    let address = server.address.replace("http://", "https://");
    let endpoint = Endpoint::parse("openai", &address, false).unwrap();
    let wire = within(Duration::from_millis(500));
    let error = wire
        .open(&endpoint, Some(&key()), call(20.0, 20.0))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.sent),
        (ErrorClass::Connect, Sent::Nothing)
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !request.contains("canary"))
    );
}

#[tokio::test]
async fn the_list_of_models_in_every_shape() {
    for (body, expected) in [
        (
            r#"{"object":"list","data":[{"id":"a"},{"id":"models/b","created":null},{"nope":1}]}"#,
            Some(vec!["a", "b"]),
        ),
        (r#"[{"id":"a/b"}]"#, Some(vec!["a/b"])),
        (r#"{"data":[]}"#, Some(vec![])),
        ("<html>", None),
        ("{}", None),
    ] {
        let server = TestServer::start(vec![response("200 OK", "", body)]).await;
        let listed = wire().models(&endpoint(&server), Some(&key())).await;
        match (listed, expected) {
            (Ok(names), Some(expected)) => assert_eq!(names, expected),
            (Err(error), None) => assert_eq!(error.class, ErrorClass::NotSse),
            (listed, _) => panic!("{body}: {listed:?}"),
        }
        let request = server.requests()[0].to_ascii_lowercase();
        assert!(
            request.starts_with("get /v1/models http/1.1\r\n") && request.contains("bearer canary"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_finished_stream_gives_its_connection_back() {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("{head}{:x}\r\n{ANSWER}\r\n", ANSWER.len());
    let server = TestServer::start(vec![send(body), send("0\r\n\r\n"), ServerStep::Again]).await;
    let wire = wire();
    for _ in 0..3 {
        let mut stream = wire
            .open(&endpoint(&server), Some(&key()), call(20.0, 20.0))
            .await
            .unwrap();
        while let Some(step) = stream.next().await {
            step.unwrap();
        }
        // The connection goes back on a task of its own.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(server.requests().len(), 3);
    // One that was not given back would be made anew each time; on a busy machine one may come back too late.
    assert!(server.connections.load(Ordering::Relaxed) < 3);
}
