//! Refusals: a status other than 200, in every form in which servers write it.

use serde_json::{Value, json};

use crate::faults::play::Seen;
use crate::faults::row::{Books, Gets, MODEL, Row, WHOLE, answer, refused, unavailable, whole};
use crate::support::server::{Answer, Request, Rules, Script};

/// An error of this status, and a word that retries need not wait.
fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::error(status, code, message).header("retry-after-ms", "1")
}

fn busy() -> Answer {
    Answer::error(429, "rate_limit_exceeded", "slow down")
}

/// The wait before the second attempt was at least so long.
pub fn waited(at_least: u64) -> impl Fn(&Seen) -> Result<(), String> + Send {
    move |seen| {
        let requests = seen.requests();
        let pause = requests[1].arrived - requests[0].arrived;
        let told = seen.attempts()[1]["wait_ms"].as_u64().unwrap_or(0);
        // The clocks of timers are a little coarse.
        let kept = pause.as_millis() + 10 >= u128::from(at_least) && told + 10 >= at_least;
        if kept {
            Ok(())
        } else {
            Err(format!(
                "it waited {pause:?} and tells of {told} ms, not {at_least} ms"
            ))
        }
    }
}

/// It gave up at once.
fn at_once(seen: &Seen) -> Result<(), String> {
    if seen.took.as_secs() < 20 {
        Ok(())
    } else {
        Err(format!("it took {:?}", seen.took))
    }
}

/// Of request `n`.
fn sent(
    n: usize,
    holds: fn(&Request) -> bool,
    what: &'static str,
) -> impl Fn(&Seen) -> Result<(), String> + Send {
    move |seen| {
        let requests = seen.requests();
        if requests.get(n).is_some_and(holds) {
            Ok(())
        } else {
            Err(format!("request {} is not {what}", n + 1))
        }
    }
}

pub fn rows() -> Vec<Row> {
    [passing(), waiting(), final_ones(), mended(), odd_bodies()]
        .into_iter()
        .flatten()
        .collect()
}

/// What may pass is tried again.
fn passing() -> Vec<Row> {
    let once = |fault, status| Row::once(fault, error(status, "server_error", "oops"));
    let always = |fault, status| {
        let words = "oops";
        Row::of(fault, Script::always(error(status, "server_error", "oops")))
            .requests(4)
            .gets(unavailable(words))
            .books_nothing()
    };
    vec![
        once("500, then an answer", 500),
        once("502, then an answer", 502),
        once("503, then an answer", 503),
        once("520 of a CDN, then an answer", 520),
        once("498 (Groq: full), then an answer", 498),
        once("529 (Anthropic: overloaded), then an answer", 529),
        once("408, then an answer", 408),
        once("409, then an answer", 409),
        once("425, then an answer", 425),
        once(
            "504: the gateway does not know whether the model went on",
            504,
        )
        .books(Books::FullAndBill(1, MODEL)),
        always("500 for ever", 500),
        always("503 for ever", 503),
        Row::of(
            "500 for ever, retries = 1",
            Script::always(error(500, "server_error", "oops")),
        )
        .config("[limits]\nretries = 1\n")
        .requests(2)
        .gets(unavailable("oops"))
        .books_nothing(),
        Row::of(
            "500 with x-should-retry: false",
            Script::always(error(500, "server_error", "oops").header("x-should-retry", "false")),
        )
        .gets(unavailable("oops"))
        .books_nothing(),
        Row::once(
            "400 with x-should-retry: true",
            error(400, "odd", "once more").header("x-should-retry", "true"),
        ),
    ]
}

/// Rate limits: the server's own word is kept.
fn waiting() -> Vec<Row> {
    let date = busy()
        .header("date", "Mon, 23 Nov 2026 10:00:00 GMT")
        .header("retry-after", "Mon, 23 Nov 2026 10:00:01 GMT");
    vec![
        Row::once("429, retry-after: 1", busy().header("retry-after", "1")).also(waited(1000)),
        Row::once(
            "429, retry-after-ms: 700",
            busy().header("retry-after-ms", "700"),
        )
        .also(waited(700)),
        Row::once("429, retry-after as a date", date).also(waited(1000)),
        Row::once("429 without retry-after", busy()),
        Row::once(
            "429 slow_down of type requests",
            error(429, "slow_down", "slow").header("retry-after-ms", "1"),
        ),
        Row::of(
            "429 for ever",
            Script::always(busy().header("retry-after-ms", "1")),
        )
        .requests(4)
        .gets(refused("429"))
        .books_nothing(),
        Row::of(
            "429, retry-after: 86400",
            Script::always(busy().header("retry-after", "86400")),
        )
        .gets(refused("429"))
        .books_nothing()
        .also(at_once),
        Row::of(
            "503, retry-after: 86400",
            Script::always(Answer::error(503, "overloaded", "full").header("retry-after", "86400")),
        )
        .gets(unavailable("full"))
        .books_nothing()
        .also(at_once),
    ]
}

