//! Streams: written oddly and still whole, or broken and never called whole.

use serde_json::{Value, json};

use crate::faults::play::Seen;
use crate::faults::row::{Books, Gets, HALF, Row, WHOLE, answer, cut, piece, unavailable, whole};
use crate::support::server::{Answer, Script, Step};

/// One character of one, two, three and four bytes each.
const WIDE: &str = "aü世🦀";

pub fn rows() -> Vec<Row> {
    [framing(), quirks(), no_stream(), cuts()]
        .into_iter()
        .flatten()
        .collect()
}

fn chunk(text: &str, finish: Option<&str>) -> Value {
    json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})
}

fn usage() -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24}})
}

/// A whole stream as text, with this before the data and this at the end of each line.
fn golden(text: &str, field: &str, end: &str) -> String {
    let half = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
    let events = [
        chunk(&text[..half], None),
        chunk(&text[half..], None),
        chunk("", Some("stop")),
        usage(),
    ];
    let lines = events
        .map(|event| format!("{field}{event}{end}{end}"))
        .concat();
    format!("{lines}{field}[DONE]{end}{end}")
}

/// A body of exactly these bytes, billed as [`usage`] says.
fn body(bytes: impl AsRef<[u8]>) -> Answer {
    Answer::events([Step::Frame(bytes.as_ref().to_vec())]).usage(20, 4)
}

/// An answer whose first half has come, and then this.
fn half_then(steps: impl IntoIterator<Item = Step>) -> Answer {
    let mut all = vec![piece("ab"), piece("cd")];
    all.extend(steps);
    Answer::events(all).usage(20, 2)
}

/// The rest of it.
fn rest() -> [Step; 4] {
    [
        piece("efgh"),
        Step::event(&chunk("", Some("stop"))),
        Step::event(&usage()),
        Step::Frame(b"data: [DONE]\n\n".to_vec()),
    ]
}

/// An oddity between the halves of an answer.
fn between(oddity: impl AsRef<[u8]>) -> Answer {
    half_then(
        [Step::Frame(oddity.as_ref().to_vec())]
            .into_iter()
            .chain(rest()),
    )
    .usage(20, 4)
}

/// Lines, events and bytes.
fn framing() -> Vec<Row> {
    let bytewise = Answer::events([Step::slowly(
        golden(WIDE, "data: ", "\r\n"),
        std::time::Duration::ZERO,
        Step::Frame,
    )]);
    let wide = |fault, bytes: String| Row::new(fault, [body(bytes)]).gets(answer(WIDE));
    let golden_of = |field, end| golden(WIDE, field, end);
    let multi = golden_of("data: ", "\n").replace("\"choices\":[{", "\"choices\":\ndata: [{");
    vec![
        Row::new("every byte in a chunk of its own", [bytewise.usage(20, 4)]).gets(answer(WIDE)),
        wide("lines that end in CRLF", golden_of("data: ", "\r\n")),
        wide("lines that end in CR", golden_of("data: ", "\r")),
        wide(
            "a byte order mark before the first event",
            format!("\u{feff}{}", golden_of("data: ", "\n")),
        ),
        wide("data: without a space", golden_of("data:", "\n")),
        wide("an event of several data lines", multi),
        wide(
            "no blank line after the last event",
            golden_of("data: ", "\n").trim_end().to_owned(),
        ),
        wide(
            "empty lines before the first event",
            format!("\n\n \r\n{}", golden_of("data: ", "\n")),
        ),
        Row::new(
            "comments, events of other names, id and retry",
            [between(
                ": OPENROUTER PROCESSING\n\nevent: keepalive\ndata: {}\n\nid: \0\nretry: 5\n\n",
            )],
        ),
        Row::new("no [DONE]", [whole().without_done()]),
        Row::new(
            "no [DONE], and the connection ends the body",
            [whole().without_done().until_close()],
        ),
        Row::new(
            "a byte that is no UTF-8",
            [body(
                golden(WHOLE, "data: ", "\n")
                    .replace("abcd", "ab?cd")
                    .into_bytes()
                    .iter()
                    .map(|b| if *b == b'?' { 0xff } else { *b })
                    .collect::<Vec<_>>(),
            )],
        )
        .gets(answer("ab\u{fffd}cdefgh")),
        Row::new(
            "a malformed chunk in the middle (S10)",
            [between("data: {\"choices\":[{\"delta\":{\"conte\n\n")],
        ),
        Row::new(
            "an event of 10^6 open brackets",
            [between(format!("data: {}\n\n", "[".repeat(1_000_000)))],
        ),
        Row::new(
            "17 malformed chunks",
            [half_then([Step::Repeat(
                Box::new(Step::Frame(b"data: {\n\n".to_vec())),
                Some(17),
            )])],
        )
        .gets(cut(HALF, "not JSON"))
        .books_all(),
    ]
}

