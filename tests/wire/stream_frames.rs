//! Pieces of an answer that arrive together reach a front end together, and a single piece reaches it at once.

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

/// The pieces of the answer as they were told, and its text.
fn told(answer: Answer, first: impl Fn()) -> (Vec<String>, String) {
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
    (pieces, text.unwrap())
}

#[test]
fn four_thousand_tokens_at_once_are_joined_to_a_few_pieces() {
    let answer = words(4_000);
    let (pieces, text) = told(Answer::text(&answer).pieces(4_000).usage(10, 4_000), || ());
    assert_eq!((pieces.concat(), text), (answer.clone(), answer));
    assert!(pieces.len() <= 400, "{} pieces", pieces.len());
}

#[test]
fn the_first_piece_is_told_before_there_is_a_second() {
    let gate = Gate::new();
    let answer = Answer::of_pieces(["one", " two", " three"])
        .usage(10, 3)
        .gate_after(1, &gate);
    // The server goes on only once the first has been seen: waiting for more would wait for ever.
    let (pieces, text) = told(answer, || gate.open());
    assert_eq!(
        (pieces[0].as_str(), text.as_str()),
        ("one", "one two three")
    );
}
