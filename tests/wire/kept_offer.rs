//! What is offered for a question that came no further than a provider which is down.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::gateways;
use crate::support;

use std::time::Duration;

use chat_agent::agent::{Start, spawn};
use chat_agent::chat::{ModelId, Random, Role, Selection, SessionId};
use chat_agent::gateway::Ask;
use chat_agent::protocol::{Answer as Given, CacheHit, Command, Degraded, Event, Handle, Offer};
use chat_agent::store::{ChatLog, Db};
use gateways::{World, end, run, usd};
use support::PATIENCE;
use support::server::{Answer, Script, Server};
use tokio::time::timeout;

const DAY: Duration = Duration::from_hours(24);

/// A chat with a screen, new, with its model pinned.
fn chat(world: &World) -> Handle {
    let model = Selection::Pinned(ModelId::new("mine", "small"));
    let start = Start {
        selection: Some(model),
        cached: true,
        screen: true,
        ..Start::default()
    };
    spawn(world.gateway.clone(), start)
}

async fn send(chat: &Handle, text: &str) {
    chat.commands
        .send(Command::Send { text: text.into() })
        .await
        .unwrap();
}

/// Reads on to the event that is wanted.
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

async fn answered(chat: &mut Handle) -> Given {
    until(chat, |event| {
        if let Event::Finished(answer) = event {
            Some(*answer)
        } else {
            None
        }
    })
    .await
}

async fn offered(chat: &mut Handle) -> Offer {
    until(chat, |event| {
        if let Event::Offer(offer) = event {
            Some(offer)
        } else {
            None
        }
    })
    .await
}

/// A provider that answered `hi` ten days ago, and of which nothing is expected any more.
async fn shut(then: Option<Answer>) -> (World, Server) {
    let down = || Answer::error(500, "server_error", "oops");
    let answers = [Answer::text("Hello").usage(100, 50)]
        .into_iter()
        .chain((0..5).map(|_| down()))
        .chain(then);
    let server = Server::start(Script::each(answers));
    let world = World::of(&server, |config| {
        config.limits.retries = 0;
        // What is kept for one answer of a thousand tokens is more than half of what the day allows.
        config
            .models
            .iter_mut()
            .for_each(|model| model.output = Some(usd("600000")));
    });
    let mut first = chat(&world);
    send(&first, "hi").await;
    assert_eq!(answered(&mut first).await.text, "Hello");
    world.pass(10 * DAY);
    for _ in 0..5 {
        world.ask().await.failure();
    }
    assert_eq!(server.chats().len(), 6);
    (world, server)
}

#[test]
fn a_kept_answer_is_offered_and_taken_for_a_question_that_was_never_stored() {
    run(async {
        let (world, server) = shut(None).await;
        let mut chat = chat(&world);
        send(&chat, "hi").await;
        let offer = offered(&mut chat).await;
        let kept = offer.kept.unwrap();
        assert_eq!(
            (kept.model.to_string().as_str(), kept.age_s, kept.expired),
            ("mine/small", 10 * 86_400, true)
        );
        assert!(
            offer.until.is_some(),
            "and when the provider is tried again"
        );
        chat.commands
            .send(Command::TakeOffer(Degraded::Kept))
            .await
            .unwrap();
        let answer = answered(&mut chat).await;
        assert_eq!(
            (answer.text.as_str(), answer.facts.cache, answer.facts.stale),
            ("Hello", CacheHit::Memory, true)
        );
        assert_eq!(
            (answer.facts.cost.usd, server.chats().len()),
            (Some(chat_agent::chat::Usd::ZERO), 6)
        );
        // Now it is stored, once, with its answer.
        let db = Db::open(world.data.path()).unwrap();
        let rows = ChatLog(&db).chat(&answer.session).unwrap().messages;
        let said: Vec<_> = rows
            .iter()
            .map(|row| (row.entry.role, row.entry.text.as_str()))
            .collect();
        assert_eq!(said, [(Role::User, "hi"), (Role::Assistant, "Hello")]);
    });
}

#[test]
fn a_kept_answer_is_given_when_nothing_is_left_to_spend() {
    run(async {
        let (world, server) = shut(Some(Answer::text("dear").usage(100, 900))).await;
        let mut chat = chat(&world);
        send(&chat, "hi").await;
        offered(&mut chat).await.kept.unwrap();
        // Meanwhile the day's money goes elsewhere.
        world.pass(Duration::from_secs(30));
        let (random, large) = (
            Random::system(),
            Selection::Pinned(ModelId::new("other", "large")),
        );
        let ask = Ask::new(SessionId::from_bits(random.bits()), large, "spend", &random);
        assert_eq!(end(world.gateway.open(ask)).await.text(), "dear");
        chat.commands
            .send(Command::TakeOffer(Degraded::Kept))
            .await
            .unwrap();
        let answer = answered(&mut chat).await;
        assert_eq!((answer.text.as_str(), answer.facts.stale), ("Hello", true));
        assert_eq!(
            (answer.facts.cost.usd, server.chats().len()),
            (Some(chat_agent::chat::Usd::ZERO), 7)
        );
    });
}

#[test]
fn the_same_question_can_be_asked_again_by_the_same_word() {
    run(async {
        let (world, server) = shut(Some(Answer::text("Back").usage(100, 50))).await;
        let mut chat = chat(&world);
        send(&chat, "hi").await;
        offered(&mut chat).await;
        world.pass(Duration::from_secs(30));
        chat.commands
            .send(Command::TakeOffer(Degraded::Again))
            .await
            .unwrap();
        assert_eq!(answered(&mut chat).await.text, "Back");
        assert_eq!(server.chats().len(), 7);
    });
}

#[test]
fn where_nothing_is_kept_nothing_is_offered_but_the_time() {
    run(async {
        let (world, _server) = shut(None).await;
        let mut chat = chat(&world);
        send(&chat, "something else").await;
        let offer = offered(&mut chat).await;
        assert_eq!((offer.kept, offer.until.is_some()), (None, true));
    });
}
