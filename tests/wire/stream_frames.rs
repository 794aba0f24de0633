//! A fast answer costs a front end no more than a frame each, and is whole all the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::bill;
use crate::support;

use bill::{Core, ids, model, words};
use chat_agent::budget::Limits;
use chat_agent::chat::{Selection, SessionId};
use chat_agent::gateway::Ask;
use chat_agent::protocol::Event;
use support::scene::KEY;
use support::server::{Answer, Gate, Script, Server};

const TOML: &str = "[limits]\nmax_output = 8192\n";

fn question() -> Ask {
    let session = SessionId::from_text("s".to_owned());
    Ask {
        cached: false,
        ..Ask::new(
            session,
            Selection::Pinned(model("gpt-4o-mini")),
            "q hi",
            &ids(),
        )
    }
}

/// The pieces of the answer as they were told, its text, and how long it took from the arrival of the request: a busy
/// machine may be late to see the first piece, and has had the time for more.
fn told(answer: Answer, first: impl Fn()) -> (Vec<String>, String, f64) {
    let server = Server::start(Script::always(answer).keys([KEY]));
    let core = Core::new(&server, TOML);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (mut pieces, mut text) = (Vec::new(), None);
    runtime.block_on(async {
        let mut exchange = core.gateway(Limits::default(), "run").open(question());
        while let Some(event) = exchange.next().await {
            match event {
                Event::Text { text, .. } => {
                    if pieces.is_empty() {
                        first();
                    }
                    pieces.push(text);
                }
                Event::Finished(answer) => text = Some(answer.text),
                Event::Failed { failure, .. } => panic!("{failure}"),
                _ => {}
            }
        }
    });
    (
        pieces,
        text.unwrap(),
        server.chats()[0].arrived.elapsed().as_secs_f64(),
    )
}

#[test]
fn four_thousand_tokens_at_once_are_told_thirty_times_a_second_at_most() {
    let answer = words(4_000);
    let (pieces, text, seconds) = told(Answer::text(&answer).pieces(4_000).usage(10, 4_000), || ());
    assert_eq!((pieces.concat(), text), (answer.clone(), answer));
    let frames = seconds / 0.033;
    // One at once, and one that remains at the end.
    assert!(
        f64::from(u32::try_from(pieces.len()).unwrap()) <= frames + 2.0,
        "{} pieces in {frames:.1} frames",
        pieces.len()
    );
}

#[test]
fn the_first_piece_is_told_before_there_is_a_second() {
    let gate = Gate::new();
    let answer = Answer::of_pieces(["one", " two", " three"])
        .usage(10, 3)
        .gate_after(1, &gate);
    // The server goes on only once the first has been seen: waiting for more would wait for ever.
    let (pieces, text, _) = told(answer, || gate.open());
    assert_eq!(
        (pieces[0].as_str(), text.as_str()),
        ("one", "one two three")
    );
}
