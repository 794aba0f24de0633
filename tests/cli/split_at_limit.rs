//! A question that has to be split, at a limit: asked of the user, refused or cheaper, as the configuration says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::gateways;
use crate::support;

use std::sync::Arc;

use chat_agent::agent::{Start, spawn};
use chat_agent::chat::{FailureKind, Overflow, Selection};
use chat_agent::config::{LadderRung, OnLimit};
use chat_agent::protocol::{Command, Event, Handle, WayOut};
use gateways::{World, run, usd};
use support::PATIENCE;
use support::server::{Answer, Script, Server};
use tokio::time::timeout;

/// A chat that splits what is too long. Of its two rungs the better one costs $100 a token, which no limit allows.
fn chat(server: &Server, on_limit: OnLimit) -> (World, Handle) {
    let world = World::of(server, |config| {
        config.budget.on_limit = on_limit;
        config.models[0].output = Some(usd("100000000"));
        config.models.truncate(2);
        config.router.ladder.truncate(2);
        assert_eq!(
            config
                .router
                .ladder
                .iter()
                .map(LadderRung::to_string)
                .collect::<Vec<_>>(),
            ["mine/small", "mine/tiny"]
        );
    });
    let start = Start {
        selection: Some(Selection::Auto),
        overflow: Overflow::Segment,
        screen: true,
        ..Start::default()
    };
    let chat = spawn(world.gateway.clone(), start);
    (world, chat)
}

/// Longer than every window.
fn question() -> Arc<str> {
    format!(
        "What is said here?\n\n{}",
        "one two three four. ".repeat(6_000)
    )
    .into()
}

async fn until<T>(chat: &mut Handle, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let read = async {
        loop {
            if let Some(found) = wanted(chat.events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    timeout(PATIENCE, read).await.unwrap()
}

/// The last event of the turn.
async fn last(chat: &mut Handle) -> Event {
    let is_last = |event: &Event| {
        matches!(
            event,
            Event::Finished(_) | Event::Failed { .. } | Event::AtLimit(_)
        )
    };
    until(chat, |event| is_last(&event).then_some(event)).await
}

fn server() -> Server {
    Server::start(Script::always(Answer::text("a part").usage(10, 2)).keys([support::scene::KEY]))
}

#[test]
fn the_user_is_asked_before_another_model_is_taken() {
    let server = server();
    run(async {
        let (_world, mut chat) = chat(&server, OnLimit::Ask);
        chat.commands
            .send(Command::Draft {
                rev: 1,
                text: question(),
            })
            .await
            .unwrap();
        let receipt = until(&mut chat, |event| {
            if let Event::Receipt(r) = event {
                Some(r).filter(|r| r.rev == 1)
            } else {
                None
            }
        });
        assert_eq!(
            receipt.await.outcome.unwrap().model.to_string(),
            "mine/tiny",
            "what would be proposed"
        );
        chat.commands
            .send(Command::Send { text: question() })
            .await
            .unwrap();
        let Event::AtLimit(at) = last(&mut chat).await else {
            panic!("the user is asked")
        };
        assert_eq!(
            (at.failure.kind, &at.text),
            (FailureKind::Budget, &question())
        );
        let cheaper = at.cheaper.unwrap().model;
        assert_eq!(cheaper.to_string(), "mine/tiny");
        assert!(server.chats().is_empty(), "nothing is sent unasked");
        chat.commands
            .send(Command::SendBy {
                text: question(),
                way: WayOut::Cheaper(cheaper),
            })
            .await
            .unwrap();
        let Event::Finished(answer) = last(&mut chat).await else {
            panic!("it is answered")
        };
        assert_eq!(answer.facts.model.to_string(), "mine/tiny");
    });
    let sent = server.chats();
    assert!(sent.len() > 2 && sent.iter().all(|request| request.model() == "tiny"));
}

#[test]
fn a_rule_in_the_configuration_asks_nothing() {
    let server = server();
    run(async {
        let (_world, mut refuses) = chat(&server, OnLimit::Refuse);
        refuses
            .commands
            .send(Command::Send { text: question() })
            .await
            .unwrap();
        let Event::Failed {
            failure,
            answer: None,
            ..
        } = last(&mut refuses).await
        else {
            panic!("refused")
        };
        assert_eq!(failure.kind, FailureKind::Budget);
        assert!(server.chats().is_empty());
        let (_world, mut goes_down) = chat(&server, OnLimit::Downgrade);
        goes_down
            .commands
            .send(Command::Send { text: question() })
            .await
            .unwrap();
        let Event::Finished(answer) = last(&mut goes_down).await else {
            panic!("answered")
        };
        assert_eq!(answer.facts.model.to_string(), "mine/tiny");
    });
}
