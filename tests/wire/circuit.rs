//! A provider that is down: who still asks it, how it is found to be back, and what the user hears meanwhile.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::gateways;
use crate::support;

use std::time::Duration;

use chat_agent::chat::{FailureKind, Finish, Usd};
use chat_agent::protocol::Circuit;
use gateways::{World, end, run};
use support::scene::Scene;
use support::server::{Answer, Gate, Request, Script, Server};
use support::terminal::Terminal;

const NOTHING: (Usd, Usd) = (Usd::ZERO, Usd::ZERO);

fn down() -> Answer {
    Answer::error(500, "server_error", "oops")
}

/// A scene whose only server has failed so often that it is not asked any more.
async fn shut(then: Answer) -> (World, Server) {
    let server = Server::start(Script::each([down(), down(), down(), down(), down(), then]));
    let world = World::of(&server, |config| config.limits.retries = 0);
    for _ in 0..5 {
        let told = world.ask().await;
        assert_eq!(told.failure().kind, FailureKind::Unavailable);
        assert!(told.failure().message.contains("oops"), "{told:#?}");
    }
    assert_eq!(server.chats().len(), 5);
    (world, server)
}

fn circuits(told: &gateways::Told) -> Vec<Circuit> {
    told.links.iter().map(|link| link.circuit).collect()
}

fn paths(requests: &[Request]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request.path.as_str())
        .collect()
}

#[test]
fn while_the_circuit_is_open_nothing_is_sent_and_the_time_is_told() {
    run(async {
        let (world, server) = shut(Answer::text("back")).await;
        let told = world.ask().await;
        let failure = told.failure();
        assert_eq!(failure.kind, FailureKind::Unavailable);
        let seconds: u64 = failure
            .message
            .strip_prefix("mine is down: tried again in ")
            .unwrap()[..1]
            .parse()
            .unwrap();
        assert!((5..=7).contains(&seconds), "{failure}");
        assert!(
            matches!(circuits(&told)[..], [Circuit::Open { .. }]),
            "{told:#?}"
        );
        assert!(
            told.started.is_empty() && told.attempts.is_empty(),
            "{told:#?}"
        );
        assert_eq!((server.chats().len(), world.money()), (5, NOTHING));
        world.pass(Duration::from_secs(1));
        assert!(
            world.ask().await.failure().message != failure.message,
            "the time goes on"
        );
        server.assert_clean();
    });
}

#[test]
fn when_its_time_has_come_the_list_of_models_is_asked_for_and_then_the_answer() {
    run(async {
        let (world, server) = shut(Answer::text("back")).await;
        world.pass(Duration::from_secs(7));
        let told = world.ask().await;
        assert_eq!(told.text(), "back");
        assert_eq!(circuits(&told), [Circuit::HalfOpen, Circuit::Closed]);
        let requests = server.requests();
        assert_eq!(
            paths(&requests[5..]),
            ["/v1/models", "/v1/chat/completions"]
        );
        assert!(world.ask().await.links.is_empty(), "all is well again");
        assert_eq!(
            server.requests().len(),
            8,
            "and the list is not asked for any more"
        );
        server.assert_clean();
    });
}

#[test]
fn where_nobody_is_there_no_money_is_touched_and_it_stays_shut_for_longer() {
    run(async {
        let (world, server) = shut(down()).await;
        drop(server);
        world.pass(Duration::from_secs(7));
        let told = world.ask().await;
        assert_eq!(told.failure().kind, FailureKind::Unavailable);
        assert!(
            told.failure()
                .message
                .starts_with("mine is down: tried again in 1"),
            "ten seconds or more: {told:#?}"
        );
        assert!(
            told.started.is_empty() && told.attempts.is_empty(),
            "nothing was reserved: {told:#?}"
        );
        assert!(
            matches!(
                circuits(&told)[..],
                [Circuit::HalfOpen, Circuit::Open { .. }]
            ),
            "{told:#?}"
        );
        assert_eq!(world.money(), NOTHING);
    });
}

