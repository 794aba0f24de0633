//! Ten thousand broken and hostile streams: whatever a server writes, a part is never taken for the whole.
//!
//! `FAULT_STREAMS=100000` runs more of them, `FAULT_SEED=42` one alone, `FAULT_SEED=42 FAULT_STREAMS=5` five from there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::bill;
mod hostile;
use crate::support;

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bill::{Core, Dice, ids, model, tag, words};
use chat_agent::budget::Limits;
use chat_agent::chat::{Delta, Params, Reply, Selection, SessionId};
use chat_agent::gateway::{Ask, Gateway};
use chat_agent::protocol::{Answer, Event};
use chat_agent::provider::decode::Decoder;
use chat_agent::provider::mask::Mask;
use chat_agent::provider::{ErrorClass, WireError};
use chat_agent::store::Ledger;
use hostile::{Stream, says_end};
use support::scene::KEY;
use support::server::{Answer as Scripted, Script, Server, Step};

/// The seeds to run: so many, or those that the environment names.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let read = |name| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let (first, count): (Option<u64>, Option<u64>) = (read("FAULT_SEED"), read("FAULT_STREAMS"));
    let count = count.unwrap_or(if first.is_some() { 1 } else { usual });
    let first = first.unwrap_or(1);
    first..first + count
}

/// Every step, the error, and how many pieces were passed over.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Delta>, Option<WireError>, u32) {
    let (mut decoder, mut steps, mut failed) = (Decoder::new(Mask::default()), Vec::new(), None);
    for piece in pieces {
        failed = decoder.push(piece).err();
        steps.extend(std::iter::from_fn(|| decoder.pop()));
        if failed.is_some() {
            break;
        }
    }
    let failed = failed.or_else(|| decoder.end().err());
    steps.extend(std::iter::from_fn(|| decoder.pop()));
    (steps, failed, decoder.malformed())
}

#[test]
fn no_part_of_ten_thousand_broken_streams_is_taken_for_the_whole() {
    let (mut whole, mut broken) = (0, 0);
    for seed in seeds(10_000) {
        let mut dice = Dice::new(seed);
        let stream = Stream::of(&mut dice);
        let (steps, failed, malformed) = decode([&stream.bytes[..]]);
        let mut reply = Reply::default();
        for step in &steps {
            reply.push(step);
        }
        if failed.is_none() {
            whole += 1;
            assert!(
                reply.finish.is_some() && says_end(&stream.bytes),
                "seed {seed}: complete without a word of it"
            );
        } else {
            broken += 1;
        }
        if let Some(text) = &stream.text {
            assert_eq!(
                (failed.as_ref(), &reply.text, malformed),
                (None, text, 0),
                "seed {seed}: a sound stream"
            );
        }
        let split = decode(stream.pieces(&mut dice));
        assert_eq!(split.0, steps, "seed {seed}: the split matters");
        assert_eq!(
            (split.1, split.2),
            (failed, malformed),
            "seed {seed}: the split matters"
        );
    }
    // A test of streams that all break, or none, would prove nothing.
    assert!(
        seeds(10_000).count() < 100 || (whole > broken / 8 && broken > whole / 8),
        "{whole} whole, {broken} broken"
    );
}

/// A question with a name, so that its requests can be told apart.
fn question(seed: u64) -> Ask {
    let session = SessionId::from_text(format!("s{}", seed % 8));
    let params = Params {
        max_output: Some(200),
        ..Params::default()
    };
    let selection = Selection::Pinned(model("gpt-4o-mini"));
    Ask {
        params,
        cached: false,
        ..Ask::new(session, selection, format!("q{seed}{}", words(3)), &ids())
    }
}

/// What an attempt is answered with.
fn stream(seed: u64, attempt: u64) -> (Stream, Dice) {
    let mut dice = Dice::new(seed ^ (attempt << 40));
    let mut stream = Stream::of(&mut dice);
    stream.bytes.truncate(400_000);
    (stream, dice)
}

/// The same streams on a wire: framed well or badly, ended in order or not.
fn scripted(seed: u64, attempt: u64) -> Scripted {
    let (stream, mut dice) = stream(seed, attempt);
    let head = |framing: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n")
    };
    let mut steps = Vec::new();
    match dice.below(4) {
        // In chunks, with extensions and a trailer.
        0 | 1 => {
            steps.push(Step::send(head("transfer-encoding: chunked\r\n")));
            for piece in stream.pieces(&mut dice).chunks(64) {
                let piece = piece.concat();
                steps.push(Step::send(
                    [
                        format!("{:x};a=b\r\n", piece.len()).as_bytes(),
                        &piece,
                        b"\r\n",
                    ]
                    .concat(),
                ));
            }
            if !dice.one_in(3) {
                steps.push(Step::send("0\r\nx-trailer: 1\r\n\r\n"));
            }
        }
        // With a length, which is right or too long.
        2 => {
            let length =
                stream.bytes.len() as u64 + if dice.one_in(2) { dice.below(100) } else { 0 };
            steps.push(Step::send(head(&format!("content-length: {length}\r\n"))));
            steps.push(Step::send(&stream.bytes));
        }
        _ => {
            steps.push(Step::send(head("connection: close\r\n")));
            steps.push(Step::send(&stream.bytes));
        }
    }
    // Few hang: each of those takes as long as a busy machine needs for a good one.
    steps.push(match dice.below(48) {
        0..=11 => Step::Reset,
        12 => Step::Hang,
        _ => Step::Close,
    });
    Scripted::raw(steps)
}

