//! HTTP that lies: lengths, chunks, headers and first words that cannot be true, and waits that cannot be meant.

use serde_json::json;

use crate::faults::play::Seen;
use crate::faults::row::{
    Books, Gets, HALF, Row, WHOLE, answer, cut, piece, refused, unavailable, whole,
};
use crate::support::server::{Answer, Script, Server, Step};

pub fn rows() -> Vec<Row> {
    [lengths(), chunks(), heads(), waits(), words()]
        .into_iter()
        .flatten()
        .collect()
}

/// The whole stream, and its first half.
fn stream() -> (String, String) {
    let event = |text: &str, finish: Option<&str>| {
        format!(
            "data: {}\n\n",
            json!({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})
        )
    };
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 4}});
    let half = event(HALF, None);
    (
        format!(
            "{half}{}data: {usage}\n\ndata: [DONE]\n\n",
            event(&WHOLE[4..], Some("stop"))
        ),
        half,
    )
}

/// A response of exactly these bytes, and then the end of the connection.
fn raw(bytes: impl AsRef<[u8]>) -> Answer {
    Answer::raw([Step::send(bytes), Step::Close]).usage(20, 4)
}

fn with(headers: &str, body: &str) -> Answer {
    raw(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}\r\n{body}"
    ))
}

fn half_of(fault: &'static str, answer: Answer, words: &'static str) -> Row {
    Row::new(fault, [answer, whole()])
        .gets(cut(HALF, words))
        .books_all()
}

fn lengths() -> Vec<Row> {
    let (all, half) = stream();
    let length = |n: usize| format!("content-length: {n}\r\n");
    let no_http = |fault, headers: &str| {
        Row::of(fault, Script::always(with(headers, &all)))
            .gets(unavailable("cannot be read as HTTP"))
            .books_all()
    };
    vec![
        half_of(
            "a Content-Length that ends in the middle",
            with(&length(half.len()), &all),
            "without the server's word",
        ),
        Row::new(
            "a Content-Length beyond the end",
            [with(&length(all.len() + 100), &all)],
        ),
        half_of(
            "a Content-Length beyond the end, of half an answer",
            with(&length(all.len()), &half),
            "broke in the middle",
        ),
        no_http(
            "two Content-Lengths",
            "content-length: 10\r\ncontent-length: 900\r\n",
        ),
        no_http("a Content-Length of -1", "content-length: -1\r\n"),
        Row::new(
            "a second response behind the answer",
            [with(
                &length(all.len()),
                &format!("{all}HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"),
            )],
        ),
    ]
}

fn chunks() -> Vec<Row> {
    let (all, half) = stream();
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let framed = |body: String| with("transfer-encoding: chunked\r\n", &body);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let endless = |before: String, again: &str| {
        Answer::raw([
            Step::send(format!("{head}{before}")),
            Step::send(again.repeat(512)).forever(),
        ])
        .usage(20, 4)
    };
    let broken = "broke in the middle";
    vec![
        half_of(
            "a chunk longer than 64 bits can say",
            framed(chunk(&half) + "fffffffffffffffff1\r\nx"),
            broken,
        ),
        half_of("a chunk of -1", framed(chunk(&half) + "-1\r\nx"), broken),
        half_of(
            "a chunk that says less than it holds",
            framed(chunk(&half) + "2\r\ndata: too much\r\n"),
            broken,
        ),
        half_of(
            "chunk extensions without an end",
            endless(chunk(&half) + "5;x=", "aaaaaaaa"),
            broken,
        ),
        Row::new(
            "trailers after the last chunk",
            [framed(
                chunk(&all) + "0\r\nx-checksum: 1\r\nretry-after: 9\r\n\r\n",
            )],
        ),
        Row::new(
            "trailers without an end, behind the answer",
            [endless(chunk(&all) + "0\r\n", "x-more: 1\r\n")],
        ),
        half_of(
            "trailers without an end, behind half of it",
            endless(chunk(&half) + "0\r\n", "x-more: 1\r\n"),
            broken,
        ),
        Row::new(
            "chunks and a Content-Length",
            [with(
                "content-length: 7\r\ntransfer-encoding: chunked\r\n",
                &(chunk(&all) + "0\r\n\r\n"),
            )],
        ),
    ]
}

