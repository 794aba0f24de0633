//! Too much of something: none of it may be held.

use crate::faults::row::{Books, Gets, HALF, MODEL, Row, cut, piece, refused, unavailable};
use crate::support::server::{Answer, Script, Step};

const BLOCK: usize = 64 * 1024;

/// So many MB of one letter.
fn flood(megabytes: u64, step: fn(Vec<u8>) -> Step) -> Step {
    Step::Repeat(Box::new(step(vec![b'a'; BLOCK])), Some(megabytes * 16))
}

fn half_then(steps: Vec<Step>) -> Answer {
    Answer::events(
        [piece("ab"), piece("cd")]
            .into_iter()
            .chain(steps)
            .collect::<Vec<_>>(),
    )
    .usage(20, 2)
}

pub fn rows() -> Vec<Row> {
    let heavy = |fault, answer: Answer| Row::of(fault, Script::always(answer)).heavy();
    let cut_off =
        |fault, answer: Answer, words| heavy(fault, answer).gets(cut(HALF, words)).books_all();
    let frame = |text: &str| Step::Frame(text.as_bytes().to_vec());
    let endless_event = Step::Frame(format!("data: {}\n", "a".repeat(1000)).into_bytes()).forever();
    let head =
        |status: u16, more: &str| Step::send(format!("HTTP/1.1 {status} Status\r\n{more}\r\n"));
    let bomb = |status: u16| {
        let bytes = gzip_bomb();
        let more = format!(
            "content-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n",
            bytes.len()
        );
        Answer::raw([head(status, &more), Step::Send(bytes), Step::End])
    };
    vec![
        cut_off(
            "half an answer (what the memory of the others is measured by)",
            half_then(vec![Step::Close]),
            "broke in the middle",
        ),
        cut_off(
            "a line of 16 MB",
            half_then(vec![frame("data: "), flood(16, Step::Frame)]),
            "event too large",
        ),
        cut_off(
            "a line of 1 GB",
            half_then(vec![frame("data: "), flood(1024, Step::Frame)]),
            "event too large",
        ),
        cut_off(
            "an event without an end",
            half_then(vec![endless_event]),
            "event too large",
        ),
        cut_off(
            "comments for ever, as fast as it can",
            half_then(vec![frame(": keep-alive\n\n").forever()]),
            "",
        )
        .config("[limits]\nidle_timeout = \"4s\"\n"),
        heavy(
            "empty pieces for ever, as fast as it can",
            Answer::events([piece("").forever()]).usage(20, 0),
        )
        .config("[limits]\nfirst_token_timeout = \"4s\"\n")
        .gets(unavailable("first_token_timeout"))
        .books_all(),
        heavy(
            "text for ever, as fast as it can: past its cap of 200",
            Answer::events([piece(" one").forever()]),
        )
        .asks(["-m", MODEL, "--max-output", "200"])
        .gets(Gets {
            text: " one".repeat(315),
            ..cut("", "kept writing past the cap of 200 tokens")
        })
        .books(Books::AboveHold),
        heavy(
            "400 with a body of 300 MB",
            Answer::raw([
                head(400, "content-length: 314572800\r\n"),
                flood(300, Step::Send),
                Step::End,
            ]),
        )
        .gets(refused("400"))
        .books_nothing(),
        heavy(
            "200 with JSON of 300 MB",
            Answer::raw([
                head(200, "content-length: 314572800\r\n"),
                Step::send("{\"choices\":[{\"message\":{\"content\":\""),
                flood(300, Step::Send),
                Step::End,
            ]),
        )
        .gets(refused("was stopped"))
        .books_all(),
        heavy(
            "a header of 1 MB",
            Answer::raw([
                Step::send("HTTP/1.1 200 OK\r\nx-long: "),
                flood(1, Step::Send),
                Step::send("\r\n\r\n"),
                Step::Close,
            ]),
        )
        .gets(unavailable("cannot be read as HTTP"))
        .books_all(),
        heavy(
            "10,000 headers",
            Answer::raw([head(200, &"x-many: 1\r\n".repeat(10_000)), Step::Close]),
        )
        .gets(unavailable("cannot be read as HTTP"))
        .books_all(),
        heavy("a gzip bomb, 160 times its size", bomb(200))
            .gets(unavailable("compressed"))
            .books_all(),
        heavy("400 with a gzip bomb", bomb(400))
            .gets(refused("400"))
            .books_nothing(),
    ]
}

/// 1 MiB that unpack to 160: one zero, then again and again the 258 bytes before, in the fixed code of deflate (RFC 1951,
/// 3.2.6: length 258 is `11000101`, distance 1 is `00000`).
fn gzip_bomb() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    // The last block, fixed code; the literal 0.
    let first = [
        true, true, false, false, false, true, true, false, false, false, false,
    ];
    let again = [
        true, true, false, false, false, true, false, true, false, false, false, false, false,
    ];
    let (mut byte, mut filled) = (0_u8, 0);
    for bit in first
        .into_iter()
        .chain(again.into_iter().cycle().take(8 * 1024 * 1024))
    {
        byte |= u8::from(bit) << filled;
        filled += 1;
        if filled == 8 {
            bytes.push(byte);
            (byte, filled) = (0, 0);
        }
    }
    bytes
}
