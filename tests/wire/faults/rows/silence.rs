//! Silence, and answers that come too slowly to be any.

use std::time::Duration;

use serde_json::json;

use crate::faults::row::{HALF, Row, WHOLE, cut, piece, refused, unavailable};
use crate::support::server::{Answer, Script, Step};

const BEAT: Duration = Duration::from_millis(50);

/// This again and again, with a pause before each.
fn pulse(step: Step) -> Step {
    Step::All(vec![Step::Wait(BEAT), step]).forever()
}

fn comment() -> Step {
    Step::Frame(b": keep-alive\n\n".to_vec())
}

pub fn rows() -> Vec<Row> {
    let role = Step::event(
        &json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
    );
    let bare = Step::event(&json!({"choices": []}));
    let long_head = format!("HTTP/1.1 200 OK\r\nx-slow: {}", "a".repeat(200));
    // What was billed is unknown: the silent request is not made again, and its hold is booked.
    let silent = |fault, answer: Answer| {
        Row::of(fault, Script::always(answer.usage(20, 0)))
            .impatient()
            .gets(unavailable("first_token_timeout"))
            .books_all()
    };
    let still = |fault, steps: Vec<Step>| {
        let steps = [piece("ab"), piece("cd")]
            .into_iter()
            .chain(steps)
            .collect::<Vec<_>>();
        Row::of(fault, Script::always(Answer::events(steps).usage(20, 2)))
            .impatient()
            .gets(cut(HALF, "idle_timeout"))
            .books_all()
    };
    let finished =
        json!({"choices": [{"index": 0, "delta": {"content": WHOLE}, "finish_reason": "stop"}]});
    vec![
        silent("no response at all (S06)", Answer::raw([Step::Hang])),
        silent("headers, and no token (S07)", Answer::events([Step::Hang])),
        silent(
            "headers byte by byte, without an end",
            Answer::raw([Step::slowly(long_head, BEAT, Step::Send), Step::Hang]),
        ),
        silent("comments only", Answer::events([pulse(comment())])),
        silent("empty pieces only", Answer::events([pulse(role)])),
        silent("chunks without choices only", Answer::events([pulse(bare)])),
        silent(
            "an event byte by byte, without an end",
            Answer::events([
                Step::slowly(
                    "data: {\"choices\":[{\"delta\":{\"content\":\"aaaaaaaa",
                    BEAT,
                    Step::Frame,
                ),
                Step::Hang,
            ]),
        ),
        still("half an answer, then silence", vec![Step::Hang]),
        still("half an answer, then comments only", vec![pulse(comment())]),
        still(
            "half an answer, then an event byte by byte",
            vec![
                Step::slowly(
                    "data: {\"choices\":[{\"delta\":{\"content\":\"aaaaaaaa",
                    BEAT,
                    Step::Frame,
                ),
                Step::Hang,
            ],
        ),
        Row::new(
            "slow but steady, longer than either limit",
            [Answer::text(WHOLE)
                .usage(20, 4)
                .pieces(8)
                .delay_between(700)],
        )
        .impatient(),
        Row::new(
            "the finish, and then neither usage nor an end",
            [Answer::events([Step::event(&finished), Step::Hang]).usage(20, 4)],
        )
        .books_all(),
        Row::of(
            "400, and its body never comes",
            Script::always(Answer::raw([
                Step::send("HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n"),
                Step::Hang,
            ])),
        )
        .gets(refused("400"))
        .books_nothing(),
        Row::once(
            "500, its body byte by byte and without an end",
            never_ending(),
        ),
    ]
}

/// A refusal that is read for so long and no longer.
fn never_ending() -> Answer {
    let head = Step::send("HTTP/1.1 500 Oops\r\nretry-after-ms: 1\r\ncontent-length: 100\r\n\r\n");
    Answer::raw([
        head,
        Step::slowly("aaaaaaaaaa", BEAT, Step::Send),
        Step::Hang,
    ])
}