fn heads() -> Vec<Row> {
    let (all, _) = stream();
    let no_http = |fault, bytes: String| {
        Row::of(fault, Script::always(raw(bytes)))
            .gets(unavailable("cannot be read as HTTP"))
            .books_all()
    };
    let hints = Step::send("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(64)).forever();
    let doubled = format!(
        "content-type: text/html\r\ncontent-type: \u{7f}\r\ncontent-length: {}\r\n",
        all.len()
    );
    vec![
        Row::of(
            "103 without an end",
            Script::always(Answer::raw([hints]).usage(20, 0)),
        )
        .heavy()
        .impatient()
        .gets(unavailable("first_token_timeout"))
        .books_all(),
        no_http(
            "an escape sequence in a header",
            "HTTP/1.1 200 OK\r\nx-odd: \u{1b}[2J\r\n\r\n".to_owned(),
        ),
        no_http(
            "an escape sequence for a header",
            "HTTP/1.1 200 OK\r\n\u{1b}]0;x\u{7}: 1\r\n\r\n".to_owned(),
        ),
        no_http(
            "a NUL in the status line",
            "HTTP/1.1 200 O\0K\r\n\r\n".to_owned(),
        ),
        no_http(
            "a status of four digits",
            "HTTP/1.1 2000 OK\r\n\r\n".to_owned(),
        ),
        no_http("HTTP/9.9", "HTTP/9.9 200 OK\r\n\r\n".to_owned()),
        Row::new(
            "the same header twice, and another type",
            [with(&doubled.replace('\u{7f}', "image/png"), &all)],
        ),
        Row::of(
            "a status of 999",
            Script::always(raw("HTTP/1.1 999 \u{e9}\r\ncontent-length: 0\r\n\r\n")),
        )
        .gets(refused("999"))
        .books_all(),
    ]
}

/// What a server says of when to come again.
fn waits() -> Vec<Row> {
    let busy = |name: &str, value: &str| {
        Answer::error(429, "rate_limit_exceeded", "slow down").header(name, value)
    };
    let again = |fault, value| Row::once(fault, busy("retry-after", value));
    let never = |fault, answer: Answer| {
        Row::of(fault, Script::always(answer))
            .gets(refused("asks to be left alone"))
            .books_nothing()
    };
    vec![
        again("429, retry-after: -5", "-5"),
        again("429, retry-after: NaN", "NaN"),
        again(
            "429, retry-after: a date in the past",
            "Mon, 01 Jan 2024 00:00:00 GMT",
        ),
        Row::once(
            "429, retry-after-ms: -1 beside retry-after: 1",
            busy("retry-after-ms", "-1").header("retry-after", "1"),
        )
        .also(super::refusals::waited(1000)),
        never(
            "429, retry-after: 3,000 years",
            busy("retry-after", "94608000000"),
        ),
        never(
            "429, retry-after: a date in the year 9000",
            busy("retry-after", "Wed, 01 Jan 9000 00:00:00 GMT"),
        ),
        never(
            "429, retry-after twice: 1 and 86400",
            busy("retry-after", "1").header("retry-after", "86400"),
        ),
    ]
}

/// Bodies whose words are no words.
fn words() -> Vec<Row> {
    let odd = "data: {\"choices\":{}}\n\ndata: []\n\ndata: 7\n\ndata: null\n\ndata: \"x\"\n\ndata: {\"choices\":[null,7]}\n\n\
        data: {\"choices\":[{\"delta\":[]}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":{\"a\":1}}}],\"usage\":[3]}\n\n";
    let (all, half) = stream();
    let between = format!("{half}{odd}{}", &all[half.len()..]);
    let torn = format!(
        "{half}data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\\ud83dy\"}}}}]}}\n\n{}",
        &all[half.len()..]
    );
    let attack = "\u{1b}]0;owned\u{7} \u{9b}31m \u{202e}txt.exe \u{200b}\u{e0041}\u{8}\u{7f}";
    let trap = Server::trap();
    let away = Answer::redirect(302, &format!("{}/\u{1b}[2J", trap.base_url()));
    vec![
        Row::new(
            "chunks of every other type in the middle",
            [with(
                &format!("content-length: {}\r\n", between.len()),
                &between,
            )],
        )
        .gets(answer(WHOLE)),
        Row::new(
            "half of a surrogate pair in the middle",
            [with(&format!("content-length: {}\r\n", torn.len()), &torn)],
        )
        .gets(answer("abcdx\u{fffd}yefgh")),
        Row::of(
            "400, its words an attack on the terminal",
            Script::always(Answer::error(400, attack, attack)),
        )
        .gets(refused("400"))
        .books_nothing()
        .also(Seen::shows_no_attack),
        Row::of(
            "an error in the stream, its words an attack on the terminal",
            Script::always(
                Answer::events([
                    piece("ab"),
                    piece("cd"),
                    Step::event(&json!({"error": {"message": attack, "code": attack}})),
                ])
                .usage(20, 2),
            ),
        )
        .gets(Gets {
            words: "owned",
            ..cut(HALF, "")
        })
        .books(Books::Full(1, crate::faults::row::MODEL))
        .also(Seen::shows_no_attack),
        Row::of(
            "302 to another host, its path an attack on the terminal",
            Script::always(away),
        )
        .gets(unavailable("cannot be read as HTTP"))
        .books_all()
        .traps(trap)
        .also(Seen::shows_no_attack),
    ]
}