#[test]
fn the_second_time_a_broken_list_of_models_keeps_nobody_out() {
    run(async {
        let (world, server) = shut(down()).await;
        world.pass(Duration::from_secs(7));
        world.ask().await;
        assert_eq!(
            paths(&server.requests()[5..]),
            ["/v1/models", "/v1/chat/completions"]
        );
        world.pass(Duration::from_secs(13));
        world.ask().await;
        assert_eq!(paths(&server.requests()[7..]), ["/v1/chat/completions"]);
    });
}

#[test]
fn of_two_that_race_one_is_let_through() {
    run(async {
        let gate = Gate::new();
        let (world, server) = shut(Answer::text("back").gate_after(0, &gate)).await;
        world.pass(Duration::from_secs(7));
        let first = world.open();
        let first = tokio::spawn(end(first));
        gate_reached(&gate).await;
        let second = world.ask().await;
        assert!(
            second.failure().message.contains("just being tried again"),
            "{second:#?}"
        );
        assert_eq!(server.chats().len(), 6);
        gate.open();
        assert_eq!(first.await.unwrap().text(), "back");
        assert_eq!(world.ask().await.text(), "back");
    });
}

#[test]
fn a_request_that_the_user_stops_gives_its_place_to_the_next() {
    run(async {
        let gate = Gate::new();
        let (world, server) = shut(Answer::text("back").gate_after(0, &gate)).await;
        world.pass(Duration::from_secs(7));
        let first = world.open();
        gate_reached(&gate).await;
        first.stop();
        // With its headers there it is an answer, if an empty one; they may not have been read yet.
        let stopped = match end(first).await.answer {
            Ok(answer) => answer.facts.finish == Some(Finish::Interrupted),
            Err(failure) => failure.kind == FailureKind::Interrupted,
        };
        assert!(stopped);
        gate.open();
        let told = world.ask().await;
        assert_eq!(told.text(), "back");
        assert_eq!(circuits(&told), [Circuit::HalfOpen, Circuit::Closed]);
        assert_eq!(server.chats().len(), 7);
    });
}

/// S15 of Failover Bench: a primary that is down, and a second one. A client without a circuit sent it 45 requests.
#[test]
fn a_dead_primary_is_left_alone() {
    run(async {
        let primary = Server::start(Script::always(down().header("retry-after-ms", "1")));
        let second = Server::start(Script::always(Answer::text("ok")));
        let world = World::new(
            vec![primary.base_url()],
            vec![second.base_url()],
            |config| {
                config.router.ladder.remove(1);
            },
        );
        for n in 0..15 {
            let told = world.ask_auto().await;
            assert_eq!(told.text(), "ok", "question {n}");
            world.pass(Duration::from_secs(1));
        }
        assert!(
            primary.chats().len() <= 8,
            "{} requests to the dead one",
            primary.chats().len()
        );
        assert_eq!(second.chats().len(), 15);
    });
}

#[test]
fn an_open_circuit_is_the_reason_for_the_next_rung() {
    run(async {
        let primary = Server::start(Script::always(down()));
        let second = Server::start(Script::always(Answer::text("ok")));
        let world = World::new(
            vec![primary.base_url()],
            vec![second.base_url()],
            |config| config.limits.retries = 0,
        );
        for _ in 0..5 {
            world.ask().await;
        }
        // So long that the model's failures are forgotten, but for the circuit.
        let told = world.ask_auto().await;
        assert_eq!(
            (told.text(), &told.started[..]),
            ("ok", &["other/large".to_owned()][..])
        );
        assert_eq!((primary.chats().len(), told.attempts.len()), (5, 1));
    });
}

