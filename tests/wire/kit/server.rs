//! The scripted server, spoken to over a bare socket.

mod rules;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::server::{
    Answer, Gate, Keys, Outcome, Prices, Rules, Script, Server, Step, Tokens,
};

fn ask(stream: bool, cap: u64) -> Value {
    let mut body = json!({"model": "m", "max_tokens": cap, "messages": [{"role": "user", "content": "hello"}]});
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn post(body: &Value) -> String {
    let body = body.to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-one\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn dial(server: &Server) -> TcpStream {
    let line = TcpStream::connect(server.address()).unwrap();
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    line
}

/// Reads on until what was read ends with this.
fn read_to(line: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) {
        let n = line.read(&mut byte).unwrap();
        assert_eq!(
            n,
            1,
            "the server ended after {:?}",
            String::from_utf8_lossy(&text)
        );
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn send(server: &Server, body: &Value) -> TcpStream {
    let mut line = dial(server);
    line.write_all(post(body).as_bytes()).unwrap();
    line
}

/// The JSON of all events, in order.
fn events(answer: &str) -> Vec<Value> {
    answer
        .lines()
        .filter_map(|l| l.strip_prefix("data: {"))
        .map(|l| serde_json::from_str(&format!("{{{l}")).unwrap())
        .collect()
}

fn text(events: &[Value]) -> String {
    events
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["content"].as_str())
        .collect()
}

const END: &str = "\r\n0\r\n\r\n";

fn prices() -> Prices {
    Prices::new().model("m", "1", "0.5", "2")
}

#[test]
fn a_stream_has_role_pieces_finish_usage_and_done() {
    let answer = Answer::text("grüße, world")
        .pieces(3)
        .usage(20, 7)
        .cached(5)
        .reasoning("hm", 4)
        .ttft(1)
        .delay_between(1);
    let server = Server::start(Script::always(answer).keys(["sk-one"]));
    let mut line = send(&server, &ask(true, 100));
    let answer = read_to(&mut line, END);
    assert!(answer.starts_with(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    ));
    assert!(answer.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"));
    let events = events(&answer);
    assert_eq!(
        events.len(),
        7,
        "role, reasoning, three pieces, finish, usage"
    );
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(events[1]["choices"][0]["delta"]["reasoning_content"], "hm");
    assert_eq!(text(&events), "grüße, world");
    assert!(
        events[..6]
            .iter()
            .all(|e| e["usage"].is_null() && e["model"] == "m")
    );
    assert_eq!(events[5]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[6]["choices"], json!([]));
    assert_eq!(
        events[6]["usage"]["prompt_tokens_details"]["cached_tokens"],
        5
    );
    assert_eq!(
        events[6]["usage"]["completion_tokens_details"]["reasoning_tokens"],
        4
    );
    let request = &server.wait_for_outcomes(1)[0];
    assert_eq!(request.outcome, Some(Outcome::Complete));
    assert_eq!(request.bytes_sent, answer.len() as u64);
    assert_eq!(
        (request.key(), request.cap(), request.met.as_str()),
        (Some("sk-one"), Some(100), "default")
    );
    let tokens = Tokens {
        prompt: 20,
        cached: 5,
        completion: 7,
        reasoning: 4,
        cache_write: 0,
    };
    assert_eq!(request.charged, Some(tokens));
    // 15 x 1 + 5 x 0.5 + 7 x 2 millionths; with all that was allowed: 15 + 2.5 + 200.
    assert_eq!(server.bill(&prices()).total().to_string(), "0.0000315");
    assert_eq!(
        server.upper_bill(&prices()).total().to_string(),
        "0.0002175"
    );
    server.assert_clean();
}

#[test]
fn one_connection_serves_many_and_scripts_go_in_turn() {
    let script = [
        Answer::error(429, "rate_limit_exceeded", "slow").header("retry-after", "1"),
        Answer::text("yes"),
    ];
    let server = Server::start(Script::each(script).models(["a", "b"]));
    let mut line = send(&server, &ask(false, 9));
    let answer = read_to(&mut line, "}}");
    assert!(
        answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n")
            && answer.contains("\r\nretry-after: 1\r\n")
    );
    line.write_all(post(&ask(false, 9)).as_bytes()).unwrap();
    let answer = read_to(&mut line, "}}}");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "yes");
    assert_eq!(body["usage"]["completion_tokens"], 3);
    line.write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
        .unwrap();
    assert!(read_to(&mut line, "]}").contains("\"id\":\"b\""));
    let seen = server.requests();
    assert_eq!(
        seen.iter().map(|r| r.met.as_str()).collect::<Vec<_>>(),
        ["script 0", "script 1", "models"]
    );
    assert!(server.connections() == 1 && seen.iter().all(|r| r.connection == 0));
    assert_eq!(
        server.bill(&prices()).lines.len(),
        1,
        "errors and lists are not charged"
    );
    server.assert_clean();
}

#[test]
fn a_request_in_chunks_is_read() {
    let server = Server::start(Script::always(Answer::text("ok")));
    let mut line = dial(&server);
    let body = ask(false, 5).to_string();
    let (a, b) = body.split_at(10);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nTransfer-Encoding: chunked";
    write!(
        line,
        "{head}\r\n\r\n{:x};x=y\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\n\r\n",
        a.len(),
        b.len()
    )
    .unwrap();
    read_to(&mut line, "}}}");
    assert_eq!(server.bodies(), [ask(false, 5)]);
    server.assert_clean();
}

#[test]
fn the_output_cap_is_kept_unless_the_script_says_otherwise() {
    let long = Answer::text("abcdefghij").pieces(10).usage(3, 20);
    let server = Server::start(Script::each([long.clone(), long.ignore_cap()]));
    let cut = events(&read_to(&mut send(&server, &ask(true, 7)), END));
    assert_eq!(
        (
            text(&cut).as_str(),
            &cut[cut.len() - 2]["choices"][0]["finish_reason"]
        ),
        ("abc", &json!("length"))
    );
    assert_eq!(cut.last().unwrap()["usage"]["completion_tokens"], 7);
    let whole = events(&read_to(&mut send(&server, &ask(true, 7)), END));
    assert_eq!(
        (
            text(&whole).as_str(),
            &whole.last().unwrap()["usage"]["completion_tokens"]
        ),
        ("abcdefghij", &json!(20))
    );
    server.wait_for_outcomes(2);
    let out: Vec<u64> = server
        .bill(&prices())
        .lines
        .iter()
        .map(|line| line.tokens.completion)
        .collect();
    assert_eq!(out, [7, 20]);
}

#[test]
fn a_gate_holds_the_answer_and_the_bill_counts_what_was_written() {
    let gate = Gate::new();
    let server = Server::start(Script::always(
        Answer::text("abcd")
            .pieces(4)
            .usage(10, 8)
            .gate_after(2, &gate),
    ));
    let mut line = send(&server, &ask(true, 50));
    gate.wait_reached(1);
    assert_eq!(server.bill(&prices()).lines[0].tokens.completion, 4);
    read_to(
        &mut line,
        "\"b\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n\r\n",
    );
    line.set_nonblocking(true).unwrap();
    assert_eq!(
        line.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nothing passes a closed gate"
    );
    line.set_nonblocking(false).unwrap();
    gate.open();
    read_to(&mut line, END);
    server.wait_for_outcomes(1);
    assert_eq!(server.bill(&prices()).lines[0].tokens.completion, 8);
}

#[test]
fn a_client_that_leaves_is_noticed_at_once() {
    for answer in [
        Answer::text("abcd").hang_after(1),
        Answer::text("abcd").delay_headers(3_600_000),
        Answer::raw([Step::Repeat(Box::new(Step::send("x".repeat(1000))), None)]),
    ] {
        let server = Server::start(Script::always(answer));
        let line = send(&server, &ask(true, 50));
        server.wait_for_requests(1);
        drop(line);
        assert_eq!(
            server.wait_for_outcomes(1)[0].outcome,
            Some(Outcome::ClientGone)
        );
    }
}

#[test]
fn an_answer_can_end_in_every_bad_way() {
    let base = || Answer::text("abcd").pieces(4);
    let server = Server::start(Script::each([
        base().reset_after(2),
        base().close_after(2),
        base().end_after(2),
        base().error_after(2, &json!({"message": "overloaded", "code": 502})),
        base()
            .without_finish()
            .without_done()
            .without_usage()
            .until_close(),
    ]));
    let read = |body: &Value| {
        let (mut line, mut bytes) = (send(&server, body), Vec::new());
        // A proper end leaves the connection open: stop at the end of the body.
        let mut byte = [0];
        let ended = loop {
            match line.read(&mut byte) {
                Ok(0) => break Ok(()),
                Ok(_) => bytes.push(byte[0]),
                Err(error) => break Err(error.kind()),
            }
            if bytes.ends_with(END.as_bytes()) {
                break Ok(());
            }
        };
        (String::from_utf8(bytes).unwrap(), ended)
    };
    let (reset, ended) = read(&ask(true, 9));
    assert_eq!(
        (text(&events(&reset)).as_str(), ended),
        ("ab", Err(ErrorKind::ConnectionReset))
    );
    let (closed, ended) = read(&ask(true, 9));
    assert!(ended.is_ok() && !closed.ends_with(END) && text(&events(&closed)) == "ab");
    let (ended, _) = read(&ask(true, 9));
    assert!(ended.ends_with(END) && text(&events(&ended)) == "ab" && !ended.contains("stop"));
    let (error, _) = read(&ask(true, 9));
    assert_eq!(events(&error).last().unwrap()["error"]["code"], 502);
    let (unframed, ended) = read(&ask(true, 9));
    assert!(
        ended.is_ok()
            && unframed.contains("\r\nconnection: close\r\n")
            && !unframed.contains("DONE")
            && !unframed.contains("stop")
    );
    assert_eq!(text(&events(&unframed)), "abcd");
    let outcomes: Vec<_> = server
        .wait_for_outcomes(5)
        .into_iter()
        .map(|r| r.outcome.unwrap())
        .collect();
    let complete = Outcome::Complete;
    assert_eq!(
        outcomes,
        [
            Outcome::Reset,
            Outcome::Closed,
            complete,
            complete,
            complete
        ]
    );
    server.assert_clean();
}

#[test]
fn answers_can_be_chosen_added_and_written_by_hand() {
    let script = Script::always(Answer::text("default")).choose(|request| {
        (request.header("x-who") == Some("me"))
            .then(|| Answer::raw([Step::send("HTTP/1.1 299 Odd\r\n\r\nhi")]).usage(4, 2))
    });
    let server = Server::start(script);
    server.push(Answer::text("pushed"));
    let mut line = dial(&server);
    line.write_all(
        post(&ask(false, 9))
            .replace("Host: x", "Host: x\r\nX-Who: me")
            .as_bytes(),
    )
    .unwrap();
    let mut raw = String::new();
    line.read_to_string(&mut raw).unwrap();
    assert_eq!(raw, "HTTP/1.1 299 Odd\r\n\r\nhi");
    assert!(read_to(&mut send(&server, &ask(false, 9)), "}}}").contains("pushed"));
    assert!(read_to(&mut send(&server, &ask(false, 9)), "}}}").contains("default"));
    let charged: Vec<_> = server
        .wait_for_outcomes(3)
        .iter()
        .map(|r| r.charged.unwrap())
        .collect();
    assert_eq!(
        charged[0],
        Tokens {
            prompt: 4,
            completion: 2,
            ..Tokens::default()
        }
    );
}

#[test]
fn a_stream_can_be_written_byte_by_byte_and_for_ever() {
    let steps = [
        Step::slowly("data: x\n\n", Duration::from_millis(1), Step::Frame),
        Step::Frame(b"y".into()).forever(),
    ];
    let server =
        Server::start(Script::always(Answer::events(steps).usage(4, 2)).owned_by("sk-one"));
    let mut line = send(&server, &ask(true, 9));
    let text = read_to(&mut line, "1\r\ny\r\n1\r\ny\r\n");
    let body = "data: x\n\nyy".chars().fold(String::new(), |body, byte| {
        body + &format!("1\r\n{byte}\r\n")
    });
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")
            && text.ends_with(&body),
        "{text}"
    );
    drop(line);
    assert_eq!(
        server.wait_for_outcomes(1)[0].outcome,
        Some(Outcome::ClientGone)
    );
    assert_eq!(server.bill(&prices()).total().to_string(), "0.000008");
    server.assert_clean();
}

#[test]
fn dropping_the_server_lets_go_of_whoever_waits() {
    let server = Server::start(Script::always(Answer::text("x").hang_after(0)));
    let mut line = send(&server, &ask(true, 9));
    server.wait_for_requests(1);
    let before = Instant::now();
    drop(server);
    let _ = line.read_to_end(&mut Vec::new());
    assert!(before.elapsed() < PATIENCE);
}

#[test]
fn many_clients_at_once_are_all_logged_and_billed() {
    let gate = Gate::new();
    let server = Server::start(Script::always(
        Answer::text("ab")
            .pieces(2)
            .usage(5, 2)
            .gate_after(1, &gate),
    ));
    let mut lines: Vec<_> = (0..100).map(|_| send(&server, &ask(true, 9))).collect();
    gate.wait_reached(100);
    assert_eq!(
        server.bill(&prices()).total().to_string(),
        "0.0007",
        "100 x (5 + 1 x 2) millionths: half is written"
    );
    drop(lines.split_off(50));
    server.wait_until("50 gone", |all| {
        all.iter()
            .filter(|r| r.outcome == Some(Outcome::ClientGone))
            .count()
            == 50
    });
    gate.open();
    for line in &mut lines {
        read_to(line, END);
    }
    server.wait_for_outcomes(100);
    assert_eq!(
        server.bill(&prices()).total().to_string(),
        "0.0008",
        "the 50 that stayed pay for the other half"
    );
    assert_eq!(server.connections(), 100);
    server.assert_clean();
}

#[test]
fn delays_are_kept() {
    let server = Server::start(Script::always(
        Answer::text("ab")
            .pieces(2)
            .delay_headers(40)
            .ttft(40)
            .delay_between(40),
    ));
    let before = Instant::now();
    read_to(&mut send(&server, &ask(true, 9)), END);
    assert!(
        before.elapsed() >= Duration::from_millis(120),
        "{:?}",
        before.elapsed()
    );
}