/// What cannot pass is told at once.
fn final_ones() -> Vec<Row> {
    let quota = |code: Value, kind: &str| json!({"error": {"message": "You exceeded your current quota", "type": kind, "param": null, "code": code}});
    let told = |fault, failure: Answer, words| {
        Row::of(fault, Script::always(failure))
            .gets(refused(words))
            .books_nothing()
    };
    let plain = |fault, status, code, message, words| {
        told(fault, Answer::error(status, code, message), words)
    };
    vec![
        told(
            "429 quota, in error.code",
            Answer::status(429).body(&quota(json!("insufficient_quota"), "requests")),
            "quota",
        ),
        told(
            "429 quota, in error.type",
            Answer::status(429).body(&quota(Value::Null, "insufficient_quota")),
            "quota",
        ),
        plain(
            "429 credit_balance_exhausted",
            429,
            "credit_balance_exhausted",
            "no money",
            "no money",
        ),
        plain(
            "401 invalid key",
            401,
            "invalid_api_key",
            "Incorrect API key provided",
            "check the key",
        ),
        plain(
            "402 no credit",
            402,
            "payment_required",
            "add credits",
            "add credit",
        ),
        plain(
            "403 no access",
            403,
            "permission_denied",
            "not for you",
            "not for you",
        ),
        plain(
            "403 moderation",
            403,
            "moderation_blocked",
            "flagged",
            "reword",
        ),
        plain(
            "404 model not found",
            404,
            "model_not_found",
            "no such model",
            "no such model",
        ),
        plain(
            "400 invalid request",
            400,
            "invalid_value",
            "bad value",
            "bad value",
        ),
        plain(
            "400 context_length_exceeded",
            400,
            "context_length_exceeded",
            "too long",
            "shorten",
        ),
        told("413", Answer::status(413), "shorten"),
        plain(
            "400 content filter (S13)",
            400,
            "content_filter",
            "flagged",
            "reword",
        ),
        plain(
            "418, an unexpected status",
            418,
            "teapot",
            "short and stout",
            "short and stout",
        ),
    ]
}

/// A parameter that the model does not take is left out or renamed, once.
fn mended() -> Vec<Row> {
    let not = |name: &str, more: &str| {
        let message =
            format!("Unsupported parameter: '{name}' is not supported with this model.{more}");
        Answer::status(400).body(&json!({"error": {"message": message, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}}))
    };
    let optional = Rules {
        usage_optional: true,
        ..Rules::default()
    };
    vec![
        Row::once(
            "400 unsupported max_completion_tokens",
            not("max_completion_tokens", " Use 'max_tokens' instead."),
        )
        .also(sent(
            1,
            |request| {
                request.field("max_tokens").is_some()
                    && request.field("max_completion_tokens").is_none()
            },
            "capped by max_tokens",
        )),
        Row::once("400 unsupported temperature", not("temperature", ""))
            .asks(["-m", "gpt-4o-mini", "--temperature", "0.5"])
            .sees(["gpt-4o-mini"; 2])
            .gets(Gets {
                words: "without your 0.5",
                ..answer(WHOLE)
            })
            .also(sent(
                1,
                |request| request.field("temperature").is_none(),
                "without a temperature",
            )),
        Row::of(
            "400 unknown stream_options",
            Script::each([not("stream_options", ""), whole()]).rules(optional),
        )
        .requests(2)
        .gets(answer(WHOLE))
        .books_all()
        .also(sent(
            1,
            |request| request.field("stream_options").is_none(),
            "without stream_options",
        )),
        Row::of(
            "400 unsupported parameter for ever",
            Script::always(not("reasoning_effort", "")),
        )
        .asks(["-m", MODEL, "--effort", "low"])
        .requests(2)
        .gets(refused("reasoning_effort"))
        .books_nothing(),
    ]
}

/// Errors in the forms that are not OpenAI's.
fn odd_bodies() -> Vec<Row> {
    let soon = |answer: Answer| answer.header("retry-after-ms", "1");
    let gemini = json!([{"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}]);
    vec![
        Row::once(
            "429 as an array, code an integer (Gemini)",
            soon(Answer::status(429).body(&gemini)),
        ),
        Row::of(
            "502 as a web page",
            Script::always(soon(Answer::status(502).bytes(
                "text/html",
                "<html><title>Bad Gateway</title><body>x</body></html>",
            ))),
        )
        .requests(4)
        .gets(unavailable("Bad Gateway"))
        .books_nothing(),
        Row::once("503, the body empty", soon(Answer::status(503))),
        Row::of(
            "400, the body no JSON",
            Script::always(Answer::status(400).bytes("text/plain", "\u{1b}[31mwhat?\u{7}")),
        )
        .gets(refused("what?"))
        .books_nothing(),
        Row::of(
            "500, code an integer, message an object",
            Script::always(soon(
                Answer::status(500).body(&json!({"error": {"code": 500, "message": {"a": 1}}})),
            )),
        )
        .requests(4)
        .gets(unavailable("500"))
        .books_nothing(),
    ]
}
