//! Many who ask the same at the same time are one request, and one bill.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::one_gateway;
use crate::support;

use std::sync::Arc;
use std::time::Duration;

use chat_agent::gateway::{Exchange, Gateway};
use chat_agent::protocol::{Answer as Given, CacheHit, Event};
use one_gateway::{Core, ask, usd};
use support::server::{Answer, Gate, Script};

async fn end(mut exchange: Exchange) -> Result<Given, String> {
    while let Some(event) = exchange.next().await {
        match event {
            Event::Finished(answer) => return Ok(*answer),
            Event::Failed { failure, .. } => return Err(failure.to_string()),
            _ => {}
        }
    }
    panic!("an exchange without an end");
}

/// Goes on until the exchange waits for another one's answer.
async fn until_it_waits(exchange: &mut Exchange) {
    while let Some(event) = exchange.next().await {
        if let Event::Pausing { .. } = event {
            return;
        }
    }
    panic!("it ended before it waited");
}

fn many(gateway: &Arc<Gateway>, n: usize) -> Vec<Exchange> {
    (0..n).map(|_| gateway.open(ask("hi"))).collect()
}

#[test]
fn twenty_exchanges_of_one_question_are_one_request() {
    let core = Core::new(Script::always(Answer::text("Hello").usage(100, 50)));
    let answers = core.run(|gateway| async move {
        let mut answers = Vec::new();
        for exchange in many(&gateway, 20) {
            answers.push(tokio::spawn(end(exchange)));
        }
        let mut given = Vec::new();
        for answer in answers {
            given.push(answer.await.unwrap().unwrap());
        }
        given
    });
    assert!(answers.iter().all(|answer| answer.text == "Hello"));
    let paid = answers
        .iter()
        .filter(|answer| answer.facts.cache == CacheHit::None)
        .count();
    assert_eq!((paid, core.server.chats().len()), (1, 1));
    assert!(
        answers
            .iter()
            .filter(|a| a.facts.cache != CacheHit::None)
            .all(|a| a.facts.cost.usd == Some(usd("0")))
    );
}

#[test]
fn who_goes_away_harms_nobody() {
    let gate = Gate::new();
    let core = Core::new(Script::always(
        Answer::text("Hello").usage(100, 50).gate_after(1, &gate),
    ));
    core.run(|gateway| async move {
        let first = gateway.open(ask("hi"));
        let reached = gate.clone();
        tokio::task::spawn_blocking(move || reached.wait_reached(1))
            .await
            .unwrap();
        let (mut second, mut third) = (gateway.open(ask("hi")), gateway.open(ask("hi")));
        until_it_waits(&mut second).await;
        until_it_waits(&mut third).await;
        second.stop();
        assert!(end(second).await.unwrap_err().contains("stopped"));
        gate.open();
        assert_eq!(end(first).await.unwrap().text, "Hello");
        assert_eq!(end(third).await.unwrap().facts.cache, CacheHit::Memory);
    });
    assert_eq!(core.server.chats().len(), 1);
}

#[test]
fn when_the_one_who_fetches_is_stopped_the_next_one_fetches() {
    let gate = Gate::new();
    let slow = Answer::text("Hello").usage(100, 50).gate_after(1, &gate);
    let core = Core::new(Script::each([slow, Answer::text("Again").usage(100, 50)]));
    core.run(|gateway| async move {
        let first = gateway.open(ask("hi"));
        let reached = gate.clone();
        tokio::task::spawn_blocking(move || reached.wait_reached(1))
            .await
            .unwrap();
        let mut second = gateway.open(ask("hi"));
        until_it_waits(&mut second).await;
        first.stop();
        let _cut = end(first).await;
        let answer = end(second).await.unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.facts.cache),
            ("Again", CacheHit::None)
        );
    });
    assert_eq!(core.server.chats().len(), 2);
}

#[test]
fn behind_an_answer_that_may_not_be_kept_all_ask_at_once() {
    let (first_gate, gate) = (Gate::new(), Gate::new());
    let capped = |gate: &Gate| {
        Answer::text("as far as it")
            .usage(100, 50)
            .finish("length")
            .gate_after(1, gate)
    };
    let core = Core::new(Script::each([
        capped(&first_gate),
        capped(&gate),
        capped(&gate),
        capped(&gate),
    ]));
    core.run(|gateway| async move {
        let first = gateway.open(ask("hi"));
        let reached = first_gate.clone();
        tokio::task::spawn_blocking(move || reached.wait_reached(1))
            .await
            .unwrap();
        let mut waiting = many(&gateway, 3);
        for exchange in &mut waiting {
            until_it_waits(exchange).await;
        }
        first_gate.open();
        let _capped = end(first).await;
        let answers: Vec<_> = waiting
            .into_iter()
            .map(|exchange| tokio::spawn(end(exchange)))
            .collect();
        // None of them has its answer before all have asked.
        let reached = gate.clone();
        tokio::task::spawn_blocking(move || reached.wait_reached(3))
            .await
            .unwrap();
        gate.open();
        for answer in answers {
            let _capped = answer.await.unwrap();
        }
    });
    assert_eq!(core.server.chats().len(), 4);
}

/// The process that fetches may be stopped with Ctrl-Z or be very slow: the others do not wait for ever.
#[test]
fn who_has_waited_long_enough_asks_for_themselves() {
    let gate = Gate::new();
    let slow = Answer::text("Hello").usage(100, 50).gate_after(1, &gate);
    let core = Core::new(Script::each([slow, Answer::text("Again").usage(100, 50)]));
    core.run(|_| async {
        let gateway = core.waiting(Duration::from_millis(100));
        let first = gateway.open(ask("hi"));
        let reached = gate.clone();
        tokio::task::spawn_blocking(move || reached.wait_reached(1))
            .await
            .unwrap();
        let mut second = gateway.open(ask("hi"));
        until_it_waits(&mut second).await;
        let answer = end(second).await.unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.facts.cache),
            ("Again", CacheHit::None)
        );
        gate.open();
        assert_eq!(
            end(first).await.unwrap().text,
            "Hello",
            "and the first one has its answer all the same"
        );
        gateway.close().await;
    });
    assert_eq!(core.server.chats().len(), 2);
}