fn seed_of(tag: &str) -> u64 {
    tag.trim_start_matches('q').parse().unwrap()
}

async fn last_event(gateway: &Arc<Gateway>, ask: Ask) -> (Event, String) {
    let (mut exchange, mut last, mut text) = (gateway.open(ask), None, String::new());
    while let Some(event) = exchange.next().await {
        if let Event::Text { text: more, .. } = &event {
            text += more;
        }
        last = Some(event);
    }
    (last.unwrap(), text)
}

#[test]
fn three_hundred_of_them_through_the_gateway() {
    const RETRIES: u64 = 2;
    // How many requests came for each seed.
    let came = Arc::new(Mutex::new(HashMap::<u64, u64>::new()));
    let made = Arc::clone(&came);
    let script = Script::always(Scripted::status(418)).choose(move |request| {
        let seed = seed_of(&tag(request));
        let mut made = made.lock().unwrap();
        let attempts = made.entry(seed).or_default();
        *attempts += 1;
        Some(scripted(seed, *attempts - 1))
    });
    let server = Server::start(script.keys([KEY]));
    let toml = format!(
        "[limits]\nretries = {RETRIES}\nfirst_token_timeout = \"5s\"\nidle_timeout = \"3s\"\nmax_output = 256\n"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let all: Vec<u64> = seeds(300).collect();
    for some in all.chunks(16) {
        runtime.block_on(async {
            let asked: Vec<_> = some
                .iter()
                .map(|seed| {
                    // Each with a data folder of its own: what one learns of the server, the next must not be told of.
                    let core = Core::new(&server, &toml);
                    let gateway = core.gateway(Limits::default(), "run");
                    let ask = question(*seed);
                    (
                        *seed,
                        core,
                        tokio::spawn(async move { last_event(&gateway, ask).await }),
                    )
                })
                .collect();
            for (seed, core, asked) in asked {
                let (last, shown) = asked.await.unwrap();
                let made = came.lock().unwrap().get(&seed).copied().unwrap_or_default();
                assert!(
                    (1..=RETRIES + 1).contains(&made),
                    "seed {seed}: {made} requests, and {last:?}"
                );
                judge(seed, made - 1, &last, &shown);
                let open = core
                    .ledger()
                    .run(|db| Ledger(db).open_items())
                    .await
                    .unwrap();
                assert!(
                    open.is_empty(),
                    "seed {seed}: money is still held: {open:?}"
                );
            }
        });
    }
}

/// Only a stream that says so ends in `Finished`, and what was shown is what the answer holds.
fn judge(seed: u64, attempt: u64, last: &Event, shown: &str) {
    let check = |answer: &Answer| {
        assert!(
            answer.text == shown || answer.text.trim_end() == shown.trim_end(),
            "seed {seed}: shown {shown:?}, kept {:?}",
            answer.text
        );
    };
    match last {
        Event::Finished(answer) => {
            assert!(
                says_end(&stream(seed, attempt).0.bytes),
                "seed {seed}: called complete"
            );
            check(answer);
        }
        Event::Failed { answer, .. } => answer.iter().for_each(|answer| check(answer)),
        other => panic!("seed {seed}: the last event is {other:?}"),
    }
}

/// The most memory this process has had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The same piece, over and over, as long as it is wanted.
fn flood(piece: &[u8]) -> Option<ErrorClass> {
    let mut decoder = Decoder::new(Mask::default());
    for _ in 0..(200 << 20) / piece.len() {
        if let Err(error) = decoder.push(piece) {
            return Some(error.class);
        }
        while decoder.pop().is_some() {}
    }
    None
}

#[test]
#[ignore = "measures its own process: `memory_stays_within_32_mib` runs it alone"]
fn the_floods() {
    let wide = format!("data: {{\"choices\":[{}0]}}\n\n", "0,".repeat(1_000_000));
    let whole = format!("{{\"choices\":[{}", "0,".repeat(8_000));
    let text = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "\\n".repeat(1_900_000)
    );
    // The test's own texts are not the decoder's memory.
    let before = peak_kib();
    for (name, piece, class) in [
        (
            "one endless line",
            &b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[..],
            ErrorClass::TooLarge,
        ),
        (
            "one event of endless lines",
            b"data: x\ndata: x\ndata: x\ndata: x\ndata: x\ndata: x\n",
            ErrorClass::TooLarge,
        ),
        (
            "an endless name",
            b"event: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
            ErrorClass::TooLarge,
        ),
        (
            "comments",
            b": ping\n\n: ping\n\n: ping\n\n: ping\n\n: ping\n\n: ping\n\n",
            ErrorClass::TooLarge,
        ),
        (
            "events of four megabytes",
            text.as_bytes(),
            ErrorClass::TooLarge,
        ),
        ("a million numbers", wide.as_bytes(), ErrorClass::NotSse),
        (
            "an answer in one piece without an end",
            whole.as_bytes(),
            ErrorClass::TooLarge,
        ),
        (
            "a page without an end",
            b"<html>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ErrorClass::TooLarge,
        ),
    ] {
        assert_eq!(flood(piece), Some(class), "{name}");
        let grown = peak_kib() - before;
        assert!(grown < 32 * 1024, "{name}: {grown} KiB above rest");
    }
}

#[test]
fn memory_stays_within_32_mib() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "fault_streams::the_floods",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
}