/// Fields that some servers write otherwise, or not at all.
fn quirks() -> Vec<Row> {
    let whole_of = |fault, events: &[Value]| {
        let text = events.iter().fold(String::new(), |text, event| {
            text + &format!("data: {event}\n\n")
        });
        Row::new(fault, [body(text + "data: [DONE]\n\n")])
    };
    let finish = |name: &'static str| Gets {
        finish: Some(name),
        ..answer(WHOLE)
    };
    let cut_by = |name| Gets {
        finish: Some(name),
        ..cut(WHOLE, "")
    };
    vec![
        Row::new("usage missing", [whole().without_usage()]).books_all(),
        Row::new(
            "usage in every chunk, rising",
            [whole().usage_in_every_chunk()],
        ),
        whole_of(
            "usage in x_groq, content a list, finish \"\"",
            &[
                json!({"choices": [{"delta": {"content": [{"type": "text", "text": HALF}]}, "finish_reason": ""}]}),
                json!({"choices": [{"delta": {"content": null}, "finish_reason": ""}], "odd": {"field": [1]}}),
                json!({"choices": [{"delta": {"role": "assistant", "content": "efgh"}, "finish_reason": "stop"}]}),
                json!({"x_groq": {"usage": {"prompt_tokens": 20, "completion_tokens": 4}}}),
            ],
        ),
        Row::new("finish_reason eos", [whole().finish("eos")]),
        Row::new("an unknown finish_reason", [whole().finish("weary")]).gets(finish("weary")),
        Row::new("finish_reason length", [whole().finish("length")]).gets(cut_by("length")),
        Row::new(
            "finish_reason content_filter",
            [whole().finish("content_filter")],
        )
        .gets(cut_by("content_filter")),
        whole_of(
            "an error after the finish",
            &[
                chunk(WHOLE, Some("stop")),
                usage(),
                json!({"error": {"message": "too late"}}),
            ],
        ),
    ]
}

/// A status of 200 and no stream behind it.
fn no_stream() -> Vec<Row> {
    let unary = json!({"choices": [{"message": {"content": WHOLE}, "finish_reason": "stop"}], "usage": usage()["usage"]});
    let page = "<!doctype html><html><head><title>Sign in to the network</title></head><body>x</body></html>";
    let failed = |fault, answer: Answer, words| {
        Row::of(fault, Script::always(answer))
            .gets(unavailable(words))
            .books_all()
    };
    vec![
        Row::new("200 with JSON instead of a stream", [Answer::status(200).body(&unary).usage(20, 4)]),
        Row::new(
            "the same, padded with empty lines",
            [Answer::status(200).bytes("application/json", format!("\n\n \n{unary}")).usage(20, 4)],
        ),
        failed("200 with a web page", Answer::status(200).bytes("text/html", page), "Sign in to the network"),
        failed("200 with an empty body", Answer::status(200), "before any answer"),
        failed(
            "200 with an error as JSON",
            Answer::status(200).body(&json!({"error": {"message": "overheated", "code": null}})),
            "overheated",
        ),
        failed(
            "200 with an error as JSON, code 503",
            Answer::status(200).body(&json!({"error": {"message": "overheated", "code": 503}})),
            "overheated",
        ),
        failed(
            "200 with JSON of 10^6 open brackets",
            Answer::status(200).bytes("application/json", "[".repeat(1_000_000)),
            "not an answer",
        ),
        failed("204", Answer::status(204), "before any answer"),
        failed("a stream of nothing but [DONE]", body("data: [DONE]\n\n").usage(20, 0), "before any answer"),
        failed(
            "an error as the first event, code 502 (OpenRouter)",
            body("data: {\"error\":{\"code\":502,\"message\":\"overheated\"},\"choices\":[{\"finish_reason\":\"error\"}]}\n\n")
                .usage(20, 0),
            "overheated",
        ),
        failed(
            "an error as the first event",
            body("data: {\"error\":{\"message\":\"overheated\"}}\n\n").usage(20, 0),
            "overheated",
        ),
    ]
}

/// After the first piece: kept, marked as cut, never asked again.
fn cuts() -> Vec<Row> {
    let broken = |fault, answer: Answer, words| {
        Row::new(fault, [answer, whole()])
            .gets(cut(HALF, words))
            .books_all()
    };
    let error = json!({"message": "overheated", "code": "server_error"});
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "rm", "arguments": "{\"path\": \"/ho"}}]}}]});
    let openrouter = json!({"choices": [{"delta": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "upstream died"}}]});
    vec![
        broken(
            "the connection closed in the middle (FIN)",
            half_then([Step::Close]),
            "broke in the middle",
        ),
        broken(
            "the connection reset in the middle (RST)",
            half_then([Step::Reset]),
            "broke in the middle",
        ),
        broken(
            "reset inside a chunk, inside an event",
            half_then([
                Step::send("40\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"ef"),
                Step::Reset,
            ]),
            "broke in the middle",
        ),
        broken(
            "a chunk of no length in the middle",
            half_then([Step::send("ZZ\r\n")]),
            "broke in the middle",
        ),
        broken(
            "the body ends without a finish_reason",
            half_then([]),
            "without the server's word",
        ),
        broken(
            "[DONE] without a finish_reason",
            half_then([Step::Frame(b"data: [DONE]\n\n".to_vec())]),
            "without the server's word",
        ),
        broken(
            "an error object in the stream",
            Answer::text(WHOLE).usage(20, 4).error_after(2, &error),
            "overheated",
        ),
        broken(
            "an error event in the stream",
            half_then([Step::Frame(
                b"event: error\ndata: {\"message\": \"overheated\"}\n\n".to_vec(),
            )]),
            "overheated",
        ),
        broken(
            "finish_reason error (OpenRouter)",
            half_then([Step::event(&openrouter)]),
            "upstream died",
        ),
        broken(
            "finish_reason abort",
            half_then([Step::event(&chunk("", Some("abort")))]),
            "",
        )
        .gets(cut(HALF, "")),
        broken(
            "the connection closed inside a tool call",
            half_then([Step::event(&call), Step::Close]),
            "broke in the middle",
        )
        .also(no_tool),
        broken(
            "closed in the middle, encoding known, no thinking out of sight",
            half_then([Step::Close]),
            "broke in the middle",
        )
        .asks(["-m", "gpt-4o-mini"])
        .sees(["gpt-4o-mini"])
        .books(Books::Full(1, "gpt-4o-mini")),
    ]
}

/// A call that did not end is not counted.
fn no_tool(seen: &Seen) -> Result<(), String> {
    if seen.output.stdout.contains("path") {
        Err("a part of a tool call is shown".to_owned())
    } else {
        Ok(())
    }
}
