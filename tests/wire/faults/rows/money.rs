//! Figures that cannot be true: what is booked is an upper bound, never less than the bill.

use serde_json::json;

use crate::faults::play::Seen;
use crate::faults::row::{Books, Gets, MODEL, Row, WHOLE, answer, cut, piece, whole};
use crate::support::server::{Answer, Script, Step};

/// The whole answer, with this as its usage.
fn told(usage: &str) -> Answer {
    let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n").into_bytes();
    Answer::events([
        piece(WHOLE),
        Step::event(&finish),
        Step::Frame(usage),
        Step::Frame(b"data: [DONE]\n\n".to_vec()),
    ])
    .usage(20, 4)
}

/// How many attempts the report tells of, the last with an answer.
fn attempts(n: usize) -> impl Fn(&Seen) -> Result<(), String> + Send {
    move |seen| {
        let told = seen.attempts();
        let right = told.len() == n && told[n - 1]["outcome"] == "ok";
        if right {
            Ok(())
        } else {
            Err(format!("the attempts are {told:?}"))
        }
    }
}

pub fn rows() -> Vec<Row> {
    let odd = |fault, usage| Row::new(fault, [told(usage)]).books_all();
    let words: Vec<String> = (0..600)
        .map(|n| [" one", " two", " red", " sea"][n % 4].to_owned())
        .collect();
    let kept = words[..315].concat();
    vec![
        odd(
            "usage of -1",
            r#"{"prompt_tokens":-1,"completion_tokens":-1}"#,
        ),
        odd(
            "usage of NaN",
            r#"{"prompt_tokens":NaN,"completion_tokens":4}"#,
        ),
        odd(
            "usage of 1e308",
            r#"{"prompt_tokens":1e308,"completion_tokens":1e308}"#,
        ),
        odd(
            "usage of 2^64 - 1",
            r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}"#,
        ),
        odd(
            "usage of 2^64",
            r#"{"prompt_tokens":18446744073709551616,"completion_tokens":4}"#,
        ),
        odd(
            "usage of halves",
            r#"{"prompt_tokens":20.5,"completion_tokens":4}"#,
        ),
        odd(
            "usage as text",
            r#"{"prompt_tokens":"20","completion_tokens":"4"}"#,
        ),
        odd(
            "usage of zeros",
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
        ),
        odd("usage {}", "{}"),
        odd(
            "more cached than there was",
            r#"{"prompt_tokens":20,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":21}}"#,
        ),
        odd(
            "a total that is no sum",
            r#"{"prompt_tokens":20,"completion_tokens":4,"total_tokens":7}"#,
        ),
        Row::of(
            "the server ignores the cap of 200",
            Script::always(
                Answer::of_pieces(words)
                    .usage(20, 600)
                    .ignore_cap()
                    .after(330, [Step::Hang]),
            ),
        )
        .asks(["-m", MODEL, "--max-output", "200"])
        .gets(Gets {
            text: kept,
            ..cut("", "kept writing past the cap of 200 tokens")
        })
        .books(Books::AboveHold),
        Row::of(
            "the server bills more than its cap of 200",
            Script::always(whole().usage(20, 5000).ignore_cap()),
        )
        .asks(["-m", MODEL, "--max-output", "200"])
        .gets(Gets {
            words: "more than this request allowed",
            ..answer(WHOLE)
        })
        .books(Books::BillAboveHold),
        Row::new(
            "two attempts that broke, then an answer: each its own hold",
            [
                Answer::raw([Step::Reset]),
                Answer::raw([Step::Close]),
                whole(),
            ],
        )
        .requests(3)
        .books(Books::FullAndBill(2, MODEL))
        .also(attempts(3)),
        Row::new(
            "two refusals, then an answer: each hold released",
            [Answer::status(503), Answer::status(500), whole()],
        )
        .requests(3)
        .also(attempts(3)),
        Row::new(
            "an attempt that broke, and no money for a second hold",
            [Answer::raw([Step::Reset]), whole()],
        )
        .config("[budget]\nper_request = 0.02\n")
        .gets(Gets {
            exit: 1,
            kind: Some("unavailable"),
            finish: None,
            text: String::new(),
            words: "closed the connection",
        })
        .books_all(),
    ]
}