/// Each question in a process of its own, as `ask` in a loop: together they make no more requests than one would.
#[test]
fn what_one_process_found_out_the_next_one_knows() {
    run(async {
        let server = Server::start(Script::each(
            (0..5).map(|_| down()).chain([Answer::text("back")]),
        ));
        let mut world = World::of(&server, |config| config.limits.retries = 0);
        for n in 1..=20 {
            world.restart();
            let told = world.ask().await;
            assert_eq!(
                told.failure().kind,
                FailureKind::Unavailable,
                "question {n}"
            );
            assert_eq!(server.chats().len(), n.min(5), "question {n}");
        }
        let told = world.ask().await;
        assert!(
            told.failure()
                .message
                .starts_with("mine is down: tried again in "),
            "{told:#?}"
        );
        assert_eq!((told.attempts.len(), world.money()), (0, NOTHING));
        // Its time has come: asked for the list first, and the answer clears it for all processes to come.
        world.pass(Duration::from_secs(7));
        world.restart();
        assert_eq!(world.ask().await.text(), "back");
        assert_eq!(
            paths(&server.requests()[5..]),
            ["/v1/models", "/v1/chat/completions"]
        );
        world.restart();
        let told = world.ask().await;
        assert_eq!((told.text(), told.links.len()), ("back", 0), "{told:#?}");
        server.assert_clean();
    });
}

#[test]
fn another_address_begins_with_a_clean_sheet() {
    run(async {
        let (mut world, _server) = shut(Answer::text("never")).await;
        let mended = Server::start(Script::always(Answer::text("here")));
        world.restart_at(&[&mended]);
        assert_eq!(world.ask().await.text(), "here");
    });
}

#[test]
fn an_outage_is_known_to_the_next_ask() {
    // So long that the machine may be as slow as it likes.
    let busy = Answer::error(503, "overloaded", "full up").header("retry-after", "500");
    let scene = Scene::new(Script::always(busy));
    for n in 1..=8 {
        let output = scene.run(&["ask", "hi", "-m", "gpt-5-mini"]);
        output.assert_code(1);
        let down = output.stderr.contains("openai is down: tried again in ");
        assert_eq!(
            (scene.server.chats().len(), down),
            (n.min(5), n > 5),
            "{n}: {output:?}"
        );
    }
    scene.server.assert_clean();
}

#[test]
fn the_picker_shows_how_it_stands_with_a_provider() {
    let busy = Answer::error(503, "overloaded", "full up").header("retry-after", "500");
    let scene = Scene::new(Script::always(busy));
    let picker = |down: bool| {
        let terminal = Terminal::spawn(&scene.command(&[]), 120, 40);
        terminal.wait_for("→ ");
        terminal.key("Alt-P");
        terminal.wait_for("$ per million tokens");
        // Of the models that can be asked.
        terminal.wait_for("openai/gpt-5-mini");
        let open = " open until ";
        if down {
            terminal.wait_for(open);
        } else {
            assert!(!terminal.screen().contains(open), "{}", terminal.screen());
        }
    };
    picker(false);
    for _ in 0..5 {
        scene.run(&["ask", "hi", "-m", "gpt-5-mini"]).assert_code(1);
    }
    picker(true);
    assert_eq!(scene.server.chats().len(), 5);
    scene.server.assert_clean();
}

#[test]
fn requests_wait_in_turn_and_one_that_is_stopped_waits_no_more() {
    run(async {
        let gate = Gate::new();
        let server = Server::start(Script::each([
            Answer::text("first").gate_after(0, &gate),
            Answer::text("next"),
        ]));
        let world = World::of(&server, |config| config.limits.concurrency = 1);
        let first = tokio::spawn(end(world.open()));
        gate_reached(&gate).await;
        let mut stopped = world.open();
        let waiting = |event| matches!(event, Some(chat_agent::protocol::Event::Link(link)) if link.waiting == 1);
        assert!(waiting(stopped.next().await), "the queue is shown");
        let third = tokio::spawn(end(world.open()));
        stopped.stop();
        let told = end(stopped).await;
        assert_eq!(
            (told.failure().kind, told.started.len()),
            (FailureKind::Interrupted, 0)
        );
        assert_eq!(server.chats().len(), 1);
        gate.open();
        assert_eq!(first.await.unwrap().text(), "first");
        let third = third.await.unwrap();
        assert_eq!(third.text(), "next");
        assert_eq!(third.links.last().unwrap().waiting, 0, "{third:#?}");
        assert_eq!(server.chats().len(), 2);
        server.assert_clean();
    });
}

/// Waits off the async threads until one answer has come to the gate.
async fn gate_reached(gate: &Gate) {
    let gate = gate.clone();
    tokio::task::spawn_blocking(move || gate.wait_reached(1))
        .await
        .unwrap();
}
